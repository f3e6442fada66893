//! The agent's own sandbox: what a taken-over agent could still do.
//!
//! Comes after attaching and proving, before the first event is read. What needs privilege again is a restart.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};

/// The newest Landlock ABI whose rights this version knows and refuses (kernel v6.10).
const LANDLOCK_ABI: ABI = ABI::V5;

/// Why the sandbox could not be closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfineError {
    /// `PR_SET_NO_NEW_PRIVS` failed.
    #[error("no_new_privs could not be set")]
    NoNewPrivs(#[source] std::io::Error),
    /// Landlock is there and could not be used.
    #[error("the Landlock domain could not be made")]
    Landlock(#[from] RulesetError),
    /// The system call filter was refused.
    #[error("the system call filter could not be set")]
    Seccomp(#[from] seccompiler::Error),
    /// A directory of ours is not there.
    #[error("a directory of ours could not be opened for the Landlock domain")]
    Directory(#[from] landlock::PathFdError),
}

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// Allows all threads nothing but the calls of `calls.toml` from here on.
pub fn filter_calls() -> Result<(), ConfineError> {
    let filter: Vec<seccompiler::sock_filter> =
        FILTER.iter().map(|&(code, jt, jf, k)| seccompiler::sock_filter { code, jt, jf, k }).collect();
    Ok(seccompiler::apply_filter_all_threads(&filter)?)
}

/// Closes the file system and the network and says what was achieved, for `status`. Comes before any thread is made:
/// a Landlock domain binds the thread that makes it and those that come from it.
pub fn lock_down(writable: &[&Path]) -> Result<String, ConfineError> {
    rustix::thread::set_no_new_privs(true).map_err(|errno| ConfineError::NoNewPrivs(errno.into()))?;
    let status = landlock(writable, AccessFs::from_write(LANDLOCK_ABI))?;
    let landlock = match status {
        RulesetStatus::FullyEnforced => "landlock fully enforced",
        RulesetStatus::PartiallyEnforced => "landlock partially enforced (older kernel)",
        RulesetStatus::NotEnforced => "landlock not available",
    };
    Ok(format!("no_new_privs, {landlock}, seccomp allowlist"))
}

/// The sandbox of the helper that handles the canaries: nothing is written or executed but in its directory.
pub fn lock_helper(directory: &Path) -> std::io::Result<()> {
    landlock(&[directory], AccessFs::from_write(LANDLOCK_ABI) | AccessFs::Execute)
        .map(drop)
        .map_err(std::io::Error::other)
}

/// Nothing may be written or executed but `there` in our own directories, no TCP.
fn landlock(writable: &[&Path], there: landlock::BitFlags<AccessFs>) -> Result<RulesetStatus, ConfineError> {
    let writes = AccessFs::from_write(LANDLOCK_ABI);
    let mut rules = Ruleset::default()
        // Best effort is right here: an older kernel's narrower domain is still narrower than none, and it is reported.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(writes | AccessFs::Execute)?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .create()?;
    for path in writable.iter().filter(|path| path.is_dir()) {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, there))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}
