//! What came of taking away privileges, in each row of the matrix, kept in the tree: the table in `SECURITY.md` is made of
//! it.

use crate::failures::Outcome;
use crate::record;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file, below the top of the tree.
const RECORD: &str = "docs/capabilities.json";

/// Every recorded row, by its name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Privileges {
    pub(crate) rows: BTreeMap<String, Outcome>,
}

impl Privileges {
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

    /// The rows in which a check passed, by the kernel, and in how many it ran.
    pub(crate) fn passed(&self, check: &str) -> (Vec<&str>, usize) {
        let ran = self.rows.iter().filter_map(|(name, row)| Some((name, row.checks.get(check)?)));
        let passed = ran.clone().filter(|(_, passed)| **passed);
        let kernels = passed.map(|(name, _)| name.split('/').next().unwrap_or(name));
        (kernels.collect(), ran.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_counts() {
        let row = |passed| Outcome {
            kernel: "6.12.1".to_owned(),
            checks: [("least.a".to_owned(), passed)].into_iter().collect(),
        };
        let rows = [("5.10/privileges".to_owned(), row(false)), ("6.12/privileges".to_owned(), row(true))];
        let record = Privileges { rows: rows.into_iter().collect() };
        assert_eq!(record.passed("least.a"), (vec!["6.12"], 2));
        assert_eq!(record.passed("least.b"), (vec![], 0));
    }
}
