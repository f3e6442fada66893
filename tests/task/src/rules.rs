//! The alerts and the dashboard that are shipped, as far as they name metrics.

use crate::paths;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;

/// The alerts, below the top of the tree.
pub(crate) const RULES: &str = "dist/prometheus/aegisbpf.rules.yml";

/// What every metric of ours begins with.
const PREFIX: &str = "aegisbpf_";

/// The metrics that the alerts name.
pub(crate) fn metrics() -> Result<BTreeSet<String>> {
    Ok(named(&text(RULES)?))
}

/// A file of the tree.
pub(crate) fn text(path: &str) -> Result<String> {
    fs::read_to_string(paths::root()?.join(path)).with_context(|| path.to_owned())
}

/// The metrics that a text names.
pub(crate) fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with(PREFIX)).map(str::to_owned).collect()
}
