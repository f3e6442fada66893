//! What stands between this process and the kernel.

use super::{super::Facts, Finding};

const STATUS: &str = "/proc/self/status";

pub(super) fn capabilities(facts: &Facts<'_>) -> Finding {
    match facts.around.missing {
        None => Finding::ok(format!("what programs need is in CapEff ({STATUS})")),
        Some(missing) => {
            Finding::warn(format!("CapEff lacks {missing} ({STATUS})")).fix("sudo aegisbpf doctor")
        }
    }
}

pub(super) fn bounding_set(facts: &Facts<'_>) -> Finding {
    match facts.around.unreachable {
        None => Finding::ok(format!("what programs need is in CapBnd ({STATUS})")),
        Some(missing) => Finding::fail(format!("CapBnd lacks {missing} ({STATUS})"))
            .fix("CapabilityBoundingSet=CAP_BPF CAP_PERFMON in the unit; --cap-add=BPF --cap-add=PERFMON for a container"),
    }
}

pub(super) fn seccomp(facts: &Facts<'_>) -> Finding {
    match (facts.around.seccomp, facts.around.filtered) {
        (Some(0), _) => Finding::ok(format!("Seccomp: 0 ({STATUS})")),
        (Some(mode), None) => Finding::ok(format!("Seccomp: {mode} ({STATUS}), and bpf(2) passes")),
        (Some(mode), Some(_)) => {
            Finding::fail(format!("Seccomp: {mode} ({STATUS}), and bpf(2) does not pass"))
                .fix("SystemCallFilter=bpf in the unit; a seccomp profile that allows bpf for a container")
        }
        (None, _) => Finding::unknown(format!("{STATUS} does not say")),
    }
}

pub(super) fn no_new_privs(facts: &Facts<'_>) -> Finding {
    match (facts.around.no_new_privs, facts.around.missing) {
        (Some(true), Some(missing)) => {
            Finding::warn(format!("NoNewPrivs: 1 ({STATUS}), and {missing} is missing: sudo cannot help"))
                .fix("start it from a process without NoNewPrivileges=")
        }
        (Some(set), _) => Finding::ok(format!("NoNewPrivs: {} ({STATUS})", u8::from(set))),
        (None, _) => Finding::unknown(format!("{STATUS} does not say")),
    }
}

pub(super) fn user_namespace(facts: &Facts<'_>) -> Finding {
    match facts.around.first_user_namespace {
        Some(true) => Finding::ok("the first one (/proc/self/ns/user)"),
        Some(false) => Finding::fail("not the first one (/proc/self/ns/user)")
            .fix("run it outside of rootless containers, --userns and PrivateUsers="),
        None => Finding::unknown("/proc/self/ns/user cannot be read"),
    }
}

pub(super) fn apparmor(facts: &Facts<'_>) -> Finding {
    match &facts.around.apparmor {
        None => Finding::skip("AppArmor is not active, or does not say"),
        Some(profile) if !profile.confined => Finding::ok(format!("{} (/proc/self/attr)", profile.label)),
        Some(profile) if facts.programs_load() => {
            Finding::ok(format!("{} (/proc/self/attr), and programs load", profile.label))
        }
        Some(profile) => Finding::warn(format!("{} (/proc/self/attr)", profile.label))
            .fix("journalctl -k -g 'apparmor=\"DENIED\"'")
            .fix("add `capability bpf, capability perfmon,` to the profile, then apparmor_parser -r it"),
    }
}

pub(super) fn selinux(facts: &Facts<'_>) -> Finding {
    match &facts.around.selinux {
        None => Finding::skip("SELinux is not active, or not visible"),
        Some((false, label)) => Finding::ok(format!("permissive, {label} (/sys/fs/selinux/enforce)")),
        Some((true, label)) if facts.programs_load() => {
            Finding::ok(format!("enforcing, {label} (/sys/fs/selinux/enforce), and programs load"))
        }
        Some((true, label)) => Finding::warn(format!("enforcing, {label} (/sys/fs/selinux/enforce)"))
            .fix("ausearch -m avc -c aegisbpf | audit2why"),
    }
}

pub(super) fn pid_namespace(facts: &Facts<'_>) -> Finding {
    match facts.around.first_pid_namespace {
        Some(true) => Finding::ok("the first one (/proc/self/ns/pid)"),
        Some(false) => Finding::warn("not the first one (/proc/self/ns/pid)")
            .fix("hostPID: true in a pod, --pid=host for a container"),
        None => Finding::unknown("/proc/self/ns/pid cannot be read"),
    }
}

pub(super) fn landlock(facts: &Facts<'_>) -> Finding {
    match &facts.lsm {
        None => Finding::unknown("the active LSMs are not visible (K002)"),
        Some(lsm) if lsm.names.iter().any(|name| name == "landlock") => {
            Finding::ok(format!("landlock is active ({})", lsm.source))
        }
        Some(lsm) => Finding::warn(format!("landlock is not active ({})", lsm.source))
            .fix("use a kernel from v5.13 on with landlock in lsm="),
    }
}
