//! From an error number to its cause. A cause is named as found only where evidence leaves no other; where several could be
//! it, all of them are named, as possible.

use super::{Answer, Probe, Surroundings, Why};

/// What was tried when the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `bpf(2)` for a map, or another call that is no program.
    Map,
    /// Loading a program.
    Load,
    /// Attaching one.
    Attach,
}

macro_rules! causes {
    ($($name:ident = $code:literal $text:literal, $mend:literal;)*) => {
        /// Why the kernel refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[expect(clippy::doc_markdown, reason = "the texts are for a terminal as well")]
        pub enum Cause { $(#[doc = $text] $name),* }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name, as scripts know it.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The cause in a clause.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What mends it.
            pub fn mend(self) -> &'static str {
                match self { $(Self::$name => $mend),* }
            }
        }
    };
}

causes! {
    Capability = "CAPABILITY_MISSING" "this process lacks a capability",
        "run it as root, or give the unit or container CAP_BPF and CAP_PERFMON";
    UnprivilegedBpf = "UNPRIVILEGED_BPF_DISABLED" "the kernel lets no unprivileged process use bpf(2)",
        "leave kernel.unprivileged_bpf_disabled as it is, and run it as root or with CAP_BPF";
    UserNamespace = "USER_NAMESPACE" "capabilities of a user namespace do not count for BPF",
        "run it in the first user namespace: without --userns of a container runtime, PrivateUsers= or rootless mode";
    Seccomp = "SECCOMP_FILTER" "a seccomp filter stands before bpf(2)",
        "allow bpf in the filter: SystemCallFilter=bpf in a unit, the seccomp profile of a container";
    Lockdown = "KERNEL_LOCKDOWN" "the kernel is locked down to `confidentiality`",
        "boot with lockdown=integrity: programs may then read kernel memory";
    Selinux = "SELINUX" "SELinux may deny the class bpf to this domain",
        "ausearch -m avc -c aegisbpf shows it; allow the class bpf to the domain";
    Apparmor = "APPARMOR" "the AppArmor profile of this process may deny the capability",
        "journalctl -k -g 'apparmor=\"DENIED\"' shows it; add `capability bpf, capability perfmon,` to the profile";
    HostRefuses = "REFUSED_BY_HOST" "this host refuses it, and nothing that is visible here says why",
        "ask whoever runs the host: a hypervisor's sandbox or a kernel patch can refuse programs";
    NoCall = "NO_BPF_CALL" "the kernel has no such call, or a filter says so",
        "use a kernel with CONFIG_BPF_SYSCALL=y, or allow bpf in the filter";
    NoTrampoline = "NO_TRAMPOLINE" "the kernel cannot attach to a function by trampoline on this architecture",
        "use a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS (arm64: v6.4 or later) and net.core.bpf_jit_enable=1";
    OtherOwner = "ATTACH_POINT_BUSY" "somebody else holds the function: a live patch, or ftrace",
        "cat /sys/kernel/debug/tracing/enabled_functions shows who; remove the live patch or stop the tracer";
    TrampolineFull = "TRAMPOLINE_FULL" "38 programs are attached to the function, and no more fit",
        "bpftool link shows them; detach those that nobody needs";
    NoFunction = "NO_SUCH_FUNCTION" "the kernel has no such function, or says nothing of its type",
        "use a kernel with CONFIG_BPF_LSM=y and CONFIG_DEBUG_INFO_BTF=y";
    Verifier = "VERIFIER_REFUSED" "the verifier of this kernel does not accept the program",
        "aegisbpf probe --programs shows which; report it with the kernel's version";
    Memory = "NO_KERNEL_MEMORY" "the kernel has no memory for it, or this process may not lock so much",
        "raise the memory limit of the cgroup; before v5.11 also LimitMEMLOCK=infinity";
}

/// A cause, and how sure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// Whether evidence leaves no other; false: it could be this.
    pub found: bool,
    /// What was seen, and where.
    pub evidence: String,
}

fn found(cause: Cause, evidence: impl Into<String>) -> Vec<Finding> {
    vec![Finding { cause, found: true, evidence: evidence.into() }]
}

/// The cause of a refusal, or what could be it; never empty but for error numbers that speak for themselves.
pub fn causes(step: Step, errno: i32, around: &Surroundings) -> Vec<Finding> {
    match (step, errno) {
        (_, libc::ENOSYS) => match around.filtered {
            Some(libc::ENOSYS) if around.seccomp == Some(2) => {
                found(Cause::Seccomp, "Seccomp: 2 (/proc/self/status), bpf(2) answers ENOSYS to everything")
            }
            _ => found(Cause::NoCall, "bpf(2) answers ENOSYS"),
        },
        (_, libc::EPERM | libc::EACCES) => refused(step, errno, around),
        // Kernel-internal ENOTSUPP, include/linux/errno.h.
        (Step::Load | Step::Attach, 524 | libc::EOPNOTSUPP) => {
            found(Cause::NoTrampoline, format!("error {errno}"))
        }
        (Step::Attach, libc::EBUSY) => found(Cause::OtherOwner, "EBUSY at attach"),
        (Step::Attach, libc::E2BIG) => found(Cause::TrampolineFull, "E2BIG at attach (BPF_MAX_TRAMP_LINKS)"),
        (Step::Load | Step::Attach, libc::ENOENT | libc::ESRCH) => {
            found(Cause::NoFunction, format!("error {errno}"))
        }
        (Step::Load, libc::EINVAL) => rejected(around),
        (_, libc::ENOMEM) => found(Cause::Memory, "ENOMEM"),
        _ => Vec::new(),
    }
}

/// The cause of an answer that is not yes.
pub fn causes_of(probe: Probe, answer: &Answer, around: &Surroundings) -> Vec<Finding> {
    let step = match probe {
        Probe::BpfMap | Probe::BpfRingbuf => Step::Map,
        Probe::BpfIdentity | Probe::LsmLoad | Probe::FmodRetLoad | Probe::RawTracepointLoad => Step::Load,
        Probe::LsmEffect | Probe::FmodRetEffect | Probe::RawTracepointAttach => Step::Attach,
        Probe::Bpffs | Probe::BtfVmlinux => return Vec::new(),
    };
    match answer.why() {
        Some(Why::Refused { errno, .. }) => causes(step, *errno, around),
        Some(Why::Unprivileged { .. }) => causes(step, libc::EPERM, around),
        _ => Vec::new(),
    }
}

/// EPERM and EACCES, which many give.
fn refused(step: Step, errno: i32, around: &Surroundings) -> Vec<Finding> {
    if let (Some(errno), Some(2)) = (around.filtered, around.seccomp) {
        let evidence = format!(
            "Seccomp: 2 (/proc/self/status), bpf(2) answers error {errno} before it reads its argument"
        );
        return found(Cause::Seccomp, evidence);
    }
    if errno == libc::EPERM && around.first_user_namespace == Some(false) {
        return found(Cause::UserNamespace, "/proc/self/ns/user is not the first user namespace");
    }
    if let (libc::EPERM, Some(missing)) = (errno, around.missing) {
        let mut findings = found(Cause::Capability, format!("CapEff of /proc/self/status lacks {missing}"));
        if let (Step::Map | Step::Load, Some(value @ 1..)) = (step, around.unprivileged_bpf_disabled) {
            findings
                .extend(found(Cause::UnprivilegedBpf, format!("kernel.unprivileged_bpf_disabled = {value}")));
        }
        return findings;
    }
    let mut findings = Vec::new();
    let mut possible = |cause, evidence| findings.push(Finding { cause, found: false, evidence });
    // A filter can look at the first argument of bpf(2), and let other commands pass.
    if around.seccomp == Some(2) {
        possible(Cause::Seccomp, "Seccomp: 2 (/proc/self/status); other commands of bpf(2) pass".to_owned());
    }
    if let Some((true, label)) = &around.selinux {
        possible(Cause::Selinux, format!("SELinux enforces (/sys/fs/selinux/enforce), the label is {label}"));
    }
    if let Some(profile) = around.apparmor.as_ref().filter(|profile| profile.confined && errno == libc::EPERM)
    {
        possible(Cause::Apparmor, format!("the label is {} (/proc/self/attr)", profile.label));
    }
    if step != Step::Map && around.lockdown.as_deref() == Some("confidentiality") {
        possible(Cause::Lockdown, "[confidentiality] in /sys/kernel/security/lockdown".to_owned());
    }
    // EACCES to a load is what the verifier says of memory that a program may not touch.
    if (step, errno) == (Step::Load, libc::EACCES) {
        possible(Cause::Verifier, "EACCES at load".to_owned());
    }
    if findings.is_empty() {
        let evidence =
            "capabilities, seccomp, user namespace, SELinux, AppArmor and lockdown would let it pass";
        findings.push(Finding { cause: Cause::HostRefuses, found: false, evidence: evidence.to_owned() });
    }
    findings
}

/// A locked-down kernel takes helpers away, and the verifier then knows no such function.
fn rejected(around: &Surroundings) -> Vec<Finding> {
    let mut findings =
        vec![Finding { cause: Cause::Verifier, found: false, evidence: "EINVAL at load".into() }];
    if around.lockdown.as_deref() == Some("confidentiality") {
        findings.push(Finding {
            cause: Cause::Lockdown,
            found: false,
            evidence: "[confidentiality] in /sys/kernel/security/lockdown".to_owned(),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::surroundings::Confinement;

    /// Nothing stands in the way.
    fn open() -> Surroundings {
        Surroundings {
            missing: None,
            unreachable: None,
            seccomp: Some(0),
            no_new_privs: Some(false),
            filtered: None,
            first_user_namespace: Some(true),
            first_pid_namespace: Some(true),
            lockdown: Some("integrity".to_owned()),
            selinux: None,
            apparmor: Some(Confinement { label: "unconfined".to_owned(), confined: false }),
            unprivileged_bpf_disabled: Some(2),
        }
    }

    fn says(step: Step, errno: i32, around: &Surroundings) -> Vec<(&'static str, bool)> {
        causes(step, errno, around).into_iter().map(|one| (one.cause.code(), one.found)).collect()
    }

    #[test]
    fn refusals_are_traced_by_evidence() {
        let unprivileged = Surroundings { missing: Some("CAP_BPF"), ..open() };
        assert_eq!(
            says(Step::Map, libc::EPERM, &unprivileged),
            [("CAPABILITY_MISSING", true), ("UNPRIVILEGED_BPF_DISABLED", true)]
        );
        assert_eq!(says(Step::Attach, libc::EPERM, &unprivileged), [("CAPABILITY_MISSING", true)]);
        let filtered = Surroundings { seccomp: Some(2), filtered: Some(libc::EPERM), ..open() };
        assert_eq!(says(Step::Map, libc::EPERM, &filtered), [("SECCOMP_FILTER", true)]);
        let silent = Surroundings { seccomp: Some(2), filtered: Some(libc::ENOSYS), ..open() };
        assert_eq!(says(Step::Map, libc::ENOSYS, &silent), [("SECCOMP_FILTER", true)]);
        assert_eq!(says(Step::Map, libc::ENOSYS, &open()), [("NO_BPF_CALL", true)]);
        let rootless = Surroundings { first_user_namespace: Some(false), ..open() };
        assert_eq!(says(Step::Load, libc::EPERM, &rootless), [("USER_NAMESPACE", true)]);
    }

    #[test]
    fn a_filter_that_lets_other_commands_pass_is_possible() {
        let partial = Surroundings { seccomp: Some(2), ..open() };
        assert_eq!(says(Step::Load, libc::EPERM, &partial), [("SECCOMP_FILTER", false)]);
        assert_eq!(says(Step::Load, libc::EPERM, &open()), [("REFUSED_BY_HOST", false)]);
    }

    #[test]
    fn what_is_not_proven_is_only_possible() {
        let confined = Surroundings {
            apparmor: Some(Confinement { label: "x (enforce)".to_owned(), confined: true }),
            selinux: Some((true, "system_u:system_r:x_t:s0".to_owned())),
            lockdown: Some("confidentiality".to_owned()),
            ..open()
        };
        assert_eq!(
            says(Step::Load, libc::EPERM, &confined),
            [("SELINUX", false), ("APPARMOR", false), ("KERNEL_LOCKDOWN", false)]
        );
        assert_eq!(says(Step::Map, libc::EACCES, &confined), [("SELINUX", false)]);
        let permissive = Surroundings { selinux: Some((false, String::new())), ..open() };
        assert_eq!(says(Step::Load, libc::EPERM, &permissive), [("REFUSED_BY_HOST", false)]);
        assert_eq!(
            says(Step::Load, libc::EINVAL, &confined),
            [("VERIFIER_REFUSED", false), ("KERNEL_LOCKDOWN", false)]
        );
    }

    #[test]
    fn attach_errors_have_names() {
        for (errno, code) in [
            (524, "NO_TRAMPOLINE"),
            (libc::EBUSY, "ATTACH_POINT_BUSY"),
            (libc::E2BIG, "TRAMPOLINE_FULL"),
            (libc::ENOENT, "NO_SUCH_FUNCTION"),
            (libc::ENOMEM, "NO_KERNEL_MEMORY"),
        ] {
            assert_eq!(says(Step::Attach, errno, &open()), [(code, true)], "{errno}");
        }
        // A map that is too large also answers E2BIG, and that is something else.
        assert_eq!(says(Step::Map, libc::E2BIG, &open()), []);
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Cause::ALL.len());
    }
}
