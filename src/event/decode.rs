//! Bytes to [`Event`]. Everything here may be hostile: names are chosen by the processes that are watched, and a pinned
//! ring buffer may hold what an older agent's programs wrote.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::{Ancestor, Decision, Event};
use crate::{
    abi,
    tier::{Mode, TIERS},
};

/// Turns the kernel's boot-time nanoseconds into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: SystemTime,
}

impl Clock {
    /// Compares both clocks now. Do so anew from time to time: the wall clock is set.
    pub fn now() -> Self {
        Self { boot: SystemTime::now().checked_sub(boot_time()).unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// A fixed clock, for tests.
    #[cfg(test)]
    pub(super) fn at(boot: SystemTime) -> Self {
        Self { boot }
    }

    /// The wall-clock time of so many nanoseconds since the boot.
    pub fn wall(self, boot_ns: u64) -> Option<SystemTime> {
        self.boot.checked_add(Duration::from_nanos(boot_ns))
    }
}

/// Time since the boot, as the kernel's programs tell it.
pub fn boot_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// What makes two decisions alike, put behind `key`: everything but when they were, and which process it was of those that
/// execute the same program for the same user in the same cgroup.
pub fn likeness(event: &abi::Event, record: &[u8], key: &mut Vec<u8>) {
    key.extend_from_slice(abi::bytes_of(&event.like));
    // What stands behind its end is of another record.
    let end = usize::try_from(event.size).unwrap_or(0);
    key.extend_from_slice(record.get(size_of::<abi::Event>()..end).unwrap_or_default());
}

/// Decodes a record; `None` when it is none of ours or contradicts itself.
pub fn decode(record: &[u8], clock: Clock, policy: impl Fn(u64) -> Option<String>) -> Option<Event> {
    let event: abi::Event = abi::read(record)?;
    let size = usize::try_from(event.size).ok()?;
    let path_len = usize::try_from(event.path_len).ok()?;
    let exe_len = usize::try_from(event.exe_len).ok()?;
    let (path, rest) = record.get(size_of::<abi::Event>()..size)?.split_at_checked(path_len)?;
    let (exe, cgroup) = rest.split_at_checked(exe_len)?;
    if cgroup.len() != usize::try_from(event.cgroup_len).ok()? {
        return None;
    }
    let traced = matches!(event.like.hook, abi::HOOK_TRACE_OPEN | abi::HOOK_TRACE_EXEC);
    let guard = event.like.op & abi::OP_GUARD != 0;
    let seen = |value: u32| (!traced).then_some(value);
    let decision = Decision {
        mode: match event.like.mode {
            abi::MODE_ENFORCE => Mode::Enforce,
            _ => Mode::Audit,
        },
        operation: operation(event.like.op),
        guarded: (guard && event.like.rule != 0).then_some(event.like.rule),
        hook: hook(event.like.hook)?.into(),
        errno: event.error,
        path: if guard && path.is_empty() {
            String::new()
        } else if traced {
            escape(path.split(|byte| *byte == 0).next()?)
        } else {
            join(path, event.cut & abi::EVENT_PATH_CUT != 0)
        },
        path_cut: event.cut & abi::EVENT_PATH_CUT != 0 && !(guard && path.is_empty()),
        too_deep: event.like.flags & abi::EVENT_TOO_DEEP != 0,
        unplaced: event.like.flags & abi::EVENT_UNPLACED != 0,
        leaves_scope: event.like.flags & abi::EVENT_WAY_OUT != 0,
        device: (!traced)
            .then(|| format!("{}:{}", event.like.inode.dev >> 20, event.like.inode.dev & 0xf_ffff)),
        inode: (!traced).then_some(event.like.inode.ino),
        generation: seen(event.like.generation),
        rule: if guard { 0 } else { event.like.rule },
        policy_sha256: policy(event.like.policy_generation),
        policy_generation: event.like.policy_generation,
        pid: event.pid,
        tid: event.tid,
        ppid: event.ancestors.first().map(|parent| parent.pid).filter(|_| !traced),
        uid: event.like.uid,
        gid: event.like.gid,
        login_uid: (event.like.login_uid != u32::MAX).then_some(event.like.login_uid),
        comm: escape(event.comm.split(|byte| *byte == 0).next()?),
        exe: (exe_len > 0).then(|| join(exe, event.cut & abi::EVENT_EXE_CUT != 0)),
        lineage: lineage(&event.ancestors),
        count: 1,
        since: None,
        cgroup_id: event.like.cgroup,
        container_id: container(cgroup),
        cgroup: (!traced).then(|| join(cgroup, event.cut & abi::EVENT_CGROUP_CUT != 0)),
        mount_ns: seen(event.mount_ns),
        pid_ns: seen(event.pid_ns),
        at: clock.wall(event.time_ns),
    };
    match event.kind {
        abi::KIND_DENY => Some(Event::Deny(decision)),
        abi::KIND_WOULD_DENY => Some(Event::WouldDeny(decision)),
        _ => None,
    }
}

fn lineage(ancestors: &[abi::Ancestor]) -> Vec<Ancestor> {
    let named = ancestors.iter().take_while(|one| one.pid != 0);
    let name = |one: &abi::Ancestor| escape(one.exe.split(|byte| *byte == 0).next().unwrap_or_default());
    named.map(|one| Ancestor { pid: one.pid, exe: name(one) }).collect()
}

/// What container runtimes call a cgroup after: the id, 64 hexadecimal digits, by itself or with words around it
/// (`docker-ID.scope`, `cri-containerd-ID.scope`, `ID`). Of nested ones the innermost counts.
fn container(components: &[u8]) -> Option<String> {
    const DIGITS: usize = 64;
    let id = |component: &[u8]| {
        let words = component.split(|byte| !byte.is_ascii_alphanumeric());
        let mut ids = words.filter(|word| {
            word.len() == DIGITS && word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        ids.next().and_then(|id| String::from_utf8(id.to_vec()).ok())
    };
    components.split(|byte| *byte == 0).find_map(id)
}

fn operation(bits: u32) -> String {
    let names =
        [(abi::OP_READ, "read"), (abi::OP_WRITE, "write"), (abi::OP_EXEC, "exec"), (abi::OP_GUARD, "guard")];
    let names = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join(",")
}

/// The name of a hook; which copy of its program decided is nothing to a reader.
fn hook(number: u32) -> Option<&'static str> {
    let number = number & !abi::HOOK_AGAIN;
    TIERS.iter().flat_map(|tier| tier.hooks).find(|hook| hook.number == number).map(|hook| hook.name)
}

/// Components, last one first and each ended by NUL, to a path. One whose start is missing begins with `…`.
fn join(components: &[u8], cut: bool) -> String {
    let mut path = String::new();
    if cut {
        path.push('…');
    }
    let components = components.strip_suffix(&[0]).unwrap_or(components);
    if components.is_empty() {
        path.push('/');
        return path;
    }
    for component in components.split(|byte| *byte == 0).rev() {
        path.push('/');
        path.push_str(&escape(component));
    }
    path
}

/// Reversible: what is not printable UTF-8 becomes `\xNN`, and `\` becomes `\\`.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                control if control.is_control() => {
                    let mut buffer = [0; 4];
                    control.encode_utf8(&mut buffer).bytes().for_each(|byte| hex(&mut out, byte));
                }
                plain => out.push(plain),
            }
        }
        chunk.invalid().iter().for_each(|byte| hex(&mut out, *byte));
    }
    out
}

fn hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    for nibble in [byte >> 4, byte & 0xf] {
        out.extend(DIGITS.get(usize::from(nibble)).map(|digit| char::from(*digit)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &[u8], exe: &[u8]) -> Vec<u8> {
        record_in(path, exe, b"")
    }

    fn record_in(path: &[u8], exe: &[u8], cgroup: &[u8]) -> Vec<u8> {
        let event = abi::Event {
            kind: abi::KIND_DENY,
            size: u32::try_from(size_of::<abi::Event>() + path.len() + exe.len() + cgroup.len()).unwrap_or(0),
            time_ns: 5_000_000_001,
            like: abi::Likeness {
                hook: abi::HOOK_FILE_OPEN,
                op: abi::OP_READ | abi::OP_WRITE,
                mode: abi::MODE_ENFORCE,
                rule: 7,
                inode: abi::Inode { ino: 42, dev: 8 << 20 | 1, volume: 0 },
                ..abi::Likeness::default()
            },
            error: 1,
            path_len: u32::try_from(path.len()).unwrap_or(0),
            exe_len: u32::try_from(exe.len()).unwrap_or(0),
            cgroup_len: u32::try_from(cgroup.len()).unwrap_or(0),
            comm: *b"cat\0............",
            ..abi::Event::default()
        };
        [abi::bytes_of(&event), path, exe, cgroup].concat()
    }

    fn decoded(bytes: &[u8]) -> Option<Event> {
        decode(bytes, Clock::at(SystemTime::UNIX_EPOCH), |_| None)
    }

    fn deny(path: &[u8], exe: &[u8]) -> Decision {
        match decoded(&record(path, exe)) {
            Some(Event::Deny(decision)) => decision,
            other => panic!("not a deny: {other:?}"),
        }
    }

    #[test]
    fn a_deny_reads_as_it_was() {
        let decision = deny(b"shadow\0etc\0", b"cat\0bin\0usr\0");
        assert_eq!(decision.path, "/etc/shadow");
        assert_eq!(decision.exe.as_deref(), Some("/usr/bin/cat"));
        assert_eq!(decision.operation, "read,write");
        assert_eq!(decision.device.as_deref(), Some("8:1"));
        assert_eq!(decision.comm, "cat");
        assert_eq!(decision.at, SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(5_000_000_001)));
    }

    #[test]
    fn the_cgroup_tells_of_its_container() {
        const ID: &str = "3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b";
        let placed = |components: &[&str]| {
            let bytes: Vec<u8> = components.iter().flat_map(|one| [one.as_bytes(), b"\0"].concat()).collect();
            let Some(Event::Deny(decision)) = decoded(&record_in(b"x\0", b"", &bytes)) else {
                panic!("not a deny")
            };
            (decision.cgroup.unwrap_or_default(), decision.container_id)
        };
        let scope = format!("cri-containerd-{ID}.scope");
        assert_eq!(
            placed(&[&scope, "kubepods.slice"]),
            (format!("/kubepods.slice/{scope}"), Some(ID.to_owned()))
        );
        assert_eq!(placed(&["init", ID, "docker"]).1.as_deref(), Some(ID));
        assert_eq!(placed(&["ssh.service", "system.slice"]), ("/system.slice/ssh.service".to_owned(), None));
        assert_eq!(placed(&[&ID[1..], "docker"]).1, None);
        assert_eq!(placed(&[]), ("/".to_owned(), None));
    }

    #[test]
    fn the_processes_above_end_with_the_first() {
        let mut event: abi::Event = abi::read(&record(b"x\0", b"")).expect("a record");
        event.ancestors[0] = abi::Ancestor { pid: 7, exe: *b"ba\nsh\0.....................\0" };
        event.ancestors[1] = abi::Ancestor { pid: 1, exe: *b"systemd\0...................\0" };
        event.ancestors[3] = abi::Ancestor { pid: 9, exe: *b"stale\0.....................\0" };
        let Some(Event::Deny(decision)) = decoded(&[abi::bytes_of(&event), b"x\0"].concat()) else {
            panic!("not a deny")
        };
        let lineage: Vec<_> = decision.lineage.iter().map(|one| (one.pid, one.exe.as_str())).collect();
        assert_eq!(lineage, [(7, "ba\\x0ash"), (1, "systemd")]);
        assert_eq!(decision.ppid, Some(7));
    }

    #[test]
    fn hostile_names_come_out_escaped_and_reversible() {
        let decision = deny(b"a\n\xff\\\"\0", b"");
        assert_eq!(decision.path, "/a\\x0a\\xff\\\\\"");
        assert_eq!(decision.exe, None);
    }

    #[test]
    fn the_self_guard_names_what_was_reached_for() {
        let mut event: abi::Event = abi::read(&record(b"", b"kill\0bin\0")).expect("a record");
        (event.like.op, event.like.rule, event.like.hook) = (abi::OP_GUARD, 77, abi::HOOK_BPF_MAP);
        let Some(Event::Deny(decision)) = decoded(&[abi::bytes_of(&event), b"kill\0bin\0"].concat()) else {
            panic!("not a deny")
        };
        assert_eq!((decision.operation.as_str(), &*decision.hook), ("guard", "bpf_map"));
        assert_eq!((decision.guarded, decision.rule, decision.path.as_str()), (Some(77), 0, ""));
    }

    #[test]
    fn the_root_directory_has_a_name() {
        let decision = deny(b"", b"");
        assert_eq!(decision.path, "/");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            drop(decoded(&bytes));
        }

        #[test]
        fn any_lengths_are_decoded_or_refused(path_len: u32, exe_len: u32, size: u32) {
            let mut bytes = record(b"x\0", b"");
            let at = |field: usize| field..field + 4;
            bytes[at(core::mem::offset_of!(abi::Event, size))].copy_from_slice(&size.to_ne_bytes());
            bytes[at(core::mem::offset_of!(abi::Event, path_len))].copy_from_slice(&path_len.to_ne_bytes());
            bytes[at(core::mem::offset_of!(abi::Event, exe_len))].copy_from_slice(&exe_len.to_ne_bytes());
            drop(decoded(&bytes));
        }
    }
}
