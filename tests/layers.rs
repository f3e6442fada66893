//! A module imports from lower layers only. Reads every `crate::` path of `src/` against the table.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Layer of each module. Modules of the top layer may know each other: what was typed, what runs it, how it ends.
const LAYERS: [(&str, u8); 18] = [
    ("cmd", 7),
    ("cli", 7),
    ("exit", 7),
    ("agent", 6),
    ("enforce", 5),
    ("confine", 5),
    ("event", 5),
    ("state", 5),
    ("store", 5),
    ("audit", 5),
    ("install", 5),
    ("plan", 4),
    ("tier", 3),
    ("provenance", 3),
    ("kernel", 2),
    ("policy", 2),
    ("sys", 1),
    ("abi", 0),
];

const TOP: u8 = 7;

fn layer(module: &str) -> u8 {
    let known = LAYERS.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("the module {module} is in no layer: add it to the table")).1
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("src can be listed") {
        let path = entry.expect("src can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The module of the crate that a file belongs to; `None` for the crate's root.
fn module(path: &Path) -> Option<String> {
    let relative = path.strip_prefix("src").expect("a source file");
    let first = relative.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

/// The modules that a source text names behind `crate::`, alone or in braces.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => found.extend(identifier(rest)),
            Some(group) => found.extend(top_level(group)),
        }
    }
    // In a test module `crate::` may be followed by a macro's own words; those are not modules of ours.
    found
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first identifier of each item of a brace group.
fn top_level(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut found) = (0_u32, true, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            letter if start && !letter.is_whitespace() => {
                found.extend(identifier(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn modules_import_from_lower_layers_only() {
    let mut faults = Vec::new();
    for path in sources(Path::new("src")) {
        let Some(own) = module(&path) else { continue };
        for import in imports(&fs::read_to_string(&path).expect("a source file")) {
            let (above, below) = (layer(&own), layer(&import));
            if import != own && (below > above || below == above && above != TOP) {
                faults.push(format!(
                    "{}: {own} (layer {above}) imports {import} (layer {below})",
                    path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_enforce_uses_aya() {
    for path in sources(Path::new("src")) {
        let uses = fs::read_to_string(&path).expect("a source file").contains("aya::");
        assert!(!uses || module(&path).as_deref() == Some("enforce"), "{} uses aya", path.display());
    }
}

#[test]
fn files_stay_readable() {
    let mut lengths: Vec<usize> = Vec::new();
    for path in sources(Path::new("src")) {
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
        assert!(code <= 500, "{} has {code} lines without its tests", path.display());
        lengths.push(code);
    }
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] <= 200, "the median file has {} lines", lengths[lengths.len() / 2]);
}

#[test]
fn groups_are_read() {
    let text =
        "use crate::{abi, sys::{bpf, map}, plan::RuleSet};\nlet x = crate::tier::TIERS;\n// crate::cmd\n";
    let found: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(found, ["abi", "plan", "sys", "tier"]);
}
