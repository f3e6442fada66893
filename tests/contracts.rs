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

/// Each sentence of the semantics names a check that there is, or says that there is none.
#[test]
fn the_semantics_rest_on_checks() {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a file of the tree");
    let files = ["checks", "ways"]
        .map(|dir| std::fs::read_dir(format!("tests/guest/src/{dir}")).expect("the checks"))
        .into_iter()
        .flatten();
    let sources: String = files.map(|entry| read(&entry.expect("a file").path())).collect();
    let checks: BTreeSet<&str> =
        sources.split("id: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let text = read("docs/POLICY_SEMANTICS.md".as_ref());
    let mut sentences = 0;
    for bullet in text.split("\n- ").skip(1) {
        let bullet = bullet.split("\n\n").next().unwrap_or(bullet).replace("\n  ", " ");
        let named = bullet.split('`').skip(1).step_by(2).filter(|word| checks.contains(word)).count();
        assert!(named > 0 || bullet.contains("No check shows this"), "no check is named: {bullet}");
        sentences += 1;
    }
    assert!(sentences > 20, "{sentences} sentences");
    // A name that looks like one of a check is one.
    for word in text.split('`').skip(1).step_by(2) {
        let looks = ["enforce.", "policy.", "fs.", "life.", "load.", "refuse.", "read.", "write.", "exec."];
        let is_file = word == "policy.conf";
        assert!(
            is_file || !looks.iter().any(|kind| word.starts_with(kind)) || checks.contains(word),
            "there is no check {word}"
        );
    }
}
