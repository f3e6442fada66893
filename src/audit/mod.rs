//! The audit log, in the state directory: what was done to the policy and to enforcement, by whom, and what came of it.
//!
//! ```text
//! audit.log             JSON lines, each with the SHA-256 of the line before it
//! audit.log.1 ...       older ones; the first line of a file names the last one of the file before
//! audit.lock            held by whoever writes
//! ```
//!
//! Lines are appended and never touched again. The end of the log is noted in the runtime directory (`audit.head`), and
//! by the callers in the kernel, so that a log that was cut is told from one that is short.

mod chain;
mod entry;
#[cfg(test)]
mod tests;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use self::{
    chain::{Fault, Files, Sound, verify},
    entry::{Deed, Entry, Outcome, SCHEMA_VERSION, What, Who},
    write::Writer,
};
use crate::{policy::Digest, sys::files};

/// The file that is written.
pub const NAME: &str = "audit.log";

/// A file is not written beyond this size.
const FILE_BYTES: u64 = 256 * 1024;

/// How many full files are kept: some five thousand entries in all.
const KEEP: u32 = 8;

/// Where the end of the log is noted.
const HEAD: &str = "audit.head";

/// What can go wrong with the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A file could not be used.
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
    /// Another process keeps the log to itself.
    #[error("{}: another process writes the log", .path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
}

impl AuditError {
    /// Whether only a privilege is missing.
    pub fn is_of_privilege(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// An end of the log: its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// Of its line.
    pub sha256: Digest,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    state: PathBuf,
    run: PathBuf,
}

impl Log {
    /// Names it; nothing is touched.
    pub fn at(state_dir: &Path, run_dir: &Path) -> Self {
        Self { state: state_dir.to_owned(), run: run_dir.to_owned() }
    }

    /// The file of this number; 0 is the one that is written.
    fn path(&self, number: u32) -> PathBuf {
        match number {
            0 => self.state.join(NAME),
            number => self.state.join(format!("{NAME}.{number}")),
        }
    }

    fn head_path(&self) -> PathBuf {
        self.run.join(HEAD)
    }

    /// The end of the log as it was noted in the runtime directory.
    pub fn noted(&self) -> Result<Option<Head>, AuditError> {
        let path = self.head_path();
        let Some(bytes) = read(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| AuditError::File {
            path,
            action: "reading",
            source: source.into(),
        })
    }

    /// Every file that is there, the oldest first.
    pub fn files(&self) -> Result<Files, AuditError> {
        let mut found = Files::default();
        for number in (0..=KEEP).rev() {
            let path = self.path(number);
            if let Some(bytes) = read(&path)? {
                found.files.push((path.display().to_string(), bytes));
            }
        }
        found.full = read(&self.path(KEEP))?.is_some();
        Ok(found)
    }

    /// All entries, the latest first; what is no entry is left out.
    pub fn latest(&self) -> impl Iterator<Item = Result<Entry, AuditError>> {
        let lines = (0..=KEEP).flat_map(|number| match read(&self.path(number)) {
            Ok(bytes) => {
                let bytes = bytes.unwrap_or_default();
                let lines = bytes.split(|byte| *byte == b'\n').rev();
                lines.map(|line| Ok(line.to_vec())).collect::<Vec<_>>()
            }
            Err(error) => vec![Err(error)],
        });
        // Most who ask want the last few: no more are read than are taken.
        lines.filter_map(|line| line.map(|line| Entry::parse(&line)).transpose())
    }

    /// The last entry that says which policy is in force, or is about to be. A change that was refused left the one
    /// before in force.
    pub fn last_change(&self) -> Result<Option<Entry>, AuditError> {
        let mut refused = Vec::new();
        for entry in self.latest() {
            let entry = entry?;
            let Deed { what, result, to, .. } = entry.deed;
            match result {
                _ if !what.is_change() => {}
                Outcome::Refused => refused.push((what, to)),
                Outcome::Intended if refused.contains(&(what, to)) => {}
                _ => return Ok(Some(entry)),
            }
        }
        Ok(None)
    }
}

/// The content of a regular file; `None` when there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, AuditError> {
    /// A file of ours is as long as a last line makes it.
    const LIMIT: u64 = 2 * FILE_BYTES;
    files::read(path, LIMIT).map_err(|source| AuditError::File {
        path: path.to_owned(),
        action: "reading",
        source,
    })
}
