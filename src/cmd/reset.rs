//! `aegisbpf reset`

use serde::Serialize;

use crate::{
    agent::{Journal, reset},
    cli::{Places, ResetArgs},
    cmd::{print, print_json},
    exit::{self, Exit, Failure},
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    removed: Vec<String>,
}

/// Ends enforcement and forgets what led to it, or forgets the latest seen time alone.
pub(super) fn run(args: ResetArgs, places: &Places) -> Result<Exit, Failure> {
    let dirs = places.dirs();
    if args.clock {
        Journal::of(&dirs).forget_clock()?;
        if args.json {
            print_json(&Report { schema_version: 1, removed: Vec::new() })?;
        } else {
            print("the time of now is the latest that was seen\n")?;
        }
        return Ok(Exit::Done);
    }
    let done = reset(&dirs)?;
    if let Some(why) = &done.unrecorded {
        exit::note(&format!("WARNING: this is NOT on record: {}", why.chain()));
    }
    let removed: Vec<String> = done.removed.iter().map(|path| path.display().to_string()).collect();
    if args.json {
        print_json(&Report { schema_version: 1, removed })?;
    } else {
        print(&format!(
            "enforcement ended, {} pins removed; generations, policy version and seen time are forgotten\nthe audit log is kept\n",
            removed.len()
        ))?;
    }
    Ok(Exit::Done)
}
