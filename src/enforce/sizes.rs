//! How much of the kernel's memory the pinned maps take, and how full they are.

use std::{
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    path::Path,
};

use super::{
    Bank, EnforceError, Pins,
    object::map_error,
    pins::{MAPS, list},
};
use crate::{
    abi,
    sys::{bpf, files},
};

/// A pinned map. Of those that hold rules: all that are kept under its name, one for each policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSize {
    /// Its name.
    pub name: String,
    /// What the policy in force has in it, and how much that can be; `None` for maps that hold no rules.
    pub filled: Option<(u64, u64)>,
    /// Bytes in the kernel; `None` where it does not say.
    pub bytes: Option<u64>,
}

impl Pins {
    /// The size of each pinned map; none when nothing is pinned. Needs `CAP_SYS_ADMIN` to look into maps of maps.
    pub fn sizes(&self) -> Result<Vec<MapSize>, EnforceError> {
        let Some(pinned) = self.look()? else { return Ok(Vec::new()) };
        let mut sizes = Vec::new();
        for path in list(&self.dir().join(MAPS))? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            sizes.push(match pinned.bank.names().find(|known| *known == name) {
                Some(known) => of_rules(&pinned.bank, known)?,
                None => of_one(&path, name)?,
            });
        }
        Ok(sizes)
    }
}

fn of_one(path: &Path, name: &str) -> Result<MapSize, EnforceError> {
    let map = bpf::open_pin(path);
    let map = map.map_err(|source| EnforceError::Pin { path: path.to_owned(), action: "opened", source })?;
    Ok(MapSize { name: name.to_owned(), filled: None, bytes: memory(map.as_fd()) })
}

/// Of the policy in force, how full the map is; of all policies that the kernel holds, how much memory they take.
fn of_rules(bank: &Bank, name: &'static str) -> Result<MapSize, EnforceError> {
    let outer = bank.outer(name)?;
    let failed = |source| map_error(name, "read", source);
    let mut size = MapSize { name: name.to_owned(), filled: Some((0, 0)), bytes: memory(outer) };
    for slot in 0..abi::SLOTS {
        let mut id = [0; 4];
        if !bpf::map_lookup(outer, &slot.to_ne_bytes(), &mut id).map_err(failed)? {
            continue;
        }
        let map = bpf::map_by_id(u32::from_ne_bytes(id));
        let map = map.map_err(|source| map_error(name, super::BY_ID, source))?;
        size.bytes = size.bytes.zip(memory(map.as_fd())).map(|(all, one)| all.saturating_add(one));
        if bank.used().first() == Some(&Some(slot)) {
            size.filled = Some(fill_of(map.as_fd()).map_err(failed)?);
        }
    }
    Ok(size)
}

/// How much memory a map takes, in bytes; before v6.4 an estimate.
fn memory(map: BorrowedFd<'_>) -> Option<u64> {
    let info =
        files::read(Path::new(&format!("/proc/self/fdinfo/{}", map.as_raw_fd())), 64 * 1024).ok()??;
    let info = String::from_utf8(info).ok()?;
    info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
}

/// A map is made as large as its rules need (`fill::filled`), but for one without any, which has room for one all the same.
fn fill_of(map: BorrowedFd<'_>) -> std::io::Result<(u64, u64)> {
    let info = bpf::map_info(map)?;
    let mut key = vec![0; info.key_size as usize];
    let empty = info.max_entries == 1 && !bpf::map_next_key(map, None, &mut key)?;
    Ok((if empty { 0 } else { info.max_entries.into() }, info.max_entries.into()))
}
