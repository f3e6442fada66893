//! What the kernel sees of a path. `stat(2)` numbers are not what hooks see on btrfs or overlayfs, so a small program is
//! run with a descriptor of what is at the path, and records device, inode number and generation. It is attached to
//! nothing: nobody else on the host pays for it, and nothing has to be detached, which takes the kernel long.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use rustix::fs::OFlags;

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

/// Asks the kernel. Use it from the thread that made it.
#[derive(Debug)]
pub struct Enroller {
    ready: Option<Ready>,
    /// Directories that were looked at: most rules share theirs.
    directories: RefCell<BTreeMap<PathBuf, Option<(PathBuf, Identity)>>>,
}

#[derive(Debug)]
struct Ready {
    enrolled: Mapped<abi::Enrolled>,
    /// The thread that asks.
    tid: u32,
    enrolment: Enrolment,
}

/// So often somebody else who enrols may get in between.
const TRIES: u32 = 64;

impl Enroller {
    /// Loads the enrolment program; in a tier without one, paths are only resolved.
    pub fn new(kernel: &Kernel, tier: &Tier, loaded: &Loaded) -> Result<Self, EnforceError> {
        if !tier.enforces() {
            return Ok(Self::without());
        }
        let enrolled = loaded.map("enrolled")?.try_clone_to_owned();
        let enrolled = enrolled.map_err(|source| map_error("enrolled", "opened", source))?;
        Self::with(kernel, Enrolment { program: loaded.load_enrolment()?, enrolled })
    }

    /// Looks at paths without asking the kernel for identities.
    pub fn without() -> Self {
        Self { ready: None, directories: RefCell::default() }
    }

    /// With a program that is loaded.
    pub fn with(kernel: &Kernel, enrolment: Enrolment) -> Result<Self, EnforceError> {
        let enrolled: Mapped<abi::Enrolled> = Mapped::new(enrolment.enrolled.as_fd())
            .map_err(|source| map_error("enrolled", "mapped", source))?;
        let tid = kernel
            .identity()
            .and_then(crate::kernel::Identity::of_this_thread)
            .map_err(|source| EnforceError::Proof { step: "asking for this thread's id", source })?;
        Ok(Self { ready: Some(Ready { enrolled, tid, enrolment }), directories: RefCell::default() })
    }

    /// The program and its memory, for whoever enrols later.
    pub fn enrolment(&self) -> Option<&Enrolment> {
        self.ready.as_ref().map(|ready| &ready.enrolment)
    }

    /// The program.
    pub(super) fn program(&self) -> Option<BorrowedFd<'_>> {
        self.enrolment().map(|enrolment| enrolment.program.as_fd())
    }

    /// Looks at a path, following links: the file that is there, and the places that the path names.
    pub fn path(&self, path: &Path) -> Result<PathIdentity, EnforceError> {
        if self.ready.is_none() {
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
    fn at(&self, path: &Path) -> Result<(Option<Place>, Option<Found>), EnforceError> {
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
        self.seen(path, OFlags::empty()).map(|seen| seen.identity)
    }

    /// What is at a path that is no link.
    pub(super) fn inode(&self, path: &Path) -> Result<(Identity, Metadata), EnforceError> {
        self.seen(path, OFlags::NOFOLLOW).map(|seen| (seen.identity, seen.metadata))
    }

    /// A directory, and where in the kernel it is: addresses of its dentry and of its mount.
    pub(super) fn place(&self, path: &Path) -> Result<(Identity, u64, u64), EnforceError> {
        self.seen(path, OFlags::NOFOLLOW).map(|seen| (seen.identity, seen.dentry, seen.mount))
    }

    /// What the kernel sees behind a descriptor, which no permission is asked for.
    fn seen(&self, path: &Path, flags: OFlags) -> Result<Seen, EnforceError> {
        let failed = |source| EnforceError::Path { path: path.to_owned(), source };
        let unrecorded = || EnforceError::NotRecorded { path: path.to_owned() };
        let ready = self.ready.as_ref().ok_or_else(unrecorded)?;
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty());
        let file = fs::File::from(file.map_err(|errno| failed(errno.into()))?);
        let metadata = file.metadata().map_err(failed)?;
        for _ in 0..TRIES {
            if let Some(seen) = ready.record(&file, &metadata).map_err(failed)? {
                return Ok(seen);
            }
        }
        Err(unrecorded())
    }
}

impl Ready {
    /// Has the descriptor recorded; `None`: somebody else enrolled at the same time.
    fn record(&self, file: &fs::File, metadata: &Metadata) -> io::Result<Option<Seen>> {
        let Self { enrolled, tid, enrolment } = self;
        let before = enrolled.began.load(Ordering::Acquire);
        let descriptor = u64::from(file.as_raw_fd().cast_unsigned());
        if bpf::raw_tracepoint_run(enrolment.program.as_fd(), &[descriptor])? != 1 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let inode = abi::Inode {
            ino: enrolled.inode.ino.load(Ordering::Acquire),
            dev: enrolled.inode.dev.load(Ordering::Acquire),
            volume: enrolled.inode.volume.load(Ordering::Acquire),
        };
        let seen = Seen {
            identity: Identity { inode, generation: enrolled.generation.load(Ordering::Acquire) },
            metadata: metadata.clone(),
            dentry: enrolled.dentry.load(Ordering::Acquire),
            mount: enrolled.mount.load(Ordering::Acquire),
        };
        let ended = enrolled.ended.load(Ordering::Acquire);
        let began = enrolled.began.load(Ordering::Acquire);
        let alone = began == before.wrapping_add(1) && ended == began;
        Ok((alone && enrolled.tid.load(Ordering::Acquire) == *tid).then_some(seen))
    }
}

/// What the kernel sees at a path, and what `stat(2)` says of it.
struct Seen {
    identity: Identity,
    metadata: Metadata,
    dentry: u64,
    mount: u64,
}

/// Where it is, what the kernel sees there, and what `stat(2)` says of it.
type Found = (PathBuf, Identity, Metadata);

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
