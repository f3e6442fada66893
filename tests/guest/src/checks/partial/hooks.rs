//! The hooks, as the contracts name them.

use serde::Deserialize;
use std::sync::OnceLock;

/// The two enforcing tiers have the same hooks; a test compares.
const ENFORCING: &str = include_str!("../../../../../tiers/bpf-lsm.toml");
#[cfg(test)]
const OTHER: &str = include_str!("../../../../../tiers/modify-return.toml");
const OBSERVING: &str = include_str!("../../../../../tiers/tracepoint.toml");

#[derive(Deserialize)]
struct Tier {
    hook: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    need: Option<String>,
    #[serde(default)]
    bare: bool,
    carries: Vec<String>,
}

/// What it means when a hook is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    IfPresent,
    OnRequest,
    /// A hook of the tier that only observes: required as well.
    Observes,
}

/// A hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) need: Need,
    /// Whether another program is tried where the first one does not load.
    pub(super) bare: bool,
    pub(super) carries: &'static [String],
}

/// All of them, but for the self-guard's own, which decide about no file: the row `guard` is about these. Data that cannot be read has none, which the check of the whole set finds.
pub(super) fn all() -> Vec<Hook> {
    static READ: OnceLock<[Vec<Entry>; 2]> = OnceLock::new();
    let [enforcing, observing] = READ.get_or_init(|| [ENFORCING, OBSERVING].map(entries));
    let hook = |entry: &'static Entry, need| Hook {
        name: &entry.name,
        need,
        bare: entry.bare,
        carries: &entry.carries,
    };
    let decides = |entry: &&Entry| entry.need.as_deref() != Some("guard");
    let enforcing = enforcing.iter().filter(decides).map(|entry| hook(entry, need(entry)));
    enforcing.chain(observing.iter().map(|entry| hook(entry, Need::Observes))).collect()
}

fn entries(text: &str) -> Vec<Entry> {
    toml::from_str::<Tier>(text).map(|tier| tier.hook).unwrap_or_default()
}

fn need(entry: &Entry) -> Need {
    match entry.need.as_deref() {
        Some("required") => Need::Required,
        Some("if-present") => Need::IfPresent,
        Some("on-request") => Need::OnRequest,
        _ => Need::Optional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_enforcing_tiers_have_these() {
        let named =
            |text| entries(text).into_iter().map(|entry| (entry.name, entry.need)).collect::<Vec<_>>();
        assert_eq!(named(ENFORCING), named(OTHER));
        assert!(all().len() >= 22, "{}", all().len());
    }
}
