//! Making the maps of one rule set: as large as the policy needs, filled, frozen, and read back.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use super::{EnforceError, object::map_error};
use crate::{
    abi::{self, Plain},
    sys::bpf::{self, Batch, MapSpec},
};

/// Elements that are read back with one call.
const BATCH: u32 = 8192;

/// A map that holds these entries, sorted by key, and nothing else, and cannot be written any more.
pub(super) fn filled<K: Plain + Ord, V: Plain + PartialEq>(
    name: &'static str,
    kind: u32,
    entries: &[(K, V)],
) -> Result<OwnedFd, EnforceError> {
    let count = u32::try_from(entries.len())
        .map_err(|_| map_error(name, "created", io::Error::from(io::ErrorKind::OutOfMemory)))?;
    let map = bpf::map_create(&MapSpec {
        name,
        kind,
        key_size: u32::try_from(size_of::<K>()).unwrap_or(0),
        value_size: u32::try_from(size_of::<V>()).unwrap_or(0),
        max_entries: count.max(1),
        flags: if kind == bpf::kind::LPM_TRIE { bpf::NO_PREALLOC } else { 0 },
        inner: None,
    })
    .map_err(|source| map_error(name, "created", source))?;
    if count > 0 {
        let keys: Vec<K> = entries.iter().map(|(key, _)| *key).collect();
        let values: Vec<V> = entries.iter().map(|(_, value)| *value).collect();
        fill(map.as_fd(), kind, &keys, &values).map_err(|source| map_error(name, "filled", source))?;
    }
    bpf::map_freeze(map.as_fd()).map_err(|source| map_error(name, "frozen", source))?;
    let same = match kind {
        bpf::kind::LPM_TRIE => holds_each(map.as_fd(), entries),
        _ => holds_exactly(map.as_fd(), entries),
    };
    let same = same.map_err(|source| map_error(name, "read", source))?;
    if same { Ok(map) } else { Err(EnforceError::ReadBack { map: name }) }
}

fn fill<K: Plain, V: Plain>(map: BorrowedFd<'_>, kind: u32, keys: &[K], values: &[V]) -> io::Result<()> {
    if kind == bpf::kind::LPM_TRIE {
        // Tries take batches from v5.14 on only (f56407fa6e69).
        let mut each = keys.iter().zip(values);
        return each
            .try_for_each(|(key, value)| bpf::map_update(map, abi::bytes_of(key), abi::bytes_of(value), 0));
    }
    let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    bpf::map_update_batch(map, abi::bytes_of_slice(keys), abi::bytes_of_slice(values), count)
}

/// What the kernel holds is what counts: everything in the map, against everything that was meant.
fn holds_exactly<K: Plain + Ord, V: Plain + PartialEq>(
    map: BorrowedFd<'_>,
    entries: &[(K, V)],
) -> io::Result<bool> {
    let mut found = content(map, entries.len())?;
    found.sort_unstable_by_key(|(key, _)| *key);
    Ok(found == entries)
}

/// Everything in a hash map that has room for `count` entries, in no order.
pub(super) fn content<K: Plain, V: Plain>(map: BorrowedFd<'_>, count: usize) -> io::Result<Vec<(K, V)>> {
    let mut found: Vec<(K, V)> = Vec::with_capacity(count);
    let mut room = BATCH.min(u32::try_from(count.max(1)).unwrap_or(BATCH));
    let mut from = None;
    loop {
        let mut keys = vec![0; room as usize * size_of::<K>()];
        let mut values = vec![0; room as usize * size_of::<V>()];
        let mut batch = Batch { from, keys: &mut keys, values: &mut values, count: room };
        let (count_here, next) = match bpf::map_lookup_batch(map, &mut batch) {
            // One bucket holds more than there is room for.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < u32::MAX / 2 => {
                room *= 2;
                continue;
            }
            other => other?,
        };
        let (key_size, value_size) = (size_of::<K>(), size_of::<V>());
        let pairs = keys.chunks_exact(key_size).zip(values.chunks_exact(value_size));
        found.extend(
            pairs
                .take(count_here as usize)
                .filter_map(|(key, value)| Some((abi::read(key)?, abi::read(value)?))),
        );
        match next {
            Some(next) if found.len() <= count => from = Some(next),
            _ => return Ok(found),
        }
    }
}

fn holds_each<K: Plain, V: Plain>(map: BorrowedFd<'_>, entries: &[(K, V)]) -> io::Result<bool> {
    let mut bytes = vec![0; size_of::<V>()];
    for (key, value) in entries {
        if !bpf::map_lookup(map, abi::bytes_of(key), &mut bytes)? || bytes != abi::bytes_of(value) {
            return Ok(false);
        }
    }
    Ok(true)
}
