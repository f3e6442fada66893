//! The contracts as the binary carries them. The build refuses most faults; these hold whatever the build does.

use std::collections::BTreeSet;

use aegisbpf::tier::{CLAIMS, Mode, TIERS};

#[test]
fn each_tier_sorts_every_claim_once() {
    let all: BTreeSet<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
    for tier in TIERS {
        let cannot = tier.cannot.iter().map(|(id, _)| *id);
        let sorted: Vec<&str> = tier.denies.iter().chain(tier.observes).copied().chain(cannot).collect();
        assert_eq!(sorted.len(), all.len(), "{}", tier.name);
        assert_eq!(sorted.into_iter().collect::<BTreeSet<_>>(), all, "{}", tier.name);
    }
}

#[test]
fn what_is_held_hangs_on_a_hook() {
    for tier in TIERS {
        let carried: BTreeSet<&str> = tier.hooks.iter().flat_map(|hook| hook.carries).copied().collect();
        let held: BTreeSet<&str> = tier.denies.iter().chain(tier.observes).copied().collect();
        assert_eq!(carried, held, "{}", tier.name);
    }
}

#[test]
fn only_tiers_that_enforce_deny() {
    for tier in TIERS {
        assert_eq!(tier.modes.contains(&Mode::Enforce), !tier.denies.is_empty(), "{}", tier.name);
        assert_eq!(tier.enforces(), tier.fail_closed, "{}", tier.name);
    }
}

#[test]
fn every_tier_states_every_failure() {
    let names =
        |tier: &aegisbpf::tier::Tier| tier.failures.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>();
    for tier in TIERS {
        assert_eq!(names(tier), names(&TIERS[0]), "{}", tier.name);
    }
}
