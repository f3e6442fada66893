//! What `aegisbpf metrics` said in each state that the checks of a row brought about, kept in the tree: alerts and dashboard
//! are held against it, so that neither can drift apart from what is really told.

use crate::record;
use crate::release::Release;
use anyhow::Result;
use guest::Line;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The file, below the top of the tree.
const RECORD: &str = "docs/metrics.json";

/// The states, and the alerts that have to fire in each, and no others.
pub(crate) const STATES: [(&str, &[&str]); 13] = [
    ("healthy", &[]),
    ("denials", &["HighDenyRate"]),
    ("break-glass", &["BreakGlassOn"]),
    ("refused", &["PolicyApplyFailed"]),
    ("mended", &[]),
    ("unsigned", &["UnsignedPolicy"]),
    // That policy is still the one in force.
    ("still", &["ProofOld", "UnsignedPolicy"]),
    ("lost", &["EventsLost", "UnsignedPolicy"]),
    ("misreporting", &["EnforcementLost", "Misreporting"]),
    ("gone", &["AgentDown"]),
    ("detached", &["AgentDown", "EnforcementLost"]),
    ("partial", &["PartialAttach"]),
    ("degraded", &["Degraded"]),
];

/// Every recorded row, by its name.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Samples {
    pub(crate) rows: BTreeMap<String, Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// What `uname -r` says.
    pub(crate) kernel: String,
    /// The names of all metrics that were told in any state.
    pub(crate) names: BTreeSet<String>,
    /// The states.
    pub(crate) states: BTreeMap<String, State>,
}

/// One state, looked at twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// When the second look was, in milliseconds since 1970.
    pub(crate) at: u64,
    /// How many milliseconds lay between the two.
    pub(crate) between: u64,
    /// The first look, line by line; a dashboard's metrics and an alert's, not each map and hook.
    pub(crate) first: Vec<String>,
    /// What the second look had in the place of some of these lines.
    pub(crate) then: Vec<String>,
}

/// The metric of a line.
pub(crate) fn name(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap_or_default()
}

impl State {
    /// Only lines of the metrics that alerts name are kept.
    fn of(looks: &[(u64, &str)], wanted: &BTreeSet<String>) -> Option<Self> {
        let [(before, first), (at, second)] = looks else { return None };
        let lines = |text: &str| -> Vec<String> {
            text.lines().filter(|line| wanted.contains(name(line))).map(str::to_owned).collect()
        };
        let first = lines(first);
        let then = lines(second).into_iter().filter(|line| !first.contains(line)).collect();
        Some(Self { at: *at, between: at.saturating_sub(*before), first, then })
    }
}

impl Row {
    /// What the lines of a row tell; `None` for one that did not bring about every state.
    pub(crate) fn of(kernel: &Release, lines: &[Line], wanted: &BTreeSet<String>) -> Option<Self> {
        let mut looks: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for line in lines {
            let Line::Metrics { state, at, text } = line else { continue };
            looks.entry(state).or_default().push((*at, text));
            names.extend(text.lines().map(|line| name(line).to_owned()));
        }
        let state = |(state, _): &(&str, _)| {
            let found = State::of(looks.get(*state)?, wanted)?;
            Some(((*state).to_owned(), found))
        };
        let states = STATES.iter().map(state).collect::<Option<_>>()?;
        Some(Self { kernel: kernel.uname(), names, states })
    }
}

impl Samples {
    /// Reads the record.
    pub(crate) fn read() -> Result<Self> {
        record::read(RECORD)
    }

    /// Puts one row in the place of what was recorded of it before.
    pub(crate) fn keep(row: &str, found: Row) -> Result<()> {
        let mut record = Self::read()?;
        record.rows.insert(row.to_owned(), found);
        record::write(RECORD, &record)
    }
}

#[cfg(test)]
mod tests;
