//! What a run begins with, and what is to be said once it has begun.

use std::{path::Path, time::SystemTime};

use super::{
    AgentError, Change, KEYS, Options, Source, beside,
    change::{note, origin},
    journal::deed,
    resolve::Resolved,
    source::UNSIGNED,
};
use crate::{
    audit::{Deed, Outcome, What},
    store::{KEEP, Record, Seen, StoreError},
    tier::Mode,
};

/// What a run is to begin with.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) source: Source,
    pub(super) record: Record,
    /// Whether it was accepted before: then what has gone missing since is no reason to leave it.
    pub(super) known: bool,
}

/// Said of a policy whose signature was accepted once.
const NO_LONGER: &str = "the signature is no longer accepted";

impl Begin {
    /// Asks again whether the signature of a kept policy is accepted: its key may have been revoked since. When keys are
    /// valid counts for accepting a policy, and not for keeping it: else a host would come up with nothing in force.
    fn vouch_again(&mut self, keys: &Path, mode: Mode, allow_unsigned: bool) -> Result<(), AgentError> {
        self.record.remarks.retain(|remark| !remark.starts_with(NO_LONGER));
        if self.record.signed_by.is_none() && self.source.signature.is_none() {
            return Ok(());
        }
        let accepted_at = humantime::parse_rfc3339(&self.record.applied_at).unwrap_or(SystemTime::UNIX_EPOCH);
        let accepted_at = accepted_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        match self.source.vouched_at(keys, i64::try_from(accepted_at).unwrap_or(i64::MAX)) {
            Some(Ok(accepted)) => self.record.signed_by = Some(accepted.principal),
            Some(Err(source)) if mode == Mode::Enforce && !allow_unsigned => {
                return Err(AgentError::Distrusted { path: beside(&self.record.origin), source });
            }
            other => {
                let why = other
                    .and_then(Result::err)
                    .map_or_else(|| "it was lost".to_owned(), |why| why.to_string());
                self.record.signed_by = None;
                self.record.remarks.push(format!("{NO_LONGER}: {why}"));
            }
        }
        Ok(())
    }

    /// Refuses to enforce what nobody signed. A policy that was applied while everything was only audited did not have
    /// to be signed then.
    pub(super) fn admit(&mut self, mode: Mode, allow_unsigned: bool) -> Result<(), AgentError> {
        let Record { signed_by, rules, origin, remarks, .. } = &mut self.record;
        if mode == Mode::Audit || signed_by.is_some() || *rules == 0 {
            return Ok(());
        }
        if !allow_unsigned {
            return Err(AgentError::Unsigned { path: origin.clone() });
        }
        if !remarks.iter().any(|remark| remark == UNSIGNED) {
            remarks.push(UNSIGNED.to_owned());
        }
        Ok(())
    }
}

impl Change {
    /// What a run begins with, if it may; what is refused is on record.
    pub(super) fn chosen(&self, file: &Source, options: &Options) -> Result<Begin, AgentError> {
        let mut deed = Deed { sha256: Some(file.sha256), ..Deed::new(What::RunStart, Outcome::Intended) };
        let chosen = self.choose(file, options.mode).and_then(|mut begin| {
            deed.sha256 = Some(begin.record.sha256);
            if begin.known {
                begin.vouch_again(&self.config.join(KEYS), options.mode, options.allow_unsigned)?;
            }
            begin.admit(options.mode, options.allow_unsigned)?;
            Ok(begin)
        });
        chosen.or_else(|why| self.told(deed, Err(why)))
    }

    /// What a run begins with: its policy file, when that says something new since the policy was last changed;
    /// otherwise the generation that is in force or was when the host went down.
    fn choose(&self, file: &Source, mode: Mode) -> Result<Begin, AgentError> {
        let seen = Seen { path: origin(&file.path), sha256: file.sha256 };
        if (file.absent || self.store.seen()?.contains(&seen))
            && let Some(generation) = self.now()?
        {
            match self.store.record(generation) {
                Ok(record) => {
                    let mut source = Source::stored(&self.store, &record)?;
                    source.remarks.clone_from(&record.remarks);
                    return Ok(Begin { source, record, known: true });
                }
                // The store was lost: the file is all there is.
                Err(StoreError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.refuse_replay(file, mode)?;
        let begin = Begin { source: file.clone(), record: self.record(file)?, known: false };
        self.store.keep(&begin.record, &file.text, file.accepted_signature())?;
        Ok(begin)
    }

    /// Says in the log what a run is about to put into force.
    pub(super) fn begins(&self, begin: &Begin) -> Result<Deed, AgentError> {
        let mut deed = deed(What::RunStart, self.now()?, &begin.record);
        if begin.record.remarks.iter().any(|remark| remark == UNSIGNED) {
            deed = deed.because(UNSIGNED);
        }
        self.journal.record(deed.clone())?;
        Ok(deed)
    }

    /// A run has begun with it.
    pub(super) fn begun(
        &self,
        begin: &mut Begin,
        file: &Source,
        resolved: Option<&Resolved>,
    ) -> Result<(), AgentError> {
        if let Some(resolved) = resolved {
            note(&mut begin.record, resolved);
            self.store.rewrite(&begin.record)?;
        }
        let mut seen = self.store.seen()?;
        seen.retain(|entry| entry.path != origin(&file.path));
        seen.push(Seen { path: origin(&file.path), sha256: file.sha256 });
        // The default file and the last one that was named: no more are needed.
        let default = self.config.join(super::POLICY);
        if let [first, _, _] = seen.as_slice()
            && first.path != default
        {
            seen.remove(0);
        } else if seen.len() > 2 {
            seen.remove(1);
        }
        self.store.set_seen(&seen)?;
        // A policy on trial, which was left as it is, is not what a reboot is to bring back.
        if resolved.is_some() {
            self.store.set_current(begin.record.generation)?;
        }
        self.store.arrived()?;
        Ok(self.sweep(KEEP)?)
    }
}
