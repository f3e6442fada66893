//! Turns `tiers/failures.toml`, and what each tier states of it, into tables of `src/tier.rs`'s types. Refuses a tier that
//! says nothing of a failure, or something of one that there is not.

use std::{collections::BTreeMap, error::Error, fmt::Write as _};

use serde::Deserialize;

/// What `aegisbpf health` can say.
const HEALTH: [&str; 3] = ["healthy", "degraded", "unhealthy"];

/// What a command can end with, as in `src/exit.rs`.
const EXITS: [u8; 12] = [0, 1, 2, 64, 65, 69, 70, 74, 75, 76, 77, 78];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureFile {
    failure: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    id: String,
    text: String,
    /// Checks that provoke it, where that is not the one with its name.
    #[serde(default)]
    checks: Vec<String>,
    /// Why no check does.
    untried: Option<String>,
}

/// What one tier states.
#[derive(Deserialize)]
pub(crate) struct Failures {
    /// The tier whose statements hold where this one has none.
    like: Option<String>,
    #[serde(flatten)]
    own: BTreeMap<String, Behaviour>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behaviour {
    does: String,
    health: Option<String>,
    exit: Option<u8>,
    mend: Option<String>,
}

/// Every failure, in the order of the file.
pub(crate) fn read(directory: &str) -> Result<Vec<Failure>, Box<dyn Error>> {
    let path = format!("{directory}/failures.toml");
    let FailureFile { failure: failures } = toml::from_str(&std::fs::read_to_string(&path)?)?;
    for (index, Failure { id, checks, untried, .. }) in failures.iter().enumerate() {
        if failures.iter().take(index).any(|other| other.id == *id) {
            return Err(format!("{path}: {id} stands there twice").into());
        }
        if !checks.is_empty() && untried.is_some() {
            return Err(format!("{path}: {id} has checks, and a reason why it has none").into());
        }
    }
    Ok(failures)
}

/// What a tier states of each failure, in their order; `of` finds the statements of another tier.
pub(crate) fn stated<'a>(
    tier: &str,
    stated: &'a Failures,
    failures: &'a [Failure],
    of: &impl Fn(&str) -> Option<&'a Failures>,
) -> Result<Vec<(&'a str, &'a Behaviour)>, String> {
    let other = match &stated.like {
        None => None,
        Some(name) => Some(of(name).ok_or_else(|| format!("tier {tier}: there is no tier {name}"))?),
    };
    if let Some(unknown) = stated.own.keys().find(|id| failures.iter().all(|failure| failure.id != **id)) {
        return Err(format!("tier {tier}: failures.toml has no failure {unknown}"));
    }
    let behaviour = |id: &str| stated.own.get(id).or_else(|| other?.own.get(id));
    let one = |failure: &'a Failure| {
        let id = failure.id.as_str();
        let found = behaviour(id).ok_or_else(|| format!("tier {tier}: the failure {id} is not stated"))?;
        check(found).map_err(|what| format!("tier {tier}: the failure {id} has {what}"))?;
        Ok((id, found))
    };
    failures.iter().map(one).collect()
}

fn check(behaviour: &Behaviour) -> Result<(), String> {
    let Behaviour { health, exit, .. } = behaviour;
    match (health, exit) {
        (Some(word), _) if !HEALTH.contains(&word.as_str()) => Err(format!("the health {word}")),
        (_, Some(code)) if !EXITS.contains(code) => Err(format!("the exit code {code}")),
        _ => Ok(()),
    }
}

pub(crate) fn emit(failures: &[Failure], code: &mut String) -> std::fmt::Result {
    code.push_str(
        "/// Every failure, in the order of `tiers/failures.toml`.\npub static FAILURES: &[Failure] = &[\n",
    );
    for Failure { id, text, checks, untried } in failures {
        writeln!(
            code,
            "    Failure {{ id: {id:?}, text: {text:?}, checks: &{checks:?}, untried: {untried:?} }},"
        )?;
    }
    code.push_str("];\n\n");
    Ok(())
}

/// The last field of a tier.
pub(crate) fn emit_stated(stated: &[(&str, &Behaviour)], code: &mut String) -> std::fmt::Result {
    code.push_str("        failures: &[\n");
    for (failure, Behaviour { does, health, exit, mend }) in stated {
        writeln!(
            code,
            "            Behaviour {{ failure: {failure:?}, does: {does:?}, health: {health:?}, exit: {exit:?}, mend: {mend:?} }},"
        )?;
    }
    code.push_str("        ],\n    },\n");
    Ok(())
}
