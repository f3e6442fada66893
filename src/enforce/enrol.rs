//! What the kernel sees of a path. `stat(2)` numbers are not what hooks see on btrfs or overlayfs, so a small program
//! records device, inode number and generation while this thread asks for the attributes of the path.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use super::{EnforceError, Loaded, object::map_error};
use crate::{
    abi,
    kernel::Kernel,
    plan::{Identity, PathIdentity},
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

    /// Looks at a path, following links.
    pub fn path(&self, path: &Path) -> Result<PathIdentity, EnforceError> {
        let failed = |source| EnforceError::Path { path: path.to_owned(), source };
        let resolved = match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PathIdentity::Missing),
            other => other.map_err(failed)?,
        };
        let Some((enrolled, _link)) = &self.enrolled else {
            return Ok(PathIdentity::Found { identity: None, resolved });
        };
        let before = enrolled.seq.load(Ordering::Acquire);
        fs::symlink_metadata(&resolved).map_err(failed)?;
        if enrolled.seq.load(Ordering::Acquire) == before {
            return Err(EnforceError::NotRecorded { path: path.to_owned() });
        }
        let inode = abi::Inode {
            ino: enrolled.inode.ino.load(Ordering::Acquire),
            dev: enrolled.inode.dev.load(Ordering::Acquire),
            pad: 0,
        };
        let generation = enrolled.generation.load(Ordering::Acquire);
        Ok(PathIdentity::Found { identity: Some(Identity { inode, generation }), resolved })
    }

    /// The inode of a file of ours.
    pub(super) fn own(&self, path: &Path) -> Result<Identity, EnforceError> {
        match self.path(path)? {
            PathIdentity::Found { identity: Some(identity), .. } => Ok(identity),
            _ => Err(EnforceError::NotRecorded { path: path.to_owned() }),
        }
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
