//! What others take for an open that they let through. Each has something to refuse or to tell beside what is measured, and
//! is seen to do that: what is not at work costs nothing.

use super::operations::{DENIED_PATH, DIR, FILE_PATH, NAMED, measure, prepare};
use super::{Agent, CheckError, Ctx, LONG, SOON, agent, ends, fault, rules, start};
use crate::checks::Check;
use crate::report;
use crate::row::chain;
use crate::run::{Background, Cmd};
use guest::{Line, MEASURED, MEASURED_PROFILE, PEERS};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// The audit of system calls comes last: once it was on, every process pays for it until the next boot.
pub(super) const CHECKS: [Check; 6] = [
    Check { id: "peers.nothing", run: |_| prepare().and_then(|()| within("nothing", PASSES, None)) },
    Check { id: "peers.aegisbpf", run: aegisbpf },
    Check { id: "peers.apparmor", run: |_| tried("AppArmor", apparmor) },
    Check { id: "peers.fapolicyd", run: |_| tried("fapolicyd", fapolicyd) },
    Check { id: "peers.auditd-1", run: |_| tried("auditd", || auditd(1, "auditd, 1 watch")) },
    Check { id: "peers.auditd-1000", run: |_| tried("auditd", || auditd(1000, "auditd, 1,000 watches")) },
];

/// What has to come of opening the file that those who can deny are told to deny.
const PASSES: &str = "passes";
const REFUSED: &str = "refused";

const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
const LOAD_PROFILE: &str = "/sys/kernel/security/apparmor/.replace";

/// A row without one of them is still of use, and says so.
fn tried(peer: &str, measured: impl Fn() -> Result<(), CheckError>) -> Result<(), CheckError> {
    prepare()?;
    if let Err(error) = measured() {
        report::send(&Line::Unmeasured { peer: peer.to_owned(), why: chain(&error) });
    }
    Ok(())
}

/// Measures in a process that begins now: neither a profile nor the audit of system calls is laid over one that runs.
fn within(condition: &str, denied: &str, profile: Option<&str>) -> Result<(), CheckError> {
    let mut command = Cmd::new("/init").args(["measured", condition, denied]).timeout(LONG);
    let label = profile.map(|profile| format!("exec {profile}"));
    if let Some(label) = &label {
        command = command.behind(["/init", "labelled", label]);
    }
    ends(&command, 0).map(drop)
}

/// `guest measured CONDITION passes|refused`: tells the figures, once the denied file is as it has to be.
pub(crate) fn main(condition: &str, denied: &str) -> ExitCode {
    let refused = match File::open(DENIED_PATH) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => true,
        Err(error) => return said(&format!("{DENIED_PATH}: {error}")),
    };
    if refused != (denied == REFUSED) {
        return said(&format!("{DENIED_PATH}: refused is {refused}, which it must not be under {condition}"));
    }
    match measure(condition, NAMED) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => said(&chain(&error)),
    }
}

fn said(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

fn aegisbpf(ctx: &Ctx) -> Result<(), CheckError> {
    prepare()?;
    let _agent = Agent(Some(start("--enforce", agent::tier(ctx), &rules::with_denied(1000)?)?));
    within("AegisBPF, 1,000 inode rules and a path", REFUSED, None)
}

fn apparmor() -> Result<(), CheckError> {
    let compiled = fault(MEASURED_PROFILE, fs::read(MEASURED_PROFILE))?;
    fault(LOAD_PROFILE, fs::write(LOAD_PROFILE, compiled))?;
    let listed = fault(PROFILES, fs::read_to_string(PROFILES))?;
    agent::contains(PROFILES, &listed, &format!("{MEASURED} (enforce)"))?;
    within("AppArmor, a profile with a deny rule", REFUSED, Some(MEASURED))
}

/// A program of the packages, in their own tree, which has our `/tmp` in it.
fn packaged(words: &[&str]) -> Result<Cmd, CheckError> {
    let script = format!(
        "cd {PEERS} && for i in dev proc run sys tmp; do mkdir -p $i; grep -q \" {PEERS}/$i \" /proc/mounts || \
         mount -o bind /$i $i || exit 1; done"
    );
    ends(&Cmd::sh(&script), 0)?;
    Ok(Cmd::new("/bin/busybox").args(["chroot", PEERS]).args(words))
}

/// Writes a file of their tree.
fn configure(path: &str, text: &str) -> Result<(), CheckError> {
    let path = format!("{PEERS}{path}");
    fault(&path, fs::write(&path, text))
}

/// Asks again and again, for as long as an emulated machine may take.
fn soon(what: &'static str, daemon: &Background, is: impl Fn() -> bool) -> Result<(), CheckError> {
    let end = Instant::now() + SOON;
    while !is() {
        if Instant::now() > end {
            let got = format!("{}{}", daemon.stdout(), daemon.stderr());
            return Err(CheckError::Differs { what, want: "in time".to_owned(), got });
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The smallest configuration: what is opened on file systems in memory is asked about, and all but one file is allowed.
fn fapolicyd() -> Result<(), CheckError> {
    let config = "permissive = 0\nnice_val = 0\nq_size = 800\nuid = 0\ngid = 0\ndo_stat_report = 0\n\
        detailed_report = 0\ndb_max_size = 8\nsubj_cache_size = 1549\nobj_cache_size = 8191\nwatch_fs = tmpfs\n\
        trust = file\nintegrity = none\nsyslog_format = rule,dec,perm,auid,pid,exe,:,path,ftype,trust\n\
        rpm_sha256_only = 0\nallow_filesystem_mark = 1\n";
    let rules = format!("deny perm=any all : path={DENIED_PATH}\nallow perm=any all : all\n");
    let daemon = packaged(&["/usr/sbin/fapolicyd", "--debug-deny"])?;
    let script = format!("cd {PEERS} && mkdir -p etc/fapolicyd var/lib/fapolicyd var/log run/fapolicyd");
    ends(&Cmd::sh(&script), 0)?;
    configure("/etc/fapolicyd/fapolicyd.conf", config)?;
    configure("/etc/fapolicyd/compiled.rules", &rules)?;
    configure("/etc/fapolicyd/fapolicyd.trust", "")?;
    let daemon = daemon.spawn()?;
    soon("fapolicyd denying", &daemon, || File::open(DENIED_PATH).is_err())?;
    within("fapolicyd, 2 rules", REFUSED, None)
}

/// Watches on other files in a directory beside what is opened; a write to one is on record.
fn auditd(watches: usize, condition: &str) -> Result<(), CheckError> {
    const LOG: &str = "/var/log/audit/audit.log";
    let dir = format!("{DIR}/watched-{watches}");
    let mut text = "-D\n-b 8192\n-f 1\n".to_owned();
    fault(&dir, fs::create_dir_all(&dir))?;
    for number in 0..watches {
        let path = format!("{dir}/{number}");
        fault(&path, fs::write(&path, "x"))?;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "-w {path} -p wa -k bench-{watches}");
    }
    text.push_str("-e 1\n");
    let auditctl = |words: &[&str]| packaged(&[&["/usr/sbin/auditctl"], words].concat());
    let daemon = packaged(&["/usr/sbin/auditd", "-n"])?;
    ends(&Cmd::sh(&format!("mkdir -p -m 700 {PEERS}/var/log/audit")), 0)?;
    configure("/tmp/bench-audit.rules", &text)?;
    let daemon = daemon.spawn()?;
    let pid = format!("pid {}", daemon.pid());
    let status = auditctl(&["-s"])?;
    soon("auditd at work", &daemon, || {
        status.clone().run().is_ok_and(|outcome| outcome.stdout.lines().any(|line| line == pid))
    })?;
    ends(&auditctl(&["-R", "/tmp/bench-audit.rules"])?.timeout(LONG), 0)?;
    let listed = ends(&auditctl(&["-l"])?, 0)?.stdout;
    let count = listed.lines().filter(|line| line.contains(&dir)).count();
    agent::want("every watch in place", count == watches, true)?;
    ends(&Cmd::sh(&format!("echo y >>{dir}/0 && cat {FILE_PATH} >/dev/null")), 0)?;
    let log = format!("{PEERS}{LOG}");
    let key = format!("key=\"bench-{watches}\"");
    soon("the write on record", &daemon, || fs::read_to_string(&log).is_ok_and(|text| text.contains(&key)))?;
    let measured = within(condition, PASSES, None);
    ends(&auditctl(&["-D"])?, 0)?;
    measured
}
