//! `docs/DEGRADED_MODES.md`: what each tier does with every claim, what happens in every failure, and what was seen of it.

use super::contract::{Contracts, Failure, Tier, Verdict};
use super::{codes, head, row};
use crate::results::Results;
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/DEGRADED_MODES.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from tiers/*.toml and docs/failures.json. -->
# What is left when something is missing

`aegisbpf contract` prints the same on the host itself, `--claim ID` and `--failure ID` a part of it. Where enforcement
was asked for and cannot be had, a run ends with 69, or with `--on-degraded audit` observes and says so: `health` is
`degraded`.
";

const FAILURES: &str = "
## In each failure

*Health* is what `aegisbpf health` says while the failure lasts, where all was well before; *exit* is what the run or the
command that meets it ends with. *Observed* counts the rows of the matrix in which the check passed, of those in which it
was recorded (`./dev vm --record`). A hook that is missing leaves each claim that it carries uncovered, also where another
hook carries it as well: which of the two stops a given way is not promised.

";

const COLUMNS: [&str; 5] = ["failure", "tiers that enforce", "`tracepoint`", "shown by", "observed"];

pub(super) fn text(contracts: &Contracts, record: &Results) -> String {
    let mut out = HEAD.to_owned();
    for tier in &contracts.tiers {
        out.push_str(&claims(contracts, tier));
    }
    out.push_str(FAILURES);
    out.push_str(&head(&COLUMNS));
    for failure in &contracts.failures {
        out.push_str(&line(contracts, failure, record));
    }
    out
}

/// What a tier does with the claims, by id: their words are in the catalogue.
fn claims(contracts: &Contracts, tier: &Tier) -> String {
    let of = |wanted: fn(Verdict<'_>) -> bool| {
        let ids = contracts.claims.iter().map(|claim| claim.id.as_str());
        codes(ids.filter(|id| tier.verdict(id).is_some_and(wanted)))
    };
    let mut out = format!("\n## `{}`\n{}.\n\n", tier.name, tier.mechanism);
    let lists = [
        ("Denied", of(|verdict| verdict == Verdict::Denies)),
        ("Observed", of(|verdict| verdict == Verdict::Observes)),
        ("Cannot", of(|verdict| matches!(verdict, Verdict::Cannot(_)))),
    ];
    for (word, ids) in lists {
        let _ = writeln!(out, "- {word}: {}", if ids.is_empty() { "nothing" } else { &ids });
    }
    out
}

fn line(contracts: &Contracts, failure: &Failure, record: &Results) -> String {
    let mut enforcing = String::new();
    let mut observing = String::new();
    for tier in &contracts.tiers {
        let Some(behaviour) = contracts.behaviour(tier, &failure.id) else { continue };
        let said = behaviour.stated();
        match (tier.enforces(), enforcing.is_empty()) {
            (false, _) => observing = said,
            (true, true) => enforcing = said,
            // The second one, where it differs.
            (true, false) if enforcing == said => {}
            (true, false) => enforcing = format!("{enforcing}<br>`{}`: {said}", tier.name),
        }
    }
    let checks = failure.provoking();
    let (shown, observed) = match &failure.untried {
        Some(why) => (why.clone(), String::new()),
        None => (codes(checks.iter().map(String::as_str)), counts(&checks, record)),
    };
    row(&[format!("`{}`: {}", failure.id, failure.text), enforcing, observing, shown, observed])
}

fn counts(checks: &[String], record: &Results) -> String {
    let count = |id: &String| match record.count(id) {
        (_, 0) => "not recorded".to_owned(),
        (passed, of) => format!("{passed} of {of}"),
    };
    checks.iter().map(count).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_line_with_both_behaviours() {
        let contracts = Contracts::read().expect("the contracts");
        for failure in &contracts.failures {
            let line = line(&contracts, failure, &Results::default());
            assert_eq!(line.matches(" | ").count(), 4, "{line}");
            assert!(!line.contains(" |  | "), "{line}");
        }
    }
}
