//! Files of keys that are not yet trusted, or secret: on the side of whoever signs.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, RenameFlags, fstat, renameat_with},
    io::Errno,
};
use zeroize::Zeroizing;

use super::{
    PublicKey, SecretError, SecretKey, SignersError,
    secret::{SECRET_BYTES, keep_from_others},
    signers,
};

/// A file of a public key may be so long.
const PUBLIC_BYTES: u64 = 16 * 1024;

/// Why a file of a key is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It could not be read.
    #[error("{}: the key could not be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It could not be written.
    #[error("{} could not be written", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer; `EEXIST` for a file that is there.
        #[source]
        source: io::Error,
    },
    /// Somebody else could have read the secret key.
    #[error("{}: the secret key {why}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who.
        why: String,
    },
    /// It holds no secret key that can sign.
    #[error("{}: the secret key cannot be used", .path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// A line of it is no public key that is taken.
    #[error("{}: the public key cannot be used", .path.display())]
    Public {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SignersError,
    },
    /// Not one public key.
    #[error("{} holds {found} public keys, and one is wanted", .path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// How many.
        found: usize,
    },
    /// A secret key where a public one was asked for.
    #[error("{} is no file of a public key: those end with `.pub`", .path.display())]
    NotPublic {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a secret key that nobody but its owner can read. A pipe will do: a key out of a vault needs no file.
pub fn read_secret(path: &Path) -> Result<SecretKey, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let stat = fstat(&file).map_err(|errno| unreadable(errno.into()))?;
    let exposed = |why: String| Err(KeyFileError::Exposed { path: path.to_owned(), why });
    if !matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Fifo) {
        return exposed("is not in a regular file".to_owned());
    }
    // Not earlier: a pipe of a shell is opened by way of /proc/self, which is then closed to this user as well.
    keep_from_others().map_err(unreadable)?;
    // Room for all of it from the start: what grows leaves its old content behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES + 64));
    file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let parsed = SecretKey::parse(&bytes);
    let is_secret = !matches!(parsed, Err(SecretError::Public));
    let me = rustix::process::geteuid().as_raw();
    if is_secret && stat.st_uid != 0 && stat.st_uid != me {
        return exposed(format!("belongs to the user {}", stat.st_uid));
    }
    if is_secret && stat.st_mode & 0o077 != 0 {
        return exposed(format!("is open to others (mode {:o})", stat.st_mode & 0o7777));
    }
    parsed.map_err(|source| KeyFileError::Secret { path: path.to_owned(), source })
}

/// Writes both halves, the public one beside the secret one with `.pub` at its end. Neither overwrites a file.
pub fn write_secret(path: &Path, key: &SecretKey) -> Result<PathBuf, KeyFileError> {
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    create(path, 0o600, key.to_openssh().as_bytes())?;
    let line = format!("{} {}", key.public().line(), key.comment());
    if let Err(error) = create(&public, 0o644, (line + "\n").as_bytes()) {
        // One half alone is none; the first error is the one to report.
        drop(fs::remove_file(path));
        return Err(error);
    }
    Ok(public)
}

/// Writes a signature, the whole of it or nothing. `replace`: over one that is there.
pub fn write_signature(path: &Path, signature: &str, replace: bool) -> Result<(), KeyFileError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    create(&new, 0o644, signature.as_bytes())?;
    let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    let arrived = match renameat_with(CWD, &new, CWD, path, flags) {
        // A file system that cannot do so as one step; a link replaces nothing either.
        Err(Errno::INVAL) if !replace => fs::hard_link(&new, path).and_then(|()| fs::remove_file(&new)),
        renamed => renamed.map_err(io::Error::from),
    };
    if arrived.is_err() {
        // The first error is the one to report.
        drop(fs::remove_file(&new));
    }
    arrived.map_err(|source| KeyFileError::Unwritable { path: path.to_owned(), source })
}

fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyFileError> {
    let unwritable = |source| KeyFileError::Unwritable { path: path.to_owned(), source };
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path).map_err(unwritable)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to report.
        drop(fs::remove_file(path));
    }
    written.map_err(unwritable)
}

/// Reads the one public key of a file, `-` for standard input.
pub fn read_public(path: &Path) -> Result<PublicKey, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable { path: path.to_owned(), source };
    let input: Box<dyn io::Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut bytes = Vec::new();
    input.take(PUBLIC_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = str::from_utf8(&bytes)
        .ok()
        .filter(|text| bytes.len() as u64 <= PUBLIC_BYTES && !text.contains("PRIVATE KEY"));
    let Some(text) = text else { return Err(KeyFileError::NotPublic { path: path.to_owned() }) };
    let keys = signers::read_keys(text);
    match keys.map_err(|source| KeyFileError::Public { path: path.to_owned(), source })?.as_slice() {
        [key] => Ok(*key),
        keys => Err(KeyFileError::NotOne { path: path.to_owned(), found: keys.len() }),
    }
}
