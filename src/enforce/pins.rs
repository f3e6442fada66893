//! What outlives the agent: maps, programs and links pinned under `<bpffs>/aegisbpf/<abi>/`.
//!
//! A pin is taken over only when it is what it has to be. New links are attached beside the old ones and renamed over
//! their pins once proven, so that a hook is never without a program.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use aya_obj::generated::bpf_prog_info;

use super::{Attached, Bank, EnforceError, Enrolment, Ledger, Loaded, foreign};
use crate::{
    abi,
    sys::bpf::{self, MapSpec},
    tier::{Attach, TIERS, Tier},
};

pub(super) const MAPS: &str = "maps";
pub(super) const LINKS: &str = "links";
pub(super) const PROGRAMS: &str = "programs";
pub(super) const LEDGER: &str = "ledger";
/// The program with which paths are enrolled: attached to nothing, and pinned for whoever changes the policy.
pub(super) const ENROL: &str = "enrol";
/// Stands before the name of a pin on its way there. A BPF file system refuses names with a dot.
pub(super) const NEW: &str = "new-";

/// The directory of our pins.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
    dir: PathBuf,
}

/// What is pinned and in force, whoever started it.
#[derive(Debug)]
pub struct Pinned {
    /// The control block and the rule sets.
    pub bank: Bank,
    /// The tier whose programs are attached.
    pub tier: Option<&'static Tier>,
    /// Hooks with a pinned link of the pinned program.
    pub hooks: Vec<String>,
    /// How many decisions were not made at most, because the kernel skipped both copies of a hook's program.
    pub skipped: u64,
}

impl Pins {
    /// The pins of this version below a BPF file system.
    pub fn below(bpffs: &Path) -> Self {
        let root = bpffs.join("aegisbpf");
        let dir = root.join(abi::ABI_VERSION.to_string());
        Self { root, dir }
    }

    /// The directory that holds the pins of every version.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether any link is pinned: enforcement that does not depend on a process.
    pub fn in_force(&self) -> Result<bool, EnforceError> {
        Ok(!list(&self.dir.join(LINKS))?.is_empty())
    }

    /// Refuses pinned state of another version, and what is not ours at all.
    pub fn check(&self) -> Result<(), EnforceError> {
        if let Some(other) = foreign::other_versions(&self.root, &self.dir)?.first() {
            return Err(EnforceError::Incompatible {
                path: other.clone(),
                reason: format!("pinned by another version; this one pins under {}", abi::ABI_VERSION),
            });
        }
        match foreign::strangers(&self.root, &self.dir)?.into_iter().next() {
            None => Ok(()),
            Some(path) => Err(EnforceError::Foreign { path }),
        }
    }

    /// Makes everything outlive this process: maps, then programs and links. A first run that fails here leaves
    /// nothing; a later one leaves its predecessor.
    pub fn keep(
        &self,
        loaded: &Loaded,
        attached: &[Attached],
        enrolment: Option<&Enrolment>,
    ) -> Result<(), EnforceError> {
        let first = !self.in_force()?;
        let kept = self
            .make_dirs()
            .and_then(|()| self.keep_maps(loaded))
            .and_then(|()| self.keep_ledger())
            .and_then(|()| self.publish(attached, enrolment));
        if kept.is_err() && first {
            // The first error is the one to report.
            drop(self.remove_all());
        }
        kept
    }

    fn make_dirs(&self) -> Result<(), EnforceError> {
        for dir in [self.dir.clone(), self.dir.join(MAPS), self.dir.join(LINKS), self.dir.join(PROGRAMS)] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(|source| EnforceError::Pin { path: dir.clone(), action: "created", source })?;
        }
        let closed = fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700));
        closed.map_err(|source| EnforceError::Pin {
            path: self.root.clone(),
            action: "closed to others",
            source,
        })
    }

    /// Opens a pinned map and compares its shape, or makes it. It is pinned by [`Self::keep`].
    pub(super) fn map(
        &self,
        name: &str,
        create: &dyn Fn() -> Result<OwnedFd, EnforceError>,
        shape: &MapSpec<'_>,
    ) -> Result<OwnedFd, EnforceError> {
        let path = self.dir.join(MAPS).join(name);
        match bpf::open_pin(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(),
            Err(source) => Err(refused(&path, "opened", source)),
            Ok(map) => checked(map, &path, shape),
        }
    }

    /// A map that has to be there.
    fn pinned_map(&self, name: &str, shape: &MapSpec<'_>) -> Result<OwnedFd, EnforceError> {
        let path = self.dir.join(MAPS).join(name);
        let map = bpf::open_pin(&path).map_err(|source| refused(&path, "opened", source))?;
        checked(map, &path, shape)
    }

    /// What enrols paths for the pinned programs.
    pub fn enrolment(&self) -> Result<Enrolment, EnforceError> {
        let path = self.dir.join(PROGRAMS).join(ENROL);
        let program = bpf::open_pin(&path).map_err(|source| refused(&path, "opened", source))?;
        let shape = MapSpec {
            value_size: u32::try_from(size_of::<abi::Enrolled>()).unwrap_or(0),
            ..Bank::shape("control")
        };
        Ok(Enrolment { program, enrolled: self.pinned_map("enrolled", &shape)? })
    }

    /// What user space keeps beside the maps of the programs; `None` when nothing is pinned.
    pub fn ledger(&self) -> Result<Option<Ledger>, EnforceError> {
        let path = self.dir.join(MAPS).join(LEDGER);
        match bpf::open_pin(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(refused(&path, "opened", source)),
            Ok(map) => Ledger::new(&checked(map, &path, &Ledger::shape())?).map(Some),
        }
    }

    pub(super) fn ledger_map(&self) -> Result<OwnedFd, EnforceError> {
        self.pinned_map(LEDGER, &Ledger::shape())
    }

    fn keep_ledger(&self) -> Result<(), EnforceError> {
        let path = self.dir.join(MAPS).join(LEDGER);
        if path.symlink_metadata().is_ok() {
            return self.ledger().map(drop);
        }
        let map = bpf::map_create(&MapSpec { name: LEDGER, ..Ledger::shape() });
        let pinned = map.and_then(|map| bpf::pin(map.as_fd(), &path));
        pinned.map_err(|source| EnforceError::Pin { path, action: "made", source })
    }

    /// Pins the maps that are not pinned yet.
    fn keep_maps(&self, loaded: &Loaded) -> Result<(), EnforceError> {
        for (name, map) in loaded.shared_maps() {
            let path = self.dir.join(MAPS).join(name);
            match bpf::pin(map, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(EnforceError::Pin { path, action: "made", source }),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Makes the attached programs outlive this process, each in place of its predecessor. A hook's new program is
    /// attached before its old link goes, so there is no gap; a crash on the way leaves both.
    fn publish(&self, attached: &[Attached], enrolment: Option<&Enrolment>) -> Result<(), EnforceError> {
        if let Some(enrolment) = enrolment {
            replace(&self.dir.join(PROGRAMS).join(ENROL), enrolment.program.as_fd())?;
        }
        for one in attached {
            replace(&self.dir.join(PROGRAMS).join(one.hook.name), one.program.as_fd())?;
            replace(&self.dir.join(LINKS).join(one.hook.name), one.link.as_fd())?;
        }
        let names: Vec<&OsStr> = attached.iter().map(|one| OsStr::new(one.hook.name)).collect();
        for kind in [LINKS, PROGRAMS] {
            let pinned = list(&self.dir.join(kind))?;
            for stale in pinned
                .iter()
                .filter(|path| path.file_name().is_none_or(|name| !names.contains(&name) && name != ENROL))
            {
                remove(stale)?;
            }
        }
        Ok(())
    }

    /// What is in force, or `None` when nothing is pinned. Fails when this process may not look, and where something is
    /// pinned that it does not know.
    pub fn look(&self) -> Result<Option<Pinned>, EnforceError> {
        self.check()?;
        self.ours()
    }

    fn ours(&self) -> Result<Option<Pinned>, EnforceError> {
        let path = self.dir.join(MAPS).join("control");
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EnforceError::Pin { path, action: "opened", source }),
            Ok(_) => {}
        }
        let bank = Bank::new(Attach::Lsm, &|name| self.pinned_map(name, &Bank::shape(name)))?;
        let links = list(&self.dir.join(LINKS))?;
        let mut pinned = Pinned { bank, tier: None, hooks: Vec::new(), skipped: 0 };
        let mut misses = BTreeMap::new();
        for hook in links.iter().filter_map(|path| path.file_name()?.to_str()) {
            let Some(program) = self.linked(hook) else { continue };
            misses.insert(hook, program.recursion_misses);
            pinned.tier = pinned.tier.or_else(|| tier_of(program.type_));
            pinned.hooks.push(hook.to_owned());
        }
        pinned.skipped = undecided(&misses);
        Ok(Some(pinned))
    }

    /// The program of a hook, when the link beside it is its own. What somebody else put in the place of one of the two
    /// enforces nothing. While a run replaces both they disagree for an instant.
    fn linked(&self, hook: &str) -> Option<bpf_prog_info> {
        let program = bpf::open_pin(&self.dir.join(PROGRAMS).join(hook)).ok()?;
        let program = bpf::program_info(program.as_fd()).ok()?;
        let link = bpf::open_pin(&self.dir.join(LINKS).join(hook)).ok()?;
        (bpf::link_program(link.as_fd()).ok()? == program.id).then_some(program)
    }

    /// Ends enforcement: removes every pin of ours, of any version, and the directories. Returns what was removed; fails
    /// when it has done so and something of others lies between.
    pub fn remove_all(&self) -> Result<Vec<PathBuf>, EnforceError> {
        // The kernel takes programs down some time after their last pin is gone; from here on they refuse nothing.
        if let Ok(Some(pinned)) = self.ours() {
            pinned.bank.control.mode.store(abi::MODE_OFF, Ordering::Release);
            pinned.bank.disarm();
        }
        let strangers = foreign::strangers(&self.root, &self.dir)?;
        let mut removed = Vec::new();
        let mut versions = foreign::other_versions(&self.root, &self.dir)?;
        versions.push(self.dir.clone());
        let free = |dir: &Path| !strangers.iter().any(|stranger| stranger.starts_with(dir));
        // Links first: from then on nothing is denied, so nothing half-denied remains if a later step fails.
        for kind in [LINKS, PROGRAMS, MAPS] {
            for dir in
                versions.iter().map(|version| version.join(kind)).filter(|dir| !strangers.contains(dir))
            {
                for path in list(&dir)?.into_iter().filter(|path| !strangers.contains(path)) {
                    remove(&path)?;
                    removed.push(path);
                }
                if free(&dir) {
                    remove_dir(&dir)?;
                }
            }
        }
        for dir in versions.iter().chain([&self.root]).filter(|dir| free(dir)) {
            remove_dir(dir)?;
        }
        match strangers.into_iter().next() {
            None => Ok(removed),
            Some(path) => Err(EnforceError::Foreign { path }),
        }
    }
}

/// A map that is what it has to be.
pub(super) fn checked(map: OwnedFd, path: &Path, shape: &MapSpec<'_>) -> Result<OwnedFd, EnforceError> {
    let found = bpf::map_info(map.as_fd()).map_err(|source| EnforceError::Pin {
        path: path.to_owned(),
        action: "read",
        source,
    })?;
    let properties = [
        ("type", shape.kind, found.type_),
        ("key size", shape.key_size, found.key_size),
        ("value size", shape.value_size, found.value_size),
        ("capacity", shape.max_entries, found.max_entries),
        ("flags", shape.flags, found.map_flags),
    ];
    match properties.into_iter().find(|(_, wanted, found)| wanted != found) {
        None => Ok(map),
        Some((property, wanted, found)) => {
            let reason = format!("the pinned map has {property} {found}, this version needs {wanted}");
            Err(EnforceError::Incompatible { path: path.to_owned(), reason })
        }
    }
}

/// From how often each program was skipped, how many decisions can have been lost: an operation is undecided when both
/// copies are skipped for it. A program without a second copy is never skipped.
fn undecided(misses: &BTreeMap<&str, u64>) -> u64 {
    let pairs = misses
        .iter()
        .filter_map(|(hook, first)| Some((first, misses.get(format!("{hook}_again").as_str())?)));
    pairs.map(|(first, second)| *first.min(second)).sum()
}

fn tier_of(program_type: u32) -> Option<&'static Tier> {
    use aya_obj::generated::bpf_prog_type;
    let attach = match program_type {
        kind if kind == bpf_prog_type::BPF_PROG_TYPE_LSM as u32 => Attach::Lsm,
        kind if kind == bpf_prog_type::BPF_PROG_TYPE_TRACING as u32 => Attach::ModifyReturn,
        _ => return None,
    };
    TIERS.iter().find(|tier| tier.attach == attach)
}

fn remove(path: &Path) -> Result<(), EnforceError> {
    fs::remove_file(path).map_err(|source| refused(path, "removed", source))
}

/// What is refused with EPERM to a process that may make maps is refused by the self-guard.
pub(super) fn refused(path: &Path, action: &'static str, source: io::Error) -> EnforceError {
    let path = path.to_owned();
    let bare = MapSpec { kind: bpf::kind::ARRAY, value_size: 4, max_entries: 1, ..Bank::shape("control") };
    let bare = MapSpec { name: "aegis_trial", flags: 0, ..bare };
    if source.raw_os_error() == Some(libc::EPERM) && bpf::map_create(&bare).is_ok() {
        return EnforceError::Guarded { path };
    }
    EnforceError::Pin { path, action, source }
}

fn remove_dir(path: &Path) -> Result<(), EnforceError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => {
            other.map_err(|source| EnforceError::Pin { path: path.to_owned(), action: "removed", source })
        }
    }
}

/// Pins under a name on the way and renames it over what was there.
fn replace(path: &Path, object: BorrowedFd<'_>) -> Result<(), EnforceError> {
    let mut name = OsString::from(NEW);
    name.push(path.file_name().unwrap_or_default());
    let new = path.with_file_name(name);
    if new.symlink_metadata().is_ok() {
        remove(&new)?;
    }
    bpf::pin(object, &new).map_err(|source| EnforceError::Pin {
        path: new.clone(),
        action: "made",
        source,
    })?;
    fs::rename(&new, path).map_err(|source| EnforceError::Pin {
        path: path.to_owned(),
        action: "replaced",
        source,
    })
}

/// What a directory holds; nothing when it does not exist. Not being allowed to look is an error: it must not pass for
/// an empty directory.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, EnforceError> {
    let failed = |source| EnforceError::Pin { path: dir.to_owned(), action: "listed", source };
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_lost_when_both_copies_are_skipped() {
        let lost = |misses: &[(&'static str, u64)]| undecided(&misses.iter().copied().collect());
        assert_eq!(lost(&[("file_open", 7), ("file_open_again", 0)]), 0);
        assert_eq!(lost(&[("file_open", 0), ("file_open_again", 2)]), 0, "the first ran each time");
        assert_eq!(lost(&[("file_open", 7), ("file_open_again", 2), ("inode_link", 1)]), 2);
    }
}
