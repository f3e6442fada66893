//! What everything costs, kept in the tree, and the ceilings that it is held against.

use crate::paths;
use crate::peers::Peers;
use crate::record;
use crate::release::Release;
use crate::row::Fault;
use crate::sizes::Part;
use anyhow::{Context as _, Result};
use guest::{Figure, Line, Unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// The files, below the top of the tree.
pub(crate) const RECORD: &str = "docs/bench.json";
pub(crate) const CEILINGS: &str = "tests/bench.toml";

/// With no program attached.
pub(crate) const NOTHING: &str = "nothing";
/// With a program on each hook that allows and does nothing else.
pub(crate) const EMPTY: &str = "empty";

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bench {
    /// The size of the agent's file.
    pub(crate) binary_bytes: u64,
    /// What each crate takes of it.
    #[serde(default)]
    pub(crate) crates: BTreeMap<String, Part>,
    /// By the names of the rows.
    pub(crate) rows: BTreeMap<String, Row>,
    /// What others take, by the names of the rows.
    #[serde(default)]
    pub(crate) peers: BTreeMap<String, Peers>,
}

/// One row: a kernel and a tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// What `uname -r` says.
    pub(crate) kernel: String,
    pub(crate) tier: String,
    /// In the order in which they were measured.
    pub(crate) figures: Vec<Figure>,
}

impl Bench {
    /// Reads the record; one that is not there yet is empty.
    pub(crate) fn read() -> Result<Self> {
        record::read(RECORD)
    }

    /// Puts one row in the place of what was recorded of it before.
    pub(crate) fn keep(binary_bytes: u64, name: &str, row: Row) -> Result<()> {
        record::write(RECORD, &Self::read()?.with(binary_bytes, name, row))
    }

    fn with(mut self, binary_bytes: u64, name: &str, row: Row) -> Self {
        self.rows.insert(name.to_owned(), row);
        Self { binary_bytes, ..self }
    }

    /// The same with what each crate takes of the agent's file.
    pub(crate) fn keep_crates(binary_bytes: u64, crates: BTreeMap<String, Part>) -> Result<()> {
        record::write(RECORD, &Self { binary_bytes, crates, ..Self::read()? })
    }

    /// The same with what others take.
    pub(crate) fn keep_peers(name: &str, peers: Peers) -> Result<()> {
        let mut bench = Self::read()?;
        bench.peers.insert(name.to_owned(), peers);
        record::write(RECORD, &bench)
    }
}

impl Row {
    /// What a row of the matrix told; `None` of one that measures nothing.
    pub(crate) fn of(kernel: &Release, suffix: &str, lines: &[Line]) -> Option<Self> {
        let figures = lines.iter().filter_map(|line| match line {
            Line::Figure(figure) => Some(figure.clone()),
            _ => None,
        });
        let figures: Vec<Figure> = figures.collect();
        let tier = match suffix.split_once('-') {
            None => "bpf-lsm",
            Some((_, "trace")) => "tracepoint",
            Some(_) => "modify-return",
        };
        (!figures.is_empty()).then(|| Self { kernel: kernel.uname(), tier: tier.to_owned(), figures })
    }

    /// By what its ceilings go: the series of the kernel, and the tier.
    fn place(&self) -> String {
        format!("{} {}", self.series(), self.tier)
    }

    /// `6.12` of `6.12.117+deb13-cloud-amd64`.
    pub(crate) fn series(&self) -> String {
        Release::new(&self.kernel).series()
    }

    /// What was measured of this under that condition.
    pub(crate) fn find(&self, condition: &str, what: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.condition == condition && figure.what == what)
    }

    /// What an operation takes more than with nothing attached; all of it where it cannot be done then.
    pub(crate) fn over(&self, figure: &Figure) -> Over {
        let base = self.find(NOTHING, &figure.what).map_or((0, 0), |base| (base.p50, base.p99));
        Over { p50: figure.p50.saturating_sub(base.0), p99: figure.p99.saturating_sub(base.1) }
    }

    /// The figures that are held against ceilings, with what they are over nothing.
    fn held(&self) -> impl Iterator<Item = (&Figure, Over)> {
        let held = self.figures.iter().filter(|f| f.unit == Unit::Instructions && f.condition != NOTHING);
        held.map(|figure| (figure, self.over(figure)))
    }
}

/// Instructions beyond those with nothing attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Over {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// The most that each may take: by kernel and tier, condition and operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ceilings(BTreeMap<String, BTreeMap<String, BTreeMap<String, Over>>>);

impl Ceilings {
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(paths::root()?.join(CEILINGS)).context(CEILINGS)?;
        toml::from_str(&text).context(CEILINGS)
    }

    /// What is above its ceiling, or has none.
    pub(crate) fn faults(&self, row: &Row) -> Vec<Fault> {
        let fault = |(figure, over): (&Figure, Over)| {
            let (condition, what) = (&figure.condition, &figure.what);
            let ceiling = self.0.get(&row.place()).and_then(|of| of.get(condition)?.get(what));
            let detail = match ceiling {
                None => format!("{condition}: {what}: no ceiling in {CEILINGS}"),
                Some(most) if over.p50 > most.p50 || over.p99 > most.p99 => format!(
                    "{condition}: {what}: p50 {} and p99 {} over nothing, at most {} and {} in {CEILINGS}",
                    over.p50, over.p99, most.p50, most.p99
                ),
                Some(_) => return None,
            };
            Some(Fault { id: "bench.ceiling".to_owned(), detail })
        };
        row.held().filter_map(fault).collect()
    }

    /// What was recorded, with some room.
    fn above(bench: &Bench) -> Self {
        let mut ceilings = Self::default();
        for row in bench.rows.values() {
            for (figure, over) in row.held() {
                let of = ceilings.0.entry(row.place()).or_default();
                let most = Over {
                    p50: with_room(over.p50, figure.p50, figure.p50 - figure.least),
                    p99: with_room(over.p99, figure.p99, figure.p99 - figure.p50),
                };
                of.entry(figure.condition.clone()).or_default().insert(figure.what.clone(), most);
            }
        }
        ceilings
    }

    /// Puts what follows from the record in the place of the ceilings.
    pub(crate) fn settle() -> Result<()> {
        let text = Self::above(&Bench::read()?).text();
        fs::write(paths::root()?.join(CEILINGS), text).context(CEILINGS)
    }

    fn text(&self) -> String {
        let mut out = HEAD.to_owned();
        for (place, conditions) in &self.0 {
            for (condition, operations) in conditions {
                // Writing to a string cannot fail.
                let _ = write!(out, "\n[\"{place}\".\"{condition}\"]\n");
                for (what, Over { p50, p99 }) in operations {
                    let _ = writeln!(out, "\"{what}\" = {{ p50 = {p50}, p99 = {p99} }}");
                }
            }
        }
        out
    }
}

const HEAD: &str = "\
# The most instructions that an operation may take beyond those with nothing attached; all of them where a denial is
# measured. `./dev bench --ceilings` writes it from docs/bench.json, with a little room. `./dev bench --check` and
# the row 6.12/bench of the matrix hold what they measure against it.
";

/// Room for another compiler or a new release of a kernel: a twentieth of the cost and two thousandths of the operation;
/// and as much as the operation varies by itself, which is nothing where no process is started.
fn with_room(over: u64, whole: u64, varies: u64) -> u64 {
    (over + over / 20 + whole / 500 + varies).next_multiple_of(10)
}

/// A figure as people read it while it is measured.
pub(crate) fn told(figure: &Figure) -> String {
    let Figure { condition, what, least, p50, p99, most, count, .. } = figure;
    let unit = match figure.unit {
        Unit::Instructions => "instructions",
        Unit::Nanoseconds => "ns",
        Unit::Bytes => "bytes",
    };
    format!("{condition}: {what}: p50 {p50}, p99 {p99} {unit} ({least} to {most}, {count} times)")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn figure(condition: &str, what: &str, value: u64) -> Figure {
        Figure::of(Unit::Instructions, condition, what, vec![value])
    }

    pub(crate) fn row(tier: &str, ours: u64) -> Row {
        let figures = vec![
            figure(NOTHING, "open, close", 7000),
            figure(EMPTY, "open, close", 7200),
            figure("1 inode rule", "open, close", 7000 + ours),
            figure("1,000,000 inode rules", "open, close", 7000 + ours),
            figure("denying, with a reader", "denied open", 9000),
        ];
        Row { kernel: "6.12.1".to_owned(), tier: tier.to_owned(), figures }
    }

    fn bench(row: Row) -> Bench {
        Bench { binary_bytes: 1, rows: [("6.12/costs".to_owned(), row)].into(), ..Bench::default() }
    }

    #[test]
    fn a_row_replaces_itself_alone() {
        let before = bench(row("bpf-lsm", 220)).with(2, "6.1/costs", row("bpf-lsm", 230));
        let after = before.clone().with(3, "6.1/costs", row("bpf-lsm", 240));
        assert_eq!(after.rows.keys().collect::<Vec<_>>(), ["6.1/costs", "6.12/costs"]);
        assert_eq!(after.rows.get("6.12/costs"), before.rows.get("6.12/costs"));
        assert_eq!((after.rows.get("6.1/costs"), after.binary_bytes), (Some(&row("bpf-lsm", 240)), 3));
    }

    #[test]
    fn what_was_recorded_is_below_its_ceilings() -> Result<()> {
        let ceilings = Ceilings::above(&bench(row("bpf-lsm", 220)));
        let read: Ceilings = toml::from_str(&ceilings.text())?;
        assert_eq!(read, ceilings);
        assert_eq!(read.faults(&row("bpf-lsm", 220)), []);
        Ok(())
    }

    #[test]
    fn what_rises_above_a_ceiling_is_named() {
        let ceilings = Ceilings::above(&bench(row("bpf-lsm", 220)));
        let faults = ceilings.faults(&row("bpf-lsm", 400));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults.iter().all(|fault| fault.detail.contains("p50 400")), "{faults:?}");
        // Another tier has none at all.
        let faults = ceilings.faults(&row("modify-return", 220));
        assert!(faults.len() == 4 && faults.iter().all(|fault| fault.detail.contains("no ceiling")));
    }

    #[test]
    fn a_row_is_of_a_tier() {
        let lines = [Line::Figure(figure(NOTHING, "open, close", 1)), Line::Ok("bench.nothing".to_owned())];
        let tier = |suffix| Row::of(&Release::new("6.12.1-1"), suffix, &lines).map(|row| row.tier);
        assert_eq!(tier("costs").as_deref(), Some("bpf-lsm"));
        assert_eq!(tier("bench-no-lsm").as_deref(), Some("modify-return"));
        assert_eq!(tier("costs-trace").as_deref(), Some("tracepoint"));
        assert_eq!(Row::of(&Release::new("6.12.1-1"), "lsm", &[]), None);
    }

    #[test]
    fn the_ceilings_in_the_tree_can_be_read() -> Result<()> {
        let ceilings = Ceilings::read()?;
        for tier in ["bpf-lsm", "modify-return"] {
            assert!(
                ceilings.0.get(&format!("6.12 {tier}")).is_some_and(|of| of.contains_key(EMPTY)),
                "{tier}"
            );
        }
        Ok(())
    }
}
