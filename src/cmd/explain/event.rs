//! An event, found where it was written down, and its explanation as it is printed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{decision, other};
use crate::{
    agent::Source,
    cli::{ExplainArgs, Places},
    cmd::{
        advice::Advice,
        print, print_json,
        recorded::{self, Policies},
    },
    event::{self, Line},
    exit::{Exit, Failure},
    policy::visible,
};

/// Where the event is.
pub(super) enum Input {
    /// It was typed.
    Line(String),
    /// In a file, or on standard input.
    File(PathBuf),
}

/// The explanation of an event.
#[derive(Serialize)]
pub(super) struct Trace {
    pub(super) schema_version: u32,
    pub(super) kind: &'static str,
    /// The type of the event.
    pub(super) event: &'static str,
    /// Its number.
    pub(super) seq: u64,
    /// What happened, in one sentence.
    pub(super) what: String,
    /// The rule that decided, where one did.
    pub(super) rule: Option<Rule>,
    /// The policy that decided.
    pub(super) policy: Option<Named>,
    /// Why the rule applies, or what else decided.
    pub(super) why: Vec<String>,
    /// The exemptions that were looked at.
    pub(super) exemptions: Vec<Exemption>,
    /// What would allow it: each by itself.
    pub(super) would_allow: Vec<Advice>,
    /// What to do next.
    pub(super) next: Vec<String>,
}

/// A rule.
#[derive(Serialize)]
pub(super) struct Rule {
    /// Its number in the policy.
    pub(super) id: u32,
    /// Where it stands; `null`: the text is not at hand.
    pub(super) line: Option<u32>,
    /// Its line.
    pub(super) text: Option<String>,
}

/// A policy.
#[derive(Serialize)]
pub(super) struct Named {
    /// Names its text.
    pub(super) sha256: Option<String>,
    /// Its number.
    pub(super) generation: u64,
    /// What is to be said of its text, where that is not at hand.
    pub(super) remark: Option<String>,
}

/// An entry of `[allow_cgroup]`.
#[derive(Serialize)]
pub(super) struct Exemption {
    /// Where it stands.
    pub(super) line: u32,
    /// What it says.
    pub(super) text: String,
    /// `true`: it is for this process.
    pub(super) applies: Option<bool>,
    /// Why.
    pub(super) why: String,
}

impl Trace {
    /// Of an event, with nothing said yet but what happened.
    pub(super) fn of(line: &Line<'_>, what: String) -> Self {
        Self {
            schema_version: 1,
            kind: "event",
            event: line.event.kind(),
            seq: line.seq,
            what,
            rule: None,
            policy: None,
            why: Vec::new(),
            exemptions: Vec::new(),
            would_allow: Vec::new(),
            next: Vec::new(),
        }
    }
}

/// What was typed, when it can be an event.
pub(super) fn input(topic: &str) -> Option<Input> {
    if topic.trim_start().starts_with('{') {
        return Some(Input::Line(topic.to_owned()));
    }
    let path = Path::new(topic);
    (topic == "-" || topic.contains('/') || path.exists()).then(|| Input::File(path.to_owned()))
}

/// Finds the event and explains it.
pub(super) fn run(input: &Input, args: &ExplainArgs, places: &Places) -> Result<Exit, Failure> {
    let line = found(input, args.seq)?;
    let given = args.policy.as_deref().map(|path| Source::read(path, false)).transpose()?;
    let trace = match line.event.decision() {
        Some(decided) if decided.operation != "guard" => {
            let mut policies = Policies::of(given.as_ref(), &places.state_dir);
            decision::trace(&line, decided, &mut policies, given.as_ref())
        }
        _ => other::trace(&line),
    };
    if args.json {
        print_json(&trace)?;
    } else {
        print(&text(&trace))?;
    }
    Ok(Exit::Done)
}

fn found(input: &Input, seq: Option<u64>) -> Result<Line<'static>, Failure> {
    let missing = || match seq {
        Some(seq) => format!("no event has the number {seq}"),
        None => "there is no event".to_owned(),
    };
    let (mut decision, mut any) = (None, None);
    let mut take = |line: Line<'static>| {
        if seq.is_some_and(|seq| seq != line.seq) {
            return;
        }
        if seq.is_none() && line.event.decision().is_some() {
            decision = Some(line);
        } else {
            any = Some(line);
        }
    };
    match input {
        Input::Line(text) => {
            let wrong = |why| {
                let hint = "events are what `aegisbpf run --log-format json` writes, one a line";
                Failure::new(Exit::Input, why).hint(hint)
            };
            take(event::parse(text.trim().as_bytes()).map_err(wrong)?);
        }
        Input::File(path) => {
            recorded::each(path, take)?;
        }
    }
    decision.or(any).ok_or_else(|| {
        Failure::new(Exit::Input, missing())
            .hint("events are what `aegisbpf run --log-format json` writes, one a line, each with its `seq`")
    })
}

/// The whole of it; nothing in it steers a terminal, whoever chose the names.
fn text(trace: &Trace) -> String {
    let mut lines = vec![trace.what.clone()];
    if let Some(Rule { id, line, text }) = &trace.rule {
        let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let text = text.as_deref().unwrap_or("its text is not at hand");
        lines.extend([String::new(), format!("rule      {id}{place}: {text}")]);
    }
    if let Some(Named { sha256, generation, remark }) = &trace.policy {
        let sha256 = sha256.as_deref().unwrap_or("not named");
        lines.push(format!("policy    generation {generation}, sha256 {sha256}"));
        lines.extend(remark.iter().map(|remark| format!("          {remark}")));
    }
    lines.extend(trace.why.iter().map(|why| format!("why       {why}")));
    for Exemption { line, text, why, .. } in &trace.exemptions {
        lines.push(format!("exempt?   line {line}, {text}: {why}"));
    }
    for (number, advice) in (1..).zip(&trace.would_allow) {
        let head = if number == 1 { "What would allow it:" } else { "or" };
        lines.extend([String::new(), head.to_owned()]);
        lines.extend(advice.lines());
    }
    if !trace.next.is_empty() {
        lines.push(String::new());
    }
    lines.extend(trace.next.iter().map(|next| format!("next      {next}")));
    lines.iter().map(|line| visible(line) + "\n").collect()
}
