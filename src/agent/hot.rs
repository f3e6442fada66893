//! Decisions that repeat one another so often that the kernel counts them where they are made.
//!
//! The agent writes what tells such a kind apart into a place of the control block, and takes the count away at every tick.
//! It holds a place on a lease: once it is dead, everything goes to the ring buffer again.

use std::{
    sync::atomic::Ordering::{AcqRel, Relaxed, Release},
    time::Duration,
};

use crate::abi;

/// So many of a kind since it was last told make it one that the kernel counts.
pub(super) const HOT: u64 = 64;

/// How long the kernel counts without hearing of the agent: a few ticks of a host that is busy.
const LEASE: Duration = Duration::from_secs(2);

/// A program that read the end of a lease before it was taken back is through with the place after that.
const GRACE: Duration = LEASE;

/// Whose the places are.
#[derive(Debug, Default)]
pub(super) struct Hot {
    held: [Option<Held>; abi::REPEATS as usize],
}

/// Whose place it is.
#[derive(Debug)]
struct Held {
    key: Vec<u8>,
    /// One of its decisions.
    record: Vec<u8>,
    /// When the count was last taken away, since the boot.
    taken: Duration,
    /// When the lease was taken back.
    left: Option<Duration>,
}

/// What the kernel counted of one kind.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) key: Vec<u8>,
    /// One of them, with the time of the last.
    pub(super) record: Vec<u8>,
    pub(super) count: u64,
    /// The first of them is no older, nanoseconds since the boot.
    pub(super) since_ns: u64,
}

impl Hot {
    /// Takes the places over from the agent before. What it had not told is forgotten: nobody knows any more what it was.
    pub(super) fn begin(shared: &abi::Repeats) {
        let untold = shared.untold.swap(0, AcqRel);
        let forgotten = shared.kinds.iter().map(end).fold(untold, u64::saturating_add);
        shared.forgotten.fetch_add(forgotten, AcqRel);
    }

    /// Lets the kernel count decisions like this one, if their place is free. `now` is time since the boot.
    pub(super) fn enter(&mut self, shared: &abi::Repeats, key: &[u8], record: &[u8], now: Duration) {
        let Some(like) =
            abi::read::<abi::Event>(record).map(|event| event.like).filter(|like| like.dentry != 0)
        else {
            return;
        };
        let at = place_of(&like);
        let (Some(repeat), Some(held)) = (shared.kinds.get(at), self.held.get_mut(at)) else { return };
        match held {
            Some(ours) if ours.key == key => ours.left = None,
            Some(Held { left: None, .. }) => return,
            Some(Held { left: Some(left), .. }) if now < *left + GRACE => return,
            _ => {
                // Its count was taken away at the last tick, if not long before.
                repeat.count.store(0, Relaxed);
                let words = abi::bytes_of(&like).as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
                repeat.like.iter().zip(words).for_each(|(there, word)| there.store(word, Relaxed));
                *held = Some(Held { key: key.to_vec(), record: record.to_vec(), taken: now, left: None });
            }
        }
        repeat.until_ns.store(nanoseconds(now + LEASE), Release);
    }

    /// Takes away what was counted, and renews the leases.
    pub(super) fn take(&mut self, shared: &abi::Repeats, now: Duration) -> Vec<Counted> {
        let mut counted = Vec::new();
        for (held, repeat) in self.held.iter_mut().zip(&shared.kinds) {
            let Some(held) = held else { continue };
            if held.left.is_none() {
                repeat.until_ns.store(nanoseconds(now + LEASE), Release);
            }
            let since = std::mem::replace(&mut held.taken, now);
            let count = repeat.count.swap(0, AcqRel);
            if count > 0 {
                let mut record = held.record.clone();
                set_time(&mut record, repeat.last_ns.load(Relaxed));
                counted.push(Counted { key: held.key.clone(), record, count, since_ns: nanoseconds(since) });
            }
        }
        counted
    }

    /// Lets the decisions of some kinds come one by one again.
    pub(super) fn leave(&mut self, shared: &abi::Repeats, now: Duration, which: impl Fn(&[u8]) -> bool) {
        for (held, repeat) in self.held.iter_mut().zip(&shared.kinds) {
            if let Some(held) = held.as_mut().filter(|held| held.left.is_none() && which(&held.key)) {
                repeat.until_ns.store(0, Release);
                held.left = Some(now);
            }
        }
    }
}

/// Ends the lease of a place; what is counted there.
fn end(repeat: &abi::Repeat) -> u64 {
    repeat.until_ns.store(0, Release);
    repeat.count.swap(0, AcqRel)
}

/// The place that `is_repeat()` in `bpf-lsm/event.bpf.h` looks at.
fn place_of(like: &abi::Likeness) -> usize {
    let mixed = (like.dentry ^ like.exe_dentry).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 59).unwrap_or(0)
}

fn set_time(record: &mut [u8], time_ns: u64) {
    let at = std::mem::offset_of!(abi::Event, time_ns);
    if let Some(there) = record.get_mut(at..at + size_of::<u64>()) {
        there.copy_from_slice(&time_ns.to_ne_bytes());
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIKE: abi::Likeness = abi::Likeness { dentry: 0x1000, exe_dentry: 0x2000, ..ZERO };
    const ZERO: abi::Likeness = abi::Likeness {
        policy_generation: 0,
        cgroup: 0,
        inode: abi::Inode { ino: 0, dev: 0, volume: 0 },
        generation: 0,
        hook: 0,
        op: 0,
        mode: 0,
        rule: 0,
        flags: 0,
        uid: 0,
        gid: 0,
        login_uid: 0,
        pad: 0,
        dentry: 0,
        mount: 0,
        directory: 0,
        name: 0,
        exe_dentry: 0,
        exe_mount: 0,
        exe_ino: 0,
    };

    fn record(like: abi::Likeness) -> Vec<u8> {
        abi::bytes_of(&abi::Event { like, time_ns: 1, ..abi::Event::default() }).to_vec()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The place where the kernel would count.
    fn leased(places: &abi::Repeats) -> Vec<&abi::Repeat> {
        places.kinds.iter().filter(|place| place.until_ns.load(Relaxed) > 0).collect()
    }

    #[test]
    fn what_the_kernel_counted_is_taken_once() {
        let (places, mut hot) = (abi::Repeats::default(), Hot::default());
        hot.enter(&places, b"key", &record(LIKE), at(5));
        let [place] = leased(&places)[..] else { panic!("no place, or several") };
        assert_eq!(place.until_ns.load(Relaxed), 7_000_000_000);
        let words: Vec<u8> = place.like.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        assert_eq!(words, abi::bytes_of(&LIKE));
        place.count.store(3, Relaxed);
        place.last_ns.store(6, Relaxed);
        let counted = hot.take(&places, at(6));
        let [Counted { key, record, count: 3, since_ns: 5_000_000_000 }] = &counted[..] else {
            panic!("{counted:?}")
        };
        assert_eq!(
            (key.as_slice(), abi::read::<abi::Event>(record).unwrap().time_ns),
            (b"key".as_slice(), 6)
        );
        assert_eq!(place.until_ns.load(Relaxed), 8_000_000_000);
        assert!(hot.take(&places, at(7)).is_empty());
    }

    #[test]
    fn a_place_goes_to_another_only_when_nobody_counts_there_any_more() {
        let (places, mut hot) = (abi::Repeats::default(), Hot::default());
        hot.enter(&places, b"one", &record(LIKE), at(1));
        let other = record(abi::Likeness { uid: 7, ..LIKE });
        hot.enter(&places, b"two", &other, at(2));
        hot.leave(&places, at(3), |key| key == b"one");
        assert!(leased(&places).is_empty());
        hot.enter(&places, b"two", &other, at(4));
        assert!(leased(&places).is_empty(), "a program may still be counting there");
        hot.enter(&places, b"one", &record(LIKE), at(4));
        assert_eq!(leased(&places).len(), 1, "the same may come back at once");
        hot.leave(&places, at(5), |_| true);
        hot.enter(&places, b"two", &other, at(7));
        let [place] = leased(&places)[..] else { panic!("no place, or several") };
        place.count.store(1, Relaxed);
        assert_eq!(hot.take(&places, at(8))[0].key, b"two");
    }

    #[test]
    fn counts_of_an_agent_that_died_are_not_told_as_those_of_something_else() {
        let (places, mut hot) = (abi::Repeats::default(), Hot::default());
        hot.enter(&places, b"key", &record(LIKE), at(1));
        leased(&places)[0].count.store(9, Relaxed);
        places.untold.store(5, Relaxed);
        Hot::begin(&places);
        assert!(leased(&places).is_empty());
        Hot::begin(&places);
        assert_eq!(places.forgotten.load(Relaxed), 14);
    }

    #[test]
    fn what_has_no_address_has_no_place() {
        let (places, mut hot) = (abi::Repeats::default(), Hot::default());
        hot.enter(&places, b"key", &record(ZERO), at(1));
        assert!(leased(&places).is_empty());
    }
}
