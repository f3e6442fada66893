//! Bytes to [`Event`]. Everything here may be hostile: names are chosen by the processes that are watched, and a pinned
//! ring buffer may hold what an older agent's programs wrote.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::{Decision, Event};
use crate::{abi, tier::TIERS};

/// Turns the kernel's boot-time nanoseconds into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: SystemTime,
}

impl Clock {
    /// Compares both clocks now. Do so anew from time to time: the wall clock is set.
    pub fn now() -> Self {
        let up = clock_gettime(ClockId::Boottime);
        let up = Duration::new(up.tv_sec.unsigned_abs(), u32::try_from(up.tv_nsec).unwrap_or(0));
        Self { boot: SystemTime::now().checked_sub(up).unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// A fixed clock, for tests.
    #[cfg(test)]
    pub(super) fn at(boot: SystemTime) -> Self {
        Self { boot }
    }

    fn wall(self, boot_ns: u64) -> Option<SystemTime> {
        self.boot.checked_add(Duration::from_nanos(boot_ns))
    }
}

/// Decodes a record; `None` when it is none of ours or contradicts itself.
pub fn decode(record: &[u8], clock: Clock, policy: impl Fn(u64) -> Option<String>) -> Option<Event> {
    let event: abi::Event = abi::read(record)?;
    let size = usize::try_from(event.size).ok()?;
    let path_len = usize::try_from(event.path_len).ok()?;
    let exe_len = usize::try_from(event.exe_len).ok()?;
    if size > record.len() || size.checked_sub(size_of::<abi::Event>())? != path_len.checked_add(exe_len)? {
        return None;
    }
    let data = record.get(size_of::<abi::Event>()..size)?;
    let (path, exe) = data.split_at_checked(path_len)?;
    let traced = matches!(event.hook, abi::HOOK_TRACE_OPEN | abi::HOOK_TRACE_EXEC);
    let guard = event.op & abi::OP_GUARD != 0;
    let seen = |value: u32| (!traced).then_some(value);
    let decision = Decision {
        mode: match event.mode {
            abi::MODE_ENFORCE => "enforce",
            _ => "audit",
        },
        operation: operation(event.op),
        guarded: (guard && event.rule != 0).then_some(event.rule),
        hook: hook(event.hook)?,
        errno: event.error,
        path: if guard && path.is_empty() {
            String::new()
        } else if traced {
            escape(path.split(|byte| *byte == 0).next()?)
        } else {
            join(path, event.flags & abi::EVENT_PATH_CUT != 0)
        },
        path_cut: event.flags & abi::EVENT_PATH_CUT != 0 && !(guard && path.is_empty()),
        too_deep: event.flags & abi::EVENT_TOO_DEEP != 0,
        unplaced: event.flags & abi::EVENT_UNPLACED != 0,
        leaves_scope: event.flags & abi::EVENT_WAY_OUT != 0,
        device: (!traced).then(|| format!("{}:{}", event.inode.dev >> 20, event.inode.dev & 0xf_ffff)),
        inode: (!traced).then_some(event.inode.ino),
        generation: seen(event.generation),
        rule: if guard { 0 } else { event.rule },
        policy_sha256: policy(event.policy_generation),
        policy_generation: event.policy_generation,
        pid: event.pid,
        tid: event.tid,
        ppid: seen(event.ppid),
        uid: event.uid,
        gid: event.gid,
        comm: escape(event.comm.split(|byte| *byte == 0).next()?),
        exe: (exe_len > 0).then(|| join(exe, event.flags & abi::EVENT_EXE_CUT != 0)),
        cgroup_id: event.cgroup,
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
        let event = abi::Event {
            kind: abi::KIND_DENY,
            size: u32::try_from(size_of::<abi::Event>() + path.len() + exe.len()).unwrap_or(0),
            time_ns: 5_000_000_001,
            hook: abi::HOOK_FILE_OPEN,
            op: abi::OP_READ | abi::OP_WRITE,
            mode: abi::MODE_ENFORCE,
            rule: 7,
            error: 1,
            inode: abi::Inode { ino: 42, dev: 8 << 20 | 1, volume: 0 },
            path_len: u32::try_from(path.len()).unwrap_or(0),
            exe_len: u32::try_from(exe.len()).unwrap_or(0),
            comm: *b"cat\0............",
            ..abi::Event::default()
        };
        [abi::bytes_of(&event), path, exe].concat()
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
    fn hostile_names_come_out_escaped_and_reversible() {
        let decision = deny(b"a\n\xff\\\"\0", b"");
        assert_eq!(decision.path, "/a\\x0a\\xff\\\\\"");
        assert_eq!(decision.exe, None);
    }

    #[test]
    fn the_self_guard_names_what_was_reached_for() {
        let mut event: abi::Event = abi::read(&record(b"", b"kill\0bin\0")).expect("a record");
        (event.op, event.rule, event.hook) = (abi::OP_GUARD, 77, abi::HOOK_BPF_MAP);
        let Some(Event::Deny(decision)) = decoded(&[abi::bytes_of(&event), b"kill\0bin\0"].concat()) else {
            panic!("not a deny")
        };
        assert_eq!((decision.operation.as_str(), decision.hook), ("guard", "bpf_map"));
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
