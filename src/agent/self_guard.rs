//! The self-guard as commands see it: what it is set to, and letting in the next binary.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use super::{AgentError, Dirs, Journal, Live};
use crate::{
    audit::{Deed, Outcome, What},
    enforce::Bank,
    kernel::Kernel,
    plan::Identity,
    state::{BinaryState, GuardState},
};

/// What the programs go by.
pub fn guard_state(bank: &Bank) -> GuardState {
    let enrolled = bank.enrolled();
    let armed = enrolled.is_some();
    GuardState { armed, enrolled: enrolled.unwrap_or_default().into_iter().map(shown).collect() }
}

fn shown(identity: Identity) -> BinaryState {
    let Identity { inode, generation } = identity;
    let device = format!("{}:{}", inode.dev >> 20, inode.dev & 0xf_ffff);
    BinaryState { device, inode: inode.ino, generation }
}

/// Lets the program at a path count as the agent, beside the one that runs: an upgrade is to take over. Recorded first;
/// what could not be recorded is not done.
pub fn admit(dirs: &Dirs, file: &Path) -> Result<GuardState, AgentError> {
    let unfit = |source| AgentError::NotAdmitted { path: file.to_owned(), source };
    let metadata = file.metadata().map_err(unfit)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(unfit(io::ErrorKind::PermissionDenied.into()));
    }
    let live = Live::find(dirs)?.filter(|live| live.bank.enrolled().is_some()).ok_or(AgentError::NotArmed)?;
    let kernel = Kernel::open();
    let next = live.enroller(&kernel)?.followed(file)?;
    let BinaryState { device, inode, generation } = shown(next);
    let what = format!("{} (device {device}, inode {inode}, generation {generation})", file.display());
    Journal::of(dirs).record(Deed::new(What::GuardAdmit, Outcome::Done).because(what))?;
    live.bank.admit(next);
    Ok(guard_state(&live.bank))
}
