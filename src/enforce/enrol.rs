//! What the kernel sees of a path. `stat(2)` numbers are not what hooks see on btrfs or overlayfs, so a small program
//! records device, inode number and generation while this thread asks for the attributes of the path.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use super::{EnforceError, Loaded, object::map_error};
use crate::{
    abi,
    kernel::Kernel,
    plan::{Identity, PathIdentity, Place},
    sys::{bpf, map::Mapped},
    tier::Tier,
};

/// The enrolment program and the memory it writes to.
#[derive(Debug)]
pub struct Enrolment {
    pub(super) program: OwnedFd,
    pub(super) enrolled: OwnedFd,
}

/// Attached while it lives. Use it from the thread that made it, one at a time on a host: the kernel's answers come
/// through memory that all share.
#[derive(Debug)]
pub struct Enroller {
    attached: Option<Attached>,
    /// Directories that were looked at: most rules share theirs.
    directories: RefCell<BTreeMap<PathBuf, Option<(PathBuf, Identity)>>>,
}

#[derive(Debug)]
struct Attached {
    enrolled: Mapped<abi::Enrolled>,
    /// The thread that asks.
    tid: u32,
    enrolment: Enrolment,
    _link: OwnedFd,
}

/// A skipped program (v5.12, `ca06f55b9002`: another task was preempted in it) is asked again this often.
const TRIES: u32 = 8;

impl Enroller {
    /// Attaches the enrolment program of the tier; in a tier without one, paths are only resolved.
    pub fn new(kernel: &Kernel, tier: &Tier, loaded: &Loaded) -> Result<Self, EnforceError> {
        let Some(enrol) = tier.enrol else { return Ok(Self::without()) };
        let program = loaded.load(kernel, enrol.program, enrol.target)?;
        let enrolled = loaded.map("enrolled")?.try_clone_to_owned();
        let enrolled = enrolled.map_err(|source| map_error("enrolled", "opened", source))?;
        Self::attach(kernel, Enrolment { program, enrolled })
    }

    /// Looks at paths without asking the kernel for identities.
    pub fn without() -> Self {
        Self { attached: None, directories: RefCell::default() }
    }

    /// Attaches a program that is loaded.
    pub fn attach(kernel: &Kernel, enrolment: Enrolment) -> Result<Self, EnforceError> {
        let enrolled: Mapped<abi::Enrolled> = Mapped::new(enrolment.enrolled.as_fd())
            .map_err(|source| map_error("enrolled", "mapped", source))?;
        let tid = kernel
            .identity()
            .and_then(crate::kernel::Identity::of_this_thread)
            .map_err(|source| EnforceError::Proof { step: "asking for this thread's id", source })?;
        let link = bpf::raw_tracepoint_open(None, enrolment.program.as_fd())
            .map_err(|source| EnforceError::HookRefused { hook: "inode_getattr", source })?;
        let attached = Attached { enrolled, tid, enrolment, _link: link };
        Ok(Self { attached: Some(attached), directories: RefCell::default() })
    }

    /// The program and its memory, for whoever enrols later.
    pub fn enrolment(&self) -> Option<&Enrolment> {
        self.attached.as_ref().map(|attached| &attached.enrolment)
    }

    /// The program.
    pub(super) fn program(&self) -> Option<BorrowedFd<'_>> {
        self.enrolment().map(|enrolment| enrolment.program.as_fd())
    }

    /// Where in the kernel what was looked at last is: addresses of its dentry and of its mount.
    pub(super) fn place(&self) -> (u64, u64) {
        self.attached.as_ref().map_or((0, 0), |Attached { enrolled, .. }| {
            (enrolled.dentry.load(Ordering::Acquire), enrolled.mount.load(Ordering::Acquire))
        })
    }

    /// Looks at a path, following links: the file that is there, and the places that the path names.
    pub fn path(&self, path: &Path) -> Result<PathIdentity, EnforceError> {
        if self.attached.is_none() {
            let resolved = existing(path, fs::canonicalize(path))?;
            let directory = resolved.as_deref().is_some_and(Path::is_dir);
            return Ok(PathIdentity { resolved, directory, ..PathIdentity::default() });
        }
        let mut places = Vec::new();
        // As it is written, and, where its end is a link, where that leads to.
        let (written, file) = self.at(path)?;
        let (written, file) = match file {
            Some((full, _, metadata)) if metadata.is_symlink() => {
                places.extend(written);
                match existing(&full, fs::canonicalize(&full))? {
                    Some(target) => self.at(&target)?,
                    None => (None, None),
                }
            }
            file => (written, file),
        };
        if let Some(place) = written
            && !places.contains(&place)
        {
            places.push(place);
        }
        let Some((resolved, identity, metadata)) = file else {
            return Ok(PathIdentity { places, ..PathIdentity::default() });
        };
        let directory = metadata.is_dir();
        Ok(PathIdentity { identity: Some(identity), resolved: Some(resolved), directory, places })
    }

    /// The place that a path names, and what is there, without following a link at its end.
    fn at(&self, path: &Path) -> Result<(Option<Place>, Option<Seen>), EnforceError> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            let seen = self.inode(path)?;
            return Ok((None, Some((path.to_owned(), seen.0, seen.1))));
        };
        let Some((directory, identity)) = self.directory(directory)? else { return Ok((None, None)) };
        let place = Place { directory: identity, name: name.as_bytes().to_vec() };
        let full = directory.join(name);
        match self.inode(&full) {
            Ok((identity, metadata)) => Ok((Some(place), Some((full, identity, metadata)))),
            Err(EnforceError::Path { source, .. }) if is_absent(&source) => Ok((Some(place), None)),
            Err(error) => Err(error),
        }
    }

    /// A directory without links, and its identity. `None`: there is none.
    fn directory(&self, path: &Path) -> Result<Option<(PathBuf, Identity)>, EnforceError> {
        if let Some(known) = self.directories.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = match existing(path, fs::canonicalize(path))? {
            Some(full) => Some((full.clone(), self.inode(&full)?.0)),
            None => None,
        };
        self.directories.borrow_mut().insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// The file that a path leads to.
    pub fn followed(&self, path: &Path) -> Result<Identity, EnforceError> {
        self.seen(path, &|path| fs::metadata(path)).map(|(identity, _)| identity)
    }

    /// What is at a path that is no link.
    pub(super) fn inode(&self, path: &Path) -> Result<(Identity, Metadata), EnforceError> {
        self.seen(path, &|path| fs::symlink_metadata(path))
    }

    /// What the kernel sees while this thread asks for the attributes.
    fn seen(
        &self,
        path: &Path,
        ask: &dyn Fn(&Path) -> io::Result<Metadata>,
    ) -> Result<(Identity, Metadata), EnforceError> {
        let unrecorded = || EnforceError::NotRecorded { path: path.to_owned() };
        let Attached { enrolled, tid, .. } = self.attached.as_ref().ok_or_else(unrecorded)?;
        for _ in 0..TRIES {
            let before = enrolled.seq.load(Ordering::Acquire);
            enrolled.tid.store(*tid, Ordering::Release);
            let metadata =
                ask(path).map_err(|source| EnforceError::Path { path: path.to_owned(), source })?;
            if enrolled.seq.load(Ordering::Acquire) == before {
                continue;
            }
            let inode = abi::Inode {
                ino: enrolled.inode.ino.load(Ordering::Acquire),
                dev: enrolled.inode.dev.load(Ordering::Acquire),
                volume: enrolled.inode.volume.load(Ordering::Acquire),
            };
            let generation = enrolled.generation.load(Ordering::Acquire);
            return Ok((Identity { inode, generation }, metadata));
        }
        Err(unrecorded())
    }
}

/// Where it is, what the kernel sees there, and what `stat(2)` says of it.
type Seen = (PathBuf, Identity, Metadata);

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn existing(path: &Path, found: io::Result<PathBuf>) -> Result<Option<PathBuf>, EnforceError> {
    match found {
        Err(error) if is_absent(&error) => Ok(None),
        other => other.map(Some).map_err(|source| EnforceError::Path { path: path.to_owned(), source }),
    }
}

/// Where cgroup v2 is mounted: on hybrid hosts not at `/sys/fs/cgroup`.
pub fn cgroup_root() -> Result<PathBuf, EnforceError> {
    let mounts = procfs::process::Process::myself().and_then(|process| process.mountinfo());
    let mounts = mounts.map_err(|_| EnforceError::NoCgroup2)?;
    mounts
        .0
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2")
        .map(|mount| mount.mount_point)
        .ok_or(EnforceError::NoCgroup2)
}

/// A cgroup by its path: where it is, and its id, the inode number of its directory (kernel v5.5, `743210386c03`).
/// `None`: there is no such cgroup. On hybrid hosts `/sys/fs/cgroup` holds the hierarchies of version 1; a path there
/// means the cgroup of that name in version 2, wherever that is mounted.
pub fn find_cgroup(path: &Path) -> Result<Option<(PathBuf, u64)>, EnforceError> {
    const USUAL: &str = "/sys/fs/cgroup";
    if let Some(found) = cgroup_at(path)? {
        return Ok(Some(found));
    }
    match path.strip_prefix(USUAL) {
        Ok(below) if cgroup_root()? != Path::new(USUAL) => cgroup_at(&cgroup_root()?.join(below)),
        _ => Ok(None),
    }
}

fn cgroup_at(path: &Path) -> Result<Option<(PathBuf, u64)>, EnforceError> {
    let failed = |source| EnforceError::Path { path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        other => other.map_err(failed)?,
    };
    // CGROUP2_SUPER_MAGIC, include/uapi/linux/magic.h
    match rustix::fs::statfs(path).map_err(|errno| failed(errno.into()))?.f_type {
        0x6367_7270 => Ok(Some((path.to_owned(), metadata.ino()))),
        _ => Ok(None),
    }
}
