//! What the agent gives up: first what it was started with and has no use for, and, once it watches, its capabilities.

use std::{fmt, io};

use rustix::{
    fs::Mode,
    param::page_size,
    process::{DumpableBehavior, Gid, getegid, getgroups, set_dumpable_behavior, umask},
    thread::{
        CapabilitiesSecureBits as SecureBits, CapabilitySet, CapabilitySets, capabilities,
        capability_is_in_bounding_set, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities, set_capabilities_secure_bits, set_thread_groups,
    },
};

use crate::sys::inherited;

/// What stays of the environment: what the service manager says of itself, and how to talk to a terminal. What is in the
/// environment of a process can be read by whoever may read its memory, and is often a secret.
const ENVIRONMENT: [&str; 9] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "NO_COLOR",
    "TERM",
    "LANG",
    "LC_ALL",
];

/// What reading a map can take: before v5.19 (`c8644cd0efe7`) the kernel answered every `bpf(2)` of a process without
/// `CAP_BPF` with EPERM where `kernel.unprivileged_bpf_disabled` is set. `CAP_SYS_ADMIN` stands in for it where the agent
/// was given nothing better.
const TO_READ: [(CapabilitySet, &str); 2] =
    [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN")];

/// Root is nobody special, changing the user brings nothing back, nothing becomes ambient; and no way back from that.
const SECURE_BITS: SecureBits = SecureBits::NO_ROOT
    .union(SecureBits::NO_ROOT_LOCKED)
    .union(SecureBits::NO_SETUID_FIXUP)
    .union(SecureBits::NO_SETUID_FIXUP_LOCKED)
    .union(SecureBits::KEEP_CAPS_LOCKED)
    .union(SecureBits::NO_CAP_AMBIENT_RAISE)
    .union(SecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);

/// What could not be given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// The kernel refused a step.
    #[error("{step} failed")]
    Step {
        /// The step.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Not even with a capability could a map be read.
    #[error("the counters could be read with no single capability of those that this process has")]
    Unreadable,
}

fn failed(step: &'static str) -> impl FnOnce(rustix::io::Errno) -> PrivilegeError {
    move |errno| PrivilegeError::Step { step, source: errno.into() }
}

/// What is left of the capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The one that this kernel asks for to read a map.
    kept: Option<&'static str>,
    /// Whether the bounding set is empty and the securebits are locked: that takes `CAP_SETPCAP`. Without them, it is
    /// `no_new_privs` alone that keeps an exec from bringing anything back.
    bounded: bool,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kept {
            None => f.write_str("no capabilities")?,
            Some(name) => write!(f, "{name} alone (this kernel asks for it to read a map)")?,
        }
        if self.bounded { Ok(()) } else { f.write_str(", bounding set as it was (no CAP_SETPCAP)") }
    }
}

/// At the start of a run: the environment, who may read what it creates, and who may look into its memory. Whatever it
/// inherits is not needed. Call it while there is one thread.
pub fn begin(dumpable: bool) -> Result<(), PrivilegeError> {
    inherited::keep_environment(&ENVIRONMENT);
    umask(Mode::RWXG | Mode::RWXO);
    if dumpable {
        return Ok(());
    }
    // From then on most of /proc/self belongs to root. Before v6.4 (PR_GET_AUXV, `ddc65971bb67`) rustix reads its auxv when it
    // is first asked for something in it, and keeps that.
    page_size();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("PR_SET_DUMPABLE"))
}

/// Closes every descriptor but the standard ones, which Rust's runtime has opened where they were closed. Call it while
/// nothing of this process is open.
pub fn close_descriptors() -> Result<(), PrivilegeError> {
    inherited::close_descriptors().map_err(|source| PrivilegeError::Step { step: "close_range", source })
}

/// Does something as this thread could without any capability, and gives them back: what works with a privilege alone
/// would not work any more later, when the agent watches.
pub fn without<T>(act: impl FnOnce() -> T) -> Result<T, PrivilegeError> {
    let have = capabilities(None).map_err(failed("capget"))?;
    let none = CapabilitySets { effective: CapabilitySet::empty(), ..have };
    set_capabilities(None, none).map_err(failed("capset"))?;
    let done = act();
    set_capabilities(None, have).map_err(failed("capset"))?;
    Ok(done)
}

/// Makes this thread and those that come from it members of a group, where they are not: what they make may belong to it
/// later, when they have no capability.
pub fn join(group: u32) -> io::Result<()> {
    let group = Gid::from_raw(group);
    let mut groups = getgroups()?;
    if getegid() == group || groups.contains(&group) {
        return Ok(());
    }
    groups.push(group);
    Ok(set_thread_groups(&groups)?)
}

/// Gives up every capability for good, but for the one without which `read` does not work on the kernel at hand: found out
/// by trying. Binds this thread and those that come from it, so it comes before any other is made.
pub fn give_up(read: &dyn Fn() -> bool) -> Result<Left, PrivilegeError> {
    let have = capabilities(None).map_err(failed("capget"))?;
    let kept = needed(have, read)?;
    let bounded = close_ways_back()?;
    clear_ambient_capability_set().map_err(failed("PR_CAP_AMBIENT_CLEAR_ALL"))?;
    let left = kept.map_or(CapabilitySet::empty(), |(flag, _)| flag);
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(failed("capset"))?;
    Ok(Left { kept: kept.map(|(_, name)| name), bounded })
}

/// Tries nothing at all, then one after the other; leaves all of them in effect.
fn needed(
    have: CapabilitySets,
    read: &dyn Fn() -> bool,
) -> Result<Option<(CapabilitySet, &'static str)>, PrivilegeError> {
    let with = |effective| {
        set_capabilities(None, CapabilitySets { effective, ..have }).map_err(failed("capset"))?;
        Ok(read())
    };
    let nothing = with(CapabilitySet::empty())?;
    let mut found = None;
    for one in TO_READ.into_iter().filter(|(flag, _)| !nothing && have.permitted.contains(*flag)) {
        if found.is_none() && with(one.0)? {
            found = Some(one);
        }
    }
    set_capabilities(None, have).map_err(failed("capset"))?;
    if nothing || found.is_some() { Ok(found) } else { Err(PrivilegeError::Unreadable) }
}

/// Locks the securebits and empties the bounding set. `false`: that is not allowed to this process.
fn close_ways_back() -> Result<bool, PrivilegeError> {
    match set_capabilities_secure_bits(SECURE_BITS) {
        Err(rustix::io::Errno::PERM) => return Ok(false),
        other => other.map_err(failed("PR_SET_SECUREBITS"))?,
    }
    // The kernel answers EINVAL behind the last one that it knows.
    for flag in (0..64).map(|number| CapabilitySet::from_bits_retain(1 << number)) {
        match capability_is_in_bounding_set(flag) {
            Err(rustix::io::Errno::INVAL) => break,
            Ok(false) => {}
            _ => remove_capability_from_bounding_set(flag).map_err(failed("PR_CAPBSET_DROP"))?,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// On a thread of its own: capabilities are of a thread, and those of the others stay.
    fn alone<T: Send>(act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| scope.spawn(act).join().unwrap())
    }

    #[test]
    fn nothing_is_left_where_nothing_is_needed() {
        let (left, sets) = alone(|| (give_up(&|| true).unwrap(), capabilities(None).unwrap()));
        assert_eq!(left.kept, None);
        assert_eq!((sets.effective, sets.permitted), (CapabilitySet::empty(), CapabilitySet::empty()));
    }

    #[test]
    fn what_is_needed_is_found_out_by_trying() {
        let now = || capabilities(None).unwrap();
        let has = now().permitted.contains(CapabilitySet::BPF);
        let (left, sets) = alone(|| (give_up(&|| now().effective.contains(CapabilitySet::BPF)), now()));
        match left {
            Ok(left) if has => {
                assert_eq!(left.kept, Some("CAP_BPF"));
                assert_eq!((sets.effective, sets.permitted), (CapabilitySet::BPF, CapabilitySet::BPF));
            }
            other => assert!(!has && matches!(other, Err(PrivilegeError::Unreadable))),
        }
    }

    #[test]
    fn what_was_tried_without_is_had_again() {
        let now = || capabilities(None).unwrap();
        let (before, during, after) = alone(|| (now(), without(now).unwrap(), now()));
        assert_eq!(during.effective, CapabilitySet::empty());
        assert_eq!(before, after);
    }

    #[test]
    fn a_group_is_joined_once() {
        let numbers = || getgroups().unwrap().iter().map(|group| group.as_raw()).collect::<Vec<_>>();
        let may = capabilities(None).unwrap().effective.contains(CapabilitySet::SETGID);
        let (joined, groups) = alone(|| (join(54321).and_then(|()| join(54321)), numbers()));
        assert_eq!(joined.is_ok(), may);
        assert_eq!(groups.iter().filter(|group| **group == 54321).count(), usize::from(may));
        assert!(!numbers().contains(&54321), "of another thread");
    }

    #[test]
    fn what_is_left_is_said() {
        let said = |kept, bounded| Left { kept, bounded }.to_string();
        assert_eq!(said(None, true), "no capabilities");
        assert_eq!(
            said(Some("CAP_BPF"), false),
            "CAP_BPF alone (this kernel asks for it to read a map), bounding set as it was (no CAP_SETPCAP)"
        );
    }
}
