//! What the kernel answered to trials.

use rustix::process::{Resource, getrlimit};

use super::{
    super::{Facts, Outcome},
    Finding,
};
use crate::{
    kernel::{self, Answer, Probe, Why},
    plan::{self, Request},
    tier::Mode,
};

fn probe(facts: &Facts<'_>, probe: Probe) -> Finding {
    let answer = facts.answers.get(&probe);
    let result = match answer {
        Some(Answer::Yes) => return Finding::ok("done, by trial"),
        Some(Answer::No(_)) => Outcome::Fail,
        Some(Answer::Unknown(Why::After(_))) => Outcome::Skip,
        Some(Answer::Unknown(_)) | None => Outcome::Unknown,
    };
    let evidence = answer.and_then(Answer::why).map_or_else(String::new, ToString::to_string);
    let mut finding = Finding::new(result, evidence);
    let causes = answer.map(|answer| kernel::causes_of(probe, answer, &facts.around)).unwrap_or_default();
    finding.blame(causes);
    finding
}

pub(super) fn map(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::BpfMap)
}

pub(super) fn ringbuf(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::BpfRingbuf)
}

pub(super) fn identity(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::BpfIdentity)
}

pub(super) fn btf(facts: &Facts<'_>) -> Finding {
    let finding = probe(facts, Probe::BtfVmlinux);
    if finding.result == Outcome::Ok {
        return finding;
    }
    finding.fix(
        "in a container, mount /sys/kernel/btf from the host; else use a kernel with CONFIG_DEBUG_INFO_BTF=y",
    )
}

pub(super) fn lsm_load(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::LsmLoad)
}

pub(super) fn lsm_effect(facts: &Facts<'_>) -> Finding {
    let mut finding = probe(facts, Probe::LsmEffect);
    if finding.result == Outcome::Fail {
        // The other way to the same effect works: nothing is lost here.
        if facts.answers.get(&Probe::FmodRetEffect) == Some(&Answer::Yes) {
            finding.result = Outcome::Warn;
        }
        return finding.fix("see K002 for the boot line that adds bpf");
    }
    finding
}

pub(super) fn fmod_ret_load(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::FmodRetLoad)
}

pub(super) fn fmod_ret_effect(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::FmodRetEffect)
}

pub(super) fn tracepoint_load(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::RawTracepointLoad)
}

pub(super) fn tracepoint_attach(facts: &Facts<'_>) -> Finding {
    probe(facts, Probe::RawTracepointAttach)
}

pub(super) fn bpffs(facts: &Facts<'_>) -> Finding {
    let finding = probe(facts, Probe::Bpffs);
    let dir = facts.places.bpffs.display();
    match facts.answers.get(&Probe::Bpffs) {
        Some(Answer::No(Why::Unreadable { errno: libc::EROFS, .. })) => {
            finding.fix(format!("mount -o remount,rw {dir}; in a unit, drop ProtectKernelTunables=yes"))
        }
        Some(Answer::No(Why::Unreadable { errno: libc::EACCES, .. })) => finding.fix("run it as root"),
        Some(Answer::Yes) => finding,
        _ => finding.fix(format!("mount -t bpf bpf {dir}")),
    }
}

pub(super) fn reaches_kernel(facts: &Facts<'_>) -> Finding {
    match (facts.around.filtered, facts.around.missing) {
        (None, None) => {
            Finding::ok("bpf(2) answers E2BIG to an argument that is too long, as the kernel itself does")
        }
        (None, Some(_)) => {
            Finding::ok("no filter answers in the kernel's place, as far as this process may ask")
        }
        (Some(errno), _) => {
            let evidence =
                format!("bpf(2) answers {} before it reads its argument", kernel::errno_name(errno));
            let mut finding = Finding::fail(evidence);
            finding.blame(kernel::causes(kernel::Step::Map, errno, &facts.around));
            finding
        }
    }
}

pub(super) fn locked_memory(facts: &Facts<'_>) -> Finding {
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    let mut parts = facts.host.kernel.split(|letter: char| !letter.is_ascii_digit());
    let version = (number(parts.next()), number(parts.next()));
    if version >= (Some(5), Some(11)) {
        return Finding::ok("not limited by RLIMIT_MEMLOCK on this kernel (v5.11)");
    }
    // The trial has raised the limit where it may.
    match getrlimit(Resource::Memlock).current {
        None => Finding::ok("RLIMIT_MEMLOCK is unlimited"),
        Some(bytes) => Finding::warn(format!("RLIMIT_MEMLOCK is {bytes} bytes, and may not be raised"))
            .fix("LimitMEMLOCK=infinity in the unit, or CAP_SYS_RESOURCE"),
    }
}

pub(super) fn btrfs_types(facts: &Facts<'_>) -> Finding {
    let mounted = facts.mounts.iter().find(|mount| mount.fs_type == "btrfs");
    let Some(mount) = mounted else { return Finding::skip("no btrfs is mounted") };
    let at = mount.mount_point.display();
    if std::path::Path::new("/sys/kernel/btf/btrfs").exists() {
        return Finding::ok(format!("/sys/kernel/btf/btrfs, for {at}"));
    }
    if std::path::Path::new("/sys/module/btrfs/initstate").exists() {
        return Finding::warn(format!("btrfs at {at} is a module, and there is no /sys/kernel/btf/btrfs"))
            .fix("use a kernel from v5.11 on");
    }
    Finding::ok(format!("btrfs at {at} is built into the kernel"))
}

pub(super) fn enforcing_tier(facts: &Facts<'_>) -> Finding {
    let request = Request::of(Mode::Enforce);
    match plan::select(&facts.answers, &request) {
        Ok(decision) => Finding::ok(format!("{}: {}", decision.tier.name, decision.tier.mechanism)),
        Err(_) if facts.around.missing.is_some() => {
            Finding::unknown("nothing could be tried without privilege")
        }
        Err(refusal) => Finding::fail(refusal.to_string()),
    }
}
