//! The licences of what is linked into the binary, in one text.

use super::parts::Part;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the names of such files begin with, in capitals.
const NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

/// Every text once, behind the parts that have it. A part without a text of its own is named with its expression.
pub(crate) fn text(parts: &[Part]) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    let mut out = String::from("What is linked into aegisbpf, and under which licences.\n\n");
    for part in parts.iter().filter(|part| part.linked) {
        writeln!(out, "{} {}: {}", part.name, part.version, part.licence)?;
        let found = of(&part.directory)?;
        if found.is_empty() {
            without.push(part.reference());
        }
        for text in found {
            texts.entry(text).or_default().push(part.reference());
        }
    }
    out.push_str("the library of Rust, and musl in it: see the file beside this one\n");
    if !without.is_empty() {
        writeln!(out, "\nWithout a text of their own: {}", without.join(", "))?;
    }
    for (text, owners) in texts {
        write!(out, "\n{}\n{}\n\n{}\n", "=".repeat(80), owners.join(", "), text.trim())?;
    }
    Ok(out)
}

fn of(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && NAMES.iter().any(|word| name.starts_with(word))
    });
    paths.sort();
    paths.iter().map(|path| Ok(String::from_utf8_lossy(&fs::read(path)?).replace('\r', ""))).collect()
}

/// What the toolchain says of its own library, which is in the binary as well.
pub(crate) fn of_the_library() -> Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("cannot start rustc")?;
    let path = Path::new(String::from_utf8_lossy(&output.stdout).trim())
        .join("share/doc/rust/COPYRIGHT-library.html");
    if !path.is_file() {
        bail!("{} is missing", path.display());
    }
    Ok(path)
}
