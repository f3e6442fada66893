//! Events and counters, read from the kernel.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
};

use aya::maps::{Map, MapData, RingBuf};
use serde::Serialize;

use super::{EnforceError, Loaded, object::map_error};
use crate::{abi, sys::bpf};

/// The ring buffer's reading end. Readable (as a descriptor) when there is something to read.
pub struct Reader {
    ring: RingBuf<MapData>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("fd", &self.ring.as_raw_fd()).finish()
    }
}

impl Reader {
    /// Opens the ring buffer. Events that an earlier run left unread come first.
    pub fn new(loaded: &Loaded) -> Result<Self, EnforceError> {
        let fd = loaded
            .map("events")?
            .try_clone_to_owned()
            .map_err(|source| map_error("events", "opened", source))?;
        let ring = RingBuf::try_from(Map::RingBuf(MapData::from_fd(fd)?))?;
        Ok(Self { ring })
    }

    /// Hands the next record to `take`; `false` when there is none.
    pub fn next(&mut self, take: impl FnOnce(&[u8])) -> bool {
        match self.ring.next() {
            Some(record) => {
                take(&record);
                true
            }
            None => false,
        }
    }
}

impl AsRawFd for Reader {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

impl std::os::fd::AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
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
    /// Reads the counters of a prepared object.
    pub fn of(loaded: &Loaded) -> Result<Self, EnforceError> {
        Self::read(loaded.map("counters")?).map_err(|source| map_error("counters", "read", source))
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
