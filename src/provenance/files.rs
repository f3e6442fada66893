//! Reading what is trusted: only files that nobody but root could have written, in directories of which the same is
//! true, followed by descriptors so that nothing can be exchanged on the way.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::{SignersError, Trust, signers};

/// Who may sign.
const SIGNERS: &str = "allowed_signers";
/// Whose signatures are worth nothing any more.
const REVOKED: &str = "revoked_keys";
/// Neither may be longer.
const FILE_BYTES: u64 = 256 * 1024;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file or directory could not be opened or read.
    #[error("{}", .path.display())]
    Unreadable {
        /// It.
        path: PathBuf,
        /// The kernel's answer; `ELOOP` for a symbolic link.
        #[source]
        source: io::Error,
    },
    /// Somebody else could have written it.
    #[error("{} {why}", .path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Who.
        why: String,
    },
    /// It is longer than any such file.
    #[error("{} is longer than {FILE_BYTES} bytes", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It has a fault.
    #[error("{}", .path.display())]
    Faulty {
        /// The file.
        path: PathBuf,
        /// Where and what.
        #[source]
        source: SignersError,
    },
}

/// Reads the trust of a directory. Without `allowed_signers` nobody is trusted; without `revoked_keys` nothing is revoked.
pub fn load(directory: &Path) -> Result<Trust, TrustError> {
    let Some(dir) = existing(open_directory(directory))? else { return Ok(Trust::default()) };
    let read = |name| existing(read(&dir, directory, name));
    let faulty = |name| {
        let path = directory.join(name);
        move |source| TrustError::Faulty { path, source }
    };
    let allowed = read(SIGNERS)?.unwrap_or_default();
    let revoked = read(REVOKED)?.unwrap_or_default();
    Ok(Trust {
        signers: signers::read_signers(&allowed).map_err(faulty(SIGNERS))?,
        revoked: signers::read_keys(&revoked).map_err(faulty(REVOKED))?,
    })
}

/// What is not there is nothing; what may not be looked at is an error.
fn existing<T>(result: Result<T, TrustError>) -> Result<Option<T>, TrustError> {
    match result {
        Err(TrustError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn unreadable(path: &Path) -> impl FnOnce(rustix::io::Errno) -> TrustError {
    let path = path.to_owned();
    move |errno| TrustError::Unreadable { path, source: errno.into() }
}

/// Opens a directory step by step from the root, each checked before the next.
fn open_directory(path: &Path) -> Result<OwnedFd, TrustError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let path = std::path::absolute(path)
        .map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })?;
    let mut at = PathBuf::from("/");
    let mut dir = openat(CWD, "/", flags, Mode::empty()).map_err(unreadable(&at))?;
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        at.push(name);
        dir = openat(&dir, name, flags, Mode::empty()).map_err(unreadable(&at))?;
        // In a sticky directory nobody else removes or renames what is root's: /tmp may be on the way, but not the end.
        check(&dir, &at, at != path)?;
    }
    Ok(dir)
}

fn read(dir: &OwnedFd, directory: &Path, name: &str) -> Result<String, TrustError> {
    let path = directory.join(name);
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NONBLOCK;
    let file = openat(dir, name, flags, Mode::empty()).map_err(unreadable(&path))?;
    check(&file, &path, false)?;
    let mut text = String::new();
    let read = File::from(file).take(FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|source| TrustError::Unreadable { path: path.clone(), source })?;
    if text.len() as u64 > FILE_BYTES {
        return Err(TrustError::TooLong { path });
    }
    Ok(text)
}

/// Refuses what somebody other than root, or than the user who asks, could have written.
fn check(object: &OwnedFd, path: &Path, sticky: bool) -> Result<(), TrustError> {
    let stat = fstat(object).map_err(unreadable(path))?;
    let me = rustix::process::geteuid().as_raw();
    let exposed = |why: String| Err(TrustError::Exposed { path: path.to_owned(), why });
    if stat.st_uid != 0 && stat.st_uid != me {
        return exposed(format!("belongs to the user {} and not to root", stat.st_uid));
    }
    let kept_apart = sticky && stat.st_mode & 0o1000 != 0;
    if stat.st_mode & 0o022 != 0 && !kept_apart {
        return exposed(format!("can be written by others (mode {:o})", stat.st_mode & 0o7777));
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => Ok(()),
        _ => exposed("is not a regular file".to_owned()),
    }
}
