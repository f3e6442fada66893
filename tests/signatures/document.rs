//! `docs/KEY_MANAGEMENT.md`: its commands work as they stand there, and what it says names a case.

use std::{collections::BTreeSet, fs};

use crate::{cases, scene::Scene};

const DOCUMENT: &str = "docs/KEY_MANAGEMENT.md";
/// Shown in a guest.
const DRILLS: [&str; 2] = ["policy.signed", "policy.key-drill"];

fn document() -> String {
    fs::read_to_string(DOCUMENT).expect("a document of the tree")
}

/// All boxes one after the other, as somebody would go through them who begins with a policy alone.
#[test]
fn its_commands_work() {
    let text = document();
    let boxes: Vec<&str> =
        text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(boxes.len() >= 5, "{} boxes", boxes.len());
    let scene = Scene::new();
    let prepare = "set -ex
shopt -s extglob
rm -r !(policy.conf)
echo secret >secret
printf 'version=1\\n[deny_path]\\n%s\\n' \"$PWD/secret\" >policy.conf
";
    let (code, text) = scene.run(&format!("{prepare}{}", boxes.concat()));
    assert_eq!(code, 0, "{text}");
    // The end of the story: two keys are left that may sign, and two are revoked.
    let (code, text) = scene.run("aegisbpf keys list");
    assert_eq!(code, 0, "{text}");
    assert_eq!((text.lines().count(), text.matches("REVOKED").count()), (4, 2), "{text}");
}

#[test]
fn what_it_says_is_shown() {
    let text = document();
    let cases = cases::all();
    let known: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).chain(DRILLS).collect();
    let kinds: BTreeSet<&str> = known.iter().filter_map(|id| id.split('.').next()).collect();
    let bullets = text.split("\n- ").skip(1).map(|rest| rest.split("\n\n").next().unwrap_or_default());
    for bullet in bullets {
        let shown = words(bullet).any(|word| known.contains(word));
        assert!(shown || bullet.contains("case shows this"), "no case is named: {bullet}");
    }
    for word in words(&text).filter(|word| !word.starts_with("policy.conf")) {
        let looks = word.split_once('.').is_some_and(|(kind, _)| kinds.contains(kind));
        assert!(!looks || known.contains(word), "there is no case {word}");
    }
}

/// What is written as code.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
