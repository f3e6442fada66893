//! The filter that every operation is put to first: three bits for each inode that a rule names. Its counterpart in the
//! programs is `bpf-lsm/filter.bpf.h`.
//!
//! What it holds may be too much, which costs time, and never too little, which would be a hole: [`Hot::widen`] before a
//! policy comes into force, [`Hot::narrow`] after.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

use crate::{abi, sys::map::Mapped};

/// 2^64 divided by the golden ratio, as in the programs.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bits for each inode. An inode that no rule names has all three by chance once in 1,200 times at the most, and one
/// with the number of a named one on another device once in 110.
const BITS: usize = 32;

/// Fewer are not worth the cost of being wrong: one line of the processor's cache.
const LEAST_WORDS: usize = 8;

const MOST_WORDS: usize = abi::FILTER_WORDS as usize;

/// What the filter has to hold for one policy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    words: Vec<u64>,
    flags: u32,
}

impl Filter {
    /// For inodes and the features (`AEGIS_FEATURE_*`) of a policy.
    pub(super) fn new<'a>(
        count: usize,
        inodes: impl Iterator<Item = &'a abi::Inode>,
        features: u32,
    ) -> Self {
        let words = (count * BITS / 64).next_power_of_two().clamp(LEAST_WORDS, MOST_WORDS);
        let mut filter = Self { words: vec![0; words], flags: flags(features) };
        inodes.for_each(|inode| filter.add(inode));
        filter
    }

    fn add(&mut self, inode: &abi::Inode) {
        let mask = self.mask();
        for hash in hashes(inode) {
            if let Some(word) = self.words.get_mut(place(hash) & mask) {
                *word |= 1 << (hash & 63);
            }
        }
    }

    fn mask(&self) -> usize {
        self.words.len() - 1
    }

    /// The word that stands at a place of a filter that is as large as this one or larger.
    fn word(&self, place: usize) -> u64 {
        self.words.get(place & self.mask()).copied().unwrap_or(0)
    }
}

/// The bits of an inode. The first is of its number alone, so that the programs read the device of few.
fn hashes(inode: &abi::Inode) -> [u64; 3] {
    let again = |hash: u64| (hash ^ hash >> 32).wrapping_mul(SPREAD);
    let first = inode.ino.wrapping_mul(SPREAD);
    let second = again(first ^ u64::from(inode.dev));
    [first, second, again(second)]
}

fn place(hash: u64) -> usize {
    usize::try_from(hash >> abi::FILTER_SHIFT).unwrap_or(0)
}

fn flags(features: u32) -> u32 {
    let pairs = [
        (abi::FEATURE_NAMES, abi::FILTER_NAMES),
        (abi::FEATURE_TREES, abi::FILTER_TREES),
        (abi::FEATURE_SCOPE, abi::FILTER_SCOPE),
    ];
    pairs.iter().filter(|(feature, _)| features & feature != 0).fold(0, |all, (_, flag)| all | flag)
}

/// Flags of others than policies, which a change of policy leaves alone.
const OF_OTHERS: u32 = abi::FILTER_PROVING | abi::FILTER_ASKING;

/// The filter that the programs read.
#[derive(Debug)]
pub(super) struct Hot<'a> {
    pub(super) head: &'a AtomicU64,
    pub(super) words: &'a Mapped<abi::Filter>,
}

impl Hot<'_> {
    /// Adds what another policy needs, so that it may come into force beside what is.
    pub(super) fn widen(&self, new: &Filter) {
        let (old_mask, old_flags) = split(self.head.load(Acquire));
        let mask = old_mask.max(new.mask());
        for (at, word) in self.words.words.iter().enumerate().take(mask + 1) {
            let old = self.words.words.get(at & old_mask).map_or(0, |old| old.load(Acquire));
            let both = old | new.word(at);
            if word.load(Acquire) != both {
                word.store(both, Release);
            }
        }
        self.set(mask, old_flags | new.flags);
    }

    /// Leaves what the one policy needs that is in force. Whoever still reads with the mask of before finds it as well.
    /// The epoch changes before and after, so that no mark of a program outlives what it was made by.
    pub(super) fn narrow(&self, to: &Filter) {
        let (mask, flags) = split(self.head.load(Acquire));
        self.set(mask, flags);
        for (at, word) in self.words.words.iter().enumerate().take(mask + 1) {
            if word.load(Acquire) != to.word(at) {
                word.store(to.word(at), Release);
            }
        }
        self.set(to.mask(), to.flags);
    }

    fn set(&self, mask: usize, flags: u32) {
        let head = |old: u64| {
            let flags = flags & !OF_OTHERS | split(old).1 & OF_OTHERS;
            let epoch = (old + (1 << abi::FILTER_EPOCH)) & (u64::from(u32::MAX) >> abi::FILTER_EPOCH << abi::FILTER_EPOCH);
            Some(u64::from(flags) << 32 | epoch | mask as u64)
        };
        let _ = self.head.fetch_update(AcqRel, Acquire, head);
    }
}

fn split(head: u64) -> (usize, u32) {
    let mask = usize::try_from(head & u64::from(u32::MAX)).unwrap_or(0) & (MOST_WORDS - 1);
    (mask, (head >> 32) as u32)
}

/// Sends every operation the long way while it lives: a proof and a question know of files that no rule names.
#[derive(Debug)]
pub(super) struct Bypass<'a> {
    head: &'a AtomicU64,
    flag: u64,
}

impl<'a> Bypass<'a> {
    pub(super) fn new(control: &'a abi::Control, flag: u32) -> Self {
        let flag = u64::from(flag) << 32;
        control.filter.fetch_or(flag, AcqRel);
        Self { head: &control.filter, flag }
    }
}

impl Drop for Bypass<'_> {
    fn drop(&mut self) {
        self.head.fetch_and(!self.flag, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(ino: u64, dev: u32) -> abi::Inode {
        abi::Inode { ino, dev, volume: 0 }
    }

    fn holds(filter: &Filter, inode: &abi::Inode) -> bool {
        hashes(inode).iter().all(|hash| filter.word(place(*hash)) >> (hash & 63) & 1 == 1)
    }

    fn share(filter: &Filter, others: impl Iterator<Item = abi::Inode>) -> f64 {
        let (mut all, mut held) = (0, 0);
        for other in others {
            all += 1;
            held += i32::from(holds(filter, &other));
        }
        f64::from(held) / f64::from(all)
    }

    #[test]
    fn holds_every_inode_and_few_others() {
        for count in [1, 10, 1_000, 65_536, 1_000_000] {
            let inodes: Vec<_> = (0..count).map(|ino| inode(1_000 + ino, 0x0080_0001)).collect();
            let filter = Filter::new(inodes.len(), inodes.iter(), 0);
            assert!(inodes.iter().all(|inode| holds(&filter, inode)), "{count}");
            let strangers = (0..100_000).map(|ino| inode(5_000_000 + ino, 0x0080_0001));
            assert!(share(&filter, strangers) <= 0.01, "{count}");
            let elsewhere = inodes.iter().map(|known| inode(known.ino, 0x0080_0002));
            assert!(count < 1_000 || share(&filter, elsewhere) <= 0.015, "{count}");
        }
    }

    #[test]
    fn a_filter_is_as_large_as_its_policy() {
        let of = |count| Filter::new(count, std::iter::empty(), 0).words.len();
        assert_eq!([of(0), of(16), of(18), of(1_000)], [8, 8, 16, 512]);
        assert_eq!(of(1_000_000), MOST_WORDS);
        assert_eq!(of(100_000_000), MOST_WORDS);
    }

    proptest::proptest! {
        #[test]
        fn what_a_filter_holds_a_wider_reading_of_it_holds_as_well(
            inos in proptest::collection::vec(0_u64.., 1..200), wider in 0_u32..6,
        ) {
            let inodes: Vec<_> = inos.iter().map(|ino| inode(*ino, 3)).collect();
            let filter = Filter::new(inodes.len(), inodes.iter(), 0);
            let words = (0..filter.words.len() << wider).map(|at| filter.word(at)).collect();
            let wider = Filter { words, flags: 0 };
            proptest::prop_assert!(inodes.iter().all(|inode| holds(&wider, inode)));
        }
    }
}
