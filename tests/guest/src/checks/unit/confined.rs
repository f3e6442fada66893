//! What the unit takes from the agent, and that it takes no file from a policy.

use super::super::agent::{contains, ends, want};
use super::super::{Check, CheckError};
use super::service::{Service, show};
use crate::run::Cmd;
use std::fs;

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "unit.exposure", run: |_| exposure() },
    Check { id: "unit.hardening-is-in-force", run: |_| hardening() },
    Check { id: "unit.no-file-is-hidden", run: |_| no_file_is_hidden() },
];

const UNIT: &str = "/usr/lib/systemd/system/aegisbpf.service";

/// By the systemd of this image; the chores ask the host's.
fn exposure() -> Result<(), CheckError> {
    let _service = Service::install("unit-exposure")?;
    let verified = ends(&Cmd::new("systemd-analyze").args(["verify", "--man=no", UNIT]), 0)?;
    want("nothing to complain about", verified.stderr.is_empty() && verified.stdout.is_empty(), true)?;
    let analyze = ["security", "--no-pager", "--offline=true", "--threshold=25", UNIT];
    ends(&Cmd::new("systemd-analyze").args(analyze), 0)?;
    // The limit is one: no unit with nothing set stays below it.
    let bare = "/run/bare.service";
    fs::write(bare, "[Service]\nExecStart=/bin/true\n")
        .map_err(|source| CheckError::File { path: bare.into(), source })?;
    let analyze = ["security", "--no-pager", "--offline=true", "--threshold=25", bare];
    ends(&Cmd::new("systemd-analyze").args(analyze), 1).map(drop)
}

fn read(path: String) -> Result<String, CheckError> {
    fs::read_to_string(&path).map_err(|source| CheckError::File { path: path.into(), source })
}

fn hardening() -> Result<(), CheckError> {
    let _service = Service::enforcing("unit-hardening")?;
    let agent = show("MainPID")?;
    let status = read(format!("/proc/{agent}/status"))?;
    // CAP_DAC_READ_SEARCH (2), CAP_PERFMON (38), CAP_BPF (39): no more, and perhaps less once the agent has let go of them.
    let allowed: u64 = 1 << 2 | 1 << 38 | 1 << 39;
    for set in ["CapPrm:", "CapEff:", "CapBnd:", "CapInh:", "CapAmb:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(set)).unwrap_or_default();
        let held = u64::from_str_radix(line.trim(), 16).unwrap_or(u64::MAX);
        want(set, held & !allowed == 0, true)?;
    }
    contains("the agent", &status, "NoNewPrivs:\t1\n")?;
    contains("the agent", &status, "Seccomp:\t2\n")?;
    contains("the agent", &status, "Umask:\t0077\n")?;
    contains(
        "limits",
        &read(format!("/proc/{agent}/limits"))?,
        "Max core file size        0                    0",
    )?;
    want("its score", read(format!("/proc/{agent}/oom_score_adj"))?.trim() == "-900", true)?;
    // Where the agent writes, and where nobody does from in there.
    for (path, writable) in [("/etc", false), ("/usr", false), ("/root", false), ("/var/lib/aegisbpf", true)]
    {
        let outcome = inside(&agent, &format!("touch {path}/written && rm {path}/written"))?;
        want(path, outcome.code() == 0, writable)?;
        if !writable {
            contains(path, &outcome.stderr, "Read-only file system")?;
        }
    }
    Ok(())
}

/// Runs a script in the agent's view of the file system.
fn inside(agent: &str, script: &str) -> Result<crate::run::Outcome, CheckError> {
    let mounts = format!("--mount=/proc/{agent}/ns/mnt");
    Ok(Cmd::new("/bin/busybox").args(["nsenter", &mounts, "/bin/sh", "-c", script]).run()?)
}

/// A path of a policy leads the service, and its reload, to the file that it leads everybody else to.
fn no_file_is_hidden() -> Result<(), CheckError> {
    const PATHS: &str = "/ /boot /dev/null /dev/kmsg /dev/shm /etc/passwd /home /proc/kallsyms /proc/kcore /proc/sys/kernel \
        /proc/1/status /root /run/systemd /sys/kernel/btf/vmlinux /sys/fs/bpf /sys/fs/cgroup /sys/class /tmp /usr/bin/mount \
        /usr/lib/modules /usr/sbin/aegisbpf /var/lib /var/tmp";
    let service = Service::enforcing("unit-hidden")?;
    ends(&Cmd::sh("mkdir -p /usr/lib/modules /home/user && chmod 700 /home/user"), 0)?;
    let script = format!("stat -c '%n %d:%i' {PATHS} /home/user {} 2>&1", service.place.secret);
    let outside = ends(&Cmd::sh(&script), 0)?.stdout;
    let seen = inside(&show("MainPID")?, &script)?.stdout;
    if seen == outside {
        return Ok(());
    }
    Err(CheckError::Differs { what: "files", want: outside, got: seen })
}
