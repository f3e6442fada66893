//! The lines of `docs/QUALITY_GATES.md` whose state follows from what was recorded: nobody has to remember them.

use super::row;
use crate::bench::{Bench, NOTHING, Row};
use crate::soak::Soak;
use anyhow::{Result, bail};

pub(super) const PATH: &str = "docs/QUALITY_GATES.md";

const READ: &str = "open, read, close";
const RULES: &str = "1,000 inode rules";
const HOURS: u64 = 6;
const OPEN: &str = "**open**";

/// The document as it is, with those lines anew.
pub(super) fn text(kept: &str, bench: &Bench, soak: &Soak) -> Result<String> {
    let mut out = kept.to_owned();
    for cells in [overhead(bench), soaked(soak), tail(bench)] {
        let name = format!("| {} |", cells.first().map_or("", String::as_str));
        let Some(line) = kept.lines().find(|line| line.starts_with(&name)) else {
            bail!("{PATH} has no line that begins with {name:?}");
        };
        out = out.replace(line, row(&cells).trim_end());
    }
    Ok(out)
}

/// The largest p99 overhead of any row that enforces, in tenths of a percent, with the name of the row.
fn worst(bench: &Bench) -> Option<(u64, &str)> {
    let share = |(name, row): (&'_ String, &Row)| {
        let (nothing, ours) = (row.find(NOTHING, READ)?, row.find(RULES, READ)?);
        Some((row.over(ours).p99 * 1000 / nothing.p99.max(1), name.clone()))
    };
    let enforcing = bench.rows.iter().filter(|(_, row)| row.tier != "tracepoint");
    let (most, name) = enforcing.filter_map(share).max()?;
    Some((most, bench.rows.keys().find(|known| **known == name)?))
}

fn overhead(bench: &Bench) -> Vec<String> {
    let (state, shown) = match worst(bench) {
        None => (OPEN, "not recorded: `./dev bench` measures it".to_owned()),
        Some((tenths, row)) => (
            if tenths < 50 { "met" } else { OPEN },
            format!(
                "`./dev bench`: at most {}.{} % of open, read, close with 1,000 rules, in `{row}`, by counted instructions \
                 ([BENCHMARKS.md](BENCHMARKS.md)); a ceiling at each run of `6.12/bench`",
                tenths / 10,
                tenths % 10
            ),
        ),
    };
    vec!["B3: p99 overhead below 5 %".to_owned(), state.to_owned(), shown]
}

fn tail(bench: &Bench) -> Vec<String> {
    let state = match worst(bench) {
        Some((..30, _)) => "met",
        Some((..50, _)) => "5 % met, 3 % **open**",
        _ => OPEN,
    };
    let cells = ["p99 overhead of a system call", "5 %, then 3 %", state, "as B3"];
    cells.map(str::to_owned).to_vec()
}

fn soaked(soak: &Soak) -> Vec<String> {
    let minutes = soak.seconds() / 60;
    let met = minutes >= HOURS * 60 && soak.passed();
    let kept = if soak.passed() { "kept to every bound" } else { "did not keep to every bound" };
    let shown = format!(
        "`./dev soak --hours {HOURS}` measures it; the run on record took {minutes} minutes and {kept} \
         ([BENCHMARKS.md](BENCHMARKS.md))"
    );
    let state = if met { "met" } else { OPEN };
    vec![format!("B3: soak of at least {HOURS} hours"), state.to_owned(), shown]
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest::{Figure, Unit};

    const KEPT: &str = "| B3: p99 overhead below 5 % | old | old |\n| B3: soak of at least 6 hours | old | old |\n\
        | p99 overhead of a system call | old | old | old |\nmore\n";

    fn bench(more: u64) -> Bench {
        let figure = |condition: &str, p99| Figure::of(Unit::Instructions, condition, READ, vec![p99]);
        let figures = vec![figure(NOTHING, 1000), figure(RULES, 1000 + more)];
        let mut bench = Bench::default();
        for (name, tier) in [("6.12/costs", "bpf-lsm"), ("6.12/costs-trace", "tracepoint")] {
            let row = Row { kernel: "6.12.1".to_owned(), tier: tier.to_owned(), figures: figures.clone() };
            bench.rows.insert(name.to_owned(), row);
        }
        bench
    }

    #[test]
    fn a_state_follows_from_the_record() -> Result<()> {
        let soak = Soak::read()?;
        for (more, gate, figure) in
            [(29, "met", "met"), (30, "met", "5 % met, 3 % **open**"), (50, OPEN, OPEN), (99, OPEN, OPEN)]
        {
            let made = text(KEPT, &bench(more), &soak)?;
            assert!(made.contains(&format!("| B3: p99 overhead below 5 % | {gate} | ")), "{made}");
            assert!(made.contains(&format!("| 5 %, then 3 % | {figure} | as B3 |")), "{made}");
            assert!(made.contains(&format!("at most {}.{} %", more / 10, more % 10)), "{made}");
            assert!(!made.contains("old") && made.ends_with("\nmore\n"), "{made}");
        }
        assert!(text(KEPT, &Bench::default(), &soak)?.contains("| **open** | not recorded"));
        assert!(text("| B3: other |\n", &bench(1), &soak).is_err());
        Ok(())
    }
}
