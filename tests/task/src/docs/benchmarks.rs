//! `docs/BENCHMARKS.md`: what was measured.

use super::soak;
use crate::soak::Soak;

pub(super) const PATH: &str = "docs/BENCHMARKS.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from docs/soak.json. -->
# Benchmarks

What was measured, on what, and how to measure it again.
";

pub(super) fn text(soak: &Soak) -> String {
    format!("{HEAD}\n{}", soak::section(soak))
}
