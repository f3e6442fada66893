//! What came of the checks that provoke the failures of the contracts, in each row of the matrix, kept in the tree:
//! `docs/DEGRADED_MODES.md` is made of it.

use crate::record;
use crate::release::Release;
use crate::row::Verdict;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file, below the top of the tree.
const RECORD: &str = "docs/failures.json";

/// Every recorded row, by its name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failures {
    pub(crate) rows: BTreeMap<String, Outcome>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// What `uname -r` says.
    pub(crate) kernel: String,
    /// Whether each check passed.
    pub(crate) checks: BTreeMap<String, bool>,
}

impl Outcome {
    /// What came of those of the expected checks that provoke a failure; `None` for a row without any. A check without a
    /// result has not passed.
    pub(crate) fn of(
        kernel: &Release,
        expected: &[String],
        provoking: &[String],
        verdict: &Verdict,
    ) -> Option<Self> {
        let checks = expected.iter().filter(|id| provoking.contains(id));
        let checks: BTreeMap<String, bool> = checks.map(|id| (id.clone(), verdict.has_passed(id))).collect();
        (!checks.is_empty()).then(|| Self { kernel: kernel.uname(), checks })
    }
}

impl Failures {
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

    /// In how many rows a check passed, and in how many it ran.
    pub(crate) fn count(&self, check: &str) -> (usize, usize) {
        let results: Vec<bool> =
            self.rows.values().filter_map(|row| row.checks.get(check).copied()).collect();
        (results.iter().filter(|passed| **passed).count(), results.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_without_a_result_has_not_passed() {
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let verdict = Verdict { passed: ids(&["failure.a", "smoke"]), ..Verdict::default() };
        let expected = ids(&["smoke", "failure.a", "failure.b"]);
        let kernel = Release::new("6.12.1-1");
        let outcome =
            Outcome::of(&kernel, &expected, &ids(&["failure.a", "failure.b", "failure.c"]), &verdict);
        let outcome = outcome.expect("two of them ran");
        let record = Failures { rows: [("6.12/lsm".to_owned(), outcome)].into_iter().collect() };
        assert_eq!(
            ["failure.a", "failure.b", "failure.c"].map(|id| record.count(id)),
            [(1, 1), (0, 1), (0, 0)]
        );
        assert_eq!(Outcome::of(&kernel, &expected, &[], &verdict), None);
    }
}
