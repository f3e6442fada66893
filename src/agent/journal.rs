//! What is recorded of what this process does: in the audit log, and the end of the log in the kernel.

use super::{AgentError, Dirs};
use crate::{
    audit::{Deed, Head, Log, Outcome, What, Who},
    enforce::{Ledger, Pins},
    policy::Digest,
    store::Record,
};

/// The audit log as this process writes it.
#[derive(Debug)]
pub struct Journal {
    log: Log,
    who: Who,
    ledger: Option<Ledger>,
}

impl Journal {
    /// Names the log and opens what is pinned. Where the pins cannot be looked at, the log is all there is: whoever may
    /// not look there may not change anything there either.
    pub fn of(dirs: &Dirs) -> Self {
        let mut journal = Self { log: Log::at(&dirs.state, &dirs.run), who: Who::current(), ledger: None };
        journal.look(&Pins::below(&dirs.bpffs));
        journal
    }

    /// Opens what has been pinned since.
    pub(super) fn look(&mut self, pins: &Pins) {
        self.ledger = pins.ledger().ok().flatten();
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The end of the log that the kernel knows.
    pub fn known(&self) -> Option<Head> {
        let (seq, sha256) = self.ledger.as_ref()?.read().audit?;
        Some(Head { seq, sha256 })
    }

    /// Appends an entry. When this returns, it is on disk, and the end of the log is known to the kernel.
    pub fn record(&self, deed: Deed) -> Result<(), AgentError> {
        let writer = self.log.lock()?;
        let head = writer.append(&self.who, deed, self.known())?;
        if let Some(ledger) = &self.ledger {
            let mut page = ledger.read();
            page.audit = Some((head.seq, head.sha256));
            ledger.write(&page);
        }
        Ok(())
    }

    /// Records that something was refused, where a state directory was ever made. What cannot be recorded is refused all
    /// the same.
    pub fn refused(dirs: &Dirs, deed: Deed, why: &AgentError) -> Result<(), AgentError> {
        if matches!(why, AgentError::Changing | AgentError::Busy) || !dirs.state.is_dir() {
            return Ok(());
        }
        Self::of(dirs).record(deed.with(Outcome::Refused).because(why.chain()))
    }

    /// Makes the log agree with what is in force: says what came of a change whose writer was interrupted, and whatever
    /// [`Self::follow`] says. The caller has the right to change the policy.
    pub(super) fn settle(
        &self,
        generation: Option<u64>,
        sha256: Option<Digest>,
        on_trial: bool,
    ) -> Result<(), AgentError> {
        let Some(last) = self.log.last_change()? else { return Ok(()) };
        if last.deed.result != Outcome::Intended {
            return self.follow(generation, sha256);
        }
        let Deed { what, from, to, .. } = last.deed;
        let arrived = generation == to
            && match what {
                What::Confirm => !on_trial,
                _ => from != to,
            };
        self.record(if arrived {
            last.deed.with(Outcome::Done).because("its writer was interrupted; it is in force")
        } else {
            let why = "its writer was interrupted before it was known to be done";
            last.deed.with(Outcome::Refused).because(why)
        })
    }

    /// Says that another policy is in force than the log has it: a trial ended when nobody was there to say so. Somebody
    /// who is changing it says himself what he does.
    pub(super) fn follow(&self, generation: Option<u64>, sha256: Option<Digest>) -> Result<(), AgentError> {
        let Some(last) = self.log.last_change()? else { return Ok(()) };
        let Deed { result, to, trial, .. } = last.deed;
        if result == Outcome::Intended || generation == to {
            return Ok(());
        }
        let (what, why) = match trial {
            Some(_) => (What::TrialEnded, "nobody confirmed it in time"),
            None => (What::Found, "nothing in the log says how it came into force"),
        };
        self.record(Deed { from: to, to: generation, sha256, ..Deed::new(what, Outcome::Done).because(why) })
    }
}

/// A change to a generation.
pub(super) fn deed(what: What, from: Option<u64>, record: &Record) -> Deed {
    Deed {
        from,
        to: Some(record.generation),
        sha256: Some(record.sha256),
        policy_version: record.policy_version,
        signed_by: record.signed_by.clone(),
        ..Deed::new(what, Outcome::Intended)
    }
}
