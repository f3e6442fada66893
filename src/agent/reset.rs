//! Ending enforcement, and forgetting what led to it.

use std::{path::PathBuf, time::Duration};

use super::{AgentError, Dirs, Journal};
use crate::{
    audit::{Deed, Outcome, What},
    enforce::Pins,
    state::RunDir,
    store::Store,
};

/// What was ended.
#[derive(Debug)]
pub struct Ended {
    /// The pins that were removed.
    pub removed: Vec<PathBuf>,
    /// Why it is not on record: the way out must not depend on a disk.
    pub unrecorded: Option<AgentError>,
}

/// Removes every pin of ours, and says so in the audit log.
pub fn detach(dirs: &Dirs) -> Result<Ended, AgentError> {
    let journal = Journal::of(dirs);
    let removed = Pins::below(&dirs.bpffs).remove_all()?;
    if removed.is_empty() {
        return Ok(Ended { removed, unrecorded: None });
    }
    let unrecorded = journal.record(Deed::new(What::Detach, Outcome::Done)).err();
    Ok(Ended { removed, unrecorded })
}

/// The same, and forgets generations, the highest policy version and the latest seen time. The log stays.
pub fn reset(dirs: &Dirs) -> Result<Ended, AgentError> {
    let run_dir = RunDir::at(&dirs.run);
    let lock = run_dir.lock().map_err(|source| AgentError::Directory { path: dirs.run.clone(), source })?;
    let _lock = lock.ok_or(AgentError::Busy)?;
    let store = Store::at(&dirs.state).lock(Duration::ZERO)?.ok_or(AgentError::Changing)?;
    let journal = Journal::of(dirs);
    let from = store.current()?;
    let removed = Pins::below(&dirs.bpffs).remove_all()?;
    store.clear()?;
    let deed = Deed { from, ..Deed::new(What::Reset, Outcome::Done) };
    Ok(Ended { removed, unrecorded: journal.record(deed).err() })
}
