//! The contracts of the tiers, as `tiers/*.toml` states them. Read here and not taken from the agent's crate, so that the
//! chores start without it.

use crate::paths;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Strongest first.
const TIERS: [&str; 3] = ["bpf-lsm", "modify-return", "tracepoint"];

/// Every claim, every failure and every tier.
#[derive(Debug)]
pub(super) struct Contracts {
    pub(super) claims: Vec<Claim>,
    pub(super) failures: Vec<Failure>,
    pub(super) tiers: Vec<Tier>,
}

#[derive(Deserialize)]
struct FailureFile {
    failure: Vec<Failure>,
}

/// Something that goes wrong.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) id: String,
    pub(super) text: String,
    #[serde(default)]
    checks: Vec<String>,
    /// Why no check provokes it.
    pub(super) untried: Option<String>,
}

impl Failure {
    /// The checks that provoke it.
    pub(super) fn provoking(&self) -> Vec<String> {
        match (&self.untried, self.checks.is_empty()) {
            (Some(_), _) => Vec::new(),
            (None, true) => vec![format!("failure.{}", self.id)],
            (None, false) => self.checks.clone(),
        }
    }
}

/// What a tier states of one.
#[derive(Debug, Deserialize)]
pub(super) struct Behaviour {
    pub(super) does: String,
    pub(super) health: Option<String>,
    pub(super) exit: Option<u8>,
    pub(super) mend: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Stated {
    /// The tier whose statements hold where this one has none.
    like: Option<String>,
    #[serde(flatten)]
    own: BTreeMap<String, Behaviour>,
}

#[derive(Deserialize)]
struct Claims {
    claim: Vec<Claim>,
}

/// Something that is said of a way to a file.
#[derive(Debug, Deserialize)]
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) text: String,
}

/// One tier, as far as its verdicts go.
#[derive(Debug, Deserialize)]
pub(super) struct Tier {
    pub(super) name: String,
    pub(super) mechanism: String,
    pub(super) needs: Vec<String>,
    modes: Vec<String>,
    claims: Sorted,
    failures: Stated,
}

#[derive(Debug, Deserialize)]
struct Sorted {
    denies: Vec<String>,
    observes: Vec<String>,
    cannot: BTreeMap<String, String>,
}

/// What a tier does about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    Denies,
    Observes,
    Cannot(&'a str),
}

impl Contracts {
    pub(super) fn read() -> Result<Self> {
        let Claims { claim: claims } = file("claims")?;
        let tiers: Vec<Tier> = TIERS.iter().map(|name| file(name)).collect::<Result<_>>()?;
        for tier in &tiers {
            if let Some(claim) = claims.iter().find(|claim| tier.verdict(&claim.id).is_none()) {
                bail!("the contract of {} says nothing about {}", tier.name, claim.id);
            }
        }
        let FailureFile { failure: failures } = file("failures")?;
        let contracts = Self { claims, failures, tiers };
        for (tier, failure) in
            contracts.tiers.iter().flat_map(|tier| contracts.failures.iter().map(move |one| (tier, one)))
        {
            if contracts.behaviour(tier, &failure.id).is_none() {
                bail!("the contract of {} says nothing about {}", tier.name, failure.id);
            }
        }
        Ok(contracts)
    }

    /// What a tier states of a failure, itself or by another one that it is like.
    pub(super) fn behaviour<'a>(&'a self, tier: &'a Tier, failure: &str) -> Option<&'a Behaviour> {
        let like = || self.tiers.iter().find(|other| tier.failures.like.as_deref() == Some(&other.name));
        tier.failures.own.get(failure).or_else(|| like()?.failures.own.get(failure))
    }
}

impl Behaviour {
    /// In words.
    pub(super) fn stated(&self) -> String {
        let Self { does, health, exit, mend } = self;
        let mut out = format!("{does}.");
        if let Some(word) = health {
            let _ = write!(out, " Health: {word}.");
        }
        if let Some(code) = exit {
            let _ = write!(out, " Exit: {code}.");
        }
        if let Some(mend) = mend {
            let _ = write!(out, " Way out: {mend}.");
        }
        out
    }
}

impl Tier {
    pub(super) fn enforces(&self) -> bool {
        self.modes.iter().any(|mode| mode == "enforce")
    }

    pub(super) fn verdict(&self, claim: &str) -> Option<Verdict<'_>> {
        let Sorted { denies, observes, cannot } = &self.claims;
        if denies.iter().any(|id| id == claim) {
            return Some(Verdict::Denies);
        }
        if observes.iter().any(|id| id == claim) {
            return Some(Verdict::Observes);
        }
        cannot.get(claim).map(|reason| Verdict::Cannot(reason))
    }
}

fn file<T: DeserializeOwned>(name: &str) -> Result<T> {
    let path = format!("tiers/{name}.toml");
    let text = fs::read_to_string(paths::root()?.join(&path)).with_context(|| path.clone())?;
    toml::from_str(&text).context(path)
}
