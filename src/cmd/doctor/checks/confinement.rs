//! What stands between this process and the kernel.

use super::{super::Facts, Finding};
use crate::kernel;

/// What ships for the agent in `apparmor/` and in `selinux/`.
const PROFILE: &str = "aegisbpf";
const DOMAIN: &str = "aegisbpf_t";

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
    let Some(profile) = &facts.around.apparmor else {
        return Finding::skip("AppArmor is not active, or does not say");
    };
    let agent = of_agent(facts, &["attr/apparmor/current", "attr/current"], PROFILE);
    let evidence = format!("{} (/proc/self/attr)", profile.label);
    if !profile.confined {
        Finding::ok(format!("{evidence}{agent}"))
    } else if facts.programs_load() {
        Finding::ok(format!("{evidence}, and programs load{agent}"))
    } else {
        Finding::warn(format!("{evidence}{agent}"))
            .fix("journalctl -k -g 'apparmor=\"DENIED\"'")
            .fix("add `capability bpf, capability perfmon,` to the profile, then apparmor_parser -r it")
            .fix(format!("for the agent, load what ships: apparmor_parser -r /etc/apparmor.d/{PROFILE}"))
    }
}

pub(super) fn selinux(facts: &Facts<'_>) -> Finding {
    let Some((enforcing, label)) = &facts.around.selinux else {
        return Finding::skip("SELinux is not active, or not visible");
    };
    let agent = of_agent(facts, &["attr/current"], DOMAIN);
    let state = if *enforcing { "enforcing" } else { "permissive" };
    let evidence = format!("{state}, {label} (/sys/fs/selinux/enforce)");
    if !enforcing {
        Finding::ok(format!("{evidence}{agent}"))
    } else if facts.programs_load() {
        Finding::ok(format!("{evidence}, and programs load{agent}"))
    } else {
        Finding::warn(format!("{evidence}{agent}"))
            .fix("ausearch -m avc -c aegisbpf | audit2why")
            .fix(format!("for the agent, load the module of {DOMAIN}: semodule -i aegisbpf.pp"))
    }
}

/// What is to be said of the agent that runs, whose label may be another one than that of this process.
fn of_agent(facts: &Facts<'_>, attributes: &[&str], ships: &str) -> String {
    let agent = facts.picture.status.agent;
    let Some(pid) = agent.pid.filter(|_| agent.running) else {
        return format!("; what ships for the agent is {ships}");
    };
    let label = attributes.iter().find_map(|name| kernel::read(&format!("/proc/{pid}/{name}")).ok());
    match label.as_deref().map(|label| label.trim_end_matches('\0')) {
        None => format!("; the label of the agent (pid {pid}) cannot be read"),
        Some(label) if names(label, ships) => format!("; the agent has {label}"),
        Some(label) => format!("; the agent has {label}, and not {ships}, which ships for it"),
    }
}

/// Whether a label is of this profile (`NAME (MODE)`) or of this domain (`USER:ROLE:TYPE:LEVEL`).
fn names(label: &str, ships: &str) -> bool {
    label.split([' ', ':']).any(|word| word == ships)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_ships() {
        let profile = include_str!("../../../../apparmor/aegisbpf");
        assert!(profile.contains(&format!("\nprofile {PROFILE} /")));
        let module = include_str!("../../../../selinux/aegisbpf.te");
        assert!(module.contains(&format!("\ntype {DOMAIN};")));
    }

    #[test]
    fn a_label_names_a_profile_or_a_domain() {
        assert!(names("aegisbpf (enforce)", PROFILE));
        assert!(names("system_u:system_r:aegisbpf_t:s0", DOMAIN));
        for other in ["unconfined", "aegisbpf-old (enforce)", "system_u:system_r:aegisbpf_exec_t:s0", ""] {
            assert!(!names(other, PROFILE) && !names(other, DOMAIN), "{other}");
        }
    }
}
