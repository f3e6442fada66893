//! What each crate takes of the binary: the symbols of one that keeps them, summed by the crate that holds their code.

use crate::artifacts;
use crate::paths::{self, MUSL};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// The release profile but for one thing.
const PROFILE: [&str; 4] =
    ["--config", "profile.sizes.inherits=\"release\"", "--config", "profile.sizes.strip=\"none\""];

/// What stands for symbols that no Rust crate has: the C library and the start of a process.
pub(crate) const C: &str = "(C library)";

/// What one crate takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// Bytes of functions, generic ones by where they are written and not by who uses them.
    pub(crate) code: u64,
    /// Bytes of constants that have a name.
    pub(crate) data: u64,
    /// Whether the agent asks for it itself.
    pub(crate) direct: bool,
}

impl Part {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        let Self { code, data, direct } = other;
        Self { code: self.code + code, data: self.data + data, direct: self.direct || direct }
    }
}

/// Builds the binary with its symbols, and sums them up.
pub(crate) fn measure() -> Result<BTreeMap<String, Part>> {
    let mut build = artifacts::cargo()?;
    build.args(["build", "--target", MUSL, "-p", "aegisbpf", "--bin", "aegisbpf", "--profile", "sizes"]);
    let status = build.args(PROFILE).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the build with symbols failed");
    }
    let file = paths::target_dir()?.join(MUSL).join("sizes/aegisbpf");
    let output = Command::new("llvm-nm").args(["--print-size", "--defined-only"]).arg(&file).output();
    let output = output.context("cannot start llvm-nm (package llvm)")?;
    if !output.status.success() {
        bail!("llvm-nm {}: {}", file.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut parts = summed(&String::from_utf8_lossy(&output.stdout));
    let manifest = fs::read_to_string(paths::root()?.join("Cargo.toml"))?;
    for name in direct(&manifest)? {
        parts.entry(name).or_default().direct = true;
    }
    Ok(parts)
}

/// The dependencies of the agent, as crates are named in code.
fn direct(manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = toml::from_str(manifest)?;
    let names = manifest.get("dependencies").and_then(toml::Value::as_table);
    Ok(names.into_iter().flat_map(toml::Table::keys).map(|name| name.replace('-', "_")).collect())
}

/// Sums up lines of address, size, kind and name. Several names of one place count once.
fn summed(symbols: &str) -> BTreeMap<String, Part> {
    let mut places = BTreeMap::new();
    for line in symbols.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [address, size, kind, name] = words[..]
            && let Ok(size) = u64::from_str_radix(size, 16)
        {
            places.insert(address, (size, kind, name));
        }
    }
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for (size, kind, name) in places.into_values() {
        let part = || holder(name).unwrap_or(C).to_owned();
        match kind {
            "T" | "t" | "W" | "w" => parts.entry(part()).or_default().code += size,
            // What is zero at the start is not in the file.
            "R" | "r" | "D" | "d" | "V" | "v" => parts.entry(part()).or_default().data += size,
            _ => {}
        }
    }
    parts
}

/// The first crate in a name: `_RINvCs1a2_6procfs10read_valueRe` is of `procfs`. A crate root is written `C`, a number in
/// base 62 that tells crates of a name apart, and the name behind its length and, before `_`, another `_`.
fn holder(symbol: &str) -> Option<&str> {
    let path = symbol.strip_prefix("_R")?;
    path.match_indices('C').find_map(|(at, _)| {
        let root = path.get(at + 1..)?;
        let root = match root.strip_prefix('s') {
            Some(numbered) => numbered.split_once('_')?.1,
            None => root,
        };
        let digits = root.find(|letter: char| !letter.is_ascii_digit())?;
        let (length, name) = root.split_at_checked(digits)?;
        // Between the two where the name would else begin with what belongs to neither.
        let name = name.strip_prefix('_').unwrap_or(name);
        name.get(..length.parse().ok()?).filter(|name| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_of_the_crate_that_holds_it() {
        let of = |symbol| holder(symbol).unwrap_or(C);
        assert_eq!(
            of("_RINvCs5N4KhdqNtnv_6procfs10read_valueReNtNtNtB2_3sys6kernel7VersionBz_EB2_"),
            "procfs"
        );
        assert_eq!(
            of("_RNvXsC_NtCs1BqVjaGfVfM_20signal_hook_registry1aNtB5_1bNtCs1_4core3fmt"),
            "signal_hook_registry"
        );
        assert_eq!(of("_RNvCs1_7___rustc12___rust_alloc"), "__rustc");
        assert_eq!(of("memcpy"), C);
        assert_eq!(of("_R"), C);
        assert_eq!(of("_RC"), C);
        assert_eq!(of("_RCs_99x"), C);
    }

    #[test]
    fn places_count_once() {
        let parts = summed(
            "0001 0010 T memcpy\n0001 0010 t __memcpy\n0020 0004 r _RNvCs1_4main1x\n0030 0002 t _RNvCs1_4main1y\n\
             0040 ffff b _RNvCs1_4main1z\n0050 T without_size\n",
        );
        assert_eq!(parts.get(C), Some(&Part { code: 16, data: 0, direct: false }));
        assert_eq!(parts.get("main"), Some(&Part { code: 2, data: 4, direct: false }));
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn names_in_the_manifest_are_those_in_code() -> Result<()> {
        let manifest =
            "[dependencies]\naya-obj = \"1\"\nlibc.workspace = true\n[dev-dependencies]\nboon = \"1\"\n";
        assert_eq!(direct(manifest)?, ["aya_obj", "libc"]);
        Ok(())
    }
}
