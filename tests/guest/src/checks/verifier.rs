//! What the verifier spends on each program, held against a committed ceiling; and that each loads.

use super::agent::{ends, json};
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const CHECKS: [Check; 1] = [Check { id: "verifier.budget", run: |_| budget() }];

#[derive(Deserialize)]
struct Ceiling {
    instructions: u64,
    states: u64,
}

/// Every program in each form, twice: an emulated machine takes its time.
const PATIENCE: Duration = Duration::from_secs(400);

/// Another form of a program has what stands behind its name.
const FORMS: [&str; 3] = ["_again", "_bare", ""];

fn budget() -> Result<(), CheckError> {
    let ceilings: BTreeMap<String, Ceiling> = toml::from_str(include_str!("../../../verifier.toml"))
        .map_err(|error| wrong("tests/verifier.toml", "ceilings", &error))?;
    let probe = Cmd::new(AGENT).args(["probe", "--programs", "--json"]).timeout(PATIENCE);
    let report = json(&ends(&probe, 0)?.stdout)?;
    let programs = report.pointer("/programs").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |program: &Value, field: &str| {
        program.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let loads = |program: &Value| program.get("loads") == Some(&Value::Bool(true));
    let mut faults = Vec::new();
    for program in &programs {
        let name = text(program, "name");
        let hook = FORMS.iter().fold(name.as_str(), |name, form| name.strip_suffix(form).unwrap_or(name));
        let same = |other: &&Value| {
            text(other, "name").starts_with(hook) && text(other, "tier") == text(program, "tier")
        };
        // One of two forms is enough, and a kernel without the function needs none.
        let covered = programs.iter().filter(same).any(loads);
        if !loads(program) && !covered && !text(program, "reason").contains("this kernel has no function") {
            faults.push(format!("{name}: {}", text(program, "reason")));
        }
        let spent = |field| program.get(field).and_then(Value::as_u64);
        let (Some(instructions), Some(states)) = (spent("instructions"), spent("states")) else {
            if loads(program) {
                faults.push(format!("{name}: the kernel does not say what it spent"));
            }
            continue;
        };
        match ceilings.get(hook) {
            Some(ceiling) if instructions <= ceiling.instructions && states <= ceiling.states => {}
            Some(_) => faults.push(format!("{name}: {instructions} instructions, {states} states")),
            None => faults.push(format!("{name}: no ceiling")),
        }
    }
    if programs.len() > 40 && faults.is_empty() {
        return Ok(());
    }
    Err(wrong(
        "programs",
        "within their ceilings",
        &format!("{} programs; {}", programs.len(), faults.join("; ")),
    ))
}

fn wrong(what: &'static str, want: &str, got: &dyn ToString) -> CheckError {
    CheckError::Differs { what, want: want.to_owned(), got: got.to_string() }
}
