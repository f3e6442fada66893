//! What came of some of the checks in each row of the matrix, kept in the tree: documents are made of it.

use crate::record;
use crate::release::Release;
use crate::row::Verdict;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The checks that provoke the failures of the contracts: `docs/DEGRADED_MODES.md`.
pub(crate) const FAILURES: &str = "docs/failures.json";
/// Those that take away privileges: the table in `SECURITY.md`.
pub(crate) const PRIVILEGES: &str = "docs/capabilities.json";
/// The drill of a taken-over agent: `docs/SANDBOX.md`.
pub(crate) const DRILL: &str = "docs/drill.json";

/// Every recorded row, by its name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
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
    /// What came of those of the expected checks that are recorded; `None` for a row without any. A check without a result
    /// has not passed.
    pub(crate) fn of(
        kernel: &Release,
        expected: &[String],
        recorded: &[String],
        verdict: &Verdict,
    ) -> Option<Self> {
        let checks = expected.iter().filter(|id| recorded.contains(id));
        let checks: BTreeMap<String, bool> = checks.map(|id| (id.clone(), verdict.has_passed(id))).collect();
        (!checks.is_empty()).then(|| Self { kernel: kernel.uname(), checks })
    }
}

impl Results {
    /// Reads a record.
    pub(crate) fn read(file: &'static str) -> Result<Self> {
        record::read(file)
    }

    /// Puts one row in the place of what was recorded of it before.
    pub(crate) fn keep(file: &'static str, row: &str, outcome: Outcome) -> Result<()> {
        let mut record = Self::read(file)?;
        record.rows.insert(row.to_owned(), outcome);
        record::write(file, &record)
    }

    /// The rows in which a check passed, by the kernel, and in how many it ran.
    pub(crate) fn passed(&self, check: &str) -> (Vec<&str>, usize) {
        let ran = self.rows.iter().filter_map(|(name, row)| Some((name, row.checks.get(check)?)));
        let passed = ran.clone().filter(|(_, passed)| **passed);
        let kernels = passed.map(|(name, _)| name.split('/').next().unwrap_or(name));
        (kernels.collect(), ran.count())
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
        let record = Results { rows: [("6.12/lsm".to_owned(), outcome)].into_iter().collect() };
        assert_eq!(
            ["failure.a", "failure.b", "failure.c"].map(|id| record.count(id)),
            [(1, 1), (0, 1), (0, 0)]
        );
        assert_eq!(Outcome::of(&kernel, &expected, &[], &verdict), None);
    }

    #[test]
    fn only_what_passed_counts() {
        let row = |passed| Outcome {
            kernel: "6.12.1".to_owned(),
            checks: [("least.a".to_owned(), passed)].into_iter().collect(),
        };
        let rows = [("5.10/privileges".to_owned(), row(false)), ("6.12/privileges".to_owned(), row(true))];
        let record = Results { rows: rows.into_iter().collect() };
        assert_eq!(record.passed("least.a"), (vec!["6.12"], 2));
        assert_eq!(record.passed("least.b"), (vec![], 0));
    }
}
