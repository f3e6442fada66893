//! What others take for an open, kept in the tree beside what everything of ours costs.

use crate::bench::Row;
use crate::image::{self, OF_PEERS};
use crate::paths;
use crate::profiles;
use crate::release::Release;
use anyhow::{Context as _, Result};
use guest::{Figure, Line, MEASURED_PROFILE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::Command;

/// The suffix of its rows, and the name of their list of checks.
pub(crate) const ROW: &str = "peers";

/// Below the top of the tree.
const PROFILE: &str = "tests/task/data/measured.apparmor";

/// What was measured on one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peers {
    /// What `uname -r` says.
    pub(crate) kernel: String,
    /// Of the packages that hold them.
    pub(crate) versions: BTreeMap<String, String>,
    /// In the order in which they were measured.
    pub(crate) figures: Vec<Figure>,
    /// What could not be measured, and why.
    pub(crate) unmeasured: BTreeMap<String, String>,
}

impl Peers {
    /// What a row of the matrix told.
    pub(crate) fn of(kernel: &Release, lines: &[Line]) -> Result<Self> {
        let (figures, unmeasured) = told(lines);
        Ok(Self { kernel: kernel.uname(), versions: versions()?, figures, unmeasured })
    }

    /// The figures, to be looked up as those of any row.
    pub(crate) fn row(&self) -> Row {
        Row { kernel: self.kernel.clone(), tier: ROW.to_owned(), figures: self.figures.clone() }
    }
}

fn told(lines: &[Line]) -> (Vec<Figure>, BTreeMap<String, String>) {
    let (mut figures, mut unmeasured) = (Vec::new(), BTreeMap::new());
    for line in lines {
        match line {
            Line::Figure(figure) => figures.push(figure.clone()),
            Line::Unmeasured { peer, why } => drop(unmeasured.insert(peer.clone(), why.clone())),
            _ => {}
        }
    }
    (figures, unmeasured)
}

/// The profile that a guest needs.
pub(crate) fn profile() -> Result<(&'static str, Vec<u8>)> {
    Ok((MEASURED_PROFILE, profiles::compiled(PROFILE)?))
}

/// Of what is measured in the guest, and of the compiler on this host.
fn versions() -> Result<BTreeMap<String, String>> {
    let mut versions = image::versions(&paths::cache_dir()?, &OF_PEERS)?;
    versions.retain(|name, _| OF_PEERS.named(name));
    let parser = profiles::output(Command::new("apparmor_parser").arg("--version"))?;
    let version = parser.lines().next().and_then(|line| line.rsplit(' ').next());
    versions.insert("apparmor".to_owned(), version.context("apparmor_parser names no version")?.to_owned());
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tests::figure;

    #[test]
    fn a_row_keeps_what_could_not_be_measured() {
        let lines = [
            Line::Figure(figure("nothing", "open, close", 7000)),
            Line::Unmeasured { peer: "fapolicyd".into(), why: "it did not start".into() },
            Line::Done { passed: 2, failed: 0 },
        ];
        let (figures, unmeasured) = told(&lines);
        assert_eq!(figures.len(), 1);
        assert_eq!(unmeasured.get("fapolicyd").map(String::as_str), Some("it did not start"));
    }
}
