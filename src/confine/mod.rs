//! The agent's own sandbox: what a taken-over agent could still do.
//!
//! Comes after attaching and proving, before the first event is read. What needs privilege again is a restart.

mod calls;
mod domain;
pub mod privileges;

use std::{io, path::Path};

pub use self::{calls::filter_calls, privileges::PrivilegeError};

/// What a status says of an agent that was started without a sandbox.
pub const NONE: &str = "none (--no-sandbox)";

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
    /// The capabilities could not be given up.
    #[error("the privileges could not be given up")]
    Privileges(#[from] PrivilegeError),
    /// A directory of ours is not there.
    #[error("a directory of ours could not be opened for the Landlock domain")]
    Directory(#[from] landlock::PathFdError),
}

/// Closes the file system and the network, gives up the capabilities, and says what was achieved, for `status`. Comes
/// before any thread is made: a Landlock domain binds the thread that makes it and those that come from it. In `logs` a
/// file of events is begun anew. `read` tells whether the kernel's maps can still be read. [`filter_calls`] comes after
/// the threads.
pub fn lock_down(
    ours: &[&Path],
    logs: Option<&Path>,
    read: &dyn Fn() -> bool,
) -> Result<String, ConfineError> {
    rustix::thread::set_no_new_privs(true).map_err(|errno| ConfineError::NoNewPrivs(errno.into()))?;
    let ours = ours.iter().map(|path| (*path, domain::OF_AGENT));
    let left: Vec<_> = ours.chain(logs.map(|path| (path, domain::OF_LOGS))).collect();
    let domain = domain::enter(&left)?;
    let capabilities = privileges::give_up(read)?;
    Ok(format!("no_new_privs, {capabilities}, {domain}, seccomp allowlist"))
}

/// The sandbox of the helper that handles the canaries: nothing that it does there takes a privilege. What it works with
/// is opened in between: it takes calls that its work does not.
pub fn lock_helper(directory: &Path, open: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    domain::enter(&[(directory, domain::OF_HELPER)]).map_err(io::Error::other)?;
    privileges::give_up(&|| true).map_err(io::Error::other)?;
    open()?;
    calls::filter_helper().map_err(io::Error::other)
}
