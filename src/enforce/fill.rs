//! Putting a rule set into the kernel: built beside the active one, read back, frozen, and made active by one store.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::atomic::Ordering,
};

use super::{EnforceError, Loaded, object::map_error};
use crate::{
    abi::{self, Plain},
    plan::RuleSet,
    sys::bpf::{self, MapSpec},
    tier::Attach,
};

impl Loaded {
    /// Makes `rules` the active policy and returns its generation. Until the last step the active policy is untouched.
    pub fn apply(&self, attach: Attach, rules: &RuleSet) -> Result<u64, EnforceError> {
        let active = self.control.active.load(Ordering::Acquire);
        let generation = (active >> 8) + 1;
        let slot = u32::try_from(generation % u64::from(abi::SLOTS)).unwrap_or(0);
        match attach {
            Attach::RawTracepoint => self.set("trace_paths", slot, &rules.paths)?,
            Attach::Lsm | Attach::ModifyReturn => {
                self.set("objects", slot, &rules.objects)?;
                self.set("names", slot, &rules.names)?;
            }
        }
        self.set("cgroups", slot, &rules.cgroups)?;
        let features = self.control.features.get(slot as usize).ok_or(EnforceError::Embedded("slot"))?;
        features.store(rules.features, Ordering::Release);
        self.control.abi.store(abi::ABI_VERSION, Ordering::Release);
        // The kernel's own update of the outer maps waited for every program that could still see the slot's old
        // content (maybe_wait_bpf_programs, kernel v4.20), so this store is all that is left.
        self.control.active.store(generation << 8 | u64::from(slot + 1), Ordering::Release);
        Ok(generation)
    }

    fn set<K: Plain, V: Plain + PartialEq>(
        &self,
        name: &'static str,
        slot: u32,
        entries: &[(K, V)],
    ) -> Result<(), EnforceError> {
        let map = filled(name, entries)?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&map);
        bpf::map_update(self.map(name)?, &slot.to_ne_bytes(), &fd.to_ne_bytes(), 0)
            .map_err(|source| map_error(name, "updated", source))
    }
}

fn filled<K: Plain, V: Plain + PartialEq>(
    name: &'static str,
    entries: &[(K, V)],
) -> Result<OwnedFd, EnforceError> {
    let count = u32::try_from(entries.len())
        .map_err(|_| map_error(name, "created", std::io::Error::from(std::io::ErrorKind::OutOfMemory)))?;
    let map = bpf::map_create(&MapSpec {
        name,
        kind: bpf::kind::HASH,
        key_size: u32::try_from(size_of::<K>()).unwrap_or(0),
        value_size: u32::try_from(size_of::<V>()).unwrap_or(0),
        max_entries: count.max(1),
        flags: 0,
        inner: None,
    })
    .map_err(|source| map_error(name, "created", source))?;
    if count > 0 {
        let keys: Vec<K> = entries.iter().map(|(key, _)| *key).collect();
        let values: Vec<V> = entries.iter().map(|(_, value)| *value).collect();
        bpf::map_update_batch(map.as_fd(), abi::bytes_of_slice(&keys), abi::bytes_of_slice(&values), count)
            .map_err(|source| map_error(name, "filled", source))?;
    }
    bpf::map_freeze(map.as_fd()).map_err(|source| map_error(name, "frozen", source))?;
    compare(name, map.as_fd(), entries)?;
    Ok(map)
}

/// Reads every entry back: what the kernel holds is what counts.
fn compare<K: Plain, V: Plain + PartialEq>(
    name: &'static str,
    map: BorrowedFd<'_>,
    entries: &[(K, V)],
) -> Result<(), EnforceError> {
    let mut bytes = vec![0; size_of::<V>()];
    for (key, value) in entries {
        let found = bpf::map_lookup(map, abi::bytes_of(key), &mut bytes)
            .map_err(|source| map_error(name, "read", source))?;
        if !found || bytes != abi::bytes_of(value) {
            return Err(EnforceError::ReadBack { map: name });
        }
    }
    Ok(())
}
