//! `aegisbpf probe`

use serde::Serialize;

use crate::{
    cli::{JsonArgs, Places},
    exit::{Exit, Failure},
    kernel::{Kernel, Probe},
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    probes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: Probe,
    answer: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Asks everything and prints the answers.
pub(super) fn run(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let probes: Vec<Row> = Kernel::open()
        .probe(&places.bpffs)
        .into_iter()
        .map(|(name, answer)| Row {
            name,
            answer: answer.word(),
            reason: answer.why().map(ToString::to_string),
        })
        .collect();
    if args.json {
        super::print_json(&Report { schema_version: 1, probes })?;
    } else {
        for Row { name, answer, reason } in &probes {
            let reason = reason.as_deref().unwrap_or_default();
            super::print(format!("{:<22} {answer:<8} {reason}", name.name()).trim_end())?;
            super::print("\n")?;
        }
    }
    Ok(Exit::Done)
}
