//! `aegisbpf probe`

use serde::Serialize;

use crate::{
    agent::AgentError,
    cli::{Places, ProbeArgs},
    enforce::{Effort, Loaded},
    exit::{Exit, Failure},
    kernel::{Kernel, Probe},
    tier::{TIERS, Tier},
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    probes: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Row {
    name: Probe,
    answer: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A program, and what became of it.
#[derive(Serialize)]
struct Program {
    tier: &'static str,
    name: &'static str,
    loads: bool,
    /// Absent where it does not load, or where the kernel does not say.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    effort: Option<Effort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Asks everything and prints the answers.
pub(super) fn run(args: ProbeArgs, places: &Places) -> Result<Exit, Failure> {
    let kernel = Kernel::open();
    let answers = kernel.probe(&places.bpffs);
    let row = |(name, answer): (Probe, crate::kernel::Answer)| {
        let reason = answer.why().map(ToString::to_string);
        Row { name, answer: answer.word(), reason }
    };
    let probes: Vec<Row> = answers.into_iter().map(row).collect();
    let programs: Vec<Program> =
        TIERS.iter().filter(|_| args.programs).flat_map(|tier| programs(&kernel, tier)).collect();
    if args.json {
        super::print_json(&Report { schema_version: 1, probes, programs })?;
        return Ok(Exit::Done);
    }
    for Row { name, answer, reason } in &probes {
        line(&format!("{:<22} {answer:<8} {}", name.name(), reason.as_deref().unwrap_or_default()))?;
    }
    for Program { tier, name, effort, reason, loads } in &programs {
        let text = match (effort, reason) {
            (Some(Effort { instructions, states }), _) => {
                format!("{instructions} instructions verified, {states} states")
            }
            (None, Some(reason)) => reason.clone(),
            (None, None) => String::new(),
        };
        line(&format!("{tier:<14} {name:<22} {:<8} {text}", if *loads { "loads" } else { "refused" }))?;
    }
    Ok(Exit::Done)
}

fn line(text: &str) -> Result<(), Failure> {
    super::print(text.trim_end())?;
    super::print("\n")
}

/// Loads each program of a tier; where the tier's object does not fit the kernel at all, each for that reason.
fn programs(kernel: &Kernel, tier: &'static Tier) -> Vec<Program> {
    let refused = |name, error: crate::enforce::EnforceError| Program {
        tier: tier.name,
        name,
        loads: false,
        effort: None,
        reason: Some(AgentError::from(error).chain()),
    };
    match Loaded::new(kernel, tier, None) {
        Err(error) => vec![refused("*", error)],
        Ok(loaded) => loaded
            .efforts(kernel, tier)
            .into_iter()
            .map(|(name, effort)| match effort {
                Ok(effort) => Program { tier: tier.name, name, loads: true, effort, reason: None },
                Err(error) => refused(name, error),
            })
            .collect(),
    }
}
