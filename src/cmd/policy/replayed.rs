//! `aegisbpf policy simulate --events`: what a policy would have decided of what was recorded.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde::Serialize;

use crate::{
    agent::Source,
    cli::{Places, SimulateArgs},
    cmd::{
        print, print_json,
        recorded::{Judge, Policies, doubt_text, each, look, program, roots, rule_text},
    },
    event::Line,
    exit::{Exit, Failure},
    plan::{By, Free, Verdict},
    policy::{Digest, visible},
    store::Store,
};

/// So many programs and reasons are told apart, and the rest put together: a file can hold any number.
const DISTINCT: usize = 1000;

/// What stands for the rest.
const OTHERS: &str = "(others)";

/// Decisions by what would come of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    denied: u64,
    allowed: u64,
    unknown: u64,
}

#[derive(Serialize)]
struct OfRule {
    /// `null`: denied without a rule.
    rule: Option<u32>,
    line: Option<u32>,
    text: String,
    decisions: u64,
}

#[derive(Serialize)]
struct OfProgram {
    program: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Why {
    why: String,
    decisions: u64,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    policy: String,
    policy_sha256: Digest,
    /// Events that hold a decision by a policy.
    events: u64,
    /// What became of the decisions that they stand for.
    #[serde(flatten)]
    counts: Counts,
    /// Decisions of the self-guard, which no policy changes.
    self_guard: u64,
    /// Events that hold no decision.
    other_events: u64,
    /// Lines that are no events.
    bad_lines: u64,
    by_rule: Vec<OfRule>,
    by_program: Vec<OfProgram>,
    allowed_because: Vec<Why>,
    unknown_because: Vec<Why>,
}

/// What is counted on the way.
#[derive(Default)]
struct Tally {
    events: u64,
    counts: Counts,
    self_guard: u64,
    other_events: u64,
    by_rule: BTreeMap<(u32, &'static str), u64>,
    by_program: HashMap<String, Counts>,
    allowed: BTreeMap<String, u64>,
    unknown: BTreeMap<String, u64>,
}

/// Answers for a whole file.
pub(super) fn simulate(file: &Path, args: &SimulateArgs, places: &Places) -> Result<Exit, Failure> {
    let source = policy(args.policy.as_deref(), places)?;
    let (looked, roots) = (look(&source.policy), roots());
    let judge = Judge::new(&source.policy, &looked, &roots);
    let mut policies = Policies::of(Some(&source), &places.state_dir);
    let mut tally = Tally::default();
    let bad_lines = each(file, |line| tally.take(&line, &judge, &mut policies))?;
    let report = tally.report(&source, bad_lines);
    if args.json {
        print_json(&report)?;
    } else {
        print(&text(&report))?;
    }
    Ok(if report.counts.denied > 0 { Exit::Negative } else { Exit::Done })
}

/// The policy of a file; without one the current generation.
pub(super) fn policy(file: Option<&Path>, places: &Places) -> Result<Source, Failure> {
    if let Some(file) = file {
        return Ok(Source::read(file, false)?);
    }
    let store = Store::at(&places.state_dir);
    let Some(current) = store.current()? else {
        return Err(
            Failure::new(Exit::Input, "no policy was ever applied here").hint("name one with --policy")
        );
    };
    Ok(Source::stored(&store, &store.record(current)?)?)
}

impl Tally {
    fn take(&mut self, line: &Line<'_>, judge: &Judge<'_>, policies: &mut Policies<'_>) {
        let Some(decision) = line.event.decision() else {
            self.other_events += 1;
            return;
        };
        let Some(asked) = decision.recorded(policies.matched(decision)) else {
            self.self_guard = self.self_guard.saturating_add(decision.count);
            return;
        };
        self.events += 1;
        let count = decision.count;
        let verdict = judge.judge(&line.host, &asked);
        self.counts.add(verdict, count);
        entry(&mut self.by_program, program(decision)).add(verdict, count);
        let counted = match verdict {
            Verdict::Denied(by) => self.by_rule.entry(denied_by(by)).or_default(),
            Verdict::Allowed(free) => self.allowed.entry(free_text(free)).or_default(),
            Verdict::Unknown(doubt) => self.unknown.entry(doubt_text(doubt)).or_default(),
        };
        *counted = counted.saturating_add(count);
    }

    fn report(self, source: &Source, bad_lines: u64) -> Report {
        let mut by_rule: Vec<OfRule> = self.by_rule.into_iter().map(|of| of_rule(source, of)).collect();
        by_rule.sort_by_key(|of| std::cmp::Reverse(of.decisions));
        let programs = self.by_program.into_iter();
        let mut by_program: Vec<OfProgram> =
            programs.map(|(program, counts)| OfProgram { program, counts }).collect();
        by_program.sort_by(|a, b| b.counts.denied.cmp(&a.counts.denied).then(a.program.cmp(&b.program)));
        Report {
            schema_version: 1,
            policy: source.path.display().to_string(),
            policy_sha256: source.sha256,
            events: self.events,
            counts: self.counts,
            self_guard: self.self_guard,
            other_events: self.other_events,
            bad_lines,
            by_rule,
            by_program,
            allowed_because: whys(self.allowed),
            unknown_because: whys(self.unknown),
        }
    }
}

impl Counts {
    fn add(&mut self, verdict: Verdict, count: u64) {
        let counted = match verdict {
            Verdict::Denied(_) => &mut self.denied,
            Verdict::Allowed(_) => &mut self.allowed,
            Verdict::Unknown(_) => &mut self.unknown,
        };
        *counted = counted.saturating_add(count);
    }
}

/// The counts of a program, or those of the rest.
fn entry<'a>(counts: &'a mut HashMap<String, Counts>, program: &str) -> &'a mut Counts {
    let room = counts.len() < DISTINCT || counts.contains_key(program);
    counts.entry(if room { program } else { OTHERS }.to_owned()).or_default()
}

fn denied_by(by: By) -> (u32, &'static str) {
    match by {
        By::Rule(rule) => (rule, ""),
        By::TooDeep => (0, "it lies deeper than decisions look for trees"),
        By::Unplaced => (0, "it was opened by a handle, and has no place that is known"),
    }
}

fn of_rule(source: &Source, ((id, without), decisions): ((u32, &str), u64)) -> OfRule {
    let rule = rule_text(source, id);
    let line = rule.as_ref().map(|rule| rule.line);
    let text = rule.map_or_else(|| without.to_owned(), |rule| rule.text);
    OfRule { rule: (id != 0).then_some(id), line, text, decisions }
}

fn free_text(free: Free) -> String {
    match free {
        Free::NoRule => "no rule is about it".to_owned(),
        Free::Exempt(line) => format!("the cgroup on line {line} is exempt"),
        Free::OutOfScope => "the process is not in the scope of the rules".to_owned(),
    }
}

fn whys(counts: BTreeMap<String, u64>) -> Vec<Why> {
    let mut whys: Vec<Why> = counts.into_iter().map(|(why, decisions)| Why { why, decisions }).collect();
    whys.sort_by_key(|why| std::cmp::Reverse(why.decisions));
    whys
}

fn text(report: &Report) -> String {
    let Counts { denied, allowed, unknown } = report.counts;
    let mut lines = vec![
        format!("{} would deny {denied}, allow {allowed}, and of {unknown} it cannot be told", report.policy),
        format!(
            "{} decisions in {} events; {} by the self-guard, {} other events, {} lines that are none",
            denied.saturating_add(allowed).saturating_add(unknown),
            report.events,
            report.self_guard,
            report.other_events,
            report.bad_lines
        ),
    ];
    section(&mut lines, "   denied  by", &report.by_rule, |of| {
        let rule = of.rule.map_or_else(String::new, |rule| format!("rule {rule}: "));
        format!("{:>9}  {rule}{}", of.decisions, of.text)
    });
    let why = |why: &Why| format!("{:>9}  {}", why.decisions, why.why);
    section(&mut lines, "  allowed  because", &report.allowed_because, why);
    section(&mut lines, "  unknown  because", &report.unknown_because, why);
    section(&mut lines, "   denied    allowed    unknown  program", &report.by_program, |of| {
        let Counts { denied, allowed, unknown } = of.counts;
        format!("{denied:>9}  {allowed:>9}  {unknown:>9}  {}", of.program)
    });
    lines.iter().map(|line| visible(line) + "\n").collect()
}

/// A table with a line above, or nothing.
fn section<T>(lines: &mut Vec<String>, head: &str, rows: &[T], row: impl Fn(&T) -> String) {
    if !rows.is_empty() {
        lines.extend([String::new(), head.to_owned()]);
        lines.extend(rows.iter().map(row));
    }
}
