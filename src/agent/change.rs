//! Changing the policy of a running system, from any process of root's, whether or not an agent is alive.
//!
//! On disk first, then in the kernel: a generation is kept, built beside the one in force, named as the one to run, and
//! comes into force by one store that cannot fail. Whoever is interrupted on the way leaves the old one in force, and
//! the next one here removes what is left of the attempt.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf, absolute},
    time::{Duration, SystemTime},
};

use super::{
    AgentError, Dirs, Journal, Live, Source,
    journal::deed,
    resolve::{Resolved, resolve},
    source::UNSIGNED,
};
use crate::{
    audit::{Deed, Outcome, What},
    enforce::{EnforceError, Enroller, Held, InForce, Staged},
    event::rfc3339,
    kernel::Kernel,
    plan::Accept,
    policy::Digest,
    state::PolicyState,
    store::{Record, SCHEMA_VERSION, Seen, Store, StoreError, Writer},
};

/// How to apply.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOptions {
    /// What is accepted on purpose.
    pub accept: Accept,
    /// Unless it is confirmed so soon, the policy ends by itself.
    pub confirm_within: Option<Duration>,
    /// How many generations to keep.
    pub keep: usize,
}

/// What came of a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The generation that was meant.
    pub generation: u64,
    /// The one before.
    pub before: Option<u64>,
    /// Names its text.
    pub sha256: Digest,
    /// Whether decisions follow it now; else it is what the next run takes.
    pub in_force: bool,
    /// When it ends by itself.
    pub reverts_in: Option<Duration>,
    /// Paths and cgroups that do not exist.
    pub absent: Vec<PathBuf>,
}

/// The right to change the policy, and what is in force.
#[derive(Debug)]
pub struct Change {
    pub(super) store: Writer,
    pub(super) live: Option<Live>,
    pub(super) config: PathBuf,
    pub(super) journal: Journal,
}

impl Change {
    /// Takes the right, for which it waits a little, and puts in order what was left by one who was interrupted.
    pub fn begin(dirs: &Dirs, patience: Duration) -> Result<Self, AgentError> {
        let store = Store::at(&dirs.state).lock(patience)?.ok_or(AgentError::Changing)?;
        Self::with(dirs, store, Live::find(dirs)?)
    }

    /// The same for the agent itself, before it is at work: nothing but pins can be in force.
    pub(super) fn begin_run(dirs: &Dirs, patience: Duration) -> Result<Self, AgentError> {
        let store = Store::at(&dirs.state).lock(patience)?.ok_or(AgentError::Changing)?;
        let live = match Live::pinned(dirs) {
            // Who may not look there may not take over what is there either, and has nowhere to pin: that ends in a tier
            // that only observes, or nowhere.
            Err(AgentError::Enforce(EnforceError::Pin { source, .. }))
                if source.raw_os_error() == Some(libc::EACCES) =>
            {
                None
            }
            other => other?,
        };
        Self::with(dirs, store, live)
    }

    fn with(dirs: &Dirs, store: Writer, live: Option<Live>) -> Result<Self, AgentError> {
        if let Some(live) = &live {
            live.bank.settle();
        }
        let change = Self { store, live, config: dirs.config.clone(), journal: Journal::of(dirs) };
        let now = change.in_force();
        let generation = |held: Option<Held>| held.map(|held| held.generation);
        let stays = match now.pending {
            Some(pending) => pending.returns,
            None => generation(now.held),
        };
        change.store.recover(generation(now.held), stays)?;
        change.journal.settle(change.now()?, now.held.map(|held| held.sha256), now.pending.is_some())?;
        change.raise_floor()?;
        Ok(change)
    }

    fn in_force(&self) -> InForce {
        self.live.as_ref().map(|live| live.bank.in_force()).unwrap_or_default()
    }

    /// The generation that decides now, or that the next run takes.
    pub(super) fn now(&self) -> Result<Option<u64>, AgentError> {
        match self.in_force().held {
            Some(held) => Ok(Some(held.generation)),
            None => Ok(self.store.current()?),
        }
    }

    /// Names the text of that policy.
    pub(super) fn sha256_now(&self) -> Result<Option<Digest>, AgentError> {
        match self.in_force().held {
            Some(held) => Ok(Some(held.sha256)),
            None => Ok(self
                .now()?
                .and_then(|generation| self.store.record(generation).ok())
                .map(|now| now.sha256)),
        }
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.in_force().pending.is_some()
    }

    /// Refuses where something waits to be confirmed: two steps back at once would be a third policy.
    fn nothing_pending(&self) -> Result<(), AgentError> {
        match self.in_force() {
            InForce { held: Some(held), pending: Some(pending) } => {
                Err(AgentError::Unconfirmed { generation: held.generation, left: pending.left })
            }
            _ => Ok(()),
        }
    }

    /// Makes a policy the one in force.
    pub fn apply(self, source: &Source, options: &ApplyOptions) -> Result<Changed, AgentError> {
        let (mut record, resolved) = match self.prepare(source, options) {
            Ok(prepared) => prepared,
            Err(why) => {
                let deed = Deed { sha256: Some(source.sha256), ..Deed::new(What::Apply, Outcome::Intended) };
                return self.told(deed, Err(why));
            }
        };
        note(&mut record, &resolved);
        let trial = options.confirm_within.map(|time| time.as_secs());
        let mut deed = Deed { trial, ..deed(What::Apply, record.previous, &record) };
        deed.reason = record.remarks.iter().find(|remark| *remark == UNSIGNED).cloned();
        let changed = self.put(&record, source, &resolved, options, &deed);
        if changed.is_err() {
            // The first error is the one to report; the next change removes what this leaves.
            drop(self.store.forget(record.generation).and_then(|()| self.store.arrived()));
        }
        self.told(deed, changed)
    }

    fn prepare(&self, source: &Source, options: &ApplyOptions) -> Result<(Record, Resolved), AgentError> {
        self.nothing_pending()?;
        self.refuse_replay(source, self.mode())?;
        if options.confirm_within.is_some() && self.in_force().held.is_none() {
            return Err(AgentError::NothingInForce);
        }
        let enroller = match &self.live {
            Some(live) => live.enroller(&Kernel::open())?,
            None => Enroller::without(),
        };
        let resolved = resolve(&enroller, &source.policy, options.accept)?;
        let mut record = self.record(source)?;
        record.allow_critical = options.accept.critical;
        Ok((record, resolved))
    }

    fn put(
        &self,
        record: &Record,
        source: &Source,
        resolved: &Resolved,
        options: &ApplyOptions,
        deed: &Deed,
    ) -> Result<Changed, AgentError> {
        self.store.keep(record, &source.text, source.accepted_signature())?;
        let staged = self.live.as_ref().map(|live| live.bank.stage(&held(record), &resolved.rules));
        let staged = staged.transpose()?;
        self.journal.record(deed.clone())?;
        if options.confirm_within.is_none() {
            // A policy on trial is not what a reboot is to bring back.
            self.take_over(record.generation)?;
        }
        if let (Some(live), Some(staged)) = (&self.live, &staged) {
            live.bank.activate(staged, options.confirm_within);
        }
        // It is in force: what is left to do is for the next change, should it fail now.
        drop(self.store.arrived().and_then(|()| self.sweep(options.keep)));
        Ok(Changed {
            generation: record.generation,
            before: record.previous,
            sha256: record.sha256,
            in_force: staged.is_some(),
            reverts_in: options.confirm_within,
            absent: resolved.absent.clone(),
        })
    }

    /// Says in the log what came of what was intended there. Where that fails, the next change says it.
    pub(super) fn told<T>(&self, deed: Deed, result: Result<T, AgentError>) -> Result<T, AgentError> {
        let told = self.journal.record(match &result {
            Ok(_) => deed.with(Outcome::Done),
            Err(why) => deed.with(Outcome::Refused).because(why.chain()),
        });
        drop(told.and_then(|()| self.raise_floor()));
        result
    }

    pub(super) fn sweep(&self, keep: usize) -> Result<(), StoreError> {
        let retained = self.live.iter().flat_map(|live| live.bank.retained());
        self.store.sweep(keep, &retained.map(|held| held.generation).collect::<Vec<_>>())
    }

    /// Makes a generation the one to run, also when the agent starts anew with the files of now.
    fn take_over(&self, generation: u64) -> Result<(), AgentError> {
        let before = self.store.seen()?;
        let default = self.config.join(super::POLICY);
        let mut paths: Vec<PathBuf> = before.iter().map(|entry| entry.path.clone()).collect();
        if !paths.contains(&default) {
            paths.push(default);
        }
        let now: Vec<Seen> = paths
            .into_iter()
            .filter_map(|path| Some(Seen { sha256: Source::digest(&path)?, path }))
            .collect();
        if now != before {
            self.store.set_seen(&now)?;
        }
        self.store.set_current(generation).inspect_err(|_| {
            // The first error is the one to report.
            drop(self.store.set_seen(&before));
        })?;
        Ok(())
    }

    /// Goes back: to the generation before, or to the one asked for.
    pub fn rollback(self, to: Option<u64>) -> Result<Changed, AgentError> {
        let now = self.now()?;
        let target = match (to, self.in_force().pending) {
            (Some(to), _) => to,
            (None, Some(pending)) => pending.returns.ok_or(AgentError::NoPrevious)?,
            (None, None) => {
                let now = now.ok_or(AgentError::NoPrevious)?;
                self.store.record(now)?.previous.ok_or(AgentError::NoPrevious)?
            }
        };
        let mut record = self.store.record(target)?;
        let deed = deed(What::Rollback, now, &record);
        self.journal.record(deed.clone())?;
        let in_force = self.go_back(&mut record);
        self.told(deed, in_force.map(|in_force| changed_to(&record, now, in_force)))
    }

    fn go_back(&self, record: &mut Record) -> Result<bool, AgentError> {
        let Some(live) = &self.live else {
            self.take_over(record.generation)?;
            return Ok(false);
        };
        // Where the kernel still holds it, no file is read again and no path is looked at.
        let staged = match live.bank.find(record.generation, &record.sha256)? {
            Some(staged) => staged,
            None => self.bring_back(live, record)?,
        };
        self.take_over(record.generation)?;
        live.bank.activate(&staged, None);
        Ok(true)
    }

    /// Looks anew at everything that the policy in force names: cgroups that were made again, files that are there now.
    pub fn reload(self) -> Result<Changed, AgentError> {
        self.nothing_pending()?;
        let generation = self.now()?.ok_or(AgentError::NothingInForce)?;
        let mut record = self.store.record(generation)?;
        let Some(live) = &self.live else { return Err(AgentError::NothingInForce) };
        let deed = deed(What::Reload, Some(generation), &record);
        self.journal.record(deed.clone())?;
        let reloaded = self.bring_back(live, &mut record).map(|staged| live.bank.activate(&staged, None));
        self.told(deed, reloaded.map(|()| changed_to(&record, Some(generation), true)))
    }

    /// Builds a generation anew that the kernel has let go.
    fn bring_back(&self, live: &Live, record: &mut Record) -> Result<Staged, AgentError> {
        let source = Source::stored(&self.store, record)?;
        let enroller = live.enroller(&Kernel::open())?;
        let resolved = resolve(&enroller, &source.policy, accepted(record))?;
        note(record, &resolved);
        self.store.rewrite(record)?;
        Ok(live.bank.stage(&held(record), &resolved.rules)?)
    }

    /// Makes a policy on trial the one that stays.
    pub fn confirm(self) -> Result<Changed, AgentError> {
        let InForce { held: Some(held), pending: Some(pending) } = self.in_force() else {
            return Err(AgentError::NothingPending);
        };
        let record = self.store.record(held.generation)?;
        let deed = deed(What::Confirm, pending.returns, &record);
        self.journal.record(deed.clone())?;
        let kept = self.keep_for_good(held.generation);
        self.told(deed, kept.map(|()| changed_to(&record, pending.returns, true)))
    }

    fn keep_for_good(&self, generation: u64) -> Result<(), AgentError> {
        let before = self.store.current()?;
        self.take_over(generation)?;
        if self.live.as_ref().is_some_and(|live| live.bank.confirm()) {
            return Ok(());
        }
        if let Some(before) = before {
            self.store.set_current(before)?;
        }
        Err(AgentError::NothingPending)
    }

    pub(super) fn record(&self, source: &Source) -> Result<Record, AgentError> {
        let retained = self.live.iter().flat_map(|live| live.bank.retained());
        let in_kernel = retained.map(|held| held.generation).max().unwrap_or(0);
        Ok(Record {
            schema_version: SCHEMA_VERSION,
            generation: self.store.next(in_kernel)?,
            sha256: source.sha256,
            previous: self.now()?,
            applied_at: rfc3339(SystemTime::now()),
            origin: origin(&source.path),
            policy_version: source.policy.settings.policy_version,
            signed_by: source.signed_by.clone(),
            rules: source.policy.rules(),
            allow_critical: false,
            remarks: source.remarks.clone(),
            cgroups: Vec::new(),
        })
    }
}

/// A policy file as it is named from everywhere.
pub(super) fn origin(path: &Path) -> PathBuf {
    if path == Path::new("-") { path.to_owned() } else { absolute(path).unwrap_or_else(|_| path.to_owned()) }
}

/// What is accepted of a policy that was accepted before: what has gone missing since is no reason to leave it.
pub(super) fn accepted(record: &Record) -> Accept {
    Accept { missing: true, critical: record.allow_critical }
}

/// A generation as the kernel is to know it.
pub(super) fn held(record: &Record) -> Held {
    let rules = u32::try_from(record.rules).unwrap_or(u32::MAX);
    Held { generation: record.generation, sha256: record.sha256, rules }
}

pub(super) fn note(record: &mut Record, resolved: &Resolved) {
    const ABSENT: &str = "does not exist";
    record.cgroups.clone_from(&resolved.cgroups);
    record.remarks.retain(|remark| !remark.ends_with(ABSENT));
    let shown = resolved.absent.iter().take(10);
    record.remarks.extend(shown.map(|path| format!("{} {ABSENT}", path.display())));
    if let Some(more) = resolved.absent.len().checked_sub(11) {
        record.remarks.push(format!("and of {} more paths each {ABSENT}", more + 1));
    }
}

fn changed_to(record: &Record, before: Option<u64>, in_force: bool) -> Changed {
    Changed {
        generation: record.generation,
        before,
        sha256: record.sha256,
        in_force,
        reverts_in: None,
        absent: Vec::new(),
    }
}

/// What the status says of a policy.
pub fn policy_state(now: &InForce, record: Option<&Record>) -> Option<PolicyState> {
    let held = now.held?;
    let end = now.pending.and_then(|pending| SystemTime::now().checked_add(pending.left));
    Some(PolicyState {
        sha256: held.sha256,
        generation: held.generation,
        // To the second: the state file is written anew when it differs.
        confirm_before: end.map(|end| humantime::format_rfc3339_seconds(end).to_string()),
        policy_version: record.and_then(|record| record.policy_version),
        signed_by: record.and_then(|record| record.signed_by.clone()),
        rules: held.rules as usize,
    })
}

/// Cgroups that have another id by now: made anew under the same path, made at last, or gone. Until the policy is
/// applied again, rules follow the old ids.
pub(super) fn moved_cgroups(record: &Record) -> Vec<String> {
    // The inode number of its directory is the id of a cgroup (kernel v5.5, `743210386c03`).
    let now = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.ino());
    let moved = record.cgroups.iter().filter_map(|cgroup| {
        let path = cgroup.path.display();
        match (cgroup.id, now(&cgroup.at)) {
            (Some(old), Some(new)) if old != new => Some(format!("the cgroup {path} was made anew")),
            (None, Some(_)) => Some(format!("the cgroup {path} exists by now")),
            (Some(_), None) => Some(format!("the cgroup {path} is gone")),
            _ => None,
        }
    });
    moved.map(|what| format!("{what}; `aegisbpf policy reload` makes the policy follow")).collect()
}
