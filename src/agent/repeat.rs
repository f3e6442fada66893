//! Decisions that repeat one another: the first is told at once, those like it are counted and told together.

use std::{collections::HashMap, sync::atomic::Ordering::Relaxed, time::Duration};

use super::hot::{Counted, HOT, Hot};
use crate::{
    abi,
    event::{boot_time, likeness},
};

/// So many decisions are told apart; what is like none of them is told as it comes. Nothing is left out for want of room.
const KINDS: usize = 1024;

/// What a longer record says is told as it comes.
const MAX_BYTES: usize = 2048;

/// What is known of the decisions of late.
#[derive(Debug)]
pub(super) struct Repeats {
    window: Duration,
    kinds: HashMap<Vec<u8>, Kind>,
    hot: Hot,
    /// Decisions that were counted and not told yet.
    untold: u64,
    /// Where the next key is put together.
    key: Vec<u8>,
}

#[derive(Debug)]
struct Kind {
    /// When those since are told, since the boot.
    due: Duration,
    /// Those since the last that was told.
    count: u64,
    /// When the first of them happened, nanoseconds since the boot.
    first_ns: u64,
    /// The last of them.
    record: Vec<u8>,
}

/// Decisions that are told together.
#[derive(Debug)]
pub(super) struct Told {
    /// The last of them; where the kernel counted them, an earlier one with the time of the last.
    pub(super) record: Vec<u8>,
    /// How many.
    pub(super) count: u64,
    /// When the first of them happened, nanoseconds since the boot; where the kernel counted them, no later than that.
    pub(super) first_ns: u64,
}

impl Repeats {
    /// Counts for so long before it tells; with no time at all, everything is told as it comes.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, kinds: HashMap::new(), hot: Hot::default(), untold: 0, key: Vec::new() }
    }

    /// Whether a record is like one that was told of late, and is told later with its like.
    pub(super) fn holds(&mut self, shared: &abi::Repeats, record: &[u8], now: Duration) -> bool {
        if self.window.is_zero() || record.len() > MAX_BYTES {
            return false;
        }
        let Some(event) = abi::read::<abi::Event>(record) else { return false };
        self.key.clear();
        likeness(&event, record, &mut self.key);
        if let Some(kind) = self.kinds.get_mut(&self.key) {
            if kind.count == 0 {
                kind.first_ns = event.time_ns;
            }
            kind.count += 1;
            self.untold += 1;
            shared.untold.store(self.untold, Relaxed);
            kind.record.clear();
            kind.record.extend_from_slice(record);
            // Again and again, for the place may have been another's.
            if kind.count.is_multiple_of(HOT) {
                self.hot.enter(shared, &self.key, record, boot_time());
            }
            return true;
        }
        if self.kinds.len() < KINDS {
            let kind = Kind { due: now + self.window, count: 0, first_ns: 0, record: Vec::new() };
            self.kinds.insert(self.key.clone(), kind);
        }
        false
    }

    /// Those whose time has come; all, when nothing comes any more.
    pub(super) fn due(&mut self, shared: &abi::Repeats, now: Duration, all: bool) -> Vec<Told> {
        let window = self.window;
        let since_boot = boot_time();
        if all {
            self.hot.leave(shared, since_boot, |_| true);
        }
        for counted in self.hot.take(shared, since_boot) {
            self.add(counted, now);
        }
        let mut told = Vec::new();
        let hot = &mut self.hot;
        self.kinds.retain(|key, kind| {
            if kind.due > now && !all {
                return true;
            }
            kind.due = now + window;
            let count = std::mem::take(&mut kind.count);
            if count > 0 {
                let record = std::mem::take(&mut kind.record);
                told.push(Told { record, count, first_ns: kind.first_ns });
            }
            // The next of them says again which process it was, and whether its path is still the same.
            hot.leave(shared, since_boot, |other| other == key);
            // What did not happen again is new when it does.
            count > 0
        });
        self.untold -= told.iter().map(|told| told.count).sum::<u64>();
        shared.untold.store(self.untold, Relaxed);
        told.sort_unstable_by_key(|told| told.first_ns);
        told
    }

    /// Adds what the kernel counted.
    fn add(&mut self, counted: Counted, now: Duration) {
        let Counted { key, record, count, since_ns } = counted;
        let new = Kind { due: now + self.window, count: 0, first_ns: 0, record: Vec::new() };
        let kind = self.kinds.entry(key).or_insert(new);
        if kind.count == 0 {
            kind.first_ns = since_ns;
        }
        kind.count += count;
        self.untold += count;
        kind.record = record;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn record(pid: u32, time_ns: u64, path: &[u8]) -> Vec<u8> {
        let path_len = u32::try_from(path.len()).unwrap();
        let size = u32::try_from(size_of::<abi::Event>() + path.len()).unwrap();
        let event =
            abi::Event { kind: abi::KIND_DENY, pid, time_ns, size, path_len, ..abi::Event::default() };
        // What an earlier record left behind the end.
        [abi::bytes_of(&event), path, &time_ns.to_le_bytes()].concat()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_is_told_and_the_others_are_counted() {
        let (places, mut repeats) = (abi::Repeats::default(), Repeats::new(WINDOW));
        assert!(!repeats.holds(&places, &record(1, 5, b"a\0"), at(0)));
        assert!(repeats.holds(&places, &record(2, 6, b"a\0"), at(1)));
        assert!(!repeats.holds(&places, &record(2, 7, b"b\0"), at(1)));
        assert!(repeats.holds(&places, &record(3, 8, b"a\0"), at(2)));
        assert!(repeats.due(&places, at(9), false).is_empty());
        let told = repeats.due(&places, at(10), false);
        assert_eq!(told.iter().map(|told| (told.count, told.first_ns)).collect::<Vec<_>>(), [(2, 6)]);
        assert_eq!(told[0].record, record(3, 8, b"a\0"));
        // Still counted, for as long as it goes on.
        assert!(repeats.holds(&places, &record(4, 9, b"a\0"), at(11)));
        assert_eq!(repeats.due(&places, at(20), false)[0].count, 1);
        assert!(repeats.due(&places, at(30), false).is_empty());
        assert!(!repeats.holds(&places, &record(5, 10, b"a\0"), at(31)));
    }

    #[test]
    fn what_waits_is_told_at_the_end() {
        let (places, mut repeats) = (abi::Repeats::default(), Repeats::new(WINDOW));
        repeats.holds(&places, &record(1, 5, b"a\0"), at(0));
        repeats.holds(&places, &record(1, 6, b"a\0"), at(0));
        assert_eq!(repeats.due(&places, at(0), true).len(), 1);
        assert!(repeats.due(&places, at(0), true).is_empty());
    }

    #[test]
    fn what_the_kernel_counted_is_told_with_the_rest() {
        let (places, mut repeats) = (abi::Repeats::default(), Repeats::new(WINDOW));
        let like = abi::Likeness { dentry: 1, ..abi::Likeness::default() };
        let record = |time_ns| {
            let size = u32::try_from(size_of::<abi::Event>()).unwrap();
            abi::bytes_of(&abi::Event { kind: abi::KIND_DENY, size, time_ns, like, ..abi::Event::default() })
                .to_vec()
        };
        let told = (0..=HOT).filter(|n| !repeats.holds(&places, &record(*n), at(0))).count();
        assert_eq!(told, 1);
        let counting = |place: &&abi::Repeat| place.until_ns.load(Relaxed) > 0;
        let place = places.kinds.iter().find(counting).expect("a place");
        place.count.store(1000, Relaxed);
        place.last_ns.store(77, Relaxed);
        assert!(repeats.due(&places, at(1), false).is_empty());
        assert_eq!(places.untold.load(Relaxed), HOT + 1000);
        let told = repeats.due(&places, at(10), false);
        assert_eq!(places.untold.load(Relaxed), 0);
        assert_eq!((told[0].count, told[0].first_ns), (HOT + 1000, 1));
        assert_eq!(abi::read::<abi::Event>(&told[0].record).unwrap().time_ns, 77);
        assert!(!counting(&place), "the next one comes with all that it is");
        // What was counted too late for that is told the next time.
        place.count.store(2, Relaxed);
        assert_eq!(repeats.due(&places, at(20), false)[0].count, 2);
    }

    #[test]
    fn no_window_holds_nothing() {
        let (places, mut repeats) = (abi::Repeats::default(), Repeats::new(Duration::ZERO));
        assert!((0..3).all(|n| !repeats.holds(&places, &record(1, n, b"a\0"), at(n))));
    }

    proptest::proptest! {
        /// However they come, and however many kinds there are: what is told at once and what is told together is all.
        #[test]
        fn nothing_is_lost(names in proptest::collection::vec(0_u16..3000, 0..4000)) {
            let (places, mut repeats) = (abi::Repeats::default(), Repeats::new(WINDOW));
            let (mut told, mut now) = (0, Duration::ZERO);
            for name in &names {
                now += Duration::from_millis(7);
                told += u64::from(!repeats.holds(&places, &record(1, 1, &name.to_le_bytes()), now));
                if name % 100 == 0 {
                    told += repeats.due(&places, now, false).iter().map(|told| told.count).sum::<u64>();
                }
                proptest::prop_assert!(repeats.kinds.len() <= KINDS);
            }
            told += repeats.due(&places, now, true).iter().map(|told| told.count).sum::<u64>();
            proptest::prop_assert_eq!(told, names.len() as u64);
        }
    }
}
