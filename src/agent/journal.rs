//! What is recorded of what this process does: in the audit log, and the end of the log in the kernel.

use std::path::Path;

use super::{AgentError, Dirs, moment::clock};
use crate::{
    audit::{self, Deed, Fault, Head, Log, Outcome, Sound, What, Who},
    enforce::{EnforceError, Ledger, Page, Pins},
    policy::Digest,
    store::{Floor, Record, Store},
};

/// The audit log as this process writes it.
#[derive(Debug)]
pub struct Journal {
    log: Log,
    store: Store,
    who: Who,
    ledger: Option<Ledger>,
    /// Why the kernel could not be asked.
    unseen: Option<String>,
    /// Whether that was the self-guard. An entry of which the kernel does not know would pass for one that was put in.
    guarded: Option<EnforceError>,
}

impl Journal {
    /// Names the log and opens what is pinned. Where the pins cannot be looked at, the log is all there is: whoever may
    /// not look there may not change anything there either.
    pub fn of(dirs: &Dirs) -> Self {
        let mut journal = Self {
            log: Log::at(&dirs.state, &dirs.run),
            store: Store::at(&dirs.state),
            who: Who::current(),
            ledger: None,
            unseen: None,
            guarded: None,
        };
        journal.look(&dirs.bpffs);
        journal
    }

    /// Opens what is pinned by now.
    pub(super) fn look(&mut self, bpffs: &Path) {
        match Pins::below(bpffs).ledger() {
            Ok(ledger) => self.ledger = ledger,
            Err(error @ EnforceError::Guarded { .. }) => self.guarded = Some(error),
            Err(error) => self.unseen = Some(AgentError::from(error).chain()),
        }
    }

    /// Why the kernel could not be asked for the end of the log.
    pub fn unseen(&self) -> Option<&str> {
        self.unseen.as_deref().or_else(|| self.guarded.as_ref().map(|_| "the self-guard keeps it"))
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Who this process works for, in words.
    pub(super) fn name(&self) -> String {
        let Who { uid, loginuid, pid, .. } = &self.who;
        let login = loginuid.map(|uid| format!(", logged in as {uid}")).unwrap_or_default();
        format!("by uid {uid}{login}, pid {pid}")
    }

    /// The end of the log that the kernel knows.
    pub fn known(&self) -> Option<Head> {
        let (seq, sha256) = self.ledger.as_ref()?.read().audit?;
        Some(Head { seq, sha256 })
    }

    /// Goes through the whole log, held against its end as the kernel and the runtime directory know it. Nobody writes
    /// meanwhile.
    pub fn verify(&self) -> Result<Result<Sound, Fault>, AgentError> {
        let _quiet = self.log.hold()?;
        let noted = self.log.noted()?.map(|head| ("the runtime directory", head));
        let known = self.known().map(|head| ("the kernel", head));
        let heads: Vec<_> = known.into_iter().chain(noted).collect();
        Ok(audit::verify(&self.log.files()?, &heads))
    }

    /// Appends an entry. When this returns, it is on disk, and the end of the log is known to the kernel.
    pub fn record(&self, deed: Deed) -> Result<(), AgentError> {
        if let Some(EnforceError::Guarded { path }) = &self.guarded {
            return Err(EnforceError::Guarded { path: path.clone() }.into());
        }
        let writer = self.log.lock()?;
        let head = writer.append(&self.who, deed, self.known())?;
        if let Some(ledger) = &self.ledger {
            let mut page = ledger.read();
            page.audit = Some((head.seq, head.sha256));
            ledger.write(&page);
        }
        Ok(())
    }

    /// What only grows, by the state directory and the kernel: losing one of them does not lower it.
    pub fn floor(&self) -> Result<Floor, AgentError> {
        let page = self.ledger.as_ref().map(Ledger::read).unwrap_or_default();
        let known = Floor { policy_version: page.policy_version, last_seen: page.last_seen };
        Ok(self.store.floor()?.max(known))
    }

    /// Raises the highest accepted policy version, and the latest seen time to that of now. Both places have it when this
    /// returns.
    pub(super) fn raise(&self, policy_version: u64) -> Result<Floor, AgentError> {
        /// A time that is older by less is not worth a write.
        const STEP: u64 = 60;
        let floor = self.floor()?;
        let wanted = |floor: Floor| floor.max(Floor { policy_version, last_seen: clock() });
        let raised = wanted(floor);
        let kept =
            self.store.floor()? == floor && self.ledger.as_ref().is_none_or(|ledger| is_in(ledger, floor));
        if kept && raised.policy_version == floor.policy_version && raised.last_seen < floor.last_seen + STEP
        {
            return Ok(floor);
        }
        let _writer = self.log.lock()?;
        // Asked anew: another one may have raised it since, or an operator may have lowered it.
        let raised = wanted(self.floor()?);
        self.set_floor(raised)?;
        Ok(raised)
    }

    /// Takes the time of now for the latest one, also when it is not.
    pub fn forget_clock(&self) -> Result<(), AgentError> {
        let why = format!("the latest time that was seen was {} s since 1970", self.floor()?.last_seen);
        self.record(Deed::new(What::ClockReset, Outcome::Done).because(why))?;
        let _writer = self.log.lock()?;
        self.set_floor(Floor { last_seen: clock(), ..self.floor()? })
    }

    fn set_floor(&self, floor: Floor) -> Result<(), AgentError> {
        self.store.keep_floor(floor)?;
        if let Some(ledger) = &self.ledger {
            let Floor { policy_version, last_seen } = floor;
            ledger.write(&Page { policy_version, last_seen, ..ledger.read() });
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

fn is_in(ledger: &Ledger, floor: Floor) -> bool {
    let page = ledger.read();
    page.policy_version == floor.policy_version && page.last_seen == floor.last_seen
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn what_an_operator_lowered_meanwhile_stays_low() {
        let dir = tempfile::tempdir().unwrap();
        let place = || dir.path().to_owned();
        let dirs = Dirs { config: place(), state: place(), run: place(), bpffs: place() };
        let journal = Journal::of(&dirs);
        journal.store.keep_floor(Floor { policy_version: 1, last_seen: clock() + 7200 }).unwrap();
        let writer = journal.log.lock().unwrap();
        let (begun, begins) = mpsc::channel();
        let raised = thread::scope(|scope| {
            let raising = scope.spawn(|| {
                begun.send(()).unwrap();
                Journal::of(&dirs).raise(2).unwrap()
            });
            begins.recv().unwrap();
            // It has read the old one by then, and waits for the lock.
            thread::sleep(Duration::from_millis(100));
            journal.store.keep_floor(Floor { policy_version: 1, last_seen: clock() }).unwrap();
            drop(writer);
            raising.join().unwrap()
        });
        assert_eq!(raised.policy_version, 2);
        assert!(raised.last_seen < clock() + 60, "{}", raised.last_seen);
    }
}
