//! The agent's own sandbox: what a taken-over agent could still do.
//!
//! Comes after attaching and proving, before the first event is read. What needs privilege again is a restart.

mod calls;
mod domain;

use std::{io, path::Path};

pub use self::calls::filter_calls;

/// Why the sandbox could not be closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfineError {
    /// `PR_SET_NO_NEW_PRIVS` failed.
    #[error("no_new_privs could not be set")]
    NoNewPrivs(#[source] io::Error),
    /// Landlock is there and could not be used.
    #[error("the Landlock domain could not be made")]
    Landlock(#[from] landlock::RulesetError),
    /// The system call filter was refused.
    #[error("the system call filter could not be set")]
    Seccomp(#[from] seccompiler::Error),
    /// A directory of ours is not there.
    #[error("a directory of ours could not be opened for the Landlock domain")]
    Directory(#[from] landlock::PathFdError),
}

/// Closes the file system and the network and says what was achieved, for `status`. Comes before any thread is made:
/// a Landlock domain binds the thread that makes it and those that come from it. [`filter_calls`] comes after them.
pub fn lock_down(ours: &[&Path]) -> Result<String, ConfineError> {
    rustix::thread::set_no_new_privs(true).map_err(|errno| ConfineError::NoNewPrivs(errno.into()))?;
    let domain = domain::enter(ours, domain::OF_AGENT)?;
    Ok(format!("no_new_privs, {domain}, seccomp allowlist"))
}

/// The sandbox of the helper that handles the canaries. What it works with is opened in between: it takes calls that
/// its work does not.
pub fn lock_helper(directory: &Path, open: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    domain::enter(&[directory], domain::OF_HELPER).map_err(io::Error::other)?;
    open()?;
    calls::filter_helper().map_err(io::Error::other)
}
