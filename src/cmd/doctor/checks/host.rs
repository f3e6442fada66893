//! The kernel and how it was booted.

use super::{super::Facts, Finding};
use crate::kernel::{self, Answer, Probe};

pub(super) fn release(facts: &Facts<'_>) -> Finding {
    let host = &facts.host;
    let evidence = format!("{} {} (uname)", host.kernel, host.arch);
    if matches!(host.arch.as_str(), "x86_64" | "aarch64") {
        Finding::ok(evidence)
    } else {
        Finding::warn(evidence)
    }
}

pub(super) fn lsm_list(facts: &Facts<'_>) -> Finding {
    let Some(lsm) = &facts.lsm else {
        return Finding::unknown("/sys/kernel/security/lsm is not visible here")
            .fix("mount -t securityfs securityfs /sys/kernel/security");
    };
    let evidence = format!("{} ({})", lsm.names.join(","), lsm.source);
    if lsm.has_bpf() {
        return Finding::ok(evidence);
    }
    // Without it the tier modify-return may do the same, so it is no failure by itself.
    let other_way = facts.answers.get(&Probe::FmodRetEffect) == Some(&Answer::Yes);
    let finding = if other_way { Finding::warn(evidence) } else { Finding::fail(evidence) };
    match kernel::boot_line(lsm, &facts.cmdline) {
        Some(line) => kernel::Boot::current().commands(&line).into_iter().fold(finding, Finding::fix),
        None => finding.fix(
            "name every LSM that is active now in lsm=, with bpf behind them: the boot line names fewer (K004)",
        ),
    }
}

pub(super) fn lsm_built_in(facts: &Facts<'_>) -> Finding {
    match facts.kernel.function("bpf_lsm_file_open") {
        Err(_) => Finding::unknown("there is no type information to read it from (B004)"),
        Ok(Some(_)) => Finding::ok("the kernel has bpf_lsm_file_open (/sys/kernel/btf/vmlinux)"),
        Ok(None) => Finding::warn("the kernel has no bpf_lsm_file_open (/sys/kernel/btf/vmlinux)")
            .fix("use a kernel with CONFIG_BPF_LSM=y; the tier modify-return does without"),
    }
}

pub(super) fn one_list(facts: &Facts<'_>) -> Finding {
    let word = |name: &str| facts.cmdline.split_ascii_whitespace().rev().find(|word| word.starts_with(name));
    match (word("security="), word("lsm=")) {
        (Some(old), Some(new)) => Finding::warn(format!("{old} and {new} (/proc/cmdline)"))
            .fix(format!("remove {old} from the boot line, and name that LSM in lsm=")),
        (Some(old), None) => Finding::ok(format!("{old} (/proc/cmdline): it would be ignored beside lsm=")),
        (None, Some(new)) => Finding::ok(format!("{new} (/proc/cmdline)")),
        (None, None) => Finding::ok("the kernel's own list (no lsm= in /proc/cmdline)"),
    }
}

pub(super) fn lockdown(facts: &Facts<'_>) -> Finding {
    const PATH: &str = "/sys/kernel/security/lockdown";
    match facts.around.lockdown.as_deref() {
        Some("confidentiality") => Finding::warn(format!("confidentiality ({PATH})"))
            .fix("boot with lockdown=integrity where the policy of the house allows it"),
        Some(level) => Finding::ok(format!("{level} ({PATH})")),
        None if facts.lsm.as_ref().is_some_and(|lsm| !lsm.names.iter().any(|name| name == "lockdown")) => {
            Finding::ok("the lockdown LSM is not active")
        }
        None => Finding::unknown(format!("{PATH} is not visible here")),
    }
}

pub(super) fn unprivileged(facts: &Facts<'_>) -> Finding {
    match facts.around.unprivileged_bpf_disabled {
        Some(0) => Finding::warn("kernel.unprivileged_bpf_disabled = 0")
            .fix("sysctl -w kernel.unprivileged_bpf_disabled=1"),
        Some(value) => Finding::ok(format!("kernel.unprivileged_bpf_disabled = {value}")),
        None => Finding::unknown("/proc/sys/kernel/unprivileged_bpf_disabled cannot be read"),
    }
}

/// A sysctl that has to be other than 0.
fn switched_on(path: &str, name: &str) -> Finding {
    match kernel::read(path).as_deref() {
        Ok("0") => Finding::fail(format!("{name} = 0")).fix(format!("sysctl -w {name}=1")),
        Ok(value) => Finding::ok(format!("{name} = {value}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::skip(format!(
            "{path} does not exist: the kernel has no such switch, or not in this namespace"
        )),
        Err(error) => Finding::unknown(format!("{path}: {error}")),
    }
}

pub(super) fn jit(_: &Facts<'_>) -> Finding {
    switched_on("/proc/sys/net/core/bpf_jit_enable", "net.core.bpf_jit_enable")
}

pub(super) fn tracing(_: &Facts<'_>) -> Finding {
    switched_on("/proc/sys/kernel/ftrace_enabled", "kernel.ftrace_enabled")
}
