//! `aegisbpf detach`

use serde::Serialize;

use crate::{
    agent,
    cli::{JsonArgs, Places},
    exit::{self, Exit, Failure},
};

#[derive(Serialize)]
struct Detached {
    schema_version: u32,
    removed: Vec<String>,
}

/// Removes every pin of ours.
pub(super) fn run(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let ended = agent::detach(&places.dirs())?;
    if let Some(why) = &ended.unrecorded {
        exit::note(&format!("WARNING: this is NOT on record: {}", why.chain()));
    }
    let removed: Vec<String> = ended.removed.iter().map(|path| path.display().to_string()).collect();
    if args.json {
        super::print_json(&Detached { schema_version: 1, removed })?;
    } else if removed.is_empty() {
        super::print("nothing was pinned: nothing is enforced without an agent\n")?;
    } else {
        super::print(&format!(
            "enforcement ended; removed {} pins:\n  {}\n",
            removed.len(),
            removed.join("\n  ")
        ))?;
    }
    Ok(Exit::Done)
}
