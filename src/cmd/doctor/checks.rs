//! The checks. Each has a stable id; most are the kernel's answers to probes.

use super::{super::status::Picture, Check, Outcome};
use crate::{
    cli::Places,
    enforce,
    kernel::{Answer, Answers, Host, LsmList, Probe},
    state::Health,
};

/// A check that is a probe: id, group, title, and why it matters when it is not yes.
struct ProbeCheck(&'static str, &'static str, &'static str, Probe, &'static str);

const PROBES: [ProbeCheck; 11] = [
    ProbeCheck("B001", "bpf", "BPF maps", Probe::BpfMap, "rules live in BPF maps; no tier works without"),
    ProbeCheck(
        "B002",
        "bpf",
        "ring buffer",
        Probe::BpfRingbuf,
        "events reach the agent through it (kernel v5.8)",
    ),
    ProbeCheck(
        "B003",
        "bpf",
        "own identity",
        Probe::BpfIdentity,
        "proofs bind one process, which must know its own number",
    ),
    ProbeCheck(
        "B004",
        "bpf",
        "kernel type information",
        Probe::BtfVmlinux,
        "programs find the kernel's fields by it (CONFIG_DEBUG_INFO_BTF)",
    ),
    ProbeCheck("L001", "enforcement", "BPF LSM programs load", Probe::LsmLoad, "needed by the tier bpf-lsm"),
    ProbeCheck(
        "L002",
        "enforcement",
        "BPF LSM programs deny",
        Probe::LsmEffect,
        "without `bpf` among the active LSMs programs load, attach, and are never called",
    ),
    ProbeCheck(
        "L003",
        "enforcement",
        "modify-return programs load",
        Probe::FmodRetLoad,
        "needed by the tier modify-return",
    ),
    ProbeCheck(
        "L004",
        "enforcement",
        "modify-return programs deny",
        Probe::FmodRetEffect,
        "needed by the tier modify-return",
    ),
    ProbeCheck(
        "T001",
        "observation",
        "raw tracepoint programs load",
        Probe::RawTracepointLoad,
        "needed by the tier tracepoint",
    ),
    ProbeCheck(
        "T002",
        "observation",
        "raw tracepoint programs attach",
        Probe::RawTracepointAttach,
        "needed by the tier tracepoint",
    ),
    ProbeCheck(
        "F001",
        "file systems",
        "BPF file system",
        Probe::Bpffs,
        "enforcement outlives the agent by pins there",
    ),
];

/// Runs all checks.
pub(super) fn all(
    places: &Places,
    answers: &Answers,
    lsm: Option<&LsmList>,
    picture: Option<&Picture>,
) -> Vec<Check> {
    let mut checks = vec![kernel(), lsm_list(answers, lsm)];
    checks.extend(PROBES.iter().map(|check| probe(check, answers, places)));
    checks.push(cgroup());
    checks.push(agent(picture));
    checks.push(pins(picture));
    checks
}

fn kernel() -> Check {
    let host = Host::current();
    let known = matches!(host.arch.as_str(), "x86_64" | "aarch64");
    Check {
        id: "K001",
        group: "kernel",
        title: "kernel and architecture",
        result: if known { Outcome::Ok } else { Outcome::Warn },
        evidence: format!("{} {} (uname)", host.kernel, host.arch),
        why: (!known).then_some("only x86_64 and aarch64 are tested"),
        fix: Vec::new(),
    }
}

fn lsm_list(answers: &Answers, lsm: Option<&LsmList>) -> Check {
    let title = "bpf among the active LSMs";
    let check = Check {
        id: "K002",
        group: "kernel",
        title,
        result: Outcome::Ok,
        evidence: String::new(),
        why: None,
        fix: Vec::new(),
    };
    let Some(lsm) = lsm else {
        return Check {
            result: Outcome::Unknown,
            evidence: "/sys/kernel/security/lsm is not visible here".to_owned(),
            why: Some("in a container, securityfs has to be mounted from the host"),
            fix: vec!["mount -t securityfs securityfs /sys/kernel/security".to_owned()],
            ..check
        };
    };
    let evidence = format!("{} ({})", lsm.names.join(","), lsm.source);
    if lsm.has_bpf() {
        return Check { evidence, ..check };
    }
    // Without it the tier modify-return may do the same, so it is no failure by itself.
    let other_way = answers.get(&Probe::FmodRetEffect) == Some(&Answer::Yes);
    Check {
        result: if other_way { Outcome::Warn } else { Outcome::Fail },
        evidence,
        why: Some(
            "BPF LSM programs are not called; the tier modify-return enforces without a reboot where it works",
        ),
        fix: boot_line(lsm),
        ..check
    }
}

/// A boot line that adds `bpf` and keeps every LSM that is active now. `capability` is always on and never listed.
fn boot_line(lsm: &LsmList) -> Vec<String> {
    let mut names: Vec<&str> =
        lsm.names.iter().map(String::as_str).filter(|name| *name != "capability").collect();
    names.push("bpf");
    let line = format!("lsm={}", names.join(","));
    vec![
        format!(
            "Debian, Ubuntu: echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {line}\"' > /etc/default/grub.d/60-aegisbpf.cfg && update-grub, then reboot"
        ),
        format!("RHEL, Fedora: grubby --update-kernel=ALL --args='{line}', then reboot"),
    ]
}

fn probe(check: &ProbeCheck, answers: &Answers, places: &Places) -> Check {
    let ProbeCheck(id, group, title, probe, why) = *check;
    let answer = answers.get(&probe);
    let result = match answer {
        Some(Answer::Yes) => Outcome::Ok,
        Some(Answer::No(_)) => Outcome::Fail,
        Some(Answer::Unknown(crate::kernel::Why::After(_))) => Outcome::Skip,
        Some(Answer::Unknown(_)) | None => Outcome::Unknown,
    };
    let evidence = match answer.and_then(Answer::why) {
        Some(why) => why.to_string(),
        None => "done, by trial".to_owned(),
    };
    let bad = matches!(result, Outcome::Fail | Outcome::Unknown);
    let fix = match probe {
        Probe::Bpffs if bad => vec![format!("mount -t bpf bpf {}", places.bpffs.display())],
        _ if result == Outcome::Unknown => vec!["run it as root".to_owned()],
        _ => Vec::new(),
    };
    Check { id, group, title, result, evidence, why: bad.then_some(why), fix }
}

fn cgroup() -> Check {
    let root = enforce::cgroup_root();
    Check {
        id: "F002",
        group: "file systems",
        title: "cgroup v2",
        result: if root.is_ok() { Outcome::Ok } else { Outcome::Warn },
        evidence: root
            .as_ref()
            .map_or_else(ToString::to_string, |path| format!("mounted at {}", path.display())),
        why: root.is_err().then_some("rules can be limited to cgroups only where cgroup v2 is mounted"),
        fix: if root.is_ok() {
            Vec::new()
        } else {
            vec!["mount -t cgroup2 cgroup2 /sys/fs/cgroup".to_owned()]
        },
    }
}

fn agent(picture: Option<&Picture>) -> Check {
    let check = Check {
        id: "D001",
        group: "agent",
        title: "agent",
        result: Outcome::Skip,
        evidence: "not running".to_owned(),
        why: None,
        fix: Vec::new(),
    };
    match picture {
        Some(Picture { status, .. }) if status.agent.running => Check {
            result: match status.status {
                Health::Healthy => Outcome::Ok,
                Health::Degraded => Outcome::Warn,
                Health::Unhealthy => Outcome::Fail,
            },
            evidence: format!("pid {}, {}", status.agent.pid.unwrap_or_default(), status.status.word()),
            ..check
        },
        _ => check,
    }
}

fn pins(picture: Option<&Picture>) -> Check {
    let check = Check {
        id: "D002",
        group: "agent",
        title: "what the agent says is what the kernel does",
        result: Outcome::Ok,
        evidence: "state file and pins agree".to_owned(),
        why: None,
        fix: Vec::new(),
    };
    match picture {
        None => Check { result: Outcome::Unknown, evidence: "the pins cannot be read".to_owned(), ..check },
        Some(Picture { misreporting: true, status }) => Check {
            result: Outcome::Fail,
            evidence: status.reasons.first().cloned().unwrap_or_default(),
            why: Some("somebody else changed the pinned programs or maps"),
            fix: vec!["restart the agent: it proves anew, or fails".to_owned()],
            ..check
        },
        Some(Picture { status, .. }) if !status.agent.running && status.tier.is_none() => {
            Check { result: Outcome::Skip, evidence: "no agent, no pins".to_owned(), ..check }
        }
        Some(_) => check,
    }
}
