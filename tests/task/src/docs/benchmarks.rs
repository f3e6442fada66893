//! `docs/BENCHMARKS.md`: what was measured.

use super::{bench, soak};
use crate::bench::Bench;
use crate::soak::Soak;

pub(super) const PATH: &str = "docs/BENCHMARKS.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from docs/bench.json and docs/soak.json. -->
# Benchmarks

What was measured, on what, and how to measure it again.
";

pub(super) fn text(bench: &Bench, soak: &Soak) -> String {
    format!("{HEAD}\n{}\n{}", bench::section(bench), soak::section(soak))
}
