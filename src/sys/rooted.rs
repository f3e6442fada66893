//! Files below a directory that stands for the root of a system: whatever links lie there, no name leads out of it.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstatvfs, open, openat2};

use super::files;

/// How often a directory is looked up again that others rename meanwhile.
const TRIES: u32 = 16;

/// The directory.
#[derive(Debug)]
pub struct Root(OwnedFd);

/// What lies at a path, a link not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of this mode.
    File(u32),
    /// A directory.
    Directory,
    /// A link, a device, or whatever else is neither.
    Other,
}

/// A path by the descriptor of its directory, which no rename or link on the way to it can change any more.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    _parent: OwnedFd,
}

impl Root {
    /// Opens it. Paths go through `/proc`, which has to be there.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !Path::new("/proc/self/fd").is_dir() {
            return Err(io::Error::other("/proc is not mounted here"));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// Opens a directory below it; links are followed as if it were the root.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let (how, within) = (
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        let mut tries = 0;
        loop {
            match openat2(self.0.as_fd(), path, how, Mode::empty(), within) {
                // Something on the way was renamed while it was looked up.
                Err(rustix::io::Errno::AGAIN) if tries < TRIES => tries += 1,
                other => return other.map_err(Into::into),
            }
        }
    }

    fn place(&self, path: &Path) -> io::Result<Place> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let parent = self.directory(parent)?;
        Ok(Place {
            path: PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name),
            _parent: parent,
        })
    }

    /// The same; `None` where its directory is not there.
    fn place_if_any(&self, path: &Path) -> io::Result<Option<Place>> {
        absent(self.place(path))
    }

    /// What lies at the path; `None`: nothing.
    pub fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        let Some(place) = self.place_if_any(path)? else { return Ok(None) };
        let data = absent(fs::symlink_metadata(&place.path))?;
        Ok(data.map(|data| {
            if data.is_file() {
                Kind::File(data.permissions().mode() & 0o7777)
            } else if data.is_dir() {
                Kind::Directory
            } else {
                Kind::Other
            }
        }))
    }

    /// Whether a directory is there, perhaps by links.
    pub fn has_dir(&self, path: &Path) -> io::Result<bool> {
        match self.directory(path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether what holds the path, as far down as there is anything, is a file system that takes no change.
    pub fn is_read_only(&self, path: &Path) -> io::Result<bool> {
        for path in path.ancestors() {
            if let Some(directory) = absent(self.directory(path))? {
                return Ok(fstatvfs(&directory)?.f_flag.contains(StatVfsMountFlags::RDONLY));
            }
        }
        Ok(false)
    }

    /// The content of a regular file; `None` when there is none. More than `limit` bytes are an error.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        match self.place_if_any(path)? {
            Some(place) => files::read(&place.path, limit),
            None => Ok(None),
        }
    }

    /// Replaces a file, as a whole or not at all.
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        files::publish(&self.place(path)?.path, bytes, mode)
    }

    /// Removes a file, and one of the same name that was never finished.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let Some(place) = self.place_if_any(path)? else { return Ok(()) };
        files::remove(&files::unfinished(&place.path))?;
        files::remove(&place.path)?;
        files::sync_parent(&place.path)
    }

    /// Makes a directory whose parent is there; leaves one that is there as it is.
    pub fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        if self.has_dir(path)? {
            return Ok(());
        }
        let place = self.place(path)?;
        fs::create_dir(&place.path)?;
        File::open(&place.path)?.set_permissions(Permissions::from_mode(mode))?;
        files::sync_parent(&place.path)
    }

    /// Removes a directory, unless something is in it.
    pub fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let Some(place) = self.place_if_any(path)? else { return Ok(()) };
        match fs::remove_dir(&place.path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Removes a directory with all that is in it, and follows no link there.
    pub fn remove_tree(&self, path: &Path) -> io::Result<()> {
        let Some(place) = self.place_if_any(path)? else { return Ok(()) };
        match absent(fs::symlink_metadata(&place.path))? {
            Some(data) if data.is_dir() => fs::remove_dir_all(&place.path),
            _ => Ok(()),
        }
    }
}

/// The content of the program that runs, whatever lies at its path now.
pub fn own_program(limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open("/proc/self/exe")?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// That something is not there is an answer.
fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
