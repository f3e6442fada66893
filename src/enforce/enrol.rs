//! What the kernel sees of a path. `stat(2)` numbers are not what hooks see on btrfs or overlayfs, so a small program
//! records device, inode number and generation while this thread asks for the attributes of the path.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
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
    sys::map::Mapped,
    tier::Tier,
};

/// Attached while it lives. Use it from the thread that made it.
#[derive(Debug)]
pub struct Enroller {
    enrolled: Option<(Mapped<abi::Enrolled>, OwnedFd)>,
}

impl Enroller {
    /// Attaches the enrolment program of the tier; in a tier without one, paths are only resolved.
    pub fn new(kernel: &Kernel, tier: &Tier, loaded: &Loaded) -> Result<Self, EnforceError> {
        let Some(enrol) = tier.enrol else { return Ok(Self { enrolled: None }) };
        let enrolled: Mapped<abi::Enrolled> =
            Mapped::new(loaded.map("enrolled")?).map_err(|source| map_error("enrolled", "mapped", source))?;
        let tid = kernel
            .identity()
            .and_then(crate::kernel::Identity::of_this_thread)
            .map_err(|source| EnforceError::Proof { step: "asking for this thread's id", source })?;
        enrolled.tid.store(tid, Ordering::Release);
        let program = loaded.load(kernel, enrol.program, enrol.target)?;
        let link = loaded
            .link(enrol.target, &program)
            .map_err(|source| EnforceError::HookRefused { hook: enrol.program, source })?;
        Ok(Self { enrolled: Some((enrolled, link)) })
    }

    /// Looks at a path, following links: the file that is there, and the places that the path names.
    pub fn path(&self, path: &Path) -> Result<PathIdentity, EnforceError> {
        let resolved = match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(|source| EnforceError::Path { path: path.to_owned(), source })?),
        };
        if self.enrolled.is_none() {
            return Ok(PathIdentity { resolved, ..PathIdentity::default() });
        }
        let mut places = Vec::new();
        for path in std::iter::once(path).chain(resolved.as_deref()) {
            if let Some(place) = self.place(path)?
                && !places.contains(&place)
            {
                places.push(place);
            }
        }
        let identity = resolved.as_deref().map(|path| self.inode(path)).transpose()?;
        Ok(PathIdentity { identity, resolved, places })
    }

    /// The directory that a path ends in, and its last name. `None`: there is no such directory.
    fn place(&self, path: &Path) -> Result<Option<Place>, EnforceError> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let directory = match fs::canonicalize(directory) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            other => other.map_err(|source| EnforceError::Path { path: directory.to_owned(), source })?,
        };
        Ok(Some(Place { directory: self.inode(&directory)?, name: name.as_bytes().to_vec() }))
    }

    /// What the kernel sees while this thread asks for the attributes of a path that is no link.
    pub(super) fn inode(&self, path: &Path) -> Result<Identity, EnforceError> {
        let unrecorded = || EnforceError::NotRecorded { path: path.to_owned() };
        let (enrolled, _link) = self.enrolled.as_ref().ok_or_else(unrecorded)?;
        let before = enrolled.seq.load(Ordering::Acquire);
        fs::symlink_metadata(path).map_err(|source| EnforceError::Path { path: path.to_owned(), source })?;
        if enrolled.seq.load(Ordering::Acquire) == before {
            return Err(unrecorded());
        }
        let inode = abi::Inode {
            ino: enrolled.inode.ino.load(Ordering::Acquire),
            dev: enrolled.inode.dev.load(Ordering::Acquire),
            pad: 0,
        };
        Ok(Identity { inode, generation: enrolled.generation.load(Ordering::Acquire) })
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

/// The id of a cgroup: the inode number of its directory (kernel v5.5, `743210386c03`).
pub fn cgroup_id(path: &Path) -> Result<u64, EnforceError> {
    let metadata =
        fs::metadata(path).map_err(|source| EnforceError::Path { path: path.to_owned(), source })?;
    let magic = rustix::fs::statfs(path).map(|stat| stat.f_type).unwrap_or_default();
    // CGROUP2_SUPER_MAGIC, include/uapi/linux/magic.h
    if magic != 0x6367_7270 {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not a cgroup v2 directory");
        return Err(EnforceError::Path { path: path.to_owned(), source });
    }
    Ok(metadata.ino())
}
