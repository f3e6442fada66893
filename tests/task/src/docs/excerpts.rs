//! What the README says of kernels and costs, in a few lines: out of the records that whole documents are made of.

use super::{head, row};
use crate::bench::{Bench, EMPTY, NOTHING, Row};
use crate::record::{End, Record};
use crate::release::Release;
use guest::{Figure, Unit};
use std::collections::BTreeMap;

/// The kernel whose costs are shown; the others are in the document.
const SERIES: &str = "6.12";
const OPEN: &str = "open, close";

/// What became of the ways to a file, by tier and kernel.
pub(super) fn kernels(record: &Record, ways: usize) -> String {
    let mut kernels: Vec<&str> = record.rows.values().map(|outcome| outcome.kernel.as_str()).collect();
    kernels.sort_by(|a, b| Release::new(a).cmp(&Release::new(b)));
    kernels.dedup();
    let named = kernels.iter().map(|kernel| Release::new(kernel).series());
    let columns: Vec<String> = std::iter::once(format!("of {ways} ways to a file")).chain(named).collect();
    let mut out = head(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for (what, tier, end) in [
        ("denied by `bpf-lsm`", "bpf-lsm", End::Denied),
        ("denied by `modify-return`", "modify-return", End::Denied),
        ("seen by `tracepoint`", "tracepoint", End::Seen),
    ] {
        let count = |kernel: &&str| {
            let mut of = record.rows.values().filter(|one| one.kernel == **kernel && one.tier == tier);
            of.next().map_or("–".to_owned(), |one| one.ways.get(&end).copied().unwrap_or(0).to_string())
        };
        out += &row(&std::iter::once(what.to_owned()).chain(kernels.iter().map(count)).collect::<Vec<_>>());
    }
    let mut failed: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in record.rows.values() {
        *failed.entry(outcome.kernel.as_str()).or_default() += outcome.failed.len();
    }
    let failed = kernels.iter().map(|kernel| failed.get(kernel).copied().unwrap_or(0).to_string());
    out + &row(&std::iter::once("ended otherwise than is stated".to_owned())
        .chain(failed)
        .collect::<Vec<_>>())
}

/// How a cell is read out of a row.
type Value = fn(&Row) -> Option<String>;

/// What a few things cost, by tier.
pub(super) fn costs(bench: &Bench) -> String {
    let of = |tier: &str| bench.rows.values().find(|row| row.tier == tier && row.series() == SERIES);
    let rows = [of("bpf-lsm"), of("modify-return")];
    let what = format!("on Linux {SERIES}, over nothing attached");
    let mut out = head(&[&what, "`bpf-lsm`", "`modify-return`"]);
    let lines: [(&str, Value); 5] = [
        ("open and close, empty programs", |row| over(row, EMPTY, OPEN)),
        ("open and close, 1,000 rules", |row| over(row, "1,000 inode rules", OPEN)),
        ("open and close, 1,000,000 rules", |row| over(row, "1,000,000 inode rules", OPEN)),
        ("start to proven enforcement, 10,000 rules", |row| whole(row, "start to proven enforcement")),
        ("resident memory of the agent, 10,000 rules", |row| whole(row, "resident memory of the agent")),
    ];
    for (what, value) in lines {
        let cells = rows.map(|row| row.and_then(value).unwrap_or_else(|| "not recorded".to_owned()));
        out += &row(&std::iter::once(what.to_owned()).chain(cells).collect::<Vec<_>>());
    }
    out
}

fn over(row: &Row, condition: &str, what: &str) -> Option<String> {
    let (base, figure) = (row.find(NOTHING, what)?, row.find(condition, what)?);
    let more = row.over(figure).p50;
    Some(format!("+{more} instructions ({} %)", tenths(more * 1000, base.p50)))
}

fn whole(row: &Row, what: &str) -> Option<String> {
    let Figure { unit, p50, .. } = row.figures.iter().find(|figure| figure.what == what)?;
    Some(match unit {
        Unit::Instructions => format!("{p50} instructions"),
        Unit::Nanoseconds => format!("{} ms", p50 / 1_000_000),
        Unit::Bytes => format!("{} MiB", tenths(p50 * 10, 1 << 20)),
    })
}

/// A tenth of `part / whole`, with one digit behind the point.
fn tenths(part: u64, whole: u64) -> String {
    let rounded = (part + whole / 2) / whole.max(1);
    format!("{}.{}", rounded / 10, rounded % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;

    #[test]
    fn kernels_are_in_their_order() {
        let mut record = Record::default();
        for (row, kernel, tier, end) in [
            ("6.12/lsm", "6.12.9-x", "bpf-lsm", End::Denied),
            ("6.1/trace", "6.1.0-x", "tracepoint", End::Seen),
        ] {
            let ways = [(end, 7), (End::Reached, 2)].into_iter().collect();
            let (kernel, tier, failed) = (kernel.to_owned(), tier.to_owned(), vec!["a.b".to_owned()]);
            let outcome = Outcome { kernel, tier, bpf_in_lsm: true, ways, failed, faults: 0 };
            record.rows.insert(row.to_owned(), outcome);
        }
        let table = kernels(&record, 10);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "| of 10 ways to a file | 6.1 | 6.12 |",
                "| --- | --- | --- |",
                "| denied by `bpf-lsm` | – | 7 |",
                "| denied by `modify-return` | – | – |",
                "| seen by `tracepoint` | 7 | – |",
                "| ended otherwise than is stated | 1 | 1 |",
            ]
        );
    }

    #[test]
    fn costs_are_over_nothing() {
        let figure = |condition: &str, p50| Figure::of(Unit::Instructions, condition, OPEN, vec![p50]);
        let memory = Figure::of(Unit::Bytes, "", "resident memory of the agent", vec![5 << 19]);
        let figures = vec![figure(NOTHING, 6836), figure("1,000 inode rules", 7405), memory];
        let mut bench = Bench::default();
        let row = Row { kernel: "6.12.1".to_owned(), tier: "bpf-lsm".to_owned(), figures };
        bench.rows.insert("6.12/costs".to_owned(), row);
        let table = costs(&bench);
        for line in [
            "| open and close, 1,000 rules | +569 instructions (8.3 %) | not recorded |",
            "| resident memory of the agent, 10,000 rules | 2.5 MiB | not recorded |",
        ] {
            assert!(table.contains(line), "{table}");
        }
    }
}
