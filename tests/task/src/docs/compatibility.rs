//! The tables of `docs/COMPATIBILITY.md`: what became of the ways on each kernel, and what doctor reported there.

use super::{between, head, kept, row};
use crate::record::{End, Outcome, Record};
use crate::release::Release;
use anyhow::Result;
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/COMPATIBILITY.md";

/// Where the table of the ways goes, and where that of the reports.
const RECORDED: [&str; 2] = ["<!-- recorded -->\n", "<!-- end -->\n"];
const REPORTED: [&str; 2] = ["<!-- reported -->\n", "<!-- end of reports -->\n"];

/// The column of each tier.
const TIERS: [(&str, &str); 3] = [
    ("bpf-lsm", "`bpf-lsm` (`bpf` in `lsm=`)"),
    ("modify-return", "`modify-return` (`bpf` not in `lsm=`)"),
    ("tracepoint", "`tracepoint`"),
];

/// The document as it is, with its tables anew. `reports` is the table of what doctor reported.
pub(super) fn text(record: &Record, ways: usize, reports: &str) -> Result<String> {
    let kept = kept(PATH)?;
    between(PATH, &between(PATH, &kept, RECORDED, &table(record, ways))?, REPORTED, reports)
}

fn table(record: &Record, ways: usize) -> String {
    if record.rows.is_empty() {
        return "Nothing is recorded yet.\n".to_owned();
    }
    let mut kernels: Vec<&str> = record.rows.values().map(|outcome| outcome.kernel.as_str()).collect();
    kernels.sort_by(|a, b| Release::new(a).cmp(&Release::new(b)));
    kernels.dedup();
    let mut out = head(&["kernel", TIERS[0].1, TIERS[1].1, TIERS[2].1]);
    for kernel in kernels {
        let recorded = |tier: &str| {
            let of = |outcome: &&Outcome| outcome.kernel == kernel && outcome.tier == tier;
            let cells: Vec<String> =
                record.rows.values().filter(of).map(|outcome| cell(outcome, ways)).collect();
            if cells.is_empty() { "not recorded".to_owned() } else { cells.join("; ") }
        };
        let cells = TIERS.iter().map(|(tier, _)| recorded(tier));
        out.push_str(&row(&std::iter::once(format!("`{kernel}`")).chain(cells).collect::<Vec<_>>()));
    }
    out + &failures(record)
}

fn cell(outcome: &Outcome, ways: usize) -> String {
    let mut parts: Vec<String> =
        outcome.ways.iter().map(|(end, count)| format!("{count} {}", word(*end))).collect();
    parts.push(format!("{} failed", outcome.failed.len()));
    if outcome.tried() != ways {
        parts.push(format!("recorded with {} ways", outcome.tried()));
    }
    parts.join(", ")
}

fn word(end: End) -> &'static str {
    match end {
        End::Denied => "denied",
        End::Reached => "reached",
        End::Seen => "seen",
        End::Missed => "missed",
        End::NotPossible => "not possible",
    }
}

/// What was not as it should be, by name.
fn failures(record: &Record) -> String {
    let mut out = String::new();
    for (name, outcome) in &record.rows {
        let mut wrong: BTreeSet<String> = outcome.failed.iter().map(|id| format!("`{id}`")).collect();
        if outcome.faults > 0 {
            wrong.insert(format!("{} faults besides the ways", outcome.faults));
        }
        if !wrong.is_empty() {
            let _ =
                writeln!(out, "- Failed in `{name}`: {}", wrong.into_iter().collect::<Vec<_>>().join(", "));
        }
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RECORD;

    fn outcome(kernel: &str, tier: &str, failed: &[&str]) -> Outcome {
        Outcome {
            kernel: kernel.to_owned(),
            tier: tier.to_owned(),
            bpf_in_lsm: tier != "modify-return",
            ways: [(End::Denied, 7), (End::NotPossible, 1)].into_iter().collect(),
            failed: failed.iter().map(|&id| id.to_owned()).collect(),
            faults: failed.len(),
        }
    }

    #[test]
    fn kernels_are_in_their_order_and_failures_named() {
        let mut record = Record::default();
        assert_eq!(table(&record, 8), "Nothing is recorded yet.\n");
        for (row, kernel, tier) in [("6.12/lsm", "6.12.9-x", "bpf-lsm"), ("6.1/lsm", "6.1.0-x", "bpf-lsm")] {
            record.rows.insert(row.to_owned(), outcome(kernel, tier, &[]));
        }
        record.rows.insert("6.1/no-lsm".to_owned(), outcome("6.1.0-x", "modify-return", &["a.b"]));
        let table = table(&record, 8);
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| `6.1.0-x` | 7 denied, 1 not possible, 0 failed | 7 denied, 1 not possible, 1 failed, recorded with 9 ways | not recorded |",
                "| `6.12.9-x` | 7 denied, 1 not possible, 0 failed | not recorded | not recorded |",
                "",
                "- Failed in `6.1/no-lsm`: 1 faults besides the ways, `a.b`",
            ]
        );
    }

    #[test]
    fn the_document_says_where_its_table_is_from() {
        let kept = kept(PATH).expect("the document");
        assert!(kept.lines().next().is_some_and(|line| line.starts_with("<!-- ") && line.contains(RECORD)));
    }
}
