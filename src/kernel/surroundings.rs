//! What stands between this process and the kernel: capabilities, filters, namespaces, security modules. Causes are read
//! from it; no decision rests on it.

use std::{
    fs::{self, File},
    io::{self, Read as _},
};

use super::{Capabilities, LsmList};
use crate::sys::bpf;

/// More than any file of `/proc` or `/sys` that is read here; more is not read.
const MAX_BYTES: u64 = 64 * 1024;

/// Numbers of the first namespaces, `include/linux/proc_ns.h`.
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A file of the kernel, without the blanks around it; an error for what cannot be read, or is longer than any of them.
pub fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text.trim().to_owned())
}

/// A mandatory access control that confines by label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The label of this process.
    pub label: String,
    /// Whether it is one that something is denied to.
    pub confined: bool,
}

/// What stands between this process and the kernel. `None`: it could not be looked at, or there is no such thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// What `CapEff` lacks for programs.
    pub missing: Option<&'static str>,
    /// What `CapBnd` lacks for programs: no program of this process can ever get it.
    pub unreachable: Option<&'static str>,
    /// Mode of the filter: 0 none, 1 strict, 2 a filter.
    pub seccomp: Option<u32>,
    /// Whether the process can gain no privileges by exec.
    pub no_new_privs: Option<bool>,
    /// What `bpf(2)` answered before it reached the kernel's code, where it did not.
    pub filtered: Option<i32>,
    /// Whether it is in the first user namespace.
    pub first_user_namespace: Option<bool>,
    /// Whether it is in the first pid namespace.
    pub first_pid_namespace: Option<bool>,
    /// `none`, `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// Whether `SELinux` enforces, with the label.
    pub selinux: Option<(bool, String)>,
    /// The profile of `AppArmor`.
    pub apparmor: Option<Confinement>,
    /// `kernel.unprivileged_bpf_disabled`
    pub unprivileged_bpf_disabled: Option<u32>,
}

impl Surroundings {
    /// Looks around. `lsm` tells whose label `/proc/self/attr/current` is.
    pub fn current(lsm: Option<&LsmList>) -> Self {
        let status = procfs::process::Process::myself().and_then(|process| process.status()).ok();
        let bounding = status.as_ref().and_then(|status| status.capbnd).map(Capabilities::of);
        let missing = Capabilities::current().missing_for_programs();
        Self {
            missing,
            unreachable: bounding.and_then(Capabilities::missing_for_programs),
            seccomp: status.as_ref().and_then(|status| status.seccomp),
            no_new_privs: status.as_ref().and_then(|status| status.nonewprivs).map(|set| set != 0),
            filtered: filtered(missing.is_none()),
            first_user_namespace: namespace("user", FIRST_USER_NAMESPACE),
            first_pid_namespace: namespace("pid", FIRST_PID_NAMESPACE),
            lockdown: read("/sys/kernel/security/lockdown").ok().and_then(|text| chosen(&text)),
            selinux: selinux(),
            apparmor: apparmor(lsm),
            unprivileged_bpf_disabled: read("/proc/sys/kernel/unprivileged_bpf_disabled")
                .ok()
                .and_then(|text| text.parse().ok()),
        }
    }
}

/// The kernel itself answers EPERM to those without a capability, before v5.12; that is no filter.
fn filtered(privileged: bool) -> Option<i32> {
    let errno = bpf::reaches_kernel().err()?.raw_os_error()?;
    (privileged || errno != libc::EPERM).then_some(errno)
}

fn namespace(kind: &str, first: &str) -> Option<bool> {
    Some(fs::read_link(format!("/proc/self/ns/{kind}")).ok()?.to_str()? == first)
}

/// The word in brackets of `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn selinux() -> Option<(bool, String)> {
    let enforcing = read("/sys/fs/selinux/enforce").ok()? == "1";
    let label = read("/proc/self/attr/current").unwrap_or_default();
    Some((enforcing, label.trim_end_matches('\0').to_owned()))
}

/// `unconfined`, or `NAME (enforce|complain|...)`. Before v5.8 only `attr/current` has it, for the one who is asked first.
fn apparmor(lsm: Option<&LsmList>) -> Option<Confinement> {
    let label = read("/proc/self/attr/apparmor/current").ok().or_else(|| {
        let listed = lsm.is_some_and(|lsm| lsm.names.iter().any(|name| name == "apparmor"));
        listed.then(|| read("/proc/self/attr/current").ok()).flatten()
    })?;
    let confined = label != "unconfined" && !label.ends_with("(complain)") && !label.is_empty();
    Some(Confinement { label, confined })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_brackets_counts() {
        assert_eq!(chosen("none [integrity] confidentiality").as_deref(), Some("integrity"));
        assert_eq!(chosen("none integrity"), None);
        assert_eq!(chosen("none ] [integrity"), None);
    }

    #[test]
    fn who_looks_around_sees_itself() {
        let seen = Surroundings::current(None);
        assert!(seen.seccomp.is_some());
        assert!(seen.first_user_namespace.is_some());
    }
}
