//! What became of the ways to a file in each row of the matrix, kept in the tree: `docs/COMPATIBILITY.md` is made of it.

use crate::paths;
use crate::release::Release;
use crate::row::Verdict;
use anyhow::{Context as _, Result, anyhow};
use guest::{Expect, Scenario, Trace, scenarios};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

/// The file, below the top of the tree.
pub(crate) const RECORD: &str = "docs/surface.json";
/// Stands before the id of a way where the observing tier is tried.
const TRACE: &str = "trace.";

/// Every recorded row, by its name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) rows: BTreeMap<String, Outcome>,
}

/// What became of the ways in one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// What `uname -r` says.
    pub(crate) kernel: String,
    /// The tier that was tried.
    pub(crate) tier: String,
    /// Whether `bpf` was among the active LSMs.
    pub(crate) bpf_in_lsm: bool,
    /// How many ways ended how, all of them as their entries say.
    pub(crate) ways: BTreeMap<End, usize>,
    /// The others, by id.
    pub(crate) failed: Vec<String>,
    /// How much else was wrong with the row: other checks, or the kernel.
    pub(crate) faults: usize,
}

/// The end of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// Refused, with an event.
    Denied,
    /// It led to the file.
    Reached,
    /// The observing tier reported it.
    Seen,
    /// The observing tier did not.
    Missed,
    /// The kernel has no such way.
    NotPossible,
}

impl Outcome {
    /// What became of the ways in a row that was run; `None` for a row that tries none. A check passes when the way ended
    /// as its entry says, so entry and kernel tell the end. A way without a result has failed.
    pub(crate) fn of(
        kernel: &Release,
        lsm: &str,
        expected: &[String],
        verdict: &Verdict,
    ) -> Result<Option<Self>> {
        let all = scenarios().map_err(|text| anyhow!(text))?;
        Ok(Self::among(all, kernel, lsm, expected, verdict))
    }

    fn among(
        all: &[Scenario],
        kernel: &Release,
        lsm: &str,
        expected: &[String],
        verdict: &Verdict,
    ) -> Option<Self> {
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        let traced = expected.iter().any(|id| id.starts_with(TRACE));
        let (mut ways, mut failed, mut checks) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        for way in all {
            let check = if traced { format!("{TRACE}{}", way.id) } else { way.id.clone() };
            if !expected.contains(check.as_str()) {
                continue;
            }
            if verdict.has_passed(&check) {
                *ways.entry(end(way, &kernel.series(), traced)).or_default() += 1;
            } else {
                failed.push(way.id.clone());
            }
            checks.insert(check);
        }
        let bpf_in_lsm = lsm.split(',').any(|name| name == "bpf");
        let tier = match (traced, bpf_in_lsm) {
            (true, _) => "tracepoint",
            (false, true) => "bpf-lsm",
            (false, false) => "modify-return",
        };
        let wrong = verdict.faults.iter().map(|fault| &fault.id).chain(&verdict.missing);
        let faults = wrong.filter(|id| !checks.contains(*id)).count();
        let (kernel, tier) = (kernel.uname(), tier.to_owned());
        (!checks.is_empty()).then_some(Self { kernel, tier, bpf_in_lsm, ways, failed, faults })
    }

    /// How many ways were tried.
    pub(crate) fn tried(&self) -> usize {
        self.ways.values().sum::<usize>() + self.failed.len()
    }
}

/// How a way ends that ends as its entry says.
fn end(way: &Scenario, series: &str, traced: bool) -> End {
    if way.lacks.contains_key(series) {
        return End::NotPossible;
    }
    match (traced, way.expect, way.trace) {
        (false, Expect::Denied, _) => End::Denied,
        (false, Expect::Reached, _) => End::Reached,
        (true, _, Trace::Seen) if !way.unseen.contains_key(series) => End::Seen,
        (true, ..) => End::Missed,
    }
}

impl Record {
    /// Reads the record.
    pub(crate) fn read() -> Result<Self> {
        read(RECORD)
    }

    /// Puts one row in the place of what was recorded of it before.
    pub(crate) fn keep(row: &str, outcome: Outcome) -> Result<()> {
        let mut record = Self::read()?;
        record.rows.insert(row.to_owned(), outcome);
        write(RECORD, &record)
    }
}

/// Reads a record, by its file below the top of the tree; one that is not there yet is empty.
pub(crate) fn read<T: Default + DeserializeOwned>(file: &'static str) -> Result<T> {
    match fs::read(paths::root()?.join(file)) {
        Ok(bytes) => serde_json::from_slice(&bytes).context(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error).context(file),
    }
}

/// Writes a record.
pub(crate) fn write(file: &'static str, record: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(record)? + "\n";
    fs::write(paths::root()?.join(file), text).context(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Seen, judge};
    use crate::vm;
    use guest::{Line, Operation, Rule};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn way(id: &str, expect: Expect, trace: Trace, lacks: &str) -> Scenario {
        let lacks = [lacks].into_iter().filter(|series| !series.is_empty());
        Scenario {
            id: id.to_owned(),
            claim: "file.open.read".to_owned(),
            text: "a way".to_owned(),
            rule: Rule::Path,
            op: Operation::Read,
            expect,
            trace,
            before: false,
            unseen: BTreeMap::new(),
            lacks: lacks.map(|series| (series.to_owned(), "it came later".to_owned())).collect(),
        }
    }

    fn ways() -> Vec<Scenario> {
        vec![
            way("a.denied", Expect::Denied, Trace::Seen, ""),
            way("a.free", Expect::Reached, Trace::Missed, ""),
            way("a.later", Expect::Denied, Trace::Missed, "5.10"),
            way("a.wrong", Expect::Denied, Trace::Missed, ""),
        ]
    }

    fn outcome(prefix: &str, lsm: &str, report: &str) -> Option<Outcome> {
        let ids = ["smoke", "a.denied", "a.free", "a.later", "a.wrong"];
        let expected: Vec<String> = ids.iter().map(|id| format!("{prefix}{id}")).collect();
        let seen = Seen {
            lines: report.lines().filter_map(Line::parse).collect(),
            end: vm::End::Exited(ExitStatus::from_raw(0)),
            trouble: None,
            console_tail: String::new(),
        };
        let verdict = judge(&expected, &seen);
        Outcome::among(&ways(), &Release::new("5.10.0-41"), lsm, &expected, &verdict)
    }

    #[test]
    fn what_passed_ended_as_its_entry_says() {
        let report = "@ok smoke\n@ok a.denied\n@ok a.free\n@ok a.later\n@fail a.wrong why\n@done 4 1\n";
        let outcome = outcome("", "landlock,bpf", report).expect("ways");
        assert_eq!(outcome.kernel, "5.10.0-41-cloud-amd64");
        assert_eq!((outcome.tier.as_str(), outcome.bpf_in_lsm), ("bpf-lsm", true));
        let ways = [(End::Denied, 1), (End::Reached, 1), (End::NotPossible, 1)];
        assert_eq!((&outcome.ways, outcome.tried()), (&ways.into_iter().collect(), 4));
        assert_eq!((outcome.failed, outcome.faults), (vec!["a.wrong".to_owned()], 0));
    }

    #[test]
    fn what_is_missing_has_failed() {
        let outcome = outcome("", "landlock", "@ok a.denied\n@ok a.denied\n").expect("ways");
        assert_eq!(outcome.tier, "modify-return");
        assert_eq!(outcome.failed, ["a.denied", "a.free", "a.later", "a.wrong"], "twice is no result either");
        // Without the other check and the end of the report.
        assert_eq!(outcome.faults, 2);
    }

    #[test]
    fn the_observing_tier_sees_or_misses() {
        let report = "@ok trace.smoke\n@ok trace.a.denied\n@ok trace.a.free\n@ok trace.a.later\n@ok trace.a.wrong\n@done 5 0\n";
        let outcome = outcome(TRACE, "landlock,bpf", report).expect("ways");
        assert_eq!(outcome.tier, "tracepoint");
        let ways = [(End::Seen, 1), (End::Missed, 2), (End::NotPossible, 1)];
        assert_eq!(outcome.ways, ways.into_iter().collect());
    }

    #[test]
    fn a_record_survives_the_file() {
        let outcome = outcome("", "bpf", "@ok smoke\n@ok a.denied\n@ok a.later\n").expect("ways");
        let record = Record { rows: [("5.10/lsm".to_owned(), outcome)].into_iter().collect() };
        let text = serde_json::to_string_pretty(&record).expect("JSON");
        assert!(text.contains("\"not-possible\": 1"), "{text}");
        assert_eq!(serde_json::from_str::<Record>(&text).expect("JSON"), record);
    }

    #[test]
    fn a_row_that_tries_no_way_is_not_recorded() {
        assert_eq!(outcome("rig.", "bpf", "@done 0 0\n"), None);
    }
}
