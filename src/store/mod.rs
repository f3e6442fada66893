//! Policy generations on disk, in the state directory:
//!
//! ```text
//! policies/SHA256       the text of a policy, as it was applied
//! policies/SHA256.sig   what was accepted as its signature, where it has one
//! generations/N.json    what generation N is: text, predecessor, time, origin
//! current               the number of the generation to run
//! seen.json             which policy files the current generation has taken into account
//! floor.json            what only grows: the highest policy version, the latest time
//! changing              the number of a generation on its way; gone when it is in force
//! apply.lock            held by whoever changes any of this
//! ```
//!
//! A generation is complete before `current` names it. Power loss at any point leaves the old or the new one.

mod floor;

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

pub use self::floor::Floor;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{
    policy::{Digest, limits},
    sys::files,
};

/// Raised with any change that a reader of the JSON could trip over.
pub const SCHEMA_VERSION: u32 = 1;

/// Generations that are kept when nobody says otherwise.
pub const KEEP: usize = 32;

/// Larger than any record of ours: more is not read.
const MAX_RECORD: u64 = 16 * 1024 * 1024;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file of the store could not be used.
    #[error("{}: {action} failed", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A record that this version cannot read.
    #[error("{}: this is no record of a generation", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A text that is not what its name says.
    #[error("{}: the text is not the one that was applied", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is no such generation.
    #[error("there is no generation {0}")]
    Unknown(u64),
}

/// A cgroup of a policy, as it was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Its path in the policy.
    pub path: PathBuf,
    /// Where it was found, or would be.
    pub at: PathBuf,
    /// Its id; `None`: there was no such cgroup.
    pub id: Option<u64>,
}

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Its number, from 1; never used twice.
    pub generation: u64,
    /// Of its text.
    pub sha256: Digest,
    /// The generation that was in force when it was applied, and to which a rollback returns.
    pub previous: Option<u64>,
    /// When, RFC 3339.
    pub applied_at: String,
    /// The file it was read from.
    pub origin: PathBuf,
    /// `policy_version=` of the file, where it has one.
    pub policy_version: Option<u64>,
    /// Principal whose signature was accepted; absent: unsigned.
    pub signed_by: Option<String>,
    /// Number of deny rules.
    pub rules: usize,
    /// Whether rules on the survival floor were accepted.
    pub allow_critical: bool,
    /// What whoever reads the status has to know.
    pub remarks: Vec<String>,
    /// Its cgroups that are named by path.
    pub cgroups: Vec<Cgroup>,
}

/// A policy file that the current generation has taken into account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The file.
    pub path: PathBuf,
    /// Its content then.
    pub sha256: Digest,
}

/// The store, for reading.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// The store, for whoever changes it. One at a time on a host.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    _lock: File,
}

impl std::ops::Deref for Writer {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Store {
    /// Names it; nothing is touched.
    pub fn at(state_dir: &Path) -> Self {
        Self { dir: state_dir.to_owned() }
    }

    /// Takes the lock, for which it waits so long. `None`: somebody else changes the policy.
    pub fn lock(&self, patience: Duration) -> Result<Option<Writer>, StoreError> {
        for dir in [self.dir.clone(), self.policies(), self.generations()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(|source| StoreError::File { path: dir, action: "creating the directory", source })?;
        }
        let path = self.dir.join("apply.lock");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|source| StoreError::File { path: path.clone(), action: "opening", source })?;
        let end = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Writer { store: self.clone(), _lock: file })),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(StoreError::File { path, action: "locking", source: errno.into() }),
            }
        }
    }

    fn policies(&self) -> PathBuf {
        self.dir.join("policies")
    }

    fn generations(&self) -> PathBuf {
        self.dir.join("generations")
    }

    fn record_path(&self, generation: u64) -> PathBuf {
        self.generations().join(format!("{generation}.json"))
    }

    fn text_path(&self, sha256: &Digest) -> PathBuf {
        self.policies().join(sha256.to_string())
    }

    fn signature_path(&self, sha256: &Digest) -> PathBuf {
        self.policies().join(format!("{sha256}.sig"))
    }

    fn read(path: PathBuf, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        files::read(&path, limit).map_err(|source| StoreError::File { path, action: "reading", source })
    }

    /// The generation to run. `None`: none was ever applied.
    pub fn current(&self) -> Result<Option<u64>, StoreError> {
        Self::number(self.dir.join("current"))
    }

    fn number(path: PathBuf) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = Self::read(path.clone(), 64)? else { return Ok(None) };
        let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok());
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not a number");
        number.map(Some).ok_or_else(|| StoreError::File { path, action: "reading", source: wrong() })
    }

    fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
        files::names(dir).map_err(|source| StoreError::File {
            path: dir.to_owned(),
            action: "listing",
            source,
        })
    }

    /// The numbers of all generations, in order.
    pub fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers: Vec<u64> = Self::names(&self.generations())?
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// What a generation is.
    pub fn record(&self, generation: u64) -> Result<Record, StoreError> {
        let path = self.record_path(generation);
        let bytes = Self::read(path.clone(), MAX_RECORD)?.ok_or(StoreError::Unknown(generation))?;
        serde_json::from_slice(&bytes).map_err(|source| StoreError::Record { path, source })
    }

    /// The text of a policy. It is what was applied, or an error.
    pub fn text(&self, sha256: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.text_path(sha256);
        let bytes = Self::read(path.clone(), limits::FILE_BYTES as u64)?;
        match bytes {
            Some(bytes) if Digest::of(&bytes) == *sha256 => Ok(bytes),
            Some(_) => Err(StoreError::Changed { path }),
            None => Err(StoreError::File { path, action: "reading", source: io::ErrorKind::NotFound.into() }),
        }
    }

    /// What was accepted as the signature of a policy. Whether it still is, its reader asks.
    pub fn signature(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Self::read(self.signature_path(sha256), MAX_RECORD)
    }

    /// The policy files that the current generation has taken into account.
    pub fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        let path = self.dir.join("seen.json");
        let Some(bytes) = Self::read(path.clone(), MAX_RECORD)? else { return Ok(Vec::new()) };
        serde_json::from_slice(&bytes).map_err(|source| StoreError::Record { path, source })
    }
}

impl Writer {
    /// The number of the next generation: above all that are known, here and in the kernel.
    pub fn next(&self, in_kernel: u64) -> Result<u64, StoreError> {
        let known = [self.numbers()?.last().copied(), self.current()?, Store::number(self.changing())?];
        Ok(known.into_iter().flatten().fold(in_kernel, u64::max) + 1)
    }

    fn changing(&self) -> PathBuf {
        self.dir.join("changing")
    }

    /// Keeps a generation that is on its way. It is the current one when [`Self::set_current`] says so, and stays when
    /// [`Self::arrived`] was called.
    pub fn keep(&self, record: &Record, text: &[u8], signature: Option<&[u8]>) -> Result<(), StoreError> {
        replace(&self.changing(), format!("{}\n", record.generation).as_bytes())?;
        if self.text(&record.sha256).is_err() {
            replace(&self.text_path(&record.sha256), text)?;
        }
        if let Some(signature) = signature {
            replace(&self.signature_path(&record.sha256), signature)?;
        }
        self.rewrite(record)
    }

    /// The generation that was on its way is in force.
    pub fn arrived(&self) -> Result<(), StoreError> {
        remove(&self.changing())
    }

    /// Puts the store in order after a writer that was interrupted. `in_force` is the generation that the kernel has,
    /// for good or on trial: what is on disk follows it. `None`: the kernel has nothing.
    pub fn recover(&self, in_force: Option<u64>, stays: Option<u64>) -> Result<(), StoreError> {
        self.remove_unfinished()?;
        let on_its_way = Store::number(self.changing())?;
        if let Some(stays) = stays
            && self.current()? != Some(stays)
            && self.record(stays).is_ok()
        {
            self.set_current(stays)?;
        }
        if let Some(generation) = on_its_way {
            let arrived = match in_force {
                Some(in_force) => in_force == generation,
                None => self.current()? == Some(generation),
            };
            if !arrived {
                self.forget(generation)?;
            }
            self.arrived()?;
        }
        Ok(())
    }

    /// Replaces what is known of a generation.
    pub fn rewrite(&self, record: &Record) -> Result<(), StoreError> {
        let path = self.record_path(record.generation);
        let json = serde_json::to_vec_pretty(record);
        replace(&path, &json.map_err(|source| StoreError::Record { path: path.clone(), source })?)
    }

    /// Says which generation is to run.
    pub fn set_current(&self, generation: u64) -> Result<(), StoreError> {
        replace(&self.dir.join("current"), format!("{generation}\n").as_bytes())
    }

    /// Says which policy files were taken into account.
    pub fn set_seen(&self, seen: &[Seen]) -> Result<(), StoreError> {
        let path = self.dir.join("seen.json");
        let json = serde_json::to_vec(seen);
        replace(&path, &json.map_err(|source| StoreError::Record { path: path.clone(), source })?)
    }

    /// Removes the oldest generations beyond `keep`, those in `needed` excepted, and texts of no generation.
    pub fn sweep(&self, keep: usize, needed: &[u64]) -> Result<(), StoreError> {
        let current = self.current()?.unwrap_or(0);
        let numbers = self.numbers()?;
        let surplus = numbers.len().saturating_sub(keep.max(1));
        for (position, number) in numbers.iter().enumerate() {
            if position < surplus && *number != current && !needed.contains(number) {
                remove(&self.record_path(*number))?;
            }
        }
        let texts: Vec<String> = self
            .numbers()?
            .into_iter()
            .filter_map(|number| self.record(number).ok())
            .map(|record| record.sha256.to_string())
            .collect();
        let is_needed =
            |name: &str| texts.iter().any(|text| text == name.strip_suffix(".sig").unwrap_or(name));
        for name in Store::names(&self.policies())?.iter().filter(|name| !is_needed(name)) {
            remove(&self.policies().join(name))?;
        }
        Ok(())
    }

    /// Forgets everything: what is to run goes first, so that an interruption leaves no half of it to run.
    pub fn clear(&self) -> Result<(), StoreError> {
        for name in ["current", "changing", "seen.json", "floor.json"] {
            remove(&self.dir.join(name))?;
        }
        for dir in [self.generations(), self.policies()] {
            for name in Store::names(&dir)? {
                remove(&dir.join(name))?;
            }
        }
        self.remove_unfinished()
    }

    /// Removes files of writers that were interrupted.
    fn remove_unfinished(&self) -> Result<(), StoreError> {
        for dir in [self.dir.clone(), self.policies(), self.generations()] {
            for name in Store::names(&dir)?.iter().filter(|name| files::is_unfinished(name)) {
                remove(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Forgets a generation that did not come into force.
    pub fn forget(&self, generation: u64) -> Result<(), StoreError> {
        remove(&self.record_path(generation))
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    files::replace(path, bytes).map_err(|source| StoreError::File {
        path: path.to_owned(),
        action: "writing",
        source,
    })
}

fn remove(path: &Path) -> Result<(), StoreError> {
    files::remove(path).map_err(|source| StoreError::File {
        path: path.to_owned(),
        action: "removing",
        source,
    })
}
