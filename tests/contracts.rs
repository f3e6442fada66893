//! The contracts as the binary carries them. The build refuses most faults; these hold whatever the build does.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aegisbpf::tier::{CLAIMS, FAILURES, Failure, Mode, TIERS};

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
    let all: Vec<&str> = FAILURES.iter().map(|failure| failure.id).collect();
    for tier in TIERS {
        let stated: Vec<&str> = tier.failures.iter().map(|behaviour| behaviour.failure).collect();
        assert_eq!(stated, all, "{}", tier.name);
    }
}

/// A failure that no check provokes says why; one that a check does says nothing of the kind.
#[test]
fn every_failure_is_provoked() {
    let checks = checks();
    for Failure { id, checks: named, untried, .. } in FAILURES {
        for check in *named {
            assert!(checks.contains(*check), "{id}: there is no check {check}");
        }
        let provoked = !named.is_empty() || checks.contains(&format!("failure.{id}"));
        assert!(provoked || untried.is_some(), "{id}: no check provokes it, and nothing says why");
        assert!(!provoked || untried.is_none(), "{id}: a check provokes it, drop `untried`");
    }
}

/// A check that names a failure names one that there is.
#[test]
fn every_check_of_a_failure_has_its_failure() {
    let ids: BTreeSet<&str> = FAILURES.iter().map(|failure| failure.id).collect();
    for check in checks() {
        if let Some(id) = check.strip_prefix("failure.") {
            assert!(ids.contains(id), "tiers/failures.toml has no failure {id}");
        }
    }
}

/// The documents of which each bullet says what the programs do.
const SHOWN: [&str; 3] =
    ["docs/POLICY_SEMANTICS.md", "docs/THREAT_MODEL.md", "docs/REFERENCE_ENFORCEMENT_SLICE.md"];

/// Those that name checks as well.
const NAMING: [&str; 2] = ["docs/QUALITY_GATES.md", "docs/KUBERNETES.md"];

/// Each bullet of these documents names a check that there is, or says that there is none.
#[test]
fn the_documents_rest_on_checks() {
    let checks = checks();
    let known: BTreeSet<&str> = checks.iter().map(String::as_str).collect();
    let claims: BTreeSet<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
    let kinds: BTreeSet<&str> = known.iter().filter_map(|id| id.split('.').next()).collect();
    for path in SHOWN {
        let text = read(path.as_ref());
        let bullets = bullets(&text);
        assert!(bullets.len() > 4, "{path}: {} bullets", bullets.len());
        for bullet in bullets {
            let named = words(&bullet).any(|word| known.contains(word));
            assert!(named || bullet.contains("No check shows this"), "{path}: no check is named: {bullet}");
        }
    }
    // A name that looks like one of a check is one.
    for path in SHOWN.into_iter().chain(NAMING) {
        for word in words(&read(path.as_ref())).filter(|word| *word != "policy.conf") {
            let looks = word.split_once('.').is_some_and(|(kind, _)| kinds.contains(kind));
            assert!(
                !looks || known.contains(word) || claims.contains(word),
                "{path}: there is no check {word}"
            );
        }
    }
}

/// What a way to a file is about is one of the claims.
#[test]
fn every_way_is_about_a_claim() {
    let claims: BTreeSet<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
    let entries: String = files("tests/surface").iter().map(|path| read(path)).collect();
    let about = values(&entries, "\nclaim = \"");
    assert_eq!(about.len(), values(&entries, "\nid = \"").len());
    assert_eq!(
        about.iter().filter(|id| !claims.contains(id.as_str())).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

/// The ids of all checks that run in a guest.
fn checks() -> BTreeSet<String> {
    let entries = files("tests/surface").into_iter().flat_map(|path| values(&read(&path), "\nid = \""));
    let code = files("tests/guest/src/checks").into_iter().flat_map(|path| values(&read(&path), "id: \""));
    entries.chain(code).collect()
}

/// Every bullet, on one line, with what stands below it.
fn bullets(text: &str) -> Vec<String> {
    let bullet = |rest: &str| {
        let end = rest.find("\n\n").or_else(|| rest.find("\n#")).unwrap_or(rest.len());
        rest[..end].replace("\n  ", " ")
    };
    text.split("\n- ").skip(1).map(bullet).collect()
}

/// What is written as code.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What stands between `before` and the next quote.
fn values(text: &str, before: &str) -> Vec<String> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// The files below a directory.
fn files(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory of the tree") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    assert!(!found.is_empty(), "nothing is in {dir}");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file of the tree")
}
