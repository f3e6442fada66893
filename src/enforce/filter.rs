//! The filter that every operation is put to first: a few bits for whatever rules name. Its counterpart in the programs is
//! `bpf-lsm/filter.bpf.h`.
//!
//! What it holds may be too much, which costs time, and never too little, which would be a hole: [`Hot::widen`] before a
//! policy comes into force, [`Hot::narrow`] after.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

use crate::{abi, plan::RuleSet, sys::map::Mapped};

/// 2^64 divided by the golden ratio, as in the programs.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the bits are of, as in the programs.
const AS_INODE: u64 = 0;
const AS_TREE: u64 = 1 << 32;
const AS_NAME: u64 = 2 << 32;
const AS_DIRECTORY: u64 = 0xd1b5_4a32_d192_ed03;

/// Bits for each thing that rules name, as long as there are so many: then the first bit of an inode that none names is set
/// by chance once in 22 times. With a million rules there are 33, and it is once in 11; all three of its bits once in
/// 1,200, and both others of one with the number of a named one on another device once in 110.
const BITS: usize = 64;

/// Fewer are not worth the cost of being wrong: one line of the processor's cache.
const LEAST_WORDS: usize = 8;

const MOST_WORDS: usize = abi::FILTER_WORDS as usize;

const PART: usize = abi::FILTER_PART as usize;

/// What the filter has to hold for one policy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    words: Vec<u64>,
    flags: u32,
}

impl Filter {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let count = rules.objects.len() + rules.names.len() + rules.trees.len() + rules.tree_names.len();
        let words = (count * BITS / 64).next_power_of_two().clamp(LEAST_WORDS, MOST_WORDS);
        let mut filter = Self { words: vec![0; words], flags: flags(rules.features) };
        let directory_alone = |object: &abi::Object| object.ops == 0 && object.flags == abi::OBJECT_NAMES;
        for (inode, object) in &rules.objects {
            if !directory_alone(object) {
                filter.add_inode(inode);
            }
            if object.flags & abi::OBJECT_NAMES != 0 {
                filter.add_directory(inode);
            }
        }
        for (inode, object) in &rules.trees {
            filter.add_directory(inode);
            if object.flags & abi::OBJECT_TREE != 0 {
                // What is opened may be the tree itself.
                filter.add_inode(inode);
                filter.add_both(again(place_of(inode) ^ AS_TREE));
            }
        }
        for (name, _) in rules.names.iter().chain(&rules.tree_names) {
            filter.add_both(of_name(name));
        }
        filter
    }

    /// It as it is kept with its policy, by place.
    pub(super) fn parts(&self) -> Vec<(u64, abi::FilterPart)> {
        let part = |words: &[u64]| {
            let mut part = abi::FilterPart::default();
            part.words.iter_mut().zip(words).for_each(|(to, from)| *to = *from);
            part
        };
        (0..).zip(self.words.chunks(PART).map(part)).collect()
    }

    /// What was kept, in any order, of a policy with this measure and these features; `None` when it is not that.
    pub(super) fn kept(parts: &[(u64, abi::FilterPart)], measure: (u32, u32), features: u32) -> Option<Self> {
        let count = measure.0 as usize;
        if !count.is_power_of_two() || count > MOST_WORDS || parts.len() != count.div_ceil(PART) {
            return None;
        }
        let mut words = vec![0; count];
        for (place, part) in parts {
            let to = words.chunks_mut(PART).nth(usize::try_from(*place).ok()?)?;
            to.iter_mut().zip(part.words).for_each(|(to, from)| *to = from);
        }
        let filter = Self { words, flags: flags(features) };
        (filter.measure() == measure).then_some(filter)
    }

    /// How many words it takes, and how many of their bits are set.
    pub(super) fn measure(&self) -> (u32, u32) {
        let words = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        (words, self.words.iter().map(|word| word.count_ones()).sum())
    }

    fn add_inode(&mut self, inode: &abi::Inode) {
        // The first bit is of its number alone, so that the programs read the device of few.
        self.add(inode.ino.wrapping_mul(SPREAD));
        self.add_both(again(place_of(inode) ^ AS_INODE));
    }

    fn add_directory(&mut self, inode: &abi::Inode) {
        self.add(inode.ino.wrapping_mul(SPREAD).wrapping_add(AS_DIRECTORY));
    }

    fn add_both(&mut self, hash: u64) {
        self.add(hash);
        self.add(again(hash));
    }

    fn add(&mut self, hash: u64) {
        let mask = self.mask();
        if let Some(word) = self.words.get_mut(word_of(hash) & mask) {
            *word |= 1 << (hash & 63);
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

fn again(hash: u64) -> u64 {
    (hash ^ hash >> 32).wrapping_mul(SPREAD)
}

fn place_of(inode: &abi::Inode) -> u64 {
    inode.ino.wrapping_mul(SPREAD) ^ u64::from(inode.dev)
}

/// Of a name its first 15 bytes, as the programs read them.
fn of_name(name: &abi::Name) -> u64 {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(&name.name).take(15) {
        *to = *from;
    }
    let (words, _) = first.as_chunks();
    words.iter().fold(again(place_of(&name.directory) ^ AS_NAME), |hash, word| {
        again(hash ^ u64::from_ne_bytes(*word))
    })
}

fn word_of(hash: u64) -> usize {
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

    /// Whether it can still hold a policy of this measure and these features. Where it holds nothing else, every bit that
    /// was taken away is missed.
    pub(super) fn can_hold(&self, (words, bits): (u32, u32), features: u32) -> bool {
        let (mask, flags) = split(self.head.load(Acquire));
        let words = (words as usize).clamp(1, MOST_WORDS);
        // What is read from a wider one stands at several places.
        let folded = |place: usize| {
            let places = self.words.words.iter().take(mask + 1).skip(place).step_by(words);
            places.fold(0, |all, word| all | word.load(Acquire))
        };
        let found: u32 = (0..words).map(|place| folded(place).count_ones()).sum();
        let wanted = self::flags(features);
        mask + 1 >= words && flags & wanted == wanted && found >= bits
    }

    fn set(&self, mask: usize, flags: u32) {
        let head = |old: u64| {
            let flags = flags & !OF_OTHERS | split(old).1 & OF_OTHERS;
            let epoch = (old + (1 << abi::FILTER_EPOCH))
                & (u64::from(u32::MAX) >> abi::FILTER_EPOCH << abi::FILTER_EPOCH);
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

    fn of_inodes(inodes: impl Iterator<Item = abi::Inode>) -> Filter {
        let object = abi::Object { ops: abi::OP_READ, ..Default::default() };
        Filter::new(&RuleSet { objects: inodes.map(|inode| (inode, object)).collect(), ..RuleSet::default() })
    }

    fn has_both(filter: &Filter, hash: u64) -> bool {
        [hash, again(hash)].iter().all(|hash| has(filter, *hash))
    }

    fn has(filter: &Filter, hash: u64) -> bool {
        filter.word(word_of(hash)) >> (hash & 63) & 1 == 1
    }

    fn holds(filter: &Filter, inode: &abi::Inode) -> bool {
        has_first(filter, inode) && has_both(filter, again(place_of(inode) ^ AS_INODE))
    }

    fn has_first(filter: &Filter, inode: &abi::Inode) -> bool {
        has(filter, inode.ino.wrapping_mul(SPREAD))
    }

    fn share(others: impl Iterator<Item = abi::Inode>, passes: impl Fn(&abi::Inode) -> bool) -> f64 {
        let (mut all, mut held) = (0, 0);
        for other in others {
            all += 1;
            held += i32::from(passes(&other));
        }
        f64::from(held) / f64::from(all)
    }

    #[test]
    fn holds_every_inode_and_few_others() {
        for count in [1, 10, 1_000, 65_536, 1_000_000] {
            let inodes: Vec<_> = (0..count).map(|ino| inode(1_000 + ino, 0x0080_0001)).collect();
            let filter = of_inodes(inodes.iter().copied());
            assert!(inodes.iter().all(|inode| holds(&filter, inode)), "{count}");
            let strangers = (0..100_000).map(|ino| inode(5_000_000 + ino, 0x0080_0001));
            assert!(share(strangers.clone(), |inode| holds(&filter, inode)) <= 0.01, "{count}");
            let most = if count > 500_000 { 0.1 } else { 0.05 };
            assert!(share(strangers, |inode| has_first(&filter, inode)) <= most, "{count}");
            let elsewhere = inodes.iter().map(|known| inode(known.ino, 0x0080_0002));
            assert!(count < 1_000 || share(elsewhere, |inode| holds(&filter, inode)) <= 0.015, "{count}");
        }
    }

    #[test]
    fn holds_directories_trees_and_names_apart() {
        let name = abi::Name { directory: inode(7, 3), ..Default::default() };
        let names = abi::Object { flags: abi::OBJECT_NAMES, ..Default::default() };
        let tree = abi::Object { flags: abi::OBJECT_TREE, ops: abi::OP_READ, ..Default::default() };
        let filter = Filter::new(&RuleSet {
            objects: vec![(inode(7, 3), names)],
            names: vec![(name, tree)],
            trees: vec![(inode(9, 3), tree)],
            features: abi::FEATURE_NAMES | abi::FEATURE_TREES,
            ..RuleSet::default()
        });
        let directory = |ino: u64| has(&filter, ino.wrapping_mul(SPREAD).wrapping_add(AS_DIRECTORY));
        assert_eq!([directory(7), directory(9), directory(8)], [true, true, false]);
        assert_eq!([holds(&filter, &inode(7, 3)), holds(&filter, &inode(9, 3))], [false, true]);
        assert!(has_both(&filter, again(place_of(&inode(9, 3)) ^ AS_TREE)));
        assert!(has_both(&filter, of_name(&name)));
        assert_eq!(filter.flags, abi::FILTER_NAMES | abi::FILTER_TREES);
    }

    #[test]
    fn what_is_kept_is_what_was_made() {
        for count in [1, 17, 100, 65_536] {
            let filter = of_inodes((0..count).map(|ino| inode(ino, 1)));
            let mut parts = filter.parts();
            parts.reverse();
            let kept = |parts: &[_], measure| Filter::kept(parts, measure, 0);
            assert_eq!(
                kept(&parts, filter.measure()),
                Some(Filter { words: filter.words.clone(), flags: 0 })
            );
            let (words, bits) = filter.measure();
            for measure in
                [(words, bits + 1), (words * 32, bits), (words + 1, bits), (0, 0), (u32::MAX, bits)]
            {
                assert_eq!(kept(&parts, measure), None, "{measure:?}");
            }
            assert_eq!(kept(&parts[1..], (words, bits)), None);
            parts[0].1.words[0] ^= 1;
            assert_eq!(kept(&parts, (words, bits)), None);
        }
    }

    #[test]
    fn of_a_name_fifteen_bytes_count() {
        let name = |text: &str| {
            let mut name = abi::Name { directory: inode(7, 3), ..Default::default() };
            name.name.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
            of_name(&name)
        };
        assert_eq!(name("123456789012345"), name("1234567890123456"));
        assert_ne!(name("12345678901234"), name("123456789012345"));
    }

    #[test]
    fn a_filter_is_as_large_as_its_policy() {
        let of = |count| of_inodes((0..count).map(|ino| inode(ino, 1))).words.len();
        assert_eq!([of(0), of(8), of(9), of(1_000)], [8, 8, 16, 1024]);
        assert_eq!(of(600_000), MOST_WORDS);
    }

    proptest::proptest! {
        #[test]
        fn what_a_filter_holds_a_wider_reading_of_it_holds_as_well(
            inos in proptest::collection::vec(0_u64.., 1..200), wider in 0_u32..6,
        ) {
            let inodes: Vec<_> = inos.iter().map(|ino| inode(*ino, 3)).collect();
            let filter = of_inodes(inodes.iter().copied());
            let words = (0..filter.words.len() << wider).map(|at| filter.word(at)).collect();
            let wider = Filter { words, flags: 0 };
            proptest::prop_assert!(inodes.iter().all(|inode| holds(&wider, inode)));
        }
    }
}
