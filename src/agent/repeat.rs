//! Decisions that repeat one another: the first is told at once, those like it are counted and told together.

use std::{collections::HashMap, time::Duration};

use crate::{abi, event::likeness};

/// So many decisions are told apart; what is like none of them is told as it comes. Nothing is left out for want of room.
const KINDS: usize = 1024;

/// What a longer record says is told as it comes.
const MAX_BYTES: usize = 2048;

/// What is known of the decisions of late.
#[derive(Debug)]
pub(super) struct Repeats {
    window: Duration,
    kinds: HashMap<Vec<u8>, Kind>,
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
    /// The last of them.
    pub(super) record: Vec<u8>,
    /// How many.
    pub(super) count: u64,
    /// When the first of them happened, nanoseconds since the boot.
    pub(super) first_ns: u64,
}

impl Repeats {
    /// Counts for so long before it tells; with no time at all, everything is told as it comes.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, kinds: HashMap::new(), key: Vec::new() }
    }

    /// Whether a record is like one that was told of late, and is told later with its like.
    pub(super) fn holds(&mut self, record: &[u8], now: Duration) -> bool {
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
            kind.record.clear();
            kind.record.extend_from_slice(record);
            return true;
        }
        if self.kinds.len() < KINDS {
            let kind = Kind { due: now + self.window, count: 0, first_ns: 0, record: Vec::new() };
            self.kinds.insert(self.key.clone(), kind);
        }
        false
    }

    /// Those whose time has come; all, when nothing comes any more.
    pub(super) fn due(&mut self, now: Duration, all: bool) -> Vec<Told> {
        let window = self.window;
        let mut told = Vec::new();
        self.kinds.retain(|_, kind| {
            if kind.due > now && !all {
                return true;
            }
            kind.due = now + window;
            let count = std::mem::take(&mut kind.count);
            if count > 0 {
                let record = std::mem::take(&mut kind.record);
                told.push(Told { record, count, first_ns: kind.first_ns });
            }
            // What did not happen again is new when it does.
            count > 0
        });
        told.sort_unstable_by_key(|told| told.first_ns);
        told
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
        let mut repeats = Repeats::new(WINDOW);
        assert!(!repeats.holds(&record(1, 5, b"a\0"), at(0)));
        assert!(repeats.holds(&record(2, 6, b"a\0"), at(1)));
        assert!(!repeats.holds(&record(2, 7, b"b\0"), at(1)));
        assert!(repeats.holds(&record(3, 8, b"a\0"), at(2)));
        assert!(repeats.due(at(9), false).is_empty());
        let told = repeats.due(at(10), false);
        assert_eq!(told.iter().map(|told| (told.count, told.first_ns)).collect::<Vec<_>>(), [(2, 6)]);
        assert_eq!(told[0].record, record(3, 8, b"a\0"));
        // Still counted, for as long as it goes on.
        assert!(repeats.holds(&record(4, 9, b"a\0"), at(11)));
        assert_eq!(repeats.due(at(20), false)[0].count, 1);
        assert!(repeats.due(at(30), false).is_empty());
        assert!(!repeats.holds(&record(5, 10, b"a\0"), at(31)));
    }

    #[test]
    fn what_waits_is_told_at_the_end() {
        let mut repeats = Repeats::new(WINDOW);
        repeats.holds(&record(1, 5, b"a\0"), at(0));
        repeats.holds(&record(1, 6, b"a\0"), at(0));
        assert_eq!(repeats.due(at(0), true).len(), 1);
        assert!(repeats.due(at(0), true).is_empty());
    }

    #[test]
    fn no_window_holds_nothing() {
        let mut repeats = Repeats::new(Duration::ZERO);
        assert!((0..3).all(|n| !repeats.holds(&record(1, n, b"a\0"), at(n))));
    }

    proptest::proptest! {
        /// However they come, and however many kinds there are: what is told at once and what is told together is all.
        #[test]
        fn nothing_is_lost(names in proptest::collection::vec(0_u16..3000, 0..4000)) {
            let mut repeats = Repeats::new(WINDOW);
            let (mut told, mut now) = (0, Duration::ZERO);
            for name in &names {
                now += Duration::from_millis(7);
                told += u64::from(!repeats.holds(&record(1, 1, &name.to_le_bytes()), now));
                if name % 100 == 0 {
                    told += repeats.due(now, false).iter().map(|told| told.count).sum::<u64>();
                }
                proptest::prop_assert!(repeats.kinds.len() <= KINDS);
            }
            told += repeats.due(now, true).iter().map(|told| told.count).sum::<u64>();
            proptest::prop_assert_eq!(told, names.len() as u64);
        }
    }
}
