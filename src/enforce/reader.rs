//! What an agent reads once its programs are at work: events, counters, rule sets.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use serde::Serialize;

use super::{Bank, EnforceError, Loaded, object::map_error};
use crate::{
    abi,
    sys::{bpf, ring::Ring},
    tier::Attach,
};

const EVENTS: &str = "events";
const COUNTERS: &str = "counters";

/// What is kept of what was loaded, once that is at work: the code of the programs takes more memory than all the rest.
#[derive(Debug)]
pub struct Kept {
    /// The control block and the rule sets.
    pub bank: Bank,
    /// Ids of the maps that hold the rules, where they are not pinned.
    pub maps: BTreeMap<String, u32>,
    events: OwnedFd,
    counters: OwnedFd,
}

impl Kept {
    /// The same maps once more, so that what was loaded can go.
    pub fn of(loaded: &Loaded) -> Result<Self, EnforceError> {
        let open = |name: &'static str| {
            loaded.map(name)?.try_clone_to_owned().map_err(|source| map_error(name, "opened", source))
        };
        let attach = loaded.bank.attach();
        let unpinned = attach == Attach::RawTracepoint;
        Ok(Self {
            bank: Bank::new(attach, &open)?,
            maps: if unpinned { loaded.map_ids()? } else { BTreeMap::new() },
            events: open(EVENTS)?,
            counters: open(COUNTERS)?,
        })
    }
}

/// The ring buffer's reading end. Readable (as a descriptor) when there is something to read.
#[derive(Debug)]
pub struct Reader {
    ring: Ring,
    map: OwnedFd,
}

impl Reader {
    /// Opens the ring buffer. Events that an earlier run left unread come first.
    pub fn new(kept: &Kept) -> Result<Self, EnforceError> {
        let map = kept.events.try_clone().map_err(|source| map_error(EVENTS, "opened", source))?;
        let ring = Ring::new(map.as_fd()).map_err(|source| map_error(EVENTS, "mapped", source))?;
        Ok(Self { ring, map })
    }

    /// Hands the next record to `take`; `false` when there is none.
    pub fn next(&mut self, take: impl FnOnce(&[u8])) -> Result<bool, EnforceError> {
        self.ring.next(take).map_err(|source| map_error(EVENTS, "read", source))
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

/// What the programs counted, summed over all CPUs, since the maps were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Operations refused.
    pub denied: u64,
    /// Operations that enforce mode would have refused.
    pub would_deny: u64,
    /// Operations that matched a rule in an allow-listed cgroup.
    pub allowed_cgroup: u64,
    /// Events handed to the ring buffer.
    pub submitted: u64,
    /// Events that found it full.
    pub lost: u64,
}

impl Counters {
    /// Reads the counters of this process's programs.
    pub fn of(kept: &Kept) -> Result<Self, EnforceError> {
        Self::read(kept.counters.as_fd()).map_err(|source| map_error(COUNTERS, "read", source))
    }

    /// Reads a counter map.
    pub(super) fn read(map: BorrowedFd<'_>) -> io::Result<Self> {
        let cpus = possible_cpus()?;
        let mut values = vec![0; cpus * size_of::<u64>()];
        let mut sum = |counter: u32| -> io::Result<u64> {
            bpf::map_lookup(map, &counter.to_ne_bytes(), &mut values)?;
            let words = values.as_chunks().0.iter();
            Ok(words.map(|word| u64::from_ne_bytes(*word)).fold(0, u64::wrapping_add))
        };
        Ok(Self {
            denied: sum(abi::COUNT_DENIED)?,
            would_deny: sum(abi::COUNT_WOULD_DENY)?,
            allowed_cgroup: sum(abi::COUNT_ALLOWED_CGROUP)?,
            submitted: sum(abi::COUNT_SUBMITTED)?,
            lost: sum(abi::COUNT_LOST)?,
        })
    }
}

/// A per-CPU value has one part for each CPU that could ever be plugged in.
fn possible_cpus() -> io::Result<usize> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    usize::try_from(cpus.get()).map_err(|_| io::ErrorKind::InvalidData.into())
}
