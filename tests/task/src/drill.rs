//! What came of the drill of a taken-over agent on each kernel, kept in the tree: `docs/SANDBOX.md` is made of it.

use crate::failures::Outcome;
use crate::record;
use crate::release::Release;
use crate::row::Verdict;
use anyhow::Result;
use guest::ATTEMPTS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file, below the top of the tree.
const RECORD: &str = "docs/drill.json";

/// Every recorded row, by its name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drill {
    pub(crate) rows: BTreeMap<String, Outcome>,
}

/// What came of the attempts in a row; `None` for a row without any.
pub(crate) fn of(kernel: &Release, expected: &[String], verdict: &Verdict) -> Option<Outcome> {
    let attempts = ATTEMPTS.iter().flat_map(|(_, attempts)| attempts.iter());
    let ids: Vec<String> = attempts.map(|attempt| attempt.id.to_owned()).collect();
    Outcome::of(kernel, expected, &ids, verdict)
}

impl Drill {
    /// Reads the record.
    pub(crate) fn read() -> Result<Self> {
        record::read(RECORD)
    }

    /// Puts one row in the place of what was recorded of it before.
    pub(crate) fn keep(row: &str, outcome: Outcome) -> Result<()> {
        let mut record = Self::read()?;
        record.rows.insert(row.to_owned(), outcome);
        record::write(RECORD, &record)
    }
}
