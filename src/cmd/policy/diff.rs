//! `aegisbpf policy diff`: by meaning, not by line. Order, comments and spelling make no difference.

use std::{collections::BTreeSet, path::Path};

use serde::Serialize;

use crate::{
    agent::Source,
    cli::{DiffArgs, Places},
    cmd::{print, print_json},
    exit::{Exit, Failure},
    policy::{self, Policy},
    store::Store,
};

#[derive(Serialize)]
struct Diff {
    schema_version: u32,
    removed: Vec<String>,
    added: Vec<String>,
}

/// Compares two policies.
pub(super) fn diff(args: &DiffArgs, places: &Places) -> Result<Exit, Failure> {
    let store = Store::at(&places.state_dir);
    let (before, after) = (statements(&read(&args.before, &store)?), statements(&read(&args.after, &store)?));
    let removed: Vec<String> = before.difference(&after).cloned().collect();
    let added: Vec<String> = after.difference(&before).cloned().collect();
    let same = removed.is_empty() && added.is_empty();
    if args.json {
        print_json(&Diff { schema_version: 1, removed, added })?;
    } else {
        let lines = removed.iter().map(|line| format!("- {line}\n"));
        print(&lines.chain(added.iter().map(|line| format!("+ {line}\n"))).collect::<String>())?;
    }
    Ok(if same { Exit::Done } else { Exit::Negative })
}

/// A number is a generation; everything else is a file.
fn read(which: &Path, store: &Store) -> Result<Policy, Failure> {
    match which.to_str().and_then(|text| text.parse().ok()) {
        Some(generation) => {
            let record = store.record(generation)?;
            Ok(Source::stored(store, &record)?.policy)
        }
        None => Ok(Source::read(which, false)?.policy),
    }
}

/// What a policy says, a statement a line, each with its section.
fn statements(policy: &Policy) -> BTreeSet<String> {
    let mut section = String::new();
    let mut statements = BTreeSet::new();
    for line in policy::print(policy).lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else if !line.starts_with("version=") {
            statements.insert(format!("{section} {line}"));
        }
    }
    statements
}
