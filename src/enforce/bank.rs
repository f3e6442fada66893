//! The policies that the kernel holds: the one in force, the one being built, those to go back to.
//!
//! A policy is built in a slot that no decision looks into, and becomes the one in force by a single aligned store.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::Ordering::{AcqRel, Acquire, Release},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    EnforceError,
    fill::{content, filled},
    filter::{Filter, Hot},
    object::map_error,
    pins::checked,
};
use crate::{
    abi::{self, Plain},
    plan::RuleSet,
    policy::Digest,
    sys::{
        bpf::{self, MapSpec, kind},
        map::Mapped,
    },
    tier::Attach,
};

/// A policy as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub generation: u64,
    /// Of its text.
    pub sha256: Digest,
    /// How many deny rules it has.
    pub rules: u32,
}

/// What waits to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How much time is left.
    pub left: Duration,
    /// The generation that returns then; `None`: no policy.
    pub returns: Option<u64>,
}

/// The policy that decides now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// `None`: no policy.
    pub held: Option<Held>,
    /// Set while it waits to be confirmed.
    pub pending: Option<Pending>,
}

/// A policy that is complete in the kernel and not in force.
#[derive(Debug)]
#[must_use]
pub struct Staged {
    slot: u32,
    word: u64,
    filter: Option<Filter>,
}

/// The control block and the maps of rule sets, of this process or pinned by another.
#[derive(Debug)]
pub struct Bank {
    sets: BTreeMap<&'static str, OwnedFd>,
    attach: Attach,
    /// The control block, shared with the programs.
    pub control: Mapped<abi::Control>,
    /// Where programs bind inodes.
    filter: Option<Mapped<abi::Filter>>,
}

/// Time since boot, sleep included, as the programs read it.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl Bank {
    /// The names of the maps of rule sets in a tier.
    pub(super) fn sets(attach: Attach) -> &'static [&'static str] {
        match attach {
            Attach::RawTracepoint => &["cgroups", "trace_paths", "trace_trees"],
            Attach::Lsm | Attach::ModifyReturn => {
                &["cgroups", "filters", "objects", "names", "trees", "tree_names"]
            }
        }
    }

    /// What a map of the bank has to be.
    pub(super) fn shape(name: &str) -> MapSpec<'static> {
        let outer = MapSpec {
            name: "",
            kind: kind::ARRAY_OF_MAPS,
            key_size: 4,
            value_size: 4,
            max_entries: abi::SLOTS,
            flags: 0,
            inner: None,
        };
        let shared = |size: usize| MapSpec {
            kind: kind::ARRAY,
            value_size: u32::try_from(size).unwrap_or(0),
            max_entries: 1,
            flags: bpf::MMAPABLE,
            ..outer
        };
        match name {
            "control" => shared(size_of::<abi::Control>()),
            "filter" => shared(size_of::<abi::Filter>()),
            _ => outer,
        }
    }

    /// Puts a bank together from its maps, found by name.
    pub(super) fn new(
        attach: Attach,
        map: &dyn Fn(&'static str) -> Result<OwnedFd, EnforceError>,
    ) -> Result<Self, EnforceError> {
        let mapped = |name, source| map_error(name, "mapped", source);
        let control = Mapped::new(map("control")?.as_fd()).map_err(|source| mapped("control", source))?;
        let filter = match attach {
            Attach::RawTracepoint => None,
            Attach::Lsm | Attach::ModifyReturn => {
                Some(Mapped::new(map("filter")?.as_fd()).map_err(|source| mapped("filter", source))?)
            }
        };
        let sets = Self::sets(attach).iter().map(|name| Ok((*name, map(name)?)));
        Ok(Self { sets: sets.collect::<Result<_, EnforceError>>()?, attach, control, filter })
    }

    /// The bank of an agent that pins nothing, by the ids it gives away. Needs `CAP_SYS_ADMIN`.
    pub fn of_agent(ids: &BTreeMap<String, u32>) -> Result<Self, EnforceError> {
        Self::new(Attach::RawTracepoint, &|name| {
            let id = ids.get(name).copied().unwrap_or(0);
            let map = bpf::map_by_id(id).map_err(|source| map_error(name, super::BY_ID, source))?;
            checked(map, Path::new(name), &Self::shape(name))
        })
    }

    /// Which policy decides, by the programs' own rule.
    pub fn in_force(&self) -> InForce {
        let word = self.control.active.load(Acquire);
        if word & u64::from(abi::PROVISIONAL) == 0 {
            return InForce { held: self.held(word), pending: None };
        }
        let end = Duration::from_nanos(self.control.revert_at.load(Acquire));
        let back = self.control.revert_to.load(Acquire);
        match end.checked_sub(since_boot()) {
            Some(left) if !left.is_zero() => {
                let returns = self.held(back).map(|held| held.generation);
                InForce { held: self.held(word), pending: Some(Pending { left, returns }) }
            }
            _ => InForce { held: self.held(back), pending: None },
        }
    }

    /// Every policy that can come into force by one store.
    pub fn retained(&self) -> Vec<Held> {
        (0..abi::SLOTS).filter_map(|slot| self.in_slot(slot)).collect()
    }

    /// The hash of a generation that the kernel still holds.
    pub fn sha256_of(&self, generation: u64) -> Option<Digest> {
        self.retained().into_iter().find(|held| held.generation == generation).map(|held| held.sha256)
    }

    fn held(&self, word: u64) -> Option<Held> {
        self.in_slot(slot_of(word)?)
    }

    fn in_slot(&self, slot: u32) -> Option<Held> {
        let slot = self.control.slots.get(slot as usize)?;
        let generation = slot.generation.load(Acquire);
        let mut sha256 = [0; abi::SHA256_BYTES as usize];
        for (bytes, word) in sha256.as_chunks_mut().0.iter_mut().zip(&slot.sha256) {
            *bytes = word.load(Acquire).to_ne_bytes();
        }
        (generation != 0).then(|| Held {
            generation,
            sha256: Digest::from_bytes(sha256),
            rules: slot.rules.load(Acquire),
        })
    }

    /// Makes what already happened by the clock the state of the control block, so that its slot can be used again.
    pub fn settle(&self) {
        let word = self.control.active.load(Acquire);
        if word & u64::from(abi::PROVISIONAL) != 0 && self.in_force().pending.is_none() {
            let back = self.control.revert_to.load(Acquire);
            // When it is another word by now, somebody else has settled or confirmed it.
            let _ = self.control.active.compare_exchange(word, back, AcqRel, Acquire);
        }
    }

    /// Builds a policy beside the one in force. Nothing changes for decisions.
    pub fn stage(&self, policy: &Held, rules: &RuleSet) -> Result<Staged, EnforceError> {
        let slot = self.free_slot();
        let fields = self.control.slots.get(slot as usize).ok_or(EnforceError::Embedded("slot"))?;
        // Until it is complete it is nothing that anybody could go back to.
        fields.generation.store(0, Release);
        let filter = match self.attach {
            Attach::RawTracepoint => {
                self.set("trace_paths", kind::HASH, slot, &rules.paths)?;
                self.set("trace_trees", kind::LPM_TRIE, slot, &rules.prefixes)?;
                None
            }
            Attach::Lsm | Attach::ModifyReturn => {
                self.set("objects", kind::HASH, slot, &rules.objects)?;
                self.set("names", kind::HASH, slot, &rules.names)?;
                self.set("trees", kind::HASH, slot, &rules.trees)?;
                self.set("tree_names", kind::HASH, slot, &rules.tree_names)?;
                let filter = Filter::new(rules);
                self.set("filters", kind::HASH, slot, &filter.parts())?;
                Some(filter)
            }
        };
        self.set("cgroups", kind::HASH, slot, &rules.cgroups)?;
        // The kernel's own update of the outer maps waited for every program that could still see the slot's old
        // content (maybe_wait_bpf_programs, kernel v4.20), so nobody reads what is written here.
        fields.features.store(rules.features, Release);
        fields.tree_ops.store(rules.tree_ops, Release);
        fields.ops.store(rules.ops, Release);
        fields.rules.store(policy.rules, Release);
        for (word, bytes) in fields.sha256.iter().zip(policy.sha256.bytes().as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Release);
        }
        let (words, bits) = filter.as_ref().map_or((0, 0), Filter::measure);
        fields.filter_words.store(words, Release);
        fields.filter_bits.store(bits, Release);
        self.control.abi.store(abi::ABI_VERSION, Release);
        fields.generation.store(policy.generation, Release);
        Ok(Staged { slot, word: word(policy.generation, slot), filter })
    }

    /// A policy that the kernel still holds.
    pub fn find(&self, generation: u64, sha256: &Digest) -> Result<Option<Staged>, EnforceError> {
        let is_it = |held: Held| held.generation == generation && held.sha256 == *sha256;
        let Some(slot) = (0..abi::SLOTS).find(|slot| self.in_slot(*slot).is_some_and(is_it)) else {
            return Ok(None);
        };
        Ok(Some(Staged { slot, word: word(generation, slot), filter: self.filter_of(slot)? }))
    }

    /// What the filter has to hold for what is in a slot.
    fn filter_of(&self, slot: u32) -> Result<Option<Filter>, EnforceError> {
        if self.filter.is_none() {
            return Ok(None);
        }
        let parts = self.get("filters", slot)?;
        let fields = self.control.slots.get(slot as usize);
        let kept = fields.and_then(|fields| {
            let measure = (fields.filter_words.load(Acquire), fields.filter_bits.load(Acquire));
            Filter::kept(&parts, measure, fields.features.load(Acquire))
        });
        kept.map(Some).ok_or(EnforceError::ReadBack { map: "filters" })
    }

    /// What a map of a slot holds, in no order.
    fn get<K: Plain, V: Plain>(&self, name: &'static str, slot: u32) -> Result<Vec<(K, V)>, EnforceError> {
        let outer = self.outer(name)?;
        let read = || {
            let mut id = [0; 4];
            if !bpf::map_lookup(outer, &slot.to_ne_bytes(), &mut id)? {
                return Err(io::ErrorKind::NotFound.into());
            }
            let map = bpf::map_by_id(u32::from_ne_bytes(id))?;
            let room = bpf::map_info(map.as_fd())?.max_entries;
            content(map.as_fd(), room as usize)
        };
        read().map_err(|source| map_error(name, "read", source))
    }

    /// Whether the filter that every operation is put to still knows of the policy in a slot.
    pub(super) fn filter_holds(&self, slot: u32) -> bool {
        let (Some(hot), Some(fields)) = (self.hot(), self.control.slots.get(slot as usize)) else {
            return true;
        };
        let measure = (fields.filter_words.load(Acquire), fields.filter_bits.load(Acquire));
        hot.can_hold(measure, fields.features.load(Acquire))
    }

    fn hot(&self) -> Option<Hot<'_>> {
        self.filter.as_ref().map(|words| Hot { head: &self.control.filter, words })
    }

    /// Gives a slot back that was only tried.
    pub fn discard(&self, staged: &Staged) {
        if let Some(slot) = self.control.slots.get(staged.slot as usize) {
            slot.generation.store(0, Release);
        }
    }

    /// Makes a staged policy the one in force: for good, or until it is not confirmed in time. Cannot fail.
    pub fn activate(&self, staged: &Staged, provisional: Option<Duration>) {
        let mut word = staged.word;
        let filter = self.hot().zip(staged.filter.as_ref());
        if let Some((hot, filter)) = &filter {
            hot.widen(filter);
        }
        if let Some(time) = provisional {
            let end = u64::try_from((since_boot() + time).as_nanos()).unwrap_or(u64::MAX);
            self.control.revert_to.store(self.control.active.load(Acquire), Release);
            self.control.revert_at.store(end, Release);
            word |= u64::from(abi::PROVISIONAL);
        }
        self.control.active.store(word, Release);
        // On trial, the one before may come back at any instant.
        if let (Some((hot, filter)), None) = (filter, provisional) {
            hot.narrow(filter);
        }
    }

    /// Makes the provisional policy the one that stays; `false` when its time was over first.
    pub fn confirm(&self) -> bool {
        let word = self.control.active.load(Acquire);
        let provisional = u64::from(abi::PROVISIONAL);
        let confirmed = self.in_force().pending.is_some()
            && self.control.active.compare_exchange(word, word & !provisional, AcqRel, Acquire).is_ok();
        if confirmed && let (Some(slot), Some(hot)) = (slot_of(word & !provisional), self.hot()) {
            // Where it cannot be read, the filter holds more than it has to, until the next change.
            if let Ok(Some(filter)) = self.filter_of(slot) {
                hot.narrow(&filter);
            }
        }
        confirmed
    }

    pub(super) fn slot(staged: &Staged) -> u32 {
        staged.slot
    }

    /// The slots that decide, or are about to.
    pub(super) fn used(&self) -> [Option<u32>; 2] {
        let active = self.control.active.load(Acquire);
        let provisional = active & u64::from(abi::PROVISIONAL) != 0;
        let back = if provisional { self.control.revert_to.load(Acquire) } else { 0 };
        [slot_of(active), slot_of(back)]
    }

    /// A slot that neither decides nor is about to: an empty one, an older copy of the generation in force, or the
    /// oldest.
    fn free_slot(&self) -> u32 {
        let active = self.control.active.load(Acquire);
        let used = self.used();
        let free = (0..abi::SLOTS).filter(|slot| !used.contains(&Some(*slot)));
        let age = |slot: &u32| match self.in_slot(*slot) {
            None => 0,
            Some(held) if held.generation == active >> 8 => 1,
            Some(held) => 1 + held.generation,
        };
        free.min_by_key(age).unwrap_or(0)
    }

    fn set<K: Plain + Ord, V: Plain + PartialEq>(
        &self,
        name: &'static str,
        kind: u32,
        slot: u32,
        entries: &[(K, V)],
    ) -> Result<(), EnforceError> {
        let map = filled(name, kind, entries)?;
        self.keep(name, slot, map.as_fd()).map_err(|source| map_error(name, "kept", source))?;
        let fd = map.as_raw_fd();
        bpf::map_update(self.outer(name)?, &slot.to_ne_bytes(), &fd.to_ne_bytes(), 0)
            .map_err(|source| map_error(name, "updated", source))
    }

    pub(super) fn attach(&self) -> Attach {
        self.attach
    }

    /// The names of its maps of rule sets.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.sets.keys().copied()
    }

    pub(super) fn outer(&self, name: &'static str) -> Result<BorrowedFd<'_>, EnforceError> {
        self.sets.get(name).map(|map| map.as_fd()).ok_or(EnforceError::Embedded(name))
    }

    /// The ids of the maps, by which another process of root's reaches them where they are not pinned.
    pub fn ids(&self, control: BorrowedFd<'_>) -> io::Result<BTreeMap<String, u32>> {
        let sets = self.sets.iter().map(|(name, map)| (*name, map.as_fd()));
        let all = std::iter::once(("control", control)).chain(sets);
        all.map(|(name, map)| Ok((name.to_owned(), bpf::map_info(map)?.id))).collect()
    }
}

fn word(generation: u64, slot: u32) -> u64 {
    generation << 8 | u64::from(slot + 1)
}

fn slot_of(word: u64) -> Option<u32> {
    let slot = u32::try_from(word & u64::from(abi::PROVISIONAL - 1)).ok()?;
    slot.checked_sub(1).filter(|slot| *slot < abi::SLOTS)
}
