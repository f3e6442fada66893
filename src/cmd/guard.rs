//! `aegisbpf guard`

use serde::Serialize;

use crate::{
    agent,
    cli::{AdmitArgs, GuardCommand, JsonArgs, Places},
    cmd::{print, print_json, status},
    exit::{Exit, Failure},
    state::GuardState,
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    #[serde(flatten)]
    guard: GuardState,
}

/// Runs the command.
pub(super) fn run(command: &GuardCommand, places: &Places) -> Result<Exit, Failure> {
    match command {
        GuardCommand::Status(JsonArgs { json }) => show(status::look(places).status.guard, *json),
        GuardCommand::Admit(AdmitArgs { file, json }) => show(agent::admit(&places.dirs(), file)?, *json),
    }
}

/// Prints what is enrolled; exit 1 when nothing is kept.
fn show(guard: GuardState, json: bool) -> Result<Exit, Failure> {
    let armed = guard.armed;
    if json {
        print_json(&Report { schema_version: 1, guard })?;
    } else if armed {
        let enrolled = guard.enrolled.iter().map(|binary| {
            format!("  device {}, inode {}, generation {}\n", binary.device, binary.inode, binary.generation)
        });
        print(&format!(
            "the self-guard is armed; these binaries are the agent:\n{}",
            enrolled.collect::<String>()
        ))?;
    } else {
        print("the self-guard is not armed\n")?;
    }
    Ok(if armed { Exit::Done } else { Exit::Negative })
}
