//! What each crate takes of the binary, in `docs/BENCHMARKS.md`.

use super::{head, row};
use crate::bench::Bench;
use crate::sizes::{C, Part};
use std::cmp::Reverse;
use std::fmt::Write as _;

/// Crates with less stand in one row.
const SMALL: u64 = 8 * 1024;

const METHOD: &str = "
Bytes of the static binary by crate, from the symbols of a build that keeps them and is the same otherwise: functions, and
constants that have a name. A generic function counts where it is written, whoever uses it. `yes` are those that the agent
asks for itself; the others come with them, or are Rust's own library (`core`, `alloc`, `std` and what that is made of); one
without a byte is macros, names for others, or not used. What has no name of its own is of nobody: the programs for the
kernel, texts and pages that are compiled in, tables for relocation and for unwinding, headers.

`./dev bench --sizes` measures it anew.

";

/// The section; nothing where nothing was measured.
pub(super) fn section(bench: &Bench) -> String {
    if bench.crates.is_empty() {
        return String::new();
    }
    let mut out = "\n### The binary\n".to_owned() + METHOD;
    out += &head(&["crate", "asked for", "code", "named data", "share"]);
    let mut crates: Vec<(&str, Part)> =
        bench.crates.iter().map(|(name, part)| (name.as_str(), *part)).collect();
    crates.sort_by_key(|(_, part)| Reverse(part.code + part.data));
    let (large, small): (Vec<_>, Vec<_>) =
        crates.into_iter().partition(|(_, part)| part.direct || part.code + part.data >= SMALL);
    for (name, part) in &large {
        let name = if *name == C { (*name).to_owned() } else { format!("`{name}`") };
        out += &line(&name, *part, bench.binary_bytes);
    }
    let rest = small.iter().fold(Part::default(), |sum, (_, part)| sum.and(*part));
    out += &line(&format!("{} smaller ones", small.len()), rest, bench.binary_bytes);
    let all = bench.crates.values().fold(Part::default(), |sum, part| sum.and(*part));
    let nobody = bench.binary_bytes.saturating_sub(all.code + all.data);
    let _ = writeln!(
        out,
        "\nOf {} bytes in all, {nobody} ({}) are of nobody.",
        bench.binary_bytes,
        share(nobody, bench.binary_bytes)
    );
    out
}

fn line(name: &str, part: Part, whole: u64) -> String {
    let asked = if part.direct { "yes" } else { "" };
    let share = share(part.code + part.data, whole);
    row(&[name, asked, &part.code.to_string(), &part.data.to_string(), &share])
}

fn share(part: u64, whole: u64) -> String {
    let thousandths = part * 1000 / whole.max(1);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_somebodys_or_nobodys() {
        let part = |code, data, direct| Part { code, data, direct };
        let crates = [
            ("aegisbpf", part(50_000, 10_000, false)),
            ("landlock", part(10, 0, true)),
            ("memchr", part(100, 1, false)),
            ("cfg_if", part(1, 0, false)),
        ];
        let crates = crates.map(|(name, part)| (name.to_owned(), part)).into();
        let text = section(&Bench { binary_bytes: 100_000, crates, ..Bench::default() });
        assert!(text.contains("| `aegisbpf` |  | 50000 | 10000 | 60.0 % |"), "{text}");
        assert!(text.contains("| `landlock` | yes | 10 | 0 | 0.0 % |"), "{text}");
        assert!(text.contains("| 2 smaller ones |  | 101 | 1 | 0.1 % |"), "{text}");
        assert!(text.contains("Of 100000 bytes in all, 39888 (39.8 %) are of nobody."), "{text}");
        assert_eq!(section(&Bench::default()), "");
    }
}
