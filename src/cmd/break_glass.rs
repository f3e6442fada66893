//! `aegisbpf break-glass`

use serde::Serialize;

use crate::{
    agent::{self, Glass},
    cli::{BreakGlassCommand, JsonArgs, Places, ReasonArgs},
    cmd::{print, print_json},
    exit::{self, Exit, Failure},
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    break_glass: bool,
    in_kernel: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Runs the command.
pub(super) fn run(command: &BreakGlassCommand, places: &Places) -> Result<Exit, Failure> {
    match command {
        BreakGlassCommand::On(args) => switch(true, args, places),
        BreakGlassCommand::Off(args) => switch(false, args, places),
        BreakGlassCommand::Status(args) => status(*args, places),
    }
}

fn switch(on: bool, args: &ReasonArgs, places: &Places) -> Result<Exit, Failure> {
    let dirs = places.dirs();
    let glass = Glass::of(&dirs);
    let switched = glass.switch(on, &args.reason)?;
    if let Some(why) = &switched.unrecorded {
        exit::note(&format!("WARNING: this is NOT on record: {}", why.chain()));
    }
    if args.json {
        let in_kernel = switched.in_kernel.then_some(on);
        print_json(&Report { schema_version: 1, break_glass: on, in_kernel, note: glass.note() })?;
        return Ok(Exit::Done);
    }
    let already = if switched.changed { "" } else { "already " };
    let word = if on { "on" } else { "off" };
    let effect = match (on, switched.in_kernel) {
        (true, true) => "nothing is denied",
        (true, false) => "nothing is in force now, and a run will deny nothing",
        (false, true) => "what the policy denies is denied again, where the mode is enforce",
        (false, false) => "nothing is in force now, and a run will deny what its policy says",
    };
    print(&format!("break-glass is {already}{word}: {effect}\n"))?;
    Ok(Exit::Done)
}

fn status(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let dirs = places.dirs();
    let glass = Glass::of(&dirs);
    let on = agent::break_glass(&dirs.config);
    let in_kernel = glass.in_kernel()?;
    let note = glass.note();
    if args.json {
        print_json(&Report { schema_version: 1, break_glass: on, in_kernel, note })?;
    } else {
        let file = match (on, note) {
            (true, Some(note)) => format!("on: {}: {note}", glass.path().display()),
            (true, None) => format!("on: {} is there", glass.path().display()),
            (false, _) => "off".to_owned(),
        };
        let kernel = match in_kernel {
            None => "nothing is in force",
            Some(true) => "the programs deny nothing because of it",
            Some(false) => "the programs deny what the policy says",
        };
        print(&format!("break-glass is {file}; {kernel}\n"))?;
    }
    if in_kernel.is_some_and(|in_kernel| in_kernel != on) {
        exit::note("the kernel and the file differ; `aegisbpf break-glass on` or `off` makes them agree");
    }
    Ok(if on || in_kernel == Some(true) { Exit::Negative } else { Exit::Done })
}
