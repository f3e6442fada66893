//! Reading what is trusted: only files that nobody but root could have written, in directories of which the same is
//! true, followed by descriptors so that nothing can be exchanged on the way.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};

use super::{SignersError, Trust, signers};

/// Who may sign.
pub(super) const SIGNERS: &str = "allowed_signers";
/// Whose signatures are worth nothing any more.
pub(super) const REVOKED: &str = "revoked_keys";
/// Neither may be longer.
pub(super) const FILE_BYTES: u64 = 256 * 1024;

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

/// A directory or file on the way to who is trusted, and why it is not good for that.
#[derive(Debug)]
pub struct Step {
    /// It.
    pub path: PathBuf,
    /// The fault.
    pub fault: Option<TrustError>,
}

/// Reads the trust of a directory. Without `allowed_signers` nobody is trusted; without `revoked_keys` nothing is revoked.
pub fn load(directory: &Path) -> Result<Trust, TrustError> {
    match existing(open_directory(directory, false, &mut check))? {
        Some(dir) => load_in(&dir, directory),
        None => Ok(Trust::default()),
    }
}

/// The same of a directory that is open.
pub(super) fn load_in(dir: &OwnedFd, directory: &Path) -> Result<Trust, TrustError> {
    let allowed = read(dir, directory, SIGNERS)?.unwrap_or_default();
    let revoked = read(dir, directory, REVOKED)?.unwrap_or_default();
    parse(directory, &allowed, &revoked)
}

/// Reads the content of both files.
pub(super) fn parse(directory: &Path, allowed: &str, revoked: &str) -> Result<Trust, TrustError> {
    let faulty = |name| {
        let path = directory.join(name);
        move |source| TrustError::Faulty { path, source }
    };
    Ok(Trust {
        signers: signers::read_signers(allowed).map_err(faulty(SIGNERS))?,
        revoked: signers::read_keys(revoked).map_err(faulty(REVOKED))?,
    })
}

/// Every step of [`load`] with its fault, also those behind the first. What is not there has none.
pub fn inspect(directory: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut note = |object: &OwnedFd, path: &Path, sticky: bool| {
        steps.push(Step { path: path.to_owned(), fault: check(object, path, sticky).err() });
        Ok(())
    };
    let opened = existing(open_directory(directory, false, &mut note));
    match opened {
        Ok(None) => {}
        Err(fault) => steps.push(Step { path: directory.to_owned(), fault: Some(fault) }),
        Ok(Some(dir)) => {
            for name in [SIGNERS, REVOKED] {
                let content = read(&dir, directory, name).transpose();
                let fault = content.map(|text| text.and_then(|text| one_alone(directory, name, &text)).err());
                steps.extend(fault.map(|fault| Step { path: directory.join(name), fault }));
            }
        }
    }
    steps
}

fn one_alone(directory: &Path, name: &str, text: &str) -> Result<Trust, TrustError> {
    if name == SIGNERS { parse(directory, text, "") } else { parse(directory, "", text) }
}

/// What is not there is nothing; what may not be looked at is an error.
fn existing<T>(result: Result<T, TrustError>) -> Result<Option<T>, TrustError> {
    match result {
        Err(TrustError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(rustix::io::Errno) -> TrustError {
    let path = path.to_owned();
    move |errno| TrustError::Unreadable { path, source: errno.into() }
}

/// Judges a directory on the way: its path, and whether it may be a sticky one.
pub(super) type Judge<'a> = &'a mut dyn FnMut(&OwnedFd, &Path, bool) -> Result<(), TrustError>;

/// Opens a directory step by step from the root, each judged before the next. `make`: makes those that are missing.
pub(super) fn open_directory(path: &Path, make: bool, judge: Judge<'_>) -> Result<OwnedFd, TrustError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let path = std::path::absolute(path)
        .map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })?;
    let mut at = PathBuf::from("/");
    let mut dir = openat(CWD, "/", flags, Mode::empty()).map_err(unreadable(&at))?;
    judge(&dir, &at, true)?;
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        at.push(name);
        dir = match openat(&dir, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) if make => {
                mkdirat(&dir, name, Mode::from_raw_mode(0o755)).map_err(unreadable(&at))?;
                openat(&dir, name, flags, Mode::empty())
            }
            opened => opened,
        }
        .map_err(unreadable(&at))?;
        // In a sticky directory nobody else removes or renames what is root's: /tmp may be on the way, but not the end.
        judge(&dir, &at, at != path)?;
    }
    Ok(dir)
}

/// The content of a file of the directory; `None`: there is none.
pub(super) fn read(dir: &OwnedFd, directory: &Path, name: &str) -> Result<Option<String>, TrustError> {
    let path = directory.join(name);
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NONBLOCK;
    let opened = openat(dir, name, flags, Mode::empty()).map_err(unreadable(&path));
    let Some(file) = existing(opened)? else { return Ok(None) };
    check(&file, &path, false)?;
    let mut text = String::new();
    let read = File::from(file).take(FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|source| TrustError::Unreadable { path: path.clone(), source })?;
    if text.len() as u64 > FILE_BYTES {
        return Err(TrustError::TooLong { path });
    }
    Ok(Some(text))
}

/// Refuses what somebody other than root, or than the user who asks, could have written.
pub(super) fn check(object: &OwnedFd, path: &Path, sticky: bool) -> Result<(), TrustError> {
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
