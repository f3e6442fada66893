//! What everything costs, in `docs/BENCHMARKS.md`, and its picture.

use super::chart::{GAP, LEFT, PANEL, RIGHT, STYLE, Scale, TOP, WIDTH};
use super::{benchmarks, head, peers, row, sizes};
use crate::bench::{Bench, EMPTY, NOTHING, Row};
use crate::paths;
use crate::soak::{Soak, seconds as float};
use anyhow::{Context as _, Result};
use guest::{Figure, Unit};
use std::fmt::Write as _;
use std::fs;

pub(super) const PICTURE: &str = "docs/bench.svg";

/// What an agent does most often, and what the picture shows.
const OPEN: &str = "open, close";
const READ: &str = "open, read, close";
/// The conditions of the picture, by their numbers of rules.
const COUNTS: [(f64, &str); 4] = [
    (1.0, "1 inode rule"),
    (1_000.0, "1,000 inode rules"),
    (65_536.0, "65,536 inode rules"),
    (1_000_000.0, "1,000,000 inode rules"),
];

/// Writes what follows from figures that were just recorded.
pub(crate) fn write(bench: &Bench) -> Result<()> {
    let text = benchmarks::text(bench, &Soak::read()?);
    for (path, text) in [(benchmarks::PATH, text), (PICTURE, picture(bench))] {
        fs::write(paths::root()?.join(path), text).context(path)?;
    }
    Ok(())
}

const METHOD: &str = "
Measured in VMs with one emulated processor whose clock counts instructions (`-accel tcg,thread=single -icount
shift=0,sleep=off`): a nanosecond of the guest is one instruction, of user space and kernel together, whatever else the
machine does meanwhile. The median of an operation that starts no process repeats from boot to boot within a thousandth; one
that does varies by a hundredth. An instruction is not a time: caches and predictions are not emulated. Each operation is
measured by two looks at the clock, which are in the figures.

`./dev bench` measures all of it anew, `./dev bench --check` fails when a figure is above its ceiling in `tests/bench.toml`,
and the row `6.12/bench` of the matrix holds some of them against these ceilings at each run of `./dev test`.
";

const NOT_KEPT: &str = "
What stands behind those that are not kept:

- **Start.** The kernel verifies, copies and compiles each program by itself, and puts it into one of its functions: in
  `modify-return` two for each hook. Of a start with one rule on 6.12 nine tenths are spent there: an eighth of that on
  attaching, a fifth on copying and clearing memory, most of the rest on verifying (320 samples at the ticks of the guest's
  own clock, `profile=5`). On 7.3 more than a third goes into a part of its verifier that 6.12 does not have
  (`compute_subprog_args`). All hooks are attached, whatever the policy in force asks for, so that the next one waits for none.
- **Cost over empty programs.** In `modify-return` an operation that no rule is about passes two programs, so that none passes
  undecided when the first is skipped, and `empty` is one; and each field is read with a check of its address, as on 6.1 in
  `bpf-lsm` as well: the verifier trusts no argument there.
";

const CONDITIONS: &str = "
Files are on tmpfs, and what is opened lies four directories deep. `exec` starts a static program of 132 bytes and waits for
its end; `rename` is one there and one back; the walk lists, opens, reads and closes each of 2,000 files in 20 directories; the
shell loop is busybox's `sh` starting `cat` twenty times. `empty` are programs that allow and do nothing else on the same
hooks, attached in the same way: nothing that is attached there can cost less. Rules by inode are on the device of what is
opened; `beside it` means that a rule names a file in the same directory, whose names are then looked at, and `named` that a
rule names what is opened and does not bind the one who opens it. A denied open is measured with
an agent that reads and writes out its events, and after that agent was killed; both are whole figures, as there is no denial
with nothing attached.
";

/// The section.
pub(super) fn section(bench: &Bench) -> String {
    let mut out = "## Costs\n".to_owned();
    if bench.rows.is_empty() {
        return out + "\nNot recorded: `./dev bench` does that.\n";
    }
    out += METHOD;
    out += "\n### Bounds\n\n";
    out += &head(&["row", "what", "bound", "measured", "kept"]);
    out += &bounds(bench);
    out += NOT_KEPT;
    out += "\n### Operations\n";
    out += CONDITIONS;
    out += "\n![cost of an open over the number of rules](bench.svg)\n";
    for (name, one) in &bench.rows {
        out += &operations(name, one, &format!("`{}`", one.tier));
    }
    out + &peers::section(bench) + &commands(bench) + &sizes::section(bench)
}

/// One thing that was promised.
struct Bound {
    what: &'static str,
    limit: &'static str,
    measured: String,
    kept: bool,
}

impl Bound {
    fn row(&self, name: &str) -> String {
        let kept = if self.kept { "yes" } else { "**no**" };
        row(&[name, self.what, self.limit, &self.measured, kept])
    }
}

fn bounds(bench: &Bench) -> String {
    let mebibytes = float(bench.binary_bytes) / 1024.0 / 1024.0;
    let measured = format!("{mebibytes:.2} MiB");
    let binary = Bound { what: "the static binary", limit: "6 MiB", measured, kept: mebibytes <= 6.0 };
    let mut out = binary.row("");
    for (name, one) in bench.rows.iter().filter(|(_, row)| row.tier != "tracepoint") {
        let costs =
            [against_empty(one, "1 inode rule"), against_empty(one, "1,000,000 inode rules"), tail(one)];
        let costs = costs.into_iter().flatten();
        for bound in costs.chain(LIMITS.iter().filter_map(|limit| limit.bound(one))) {
            out += &bound.row(&format!("`{name}`"));
        }
    }
    out
}

fn against_empty(one: &Row, condition: &'static str) -> Option<Bound> {
    let over = |condition| Some(float(one.over(one.find(condition, OPEN)?).p50));
    let ratio = over(condition)? / over(EMPTY)?.max(1.0);
    let what = match condition {
        "1 inode rule" => "an open over empty programs, 1 rule",
        _ => "an open over empty programs, 1,000,000 rules",
    };
    Some(Bound { what, limit: "1.25 ×", measured: format!("{ratio:.2} ×"), kept: ratio <= 1.25 })
}

fn tail(one: &Row) -> Option<Bound> {
    let (nothing, ours) = (one.find(NOTHING, READ)?, one.find("1,000 inode rules", READ)?);
    let share = percent(one.over(ours).p99, nothing.p99);
    let measured = format!("{share:.1} %");
    Some(Bound { what: "p99 of open, read, close, 1,000 rules", limit: "3 %", measured, kept: share < 3.0 })
}

/// A command or an amount, and the most that it may be.
struct Limit {
    figure: &'static str,
    value: fn(&Figure) -> u64,
    most: u64,
    bound: &'static str,
}

const MILLISECOND: u64 = 1_000_000;

const LIMITS: [Limit; 7] = [
    Limit {
        figure: "start to proven enforcement",
        value: |f| f.p50,
        most: 500 * MILLISECOND,
        bound: "500 ms",
    },
    Limit { figure: "health", value: |f| f.most, most: 100 * MILLISECOND, bound: "100 ms" },
    Limit { figure: "status", value: |f| f.most, most: 100 * MILLISECOND, bound: "100 ms" },
    Limit { figure: "policy rollback", value: |f| f.p99, most: 50 * MILLISECOND, bound: "p99 50 ms" },
    Limit {
        figure: "policy apply, 10,000 path rules",
        value: |f| f.p50,
        most: 1000 * MILLISECOND,
        bound: "1 s",
    },
    Limit {
        figure: "policy apply, 1,000,000 inode rules",
        value: |f| f.p50,
        most: 20_000 * MILLISECOND,
        bound: "20 s",
    },
    Limit {
        figure: "resident memory of the agent",
        value: |f| f.p50,
        most: 16 * 1024 * 1024,
        bound: "16 MiB",
    },
];

impl Limit {
    fn bound(&self, one: &Row) -> Option<Bound> {
        let figure = one.figures.iter().find(|figure| figure.what == self.figure)?;
        let value = (self.value)(figure);
        let measured = amount(figure.unit, value);
        Some(Bound { what: self.figure, limit: self.bound, measured, kept: value <= self.most })
    }
}

fn amount(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Instructions => value.to_string(),
        Unit::Nanoseconds => format!("{:.1} ms", float(value / 1000) / 1000.0),
        Unit::Bytes if value < 10 * 1024 => format!("{value} bytes"),
        Unit::Bytes => format!("{} KiB", value / 1024),
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * float(part) / float(whole.max(1))
}

/// The values of a field in the order in which they first come.
fn distinct<'a>(figures: impl Iterator<Item = &'a Figure>, field: fn(&Figure) -> &str) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for figure in figures {
        let value = field(figure);
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// What each operation takes more than with nothing attached, under each condition.
pub(super) fn operations(name: &str, one: &Row, of: &str) -> String {
    let counted = || one.figures.iter().filter(|figure| figure.unit == Unit::Instructions);
    let (whats, conditions) = (distinct(counted(), |f| &f.what), distinct(counted(), |f| &f.condition));
    let mut out = format!(
        "\n#### `{name}`: {of}, Linux {}\n\nInstructions, p50 / p99; those of other conditions than `nothing` are what is \
         added to it.\n\n",
        one.kernel
    );
    let columns: Vec<&str> = std::iter::once("condition").chain(whats.iter().copied()).collect();
    out += &head(&columns);
    for condition in conditions {
        let cells =
            whats.iter().map(|what| one.find(condition, what).map_or_else(String::new, |f| cell(one, f)));
        out += &row(&std::iter::once(condition.to_owned()).chain(cells).collect::<Vec<_>>());
    }
    out
}

fn cell(one: &Row, figure: &Figure) -> String {
    match one.find(NOTHING, &figure.what) {
        Some(base) if base != figure => {
            let over = one.over(figure);
            format!("+{} ({:.1} %) / +{}", over.p50, percent(over.p50, base.p50), over.p99)
        }
        _ => format!("{} / {}", figure.p50, figure.p99),
    }
}

fn commands(bench: &Bench) -> String {
    let mut out = "\n### Commands and memory\n
Guest time of a whole command from its start to its end, which counts its instructions and those of whatever it waits for; with
10,000 path rules in force. The agent is started with these rules, and has started when it has proven each hook. Kernel memory
is by how much all maps grow, for each rule, as the kernel counts it (which it does exactly from 6.4 on).\n\n"
        .to_owned();
    out += &head(&["row", "what", "runs", "median", "least", "p99", "most"]);
    for (name, one) in &bench.rows {
        for figure in one.figures.iter().filter(|figure| figure.unit != Unit::Instructions) {
            let values = [figure.p50, figure.least, figure.p99, figure.most];
            let cells = [format!("`{name}`"), figure.what.clone(), figure.count.to_string()];
            out += &row(&cells
                .into_iter()
                .chain(values.map(|value| amount(figure.unit, value)))
                .collect::<Vec<_>>());
        }
    }
    out
}

/// The picture: for each enforcing tier what an open costs, over the number of rules, on each kernel.
pub(super) fn picture(bench: &Bench) -> String {
    let height = TOP + (PANEL + GAP) * 2.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>What an open costs over the number of rules</title>\n{STYLE}"
    );
    for (tier, top) in [("bpf-lsm", TOP), ("modify-return", TOP + PANEL + GAP)] {
        let rows: Vec<&Row> = bench.rows.values().filter(|row| row.tier == tier).collect();
        out += &panel(tier, &rows, top);
    }
    out + "</svg>\n"
}

fn panel(tier: &str, rows: &[&Row], top: f64) -> String {
    let lines: Vec<Line> = rows.iter().flat_map(|row| [Line::ours(row), Line::empty(row)]).collect();
    let most = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let scale = Scale::of(most, 0.0, false);
    let (right, bottom) = (WIDTH - RIGHT, top + PANEL);
    let title = format!("{tier}: instructions that an open and close costs more than with nothing attached");
    let mut out = scale.panel(&title, top);
    // Before the labels at the right end of the lines.
    let end = right - 160.0;
    let x = |rules: f64| LEFT + rules.log10() / 6.0 * (end - LEFT);
    for (index, line) in lines.iter().enumerate() {
        let place = |&(rules, cost): &(f64, f64)| {
            format!("{:.1},{:.1}", x(rules), bottom - scale.place(cost) * PANEL)
        };
        let points: Vec<String> = line.points.iter().map(place).collect();
        let class = ["a", "b", "c"].get(index / 2 % 3).unwrap_or(&"a");
        let (points, from, to) = (points.join(" "), end + 12.0, end + 34.0);
        let y = top + 12.0 + 16.0 * float(index as u64);
        let (over, after, name, opacity) = (y - 4.0, to + 6.0, &line.name, line.opacity);
        let _ = writeln!(
            out,
            "<g stroke-opacity=\"{opacity}\"><polyline class=\"{class}\" points=\"{points}\"/>\
             <polyline class=\"{class}\" points=\"{from},{over} {to},{over}\"/></g>\
             <text x=\"{after}\" y=\"{y}\">{name}</text>"
        );
    }
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{LEFT} {top}V{bottom}H{right}\"/>");
    for (rules, label) in COUNTS {
        let (at, label) = (x(rules), label.split(' ').next().unwrap_or(label));
        let _ = writeln!(
            out,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
    out
}

/// One line of a panel.
struct Line {
    name: String,
    opacity: &'static str,
    /// Number of rules and cost.
    points: Vec<(f64, f64)>,
}

impl Line {
    fn ours(row: &Row) -> Self {
        let cost = |&(rules, condition): &(f64, &str)| Some((rules, Self::cost(row, condition)?));
        Self { name: row.series(), opacity: "1", points: COUNTS.iter().filter_map(cost).collect() }
    }

    fn empty(row: &Row) -> Self {
        let cost = Self::cost(row, EMPTY);
        let points = cost.map(|cost| vec![(1.0, cost), (1_000_000.0, cost)]).unwrap_or_default();
        Self { name: format!("{}, empty", row.series()), opacity: ".4", points }
    }

    fn cost(row: &Row, condition: &str) -> Option<f64> {
        Some(float(row.over(row.find(condition, OPEN)?).p50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tests::{figure, row};

    fn bench() -> Bench {
        let rows = [("6.12/costs", row("bpf-lsm", 240)), ("6.12/costs-no-lsm", row("modify-return", 300))];
        let rows = rows.into_iter().map(|(name, row)| (name.to_owned(), row)).collect();
        Bench { binary_bytes: 5 << 20, rows, ..Bench::default() }
    }

    #[test]
    fn costs_are_what_is_added_to_nothing() {
        let text = section(&bench());
        assert!(text.contains("| nothing | 7000 / 7000 |  |"), "{text}");
        assert!(text.contains("| 1 inode rule | +240 (3.4 %) / +240 |  |"), "{text}");
        assert!(text.contains("| denying, with a reader |  | 9000 / 9000 |"), "{text}");
        assert!(section(&Bench::default()).contains("Not recorded"));
    }

    #[test]
    fn a_broken_bound_is_marked() {
        let text = section(&bench());
        assert!(
            text.contains("| `6.12/costs` | an open over empty programs, 1 rule | 1.25 × | 1.20 × | yes |"),
            "{text}"
        );
        assert!(text.contains("| 1.50 × | **no** |"), "{text}");
    }

    #[test]
    fn the_picture_holds_every_line() {
        let picture = picture(&bench());
        assert_eq!(picture.matches("<polyline").count(), 8, "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        assert!(super::picture(&Bench::default()).ends_with("</svg>\n"));
        let one = Row { figures: vec![figure(NOTHING, OPEN, 1)], ..row("bpf-lsm", 1) };
        assert!(Line::ours(&one).points.is_empty());
    }
}
