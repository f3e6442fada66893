//! What was decided, counted since the agent began: by hook, cgroup, rule, inode and path.
//!
//! Each decision is counted once, in every table: where no row has room for it, in the table's `other`. So the rows of a
//! table and its `other` always add up to the number of all decisions. The tables lie in the runtime directory
//! (`stats.json`), for `aegisbpf stats` to read; which files were asked for is for their owner alone to read.

mod file;
mod table;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

pub use self::{
    file::{FiguresError, Stats, Tables},
    table::Table,
};
use self::{
    file::{NAME, SCHEMA_VERSION, write},
    table::{Cgroup, Counts, Hook, Inode, Path, Rule, Tally},
};
use crate::{
    event::{Event, rfc3339},
    state::{BEAT, Decided, RunDir},
};

/// What the agent counts.
#[derive(Debug)]
pub(super) struct Figures {
    since: SystemTime,
    all: Counts,
    hooks: Tally<Hook>,
    cgroups: Tally<Cgroup>,
    rules: Tally<Rule>,
    inodes: Tally<Inode>,
    paths: Tally<Path>,
    /// What was last written, and when since the boot.
    written: Option<(Counts, Duration)>,
    /// Why the tables could not be written.
    unwritten: Option<String>,
}

impl Figures {
    /// Nothing was counted yet.
    pub(super) fn new() -> Self {
        Self {
            since: SystemTime::now(),
            all: Counts::default(),
            hooks: Tally::default(),
            cgroups: Tally::default(),
            rules: Tally::default(),
            inodes: Tally::default(),
            paths: Tally::default(),
            written: None,
            unwritten: None,
        }
    }

    /// Counts what an event stands for; one that is no decision stands for none.
    pub(super) fn count(&mut self, event: &Event) {
        let (decision, counts) = match event {
            Event::Deny(decision) => (decision, Counts { deny: decision.count, would_deny: 0 }),
            Event::WouldDeny(decision) => (decision, Counts { deny: 0, would_deny: decision.count }),
            _ => return,
        };
        self.all += counts;
        self.hooks.add(Some(Hook::of(decision)), counts);
        self.cgroups.add(Some(Cgroup::of(decision)), counts);
        self.rules.add(Some(Rule::of(decision)), counts);
        self.inodes.add(Inode::of(decision), counts);
        self.paths.add(Path::of(decision), counts);
    }

    /// By hook, for the state file. There are no more hooks than rows.
    pub(super) fn decided(&self) -> Vec<Decided> {
        let by_name: BTreeMap<&str, Counts> =
            self.hooks.rows().map(|(hook, counts)| (hook.name(), *counts)).collect();
        let decided = |(hook, counts): (&str, Counts)| {
            let Counts { deny, would_deny } = counts;
            Decided { hook: hook.to_owned(), deny, would_deny }
        };
        by_name.into_iter().map(decided).collect()
    }

    /// Writes the tables at once where none were written yet, and from then on with the state file's beat, when there is
    /// something new. That they cannot be written does not end the agent.
    pub(super) fn keep(&mut self, dir: &RunDir, now: Duration) {
        let due = match self.written {
            Some((counts, at)) => (counts != self.all || self.unwritten.is_some()) && now >= at + BEAT,
            None => true,
        };
        if due {
            self.put(dir, now);
        }
    }

    /// Writes the tables a last time.
    pub(super) fn end(&mut self, dir: &RunDir, now: Duration) {
        self.put(dir, now);
    }

    /// Why the tables could not be written, for as long as that is so.
    pub(super) fn unwritten(&self) -> Option<&String> {
        self.unwritten.as_ref()
    }

    /// As they are written.
    fn stats(&self) -> Stats {
        Stats {
            schema_version: SCHEMA_VERSION,
            since: rfc3339(self.since),
            written: rfc3339(SystemTime::now()),
            running: None,
            decisions: self.all,
            by: Tables {
                hook: Some(self.hooks.table()),
                cgroup: Some(self.cgroups.table()),
                rule: Some(self.rules.table()),
                inode: Some(self.inodes.table()),
                path: Some(self.paths.table()),
            },
        }
    }

    fn put(&mut self, dir: &RunDir, now: Duration) {
        self.unwritten = write(dir, &self.stats()).err().map(|error| {
            format!("{}: the figures could not be written: {error}", dir.path().join(NAME).display())
        });
        self.written = Some((self.all, now));
    }
}

#[cfg(test)]
mod tests;
