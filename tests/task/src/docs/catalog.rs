//! `docs/BYPASS_CATALOG.md`: each claim, what each tier does about it, and the ways that show it.

use super::codes;
use super::contract::{Claim, Contracts, Tier, Verdict};
use guest::{Expect, Scenario, Trace};
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/BYPASS_CATALOG.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from tiers/*.toml and tests/surface/*.toml. -->
# The ways around a rule, and where each ends

One section a claim: what it is about, what each tier does about it, and the ways that show it on real kernels. A way is
described in [EDGE_CASE_COMPLIANCE_SUITE.md](EDGE_CASE_COMPLIANCE_SUITE.md), and `./dev vm --check ID` goes it.
[COMPATIBILITY.md](COMPATIBILITY.md) has the counts. Behind the observing tier stands how many of the ways of the claim it
reports: where that is more than it promises, it has happened to see the path.
";

/// Claims that no way shows, and why.
const UNTRIED: [(&str, &str); 9] = [
    ("file.flags_compat", "the program that goes the ways is a 64-bit one"),
    ("guard.bpf", "it is no way to a file; the check `guard.bpf` shows it"),
    ("guard.pins", "it is no way to a file; the check `guard.pins` shows it"),
    ("guard.mounts", "it is no way to a file; the check `guard.mounts` shows it"),
    ("guard.trace", "it is no way to a file; the check `guard.trace` shows it"),
    ("guard.signal", "it is no way to a file; the check `guard.signal` shows it"),
    ("guard.binary", "it is no way to a file; the check `guard.binary` shows it"),
    (
        "guard.ended",
        "it is no way to a file; the check `guard.outlives-the-agent` ends it by a resource limit",
    ),
    ("guard.kernel", "it is no way to a file, and the end of any check"),
];

pub(super) fn text(contracts: &Contracts, ways: &[Scenario]) -> String {
    let mut out = HEAD.to_owned();
    for claim in &contracts.claims {
        let ways: Vec<&Scenario> = ways.iter().filter(|way| way.claim == claim.id).collect();
        let _ = write!(out, "\n## `{}`\n{}.\n\n", claim.id, sentence(&claim.text));
        out.push_str(&verdicts(claim, &contracts.tiers, &ways));
        out.push_str(&shown(claim, &ways));
    }
    out
}

/// One line a verdict, with the tiers that agree in it.
fn verdicts(claim: &Claim, tiers: &[Tier], ways: &[&Scenario]) -> String {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for tier in tiers {
        let verdict = match tier.verdict(&claim.id) {
            Some(Verdict::Denies) => "denied".to_owned(),
            Some(Verdict::Observes) => format!("observed{}", seen(ways)),
            Some(Verdict::Cannot(reason)) if tier.enforces() => format!("cannot: {reason}"),
            Some(Verdict::Cannot(reason)) => format!("cannot{}: {reason}", seen(ways)),
            None => continue,
        };
        match lines.iter_mut().find(|(other, _)| *other == verdict) {
            Some((_, names)) => names.push(&tier.name),
            None => lines.push((verdict, vec![&tier.name])),
        }
    }
    let line = |(verdict, names): (String, Vec<&str>)| format!("- {}: {verdict}\n", codes(names.into_iter()));
    lines.into_iter().map(line).collect()
}

/// How many of the ways the observing tier reports.
fn seen(ways: &[&Scenario]) -> String {
    match ways.iter().filter(|way| way.trace == Trace::Seen).count() {
        0 => String::new(),
        seen => format!(" ({seen} of {})", ways.len()),
    }
}

fn shown(claim: &Claim, ways: &[&Scenario]) -> String {
    if ways.is_empty() {
        let reason = UNTRIED.iter().find(|(id, _)| *id == claim.id);
        return format!("- No scenario{}.\n", reason.map_or(String::new(), |(_, why)| format!(": {why}")));
    }
    let mut out = String::new();
    for (word, expect) in [("Shown denied", Expect::Denied), ("Shown to lead to the file", Expect::Reached)] {
        let ids = codes(ways.iter().filter(|way| way.expect == expect).map(|way| way.id.as_str()));
        if !ids.is_empty() {
            let _ = writeln!(out, "- {word}: {ids}");
        }
    }
    out
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (Contracts, &'static [Scenario]) {
        (Contracts::read().expect("the contracts"), super::super::ways().expect("the ways"))
    }

    /// What a contract says of a claim, its ways do.
    #[test]
    fn no_way_contradicts_a_contract() {
        let (contracts, ways) = both();
        let enforcing: Vec<&Tier> = contracts.tiers.iter().filter(|tier| tier.enforces()).collect();
        assert_eq!(enforcing.len(), 2);
        let mut wrong = Vec::new();
        for (tier, way) in enforcing.iter().flat_map(|tier| ways.iter().map(move |way| (tier, way))) {
            let denied = way.expect == Expect::Denied;
            if (tier.verdict(&way.claim) == Some(Verdict::Denies)) != denied {
                wrong.push(format!("{}: {} has the way {}", tier.name, way.claim, way.id));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    /// A claim without a way is a promise that nobody tried. Those that cannot be tried have their reason.
    #[test]
    fn every_claim_has_a_way() {
        let (contracts, ways) = both();
        let is_tried = |id: &str| ways.iter().any(|way| way.claim == id);
        let without: Vec<&str> =
            contracts.claims.iter().map(|claim| claim.id.as_str()).filter(|id| !is_tried(id)).collect();
        let untried: Vec<&str> = UNTRIED.iter().map(|(id, _)| *id).collect();
        assert_eq!(without, untried);
    }
}
