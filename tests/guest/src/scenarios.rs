//! The ways to a file, as data: what each is, what is denied, and how far it has to lead. `ways` of the guest goes them;
//! documents are made from the same entries.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The files of `tests/surface`.
const FAMILIES: [&str; 8] = [
    include_str!("../../surface/read.toml"),
    include_str!("../../surface/write.toml"),
    include_str!("../../surface/exec.toml"),
    include_str!("../../surface/fd.toml"),
    include_str!("../../surface/scope.toml"),
    include_str!("../../surface/tree.toml"),
    include_str!("../../surface/place.toml"),
    include_str!("../../surface/overlay.toml"),
];

/// What the policy denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A file by its path.
    #[default]
    Path,
    /// A path where nothing is.
    Place,
    /// A directory with all that is below it.
    Tree,
    /// A file of the lower layer of an overlay.
    Layer,
    /// A file as an overlay shows it.
    Merged,
}

/// The one operation that the rule denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Executing.
    Exec,
}

impl Operation {
    /// Its name in a policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Exec => "exec",
        }
    }
}

/// How far a way leads where the rule is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// To EPERM, and to an event.
    #[default]
    Denied,
    /// To the file: no rule can hold this.
    Reached,
}

/// Whether the observing tier reports the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trace {
    /// It does not.
    #[default]
    Missed,
    /// It does.
    Seen,
}

/// One way to a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// `family.name`: the id of its check as well.
    pub id: String,
    /// The claim of `tiers/claims.toml` that it is about.
    pub claim: String,
    /// A short phrase for documents.
    pub text: String,
    /// What is denied.
    #[serde(default)]
    pub rule: Rule,
    /// Which operation on it.
    pub op: Operation,
    /// How far it leads where the rule is enforced.
    #[serde(default)]
    pub expect: Expect,
    /// Whether the observing tier reports it.
    #[serde(default)]
    pub trace: Trace,
    /// Whether its process begins before there is a rule.
    #[serde(default)]
    pub before: bool,
    /// Series of the kernel on which the observing tier misses what it reports elsewhere, and why.
    #[serde(default)]
    pub unseen: BTreeMap<String, String>,
    /// Series of the kernel that have no such way, and why.
    #[serde(default)]
    pub lacks: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    #[serde(default)]
    scenario: Vec<Scenario>,
}

/// Every entry, family by family; or what is wrong with the data.
pub fn scenarios() -> Result<&'static [Scenario], &'static str> {
    static ALL: OnceLock<Result<Vec<Scenario>, String>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let families = FAMILIES.iter().map(|text| toml::from_str::<Family>(text));
        let families: Vec<Family> =
            families.collect::<Result<_, _>>().map_err(|error| format!("tests/surface: {error}"))?;
        Ok(families.into_iter().flat_map(|family| family.scenario).collect())
    });
    all.as_deref().map_err(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_data_is_sound() {
        let all = scenarios().expect("readable");
        assert!(all.len() >= 140, "{} ways", all.len());
        let ids: BTreeSet<&str> = all.iter().map(|scenario| scenario.id.as_str()).collect();
        assert_eq!(ids.len(), all.len(), "an id is there twice");
        let claims = include_str!("../../../tiers/claims.toml");
        for scenario in all {
            assert!(claims.contains(&format!("id = \"{}\"\n", scenario.claim)), "{}", scenario.claim);
            assert!(!scenario.text.is_empty() && scenario.id.contains('.'), "{scenario:?}");
        }
    }
}
