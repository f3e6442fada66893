//! What lies among our pins and is none of them. Nothing of it is taken over, and nothing of it is removed.

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use super::{
    Bank, EnforceError,
    pins::{ENROL, LEDGER, LINKS, MAPS, NEW, PROGRAMS, list, refused},
};
use crate::{
    sys::bpf::{self, Object},
    tier::{Attach, TIERS},
};

/// Maps beside those of the rule sets that later runs share.
const SHARED: [&str; 6] = ["control", "counters", "enrolled", "events", "filter", LEDGER];

/// Directories that another version could have made: named by a number alone.
pub(super) fn other_versions(root: &Path, ours: &Path) -> Result<Vec<PathBuf>, EnforceError> {
    Ok(list(root)?.into_iter().filter(|path| path != ours && is_version(path)).collect())
}

/// Everything below `root` that no run of ours made there, of this version or, as far as can be told, of another.
pub(super) fn strangers(root: &Path, ours: &Path) -> Result<Vec<PathBuf>, EnforceError> {
    let mut found = Vec::new();
    for version in list(root)? {
        if !is_version(&version) {
            found.push(version);
            continue;
        }
        for dir in list(&version)? {
            let object = match dir.file_name().and_then(OsStr::to_str) {
                Some(MAPS) => Object::Map,
                Some(PROGRAMS) => Object::Program,
                Some(LINKS) => Object::Link,
                _ => {
                    found.push(dir);
                    continue;
                }
            };
            if !dir.is_dir() {
                found.push(dir);
                continue;
            }
            for pin in list(&dir)? {
                let known = if version == ours { is_ours(&pin, object, ours)? } else { is_file(&pin) };
                if !known {
                    found.push(pin);
                }
            }
        }
    }
    Ok(found)
}

fn is_version(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.parse::<u32>().is_ok() && path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// What is pinned is a regular file; a BPF file system also takes directories and links to elsewhere.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
}

/// A pin of the right kind under a name that we give; or a link beside its own program, as a hook leaves them that this
/// version does not have.
fn is_ours(path: &Path, object: Object, dir: &Path) -> Result<bool, EnforceError> {
    if !is_file(path) {
        return Ok(false);
    }
    let pin = open(path)?;
    let found = bpf::object(pin.as_fd()).map_err(|source| failed(path, source))?;
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = name.strip_prefix(NEW).unwrap_or(name);
    Ok(found == Some(object)
        && match object {
            Object::Map => SHARED.contains(&name) || Bank::sets(Attach::Lsm).contains(&name),
            Object::Program => name == ENROL || is_hook(name) || is_pair(dir, name)?,
            Object::Link => is_hook(name) || is_pair(dir, name)?,
        })
}

fn is_hook(name: &str) -> bool {
    TIERS.iter().flat_map(|tier| tier.hooks).any(|hook| hook.name == name)
}

fn is_pair(dir: &Path, name: &str) -> Result<bool, EnforceError> {
    let (link, program) = (dir.join(LINKS).join(name), dir.join(PROGRAMS).join(name));
    if !is_file(&link) || !is_file(&program) {
        return Ok(false);
    }
    let linked = bpf::link_program(open(&link)?.as_fd()).map_err(|source| failed(&link, source))?;
    let pinned = bpf::program_info(open(&program)?.as_fd()).map_err(|source| failed(&program, source))?;
    Ok(linked == pinned.id)
}

fn open(path: &Path) -> Result<OwnedFd, EnforceError> {
    bpf::open_pin(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> EnforceError {
    refused(path, "looked at", source)
}
