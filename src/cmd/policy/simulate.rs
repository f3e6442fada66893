//! `aegisbpf policy simulate`: the programs in the kernel answer; for what was recorded, [`super::replayed`] does.

use std::{fs, path::Path, time::Duration};

use serde::Serialize;

use crate::{
    agent::{Change, Question, Source},
    cli::{Places, SimulateArgs},
    cmd::{print, print_json},
    enforce,
    exit::{Exit, Failure},
    policy::Ops,
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    path: String,
    operation: Ops,
    denied: bool,
    rule: Option<u32>,
    too_deep: bool,
    exempt: bool,
}

/// Asks.
pub(super) fn simulate(args: &SimulateArgs, places: &Places) -> Result<Exit, Failure> {
    match args {
        SimulateArgs { events: Some(events), .. } => super::replayed::simulate(events, args, places),
        SimulateArgs { path: Some(path), op: Some(op), .. } => ask(path, *op, args, places),
        // The grammar of the command line has seen to it.
        _ => Err(Failure::new(Exit::Usage, "there is nothing to ask about")
            .hint("name --path and --op, or --events")),
    }
}

fn ask(path: &Path, op: Ops, args: &SimulateArgs, places: &Places) -> Result<Exit, Failure> {
    let failed = |error| Failure::new(Exit::Io, format!("{}: {error}", path.display()));
    let file = fs::canonicalize(path).map_err(failed)?;
    let policy = args.policy.as_ref().map(|path| Source::read(path, false)).transpose()?;
    let question = Question { file: &file, op, policy: policy.as_ref(), accept: args.accept.accept() };
    let change = Change::begin(&places.dirs(), Duration::ZERO)?;
    if let Some(cgroup) = &args.cgroup {
        // This process asks for itself, and ends there.
        enter(cgroup)?;
    }
    let answer = change.simulate(&question, &places.dirs())?;
    let matched = answer.rule != 0 || answer.too_deep;
    let why = match (answer.denied, matched) {
        (_, _) if answer.too_deep => "it lies deeper than decisions look for trees".to_owned(),
        (true, _) => format!("rule {}", answer.rule),
        (false, true) => format!("rule {} matches, and does not bind this cgroup", answer.rule),
        (false, false) => "no rule matches".to_owned(),
    };
    if args.json {
        print_json(&Report {
            schema_version: 1,
            path: file.display().to_string(),
            operation: op,
            denied: answer.denied,
            rule: (answer.rule != 0).then_some(answer.rule),
            too_deep: answer.too_deep,
            exempt: matched && !answer.denied,
        })?;
    } else {
        let verdict = if answer.denied { "denied" } else { "allowed" };
        print(&format!("{verdict}: {op} {}: {why}\n", file.display()))?;
    }
    Ok(if answer.denied { Exit::Negative } else { Exit::Done })
}

fn enter(cgroup: &Path) -> Result<(), Failure> {
    let Some((path, _)) = enforce::find_cgroup(cgroup)? else {
        return Err(Failure::new(Exit::Input, format!("there is no cgroup {}", cgroup.display())));
    };
    fs::write(path.join("cgroup.procs"), std::process::id().to_string()).map_err(|error| {
        Failure::new(Exit::Io, format!("{}: this process could not enter: {error}", path.display()))
            .hint("a cgroup that distributes resources to those below takes no processes: name one of these")
    })
}
