//! Putting the single file and what belongs to it where a system looks for it, and taking exactly that away again.
//!
//! What was put where stands in a manifest in the state directory, written before the first file and finished after the
//! last: an install that was interrupted is repeated, or taken away, as if it had ended.

mod files;
mod manifest;
mod put;
mod take;
mod texts;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

pub use self::{
    files::{APPARMOR_PROFILE, Contents, Item, Prefix, items},
    manifest::{Entry, MANIFEST, Manifest},
    put::{Put, Wish},
    take::Take,
    texts::{BASH, Completion, FISH, PAGES, Page, ZSH, short},
};
use crate::sys::rooted::Root;

/// Directories that policies, keys, generations and events are in, and their modes.
const DATA: [(&str, u32); 3] =
    [("/etc/aegisbpf", 0o755), ("/etc/aegisbpf/keys", 0o755), ("/var/lib/aegisbpf", 0o700)];

/// All that is ours and nobody else's, at the latest once the service has run.
const PURGED: [&str; 4] = ["/etc/aegisbpf", "/var/lib/aegisbpf", "/run/aegisbpf", "/var/log/aegisbpf"];

/// More than any file that is installed.
const MAX_BYTES: u64 = 64 << 20;

/// Why something was not installed or not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The directory that stands for the root.
    #[error("{}", path.display())]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or directory could not be looked at, written or removed.
    #[error("{path} cannot be {action}")]
    File {
        /// Where, below the root.
        path: String,
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Something lies there that was not installed from here.
    #[error("not from here, and in the way: {}", paths.join(", "))]
    InTheWay {
        /// Where.
        paths: Vec<String>,
    },
    /// The manifest is not one of ours.
    #[error("{MANIFEST} says what this version does not understand: {why}")]
    Manifest {
        /// What is wrong with it.
        why: String,
    },
    /// No place for programs can be written.
    #[error("/usr and /usr/local are both read-only")]
    ReadOnly,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Put where nothing was.
    New,
    /// Put in the place of what was installed before.
    Replaced,
    /// As it is to be already.
    Same,
    /// Put in the place of what somebody changed since it was installed.
    Restored,
    /// Left as it is: it is configuration, and somebody made or changed it.
    Kept,
    /// Taken away.
    Removed,
    /// Left as it is: somebody changed it since it was installed.
    Changed,
    /// Not there any more.
    Gone,
}

impl Action {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Replaced => "replaced",
            Self::Same => "as it was",
            Self::Restored => "replaced, though it had been changed",
            Self::Kept => "kept",
            Self::Removed => "removed",
            Self::Changed => "left, because it was changed",
            Self::Gone => "gone already",
        }
    }

    /// Whether it changes anything.
    pub fn changes(self) -> bool {
        matches!(self, Self::New | Self::Replaced | Self::Restored | Self::Removed)
    }
}

/// What becomes of which file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// Below the root.
    pub path: String,
    /// What.
    pub action: Action,
}

/// An error about this file, still without its cause.
fn failed(path: &str, action: &'static str) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.to_owned();
    move |source| InstallError::File { path, action, source }
}

/// Opens the directory that stands for the root.
pub fn open(path: &Path) -> Result<Root, InstallError> {
    Root::open(path).map_err(|source| InstallError::Root { path: path.to_owned(), source })
}
