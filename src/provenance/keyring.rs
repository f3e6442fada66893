//! Changing who is trusted: one line more in a file, as a whole or not at all, by one at a time.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, fchmod, flock, fsync, openat, renameat, unlinkat},
    io::Errno,
};

use super::{
    PublicKey, Signer, Trust, TrustError,
    files::{self, FILE_BYTES, REVOKED, SIGNERS},
};

/// Who may read the files: everybody, as nothing in them is secret.
const MODE: Mode = Mode::from_raw_mode(0o644);

/// Why who is trusted was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// What is there cannot be trusted, or not be read.
    #[error("the keys cannot be used")]
    Trust(#[from] TrustError),
    /// Somebody else changes it.
    #[error("{}: another process is changing the keys", .path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// It could not be written.
    #[error("{} could not be written", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A key that was revoked is not trusted again.
    #[error("the key {key} was revoked, in {}", .path.display())]
    Revoked {
        /// It.
        key: PublicKey,
        /// Where that stands.
        path: PathBuf,
    },
    /// The key is there on other terms.
    #[error("the key {key} is trusted already, as `{principals}` on other terms, in {}", .path.display())]
    Taken {
        /// It.
        key: PublicKey,
        /// Whose the line says it is.
        principals: String,
        /// Where that stands.
        path: PathBuf,
    },
}

/// The directory of who is trusted, for whoever changes it.
#[derive(Debug)]
pub struct Keyring {
    /// Locked for as long as it is open.
    dir: OwnedFd,
    path: PathBuf,
}

impl Keyring {
    /// Opens the directory under the rules by which it is read, and takes the lock. Makes it where it is missing.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let dir = files::open_directory(path, true, &mut files::check)?;
        match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir, path: path.to_owned() }),
            Err(Errno::WOULDBLOCK) => Err(KeyringError::Busy { path: path.to_owned() }),
            Err(errno) => Err(KeyringError::Unwritable { path: path.to_owned(), source: errno.into() }),
        }
    }

    /// Who is trusted now.
    pub fn trust(&self) -> Result<Trust, KeyringError> {
        Ok(files::load_in(&self.dir, &self.path)?)
    }

    /// Trusts a key on the terms of a line. `false`: that line is there already.
    pub fn add(&self, signer: &Signer) -> Result<bool, KeyringError> {
        let trust = self.trust()?;
        let key = signer.key;
        if trust.revoked.contains(&key) {
            return Err(KeyringError::Revoked { key, path: self.path.join(REVOKED) });
        }
        if trust.signers.contains(signer) {
            return Ok(false);
        }
        if let Some(other) = trust.signers.iter().find(|other| other.key == key) {
            let (principals, path) = (other.principals.clone(), self.path.join(SIGNERS));
            return Err(KeyringError::Taken { key, principals, path });
        }
        self.append(SIGNERS, &signer.to_string())?;
        Ok(true)
    }

    /// Trusts nothing that a key signed any more. `false`: it was revoked before.
    pub fn revoke(&self, key: &PublicKey, remark: &str) -> Result<bool, KeyringError> {
        if self.trust()?.revoked.contains(key) {
            return Ok(false);
        }
        self.append(REVOKED, &format!("{} {remark}", key.line()))?;
        Ok(true)
    }

    /// Puts a line at the end of a file, by way of a copy: a reader meets the old or the new file, also when the power
    /// fails.
    fn append(&self, name: &str, line: &str) -> Result<(), KeyringError> {
        let mut text = files::read(&self.dir, &self.path, name)?.unwrap_or_default();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        if text.len() as u64 > FILE_BYTES {
            return Err(TrustError::TooLong { path: self.path.join(name) }.into());
        }
        // What would not be read is not written.
        let (allowed, revoked) = if name == SIGNERS { (&*text, "") } else { ("", &*text) };
        files::parse(&self.path, allowed, revoked)?;
        let new = format!("{name}.new");
        let replaced = self.write(&new, &text).and_then(|()| {
            renameat(&self.dir, &new, &self.dir, name)?;
            Ok(fsync(&self.dir)?)
        });
        replaced.map_err(|source| {
            // The first error is the one to report.
            let _ = unlinkat(&self.dir, &new, AtFlags::empty());
            KeyringError::Unwritable { path: self.path.join(name), source }
        })
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        // One that an interrupted writer left; the lock says that nobody writes it now.
        match unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.dir, name, flags, MODE)?);
        // Whatever the umask is.
        fchmod(file.as_fd(), MODE)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}
