//! Which policies may follow on those that were accepted: the version only grows.

use std::sync::atomic::Ordering;

use super::{AgentError, Change, Source};
use crate::{abi, tier::Mode};

impl Change {
    /// What happens to what is denied now; where nothing is in force, it is denied nowhere.
    pub(super) fn mode(&self) -> Mode {
        let enforces =
            |live: &super::Live| live.bank.control.mode.load(Ordering::Acquire) == abi::MODE_ENFORCE;
        if self.live.as_ref().is_some_and(enforces) { Mode::Enforce } else { Mode::Audit }
    }

    /// Refuses a policy whose version is not above the highest that was accepted. The very policy that is in force is no
    /// replay of it. One without a version is refused where it could be used to get round this: where it is signed, and
    /// would need no exception to be enforced, and where it would be enforced now.
    pub(super) fn refuse_replay(&self, source: &Source, mode: Mode) -> Result<(), AgentError> {
        let highest = self.journal.floor()?.policy_version;
        let version = source.policy.settings.policy_version;
        let is_new = match version {
            Some(version) => version > highest,
            None => highest == 0 || (mode == Mode::Audit && source.signed_by.is_none()),
        };
        if is_new || self.sha256_now()? == Some(source.sha256) {
            return Ok(());
        }
        Err(AgentError::Replay { path: source.path.clone(), version, highest })
    }

    /// Makes the version of the policy in force the highest one, if it is. Only signed policies count: one that anybody
    /// could have written must not shut out those that are signed. One on trial counts once it is confirmed.
    pub(super) fn raise_floor(&self) -> Result<(), AgentError> {
        let record = match (self.now()?, self.is_on_trial()) {
            (Some(generation), false) => self.store.record(generation).ok(),
            _ => None,
        };
        let signed = record.filter(|record| record.signed_by.is_some());
        let version = signed.and_then(|record| record.policy_version).unwrap_or(0);
        self.journal.raise(version).map(drop)
    }
}
