//! The reports of `aegisbpf doctor`, one of each host of the matrix, kept in the tree: a page and a table are made of them.

use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;

/// The directory, below the top of the tree.
const REPORTS: &str = "docs/reports";

/// Puts the report of a row in the place of the one before.
pub(crate) fn keep(row: &str, text: &str) -> Result<()> {
    let path = paths::root()?.join(REPORTS).join(format!("{}.json", row.replace('/', "-")));
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Every report, oldest kernel first.
pub(crate) fn all() -> Result<Vec<PathBuf>> {
    let directory = paths::root()?.join(REPORTS);
    let entries = fs::read_dir(&directory).context(REPORTS)?;
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    if found.is_empty() {
        bail!("{REPORTS} holds no report");
    }
    found.sort_by_key(|path| order(&path.file_stem().unwrap_or_default().to_string_lossy()));
    Ok(found)
}

/// Numbers by their value, so that 5.10 comes behind 5.9; what begins with none comes last.
fn order(name: &str) -> (Vec<u32>, String) {
    let series = name.split('-').next().unwrap_or_default();
    let numbers: Option<Vec<u32>> = series.split('.').map(|part| part.parse().ok()).collect();
    (numbers.unwrap_or_else(|| vec![u32::MAX]), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_in_their_order() {
        let mut names = ["restricted-host", "6.12-lsm", "6.1-trace", "6.1-lsm", "5.10-lsm"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["5.10-lsm", "6.1-lsm", "6.1-trace", "6.12-lsm", "restricted-host"]);
    }

    #[test]
    fn there_are_enough_to_compare() {
        let reports = all().expect("reports");
        assert!(reports.len() >= 12, "{} reports", reports.len());
    }
}
