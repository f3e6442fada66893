//! What user space keeps in the kernel, so that losing the state directory is noticed: the end of the audit log, the
//! highest policy version, the latest time. A map of its own beside those of the programs, which do not know of it.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::Ordering::{Acquire, Release},
};

use super::{Bank, EnforceError, object::map_error};
use crate::{
    abi,
    policy::Digest,
    sys::{bpf::MapSpec, map::Mapped},
};

/// The content of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The highest `policy_version=` that was accepted.
    pub policy_version: u64,
    /// The latest time that was seen, seconds since 1970.
    pub last_seen: u64,
    /// Number and hash of the last entry of the audit log.
    pub audit: Option<(u64, Digest)>,
}

/// The ledger, mapped: a sandboxed agent reads and writes it without a system call.
#[derive(Debug)]
pub struct Ledger(Mapped<abi::Ledger>);

impl Ledger {
    /// What its map has to be.
    pub(super) fn shape() -> MapSpec<'static> {
        let value_size = u32::try_from(size_of::<abi::Ledger>()).unwrap_or(0);
        MapSpec { value_size, ..Bank::shape("control") }
    }

    pub(super) fn new(map: &OwnedFd) -> Result<Self, EnforceError> {
        Mapped::new(map.as_fd()).map(Self).map_err(|source| map_error("ledger", "mapped", source))
    }

    /// What it holds; zeros where it was never written, or by another version.
    pub fn read(&self) -> Page {
        if self.0.version.load(Acquire) != abi::LEDGER_VERSION {
            return Page::default();
        }
        let Some(page) = self.0.pages.get(self.0.page.load(Acquire) as usize) else { return Page::default() };
        let mut sha256 = [0; 32];
        for (bytes, word) in sha256.as_chunks_mut().0.iter_mut().zip(&page.audit_head) {
            *bytes = word.load(Acquire).to_ne_bytes();
        }
        let seq = page.audit_seq.load(Acquire);
        Page {
            policy_version: page.policy_version.load(Acquire),
            last_seen: page.last_seen.load(Acquire),
            audit: (seq != 0).then(|| (seq, Digest::from_bytes(sha256))),
        }
    }

    /// Writes it as a whole. The caller holds the lock of the audit log.
    pub fn write(&self, new: &Page) {
        let other = u32::from(self.0.page.load(Acquire) == 0);
        let Some(page) = self.0.pages.get(other as usize) else { return };
        page.policy_version.store(new.policy_version, Release);
        page.last_seen.store(new.last_seen, Release);
        let (seq, sha256) = new.audit.unwrap_or((0, Digest::from_bytes([0; 32])));
        for (word, bytes) in page.audit_head.iter().zip(sha256.bytes().as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Release);
        }
        page.audit_seq.store(seq, Release);
        self.0.page.store(other, Release);
        self.0.version.store(abi::LEDGER_VERSION, Release);
    }
}
