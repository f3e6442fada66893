//! `aegisbpf explain`: more about something that another command named, or about an event. Needs no network, no agent and
//! no privilege; where the policies that were applied are for root to read, it says so.

mod decision;
mod event;
mod other;

use serde::Serialize;

use super::doctor::{About, CHECKS};
use crate::{
    cli::{ExplainArgs, Places},
    exit::{Exit, Failure},
    kernel::Cause,
    policy::{Code, nearest},
    tier::{CLAIMS, FAILURES, TIERS},
};

#[derive(Serialize)]
struct Explanation {
    schema_version: u32,
    kind: &'static str,
    id: String,
    title: String,
    /// One paragraph each.
    text: Vec<String>,
}

/// Prints the explanation, or names what was probably meant.
pub(super) fn run(args: &ExplainArgs, places: &Places) -> Result<Exit, Failure> {
    let Some(found) = explanation(&args.topic) else {
        if let Some(input) = event::input(&args.topic) {
            return event::run(&input, args, places);
        }
        let ids = ids();
        let near = nearest(&args.topic, ids.iter().map(String::as_str).filter(|id| !id.is_empty()));
        let near = near.and_then(|near| explanation(near).map(|found| found.id));
        let failure = Failure::new(Exit::Usage, format!("nothing is called {}", args.topic.escape_debug()));
        return Err(failure.hint(match near {
            Some(near) => format!("did you mean {near}?"),
            None => "`aegisbpf doctor`, `contract` and `policy lint` print the ids; an event is a JSON line, or a file of them"
                .to_owned(),
        }));
    };
    if args.json {
        super::print_json(&found)?;
    } else {
        let Explanation { kind, id, title, text, .. } = found;
        super::print(&format!("{id}  {title} ({kind})\n\n{}\n", text.join("\n\n")))?;
    }
    Ok(Exit::Done)
}

/// Every kind of thing that has an id, each tried in turn.
fn explanation(topic: &str) -> Option<Explanation> {
    check(topic)
        .or_else(|| cause(topic))
        .or_else(|| claim(topic))
        .or_else(|| failure(topic))
        .or_else(|| fault(topic))
}

/// All ids, in lower case.
fn ids() -> Vec<String> {
    let failures = FAILURES.iter().map(|failure| failure.id);
    let ids = CHECKS.iter().map(|about| about.id).chain(Cause::ALL.iter().map(|cause| cause.code()));
    let ids = ids.chain(CLAIMS.iter().map(|claim| claim.id)).chain(failures);
    ids.chain(Code::ALL.iter().map(|code| code.id())).map(str::to_ascii_lowercase).collect()
}

fn new(kind: &'static str, id: &str, title: &str, text: Vec<String>) -> Explanation {
    Explanation { schema_version: 1, kind, id: id.to_owned(), title: title.to_owned(), text }
}

fn check(topic: &str) -> Option<Explanation> {
    let About { id, group, title, why, more } =
        CHECKS.iter().find(|about| about.id.eq_ignore_ascii_case(topic))?;
    let again = format!("`aegisbpf doctor --only {id}` looks again. It belongs to the group {group}.");
    Some(new("check", id, title, vec![format!("Why it matters: {why}."), (*more).to_owned(), again]))
}

fn cause(topic: &str) -> Option<Explanation> {
    let cause = Cause::ALL.iter().find(|cause| cause.code().eq_ignore_ascii_case(topic))?;
    Some(new("cause", cause.code(), cause.text(), vec![format!("What mends it: {}.", cause.mend())]))
}

fn claim(topic: &str) -> Option<Explanation> {
    let claim = CLAIMS.iter().find(|claim| claim.id.eq_ignore_ascii_case(topic))?;
    let says = TIERS.iter().map(|tier| {
        let cannot = tier.cannot.iter().find(|(id, _)| *id == claim.id);
        match cannot {
            Some((_, reason)) => format!("{} cannot hold it: {reason}", tier.name),
            None if tier.denies.contains(&claim.id) => format!("{} denies it", tier.name),
            None => format!("{} observes it", tier.name),
        }
    });
    Some(new("claim", claim.id, claim.text, says.collect()))
}

fn failure(topic: &str) -> Option<Explanation> {
    let failure = FAILURES.iter().find(|failure| failure.id.eq_ignore_ascii_case(topic))?;
    let says = TIERS.iter().filter_map(|tier| {
        let behaviour = tier.failures.iter().find(|behaviour| behaviour.failure == failure.id)?;
        let mend = behaviour.mend.map(|mend| format!(" The way out: {mend}.")).unwrap_or_default();
        Some(format!("{}: {}.{mend}", tier.name, behaviour.does))
    });
    Some(new("failure", failure.id, failure.text, says.collect()))
}

fn fault(topic: &str) -> Option<Explanation> {
    let code = Code::ALL.iter().find(|code| code.id().eq_ignore_ascii_case(topic))?;
    let text = format!(
        "It is a {} of a policy. `aegisbpf policy lint FILE` shows the line and the fix.",
        code.severity()
    );
    Some(new("fault of a policy", code.id(), code.title(), vec![text]))
}
