//! `dist/man/aegisbpf-concepts.7`: what stands behind the words of the status. What tiers do comes from their contracts.

use super::contract::{Behaviour, Contracts, Tier, Verdict};
use crate::man::Frame;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;

pub(super) const PATH: &str = "dist/man/aegisbpf-concepts.7";

const TEXT: &str = include_str!("concepts.md");

const FRAME: Frame = Frame {
    name: "aegisbpf-concepts",
    section: "7",
    kind: "Miscellaneous Information",
    about: "tiers, rules, proof and degraded mode of AegisBPF",
    source: "tests/task/src/docs/concepts.md and tiers/",
    file: None,
    see_also: &[("aegisbpf-policy", "5"), ("aegisbpf", "8"), ("inode", "7"), ("cgroups", "7")],
};

/// The page.
pub(super) fn page(contracts: &Contracts) -> Result<String> {
    let mut text = TEXT.to_owned();
    for (mark, list) in [
        ("<!-- tiers -->\n", tiers(contracts)),
        ("<!-- claims -->\n", claims(contracts)),
        ("<!-- failures -->\n", failures(contracts)),
    ] {
        let (before, after) =
            text.split_once(mark).with_context(|| format!("there is no {}", mark.trim()))?;
        text = format!("{before}{list}{after}");
    }
    FRAME.page(&text)
}

/// Each with how it works, what it needs, and what becomes of it without an agent.
fn tiers(contracts: &Contracts) -> String {
    let mut out = String::new();
    for tier in &contracts.tiers {
        let count = |wanted: fn(Verdict<'_>) -> bool| {
            contracts.claims.iter().filter(|claim| tier.verdict(&claim.id).is_some_and(wanted)).count()
        };
        let denied = count(|verdict| verdict == Verdict::Denies);
        let observed = count(|verdict| verdict == Verdict::Observes);
        let needs: Vec<String> = tier.needs.iter().map(|need| format!("`{need}`")).collect();
        let _ = write!(out, "- **{}**: {}. ", tier.name, tier.mechanism);
        let _ = match denied {
            0 => write!(out, "It denies nothing and observes {observed}"),
            _ => write!(out, "It denies {denied}"),
        };
        let _ = write!(out, " of {} claims. It needs {}.", contracts.claims.len(), needs.join(", "));
        if let Some(dead) = contracts.behaviour(tier, "agent-killed") {
            let _ = write!(out, " When the agent dies: {}.", dead.does);
        }
        out.push('\n');
    }
    out
}

/// Each with what becomes of it in every tier.
fn claims(contracts: &Contracts) -> String {
    let mut out = String::new();
    for claim in &contracts.claims {
        let of = |wanted: Verdict<'_>| {
            let tiers = contracts.tiers.iter().filter(|tier| tier.verdict(&claim.id) == Some(wanted));
            tiers.map(|tier| tier.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let _ = write!(out, "- `{}`: {}.", claim.id, claim.text);
        for (word, tiers) in [("Denied", of(Verdict::Denies)), ("Observed", of(Verdict::Observes))] {
            if !tiers.is_empty() {
                let _ = write!(out, " {word} by {tiers}.");
            }
        }
        // Why the strongest cannot: the one that only observes has its reason in how it works.
        if let Some(Verdict::Cannot(why)) = contracts.tiers.first().and_then(|tier| tier.verdict(&claim.id)) {
            let _ = write!(out, " Not denied: {why}.");
        }
        out.push('\n');
    }
    out
}

/// Each with what the tiers do in it.
fn failures(contracts: &Contracts) -> String {
    let mut out = String::new();
    for failure in &contracts.failures {
        let _ = write!(out, "- `{}`: {}.", failure.id, failure.text);
        let mut said = String::new();
        for tier in &contracts.tiers {
            let Some(behaviour) = contracts.behaviour(tier, &failure.id) else { continue };
            let now = behaviour.stated();
            // The tiers that enforce mostly do the same.
            if now != said {
                let _ = write!(out, " **{}**: {now}", heading(contracts, tier, &failure.id));
            }
            said = now;
        }
        out.push('\n');
    }
    out
}

/// The tiers beginning with this one that do the same.
fn heading(contracts: &Contracts, tier: &Tier, failure: &str) -> String {
    let does = |other: &Tier| contracts.behaviour(other, failure).map(Behaviour::stated);
    let same = contracts.tiers.iter().skip_while(|other| other.name != tier.name);
    let names = same.take_while(|other| does(other) == does(tier)).map(|other| other.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_contracts_state_is_in_the_page() -> Result<()> {
        let contracts = Contracts::read()?;
        let (claims, failures) = (claims(&contracts), failures(&contracts));
        assert_eq!(claims.lines().count(), contracts.claims.len());
        assert_eq!(failures.lines().count(), contracts.failures.len());
        for failure in &contracts.failures {
            let line = failures.lines().find(|line| line.starts_with(&format!("- `{}`:", failure.id)));
            let line = line.context(failure.id.clone())?;
            for tier in &contracts.tiers {
                let behaviour = contracts.behaviour(tier, &failure.id).context("a behaviour")?;
                assert!(line.contains(&behaviour.does) && line.contains(&tier.name), "{line}");
            }
        }
        let page = page(&contracts)?;
        for id in contracts.claims.iter().map(|claim| &claim.id) {
            assert!(page.contains(id.as_str()), "{id}");
        }
        Ok(())
    }
}
