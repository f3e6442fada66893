//! Where the agent runs: with less memory, fewer capabilities, other namespaces, another time than it may expect.

use super::super::agent::{
    Agent, Place, SOON, TELLING, ask, at, contains, ends, nothing_pinned, readable, want,
};
use super::super::{Check, CheckError, Ctx};
use super::{enforcing, health, health_comes, holds, kill, nothing_holds, observing, refused, seen, sh};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::Duration;

pub(super) const CHECKS: [Check; 8] = [
    Check { id: "failure.memory-refused", run: memory_refused },
    Check { id: "failure.map-full", run: map_full },
    Check { id: "failure.securityfs-missing", run: container },
    Check { id: "failure.cgroup2-missing", run: no_cgroup2 },
    Check { id: "failure.user-namespace", run: user_namespace },
    Check { id: "failure.bpf-forbidden", run: bpf_forbidden },
    Check { id: "failure.capability-missing", run: capabilities },
    Check { id: "failure.clock-set-back", run: clock },
];

const CAP_SYS_RESOURCE: u32 = 24;

/// The agent as a program that lacks something, or in a shell that arranges for that.
fn lacking(what: &str, place: &Place, args: &[&str]) -> Cmd {
    let agent = Cmd::new("/init").args(["lacking", what, AGENT]).args(TELLING);
    agent.args(["--allow-unsigned-policy", "--policy", &place.policy]).args(args)
}

/// As in a container that is given little memory.
fn memory_refused(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("memory", &[])?;
    let mut rules = "version=1\n[deny_inode]\n".to_owned();
    for number in 1..=100_000 {
        let _ = writeln!(rules, "240:1:{number}");
    }
    let many = format!("{}/many", place.dir);
    fs::write(&many, rules).map_err(|source| CheckError::File { path: many.clone().into(), source })?;
    let old = is_old();
    let apply = format!("exec {AGENT} policy apply {many} --allow-unsigned-policy");
    let run = format!(
        "exec {AGENT} {} --enforce --allow-unsigned-policy --policy {}",
        TELLING.join(" "),
        place.policy
    );
    let within = |script: &str, limit: &str| {
        if old {
            let script = format!("ulimit -l 64 && {script}");
            Cmd::new("/init").args(["lacking", &format!("cap:{CAP_SYS_RESOURCE}"), "/bin/sh", "-c", &script])
        } else {
            Cmd::sh(&format!("echo {limit} >/sys/fs/cgroup/tight/memory.max && {script}"))
                .cgroup("/sys/fs/cgroup/tight")
        }
    };
    sh("echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir -p /sys/fs/cgroup/tight")?;
    let (code, words) = if old { (77, "CAP_SYS_RESOURCE") } else { (69, "memory") };
    let mut refusals = 0;
    // From room for everything to none, not even for the command, which the OOM killer then ends.
    for megabytes in (8..=40).rev().step_by(4) {
        let changed = within(&apply, &format!("{megabytes}M")).run()?;
        match changed.code() {
            0 if !old => sh(&format!("{AGENT} policy rollback"))?,
            137 if !old => {}
            other if other == code => {
                contains("why", &changed.stderr, words)?;
                refusals += 1;
            }
            _ => return Err(CheckError::Status { want: code, outcome: Box::new(changed) }),
        }
        holds(&place)?;
    }
    want("a change that the kernel has no memory for", refusals > 0, true)?;
    health(0, "healthy")?;
    kill(&mut agent)?;
    let began = within(&run, "12M").run()?;
    want("the run refused, or ended", began.code() == code || began.code() == 137, true)?;
    holds(&place)?;
    at(&health(0, "degraded")?, "/enforcing", &json!(true))
}

fn map_full(_: &Ctx) -> Result<(), CheckError> {
    let (place, _agent) = enforcing("full", &[])?;
    let large = format!("{}/large", place.dir);
    sh(&format!("{{ echo version=1; yes '# nothing' | head -c 68000000; }} >{large}"))?;
    refused(&Cmd::new(AGENT).args(["policy", "apply", &large]), 65, "the policy is larger than")?;
    sh(&format!(
        "{{ echo version=1; echo '[deny_inode]'; awk 'BEGIN {{ for (n = 1; n <= 4000001; n++) print \"1:1:\" n }}'; }} >{large}"
    ))?;
    let apply =
        Cmd::new(AGENT).args(["policy", "apply", &large, "--allow-unsigned-policy"]).timeout(3 * SOON);
    refused(&apply, 65, "4000000")?;
    sh(&format!("rm {large}"))?;
    holds(&place)?;
    health(0, "healthy").map(drop)
}

/// A container: mount and process namespaces of its own, another root, /sys read-only and without securityfs.
fn container(ctx: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("container")?;
    place.deny("")?;
    let root = format!("{}/root", place.dir);
    let inside = |bpffs: &str| {
        format!(
            "cd {root} && mkdir -p bin sbin proc sys dev tmp run var/lib etc && cp /bin/busybox bin/busybox && cp {AGENT} sbin/aegisbpf && \
             for name in sh cat mount; do ln -sf busybox bin/$name; done && \
             mount -t proc proc proc && mount -t sysfs -o ro sysfs sys && mount --bind /tmp tmp && {bpffs} && \
             exec chroot . /bin/sh -c 'test ! -e /sys/kernel/security/lsm && exec /sbin/aegisbpf {} --enforce --allow-unsigned-policy --policy {}'",
            TELLING.join(" "),
            place.policy
        )
    };
    let start = |script: &str| {
        Cmd::new("/bin/unshare").args(["-m", "-p", "-f", "--propagation", "private", "/bin/sh", "-c", script])
    };
    sh(&format!("mkdir {root}"))?;
    refused(&start(&inside("true")), 69, "is not a mounted BPF file system")?;
    nothing_holds(&place)?;
    let with = "mount --bind /sys/fs/bpf sys/fs/bpf && mount --bind /sys/fs/cgroup sys/fs/cgroup && mount --bind /run run";
    let mut process = start(&inside(with)).spawn()?;
    process.wait_for("\"status\":\"healthy\"", SOON)?;
    let mut agent = Agent(Some(process));
    holds(&place)?;
    agent.event("deny", &[&format!("\"tier\":\"{}\"", super::tier(ctx))])?;
    // From outside as from inside.
    at(&health(0, "healthy")?, "/enforcing", &json!(true))
}

/// Rules that name no cgroup need none.
fn no_cgroup2(_: &Ctx) -> Result<(), CheckError> {
    sh("umount /sys/fs/cgroup")?;
    let without = || {
        let (place, agent) = enforcing("no-cgroup2", &[])?;
        drop(agent);
        nothing_holds(&place)?;
        let mut observer = observing(&place, &[])?;
        health(0, "healthy")?;
        seen(&place, &mut observer)?;
        drop(observer);
        place.deny("[allow_cgroup]\n/sys/fs/cgroup/free\n")?;
        refused(&Agent::command(&place, &["--enforce"]).timeout(3 * SOON), 69, "mount -t cgroup2")?;
        nothing_holds(&place)
    };
    let result = without();
    sh("mount -t cgroup2 none /sys/fs/cgroup")?;
    result
}

/// Root of a user namespace is nobody to the host.
fn user_namespace(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("user-namespace")?;
    place.deny("")?;
    let dir = format!("{}/own", place.dir);
    sh(&format!("mkdir -m 777 {dir}"))?;
    for args in [["--enforce"].as_slice(), &["--audit"]] {
        let run = format!(
            "id -u; exec {AGENT} run {} --allow-unsigned-policy --policy {} --run-dir {dir}/$$ --state-dir {dir}/$$",
            args.join(" "),
            place.policy
        );
        let command = Cmd::new("/bin/unshare").args(["-U", "-r", "/bin/sh", "-c", &run]);
        let nobody = command.clone().uid(super::super::agent::NOBODY);
        for command in [command, nobody] {
            let outcome = ends(&command, 77)?;
            contains("root there", &outcome.stdout, "0\n")?;
            contains("why", &outcome.stderr, "outside of this user namespace")?;
            nothing_pinned()?;
            nothing_holds(&place)?;
        }
    }
    Ok(())
}

/// As container runtimes forbid it: with EPERM, with ENOSYS, with the end of the process.
fn bpf_forbidden(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("forbidden")?;
    place.deny("")?;
    for (answer, code, words) in [("1", 69, "EPERM"), ("38", 69, "ENOSYS")] {
        let what = format!("bpf:{answer}");
        for args in [["--enforce"].as_slice(), &["--audit"]] {
            refused(&lacking(&what, &place, args), code, words)?;
            nothing_pinned()?;
            nothing_holds(&place)?;
        }
    }
    // Nobody is told the cause of such an end; nothing is left half done.
    ends(&lacking("bpf:kill", &place, &["--enforce"]), 128 + 31)?;
    nothing_pinned()?;
    nothing_holds(&place)?;
    // Health of what is in force, asked by one who may not look at it.
    let (place, mut agent) = enforcing("forbidden-later", &[])?;
    kill(&mut agent)?;
    refused(&lacking("bpf:1", &place, &["--enforce"]), 69, "refuses bpf(2) also to root")?;
    holds(&place)?;
    let health = ["lacking", "bpf:1", AGENT, "health", "--json"];
    let said = super::json(&ends(&Cmd::new("/init").args(health), 1)?.stdout)?;
    at(&said, "/enforcing", &json!(false))?;
    contains("reasons", &super::reasons(&said), "not looked at")
}

/// What is left of root's capabilities, by number, and which missing one is named; nothing is, where what is left
/// suffices. `CAP_SYS_ADMIN` (21) stands in for `CAP_PERFMON` (38) and `CAP_BPF` (39).
const LEFT: [(&str, &str); 6] = [
    ("38,39", ""),
    ("21", ""),
    ("21,39", ""),
    ("39", "CAP_PERFMON"),
    ("38", "CAP_BPF"),
    ("0", "CAP_BPF and CAP_PERFMON"),
];

/// No other capability is needed, but before v5.11 for one that lifts the limit on locked memory.
fn capabilities(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("capabilities")?;
    place.deny("")?;
    for (left, missing) in LEFT {
        let left = if is_old() { format!("{left},{CAP_SYS_RESOURCE}") } else { left.to_owned() };
        let run = lacking(&format!("but:{left}"), &place, &["--enforce"]);
        if !missing.is_empty() {
            refused(&run, 77, &format!("or with {missing}\n"))?;
            nothing_pinned()?;
            nothing_holds(&place)?;
            continue;
        }
        let mut process = run.spawn()?;
        process.wait_for("\"status\":\"healthy\"", SOON)?;
        let agent = Agent(Some(process));
        holds(&place)?;
        drop(agent);
        nothing_holds(&place)?;
    }
    if is_old() {
        refused(&lacking("but:38,39", &place, &["--enforce"]), 77, "CAP_SYS_RESOURCE")?;
        nothing_holds(&place)?;
    }
    Ok(())
}

/// Before v5.11 BPF memory is on no account but that of `RLIMIT_MEMLOCK`.
fn is_old() -> bool {
    fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| release.starts_with("5.10."))
}

/// To 1970 and beyond the time of the build: proofs go on, a trial ends when its time is over, and not at an hour.
fn clock(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("clock", &["--proof-interval", "1s"])?;
    let other = format!("{}/other", place.dir);
    sh(&format!("printf 'version=2\\n[deny_path]\\n{} read\\n' >{other}", place.neighbour))?;
    let before = ends(&Cmd::sh("date +%s"), 0)?.stdout;
    let result = set_back(&place, &mut agent, &other);
    sh(&format!("date -s @{}", before.trim()))?;
    result?;
    health_comes(&[], 0, "healthy", "")
}

fn set_back(place: &Place, agent: &mut Agent, other: &str) -> Result<(), CheckError> {
    ask(&["policy", "apply", other, "--allow-unsigned-policy", "--confirm-within", "15s", "--json"], 0)?;
    sh("date -s @3600")?;
    want("the policy on trial", readable(&place.neighbour, 0)?, false)?;
    let proven = || -> Result<String, CheckError> {
        let said = health(0, "degraded")?;
        Ok(said.pointer("/hooks/0/proven_at").map(ToString::to_string).unwrap_or_default())
    };
    thread::sleep(Duration::from_secs(4));
    let first = proven()?;
    contains("the time of the proof", &first, "1970-01-01T01:")?;
    thread::sleep(Duration::from_secs(4));
    want("a later proof", proven()? != first, true)?;
    agent.event("policy_change", &["\"provisional\":false"])?;
    thread::sleep(Duration::from_secs(12));
    holds(place)?;
    // An event of now carries the clock of now.
    agent.event("deny", &[&place.secret, "\"time\":\"1970-01-01T"])?;
    health(0, "degraded").map(drop)
}
