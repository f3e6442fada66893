//! The cases: what is given, the command, how it exits and what it says.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde::Deserialize;

use crate::scene::{Scene, is_root};

/// One case. The scene before `given` is one whose policy is accepted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    /// A script that has to succeed.
    #[serde(default)]
    given: String,
    /// The script that the case is about.
    pub(crate) run: String,
    pub(crate) exit: i32,
    /// A part of its output.
    pub(crate) says: String,
    /// `given` needs to be root.
    #[serde(default)]
    root: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// In the order of the files.
pub(crate) fn all() -> Vec<Case> {
    let texts = [
        include_str!("1-signatures.toml"),
        include_str!("2-signers.toml"),
        include_str!("3-files.toml"),
        include_str!("4-secrets.toml"),
        include_str!("5-trust.toml"),
    ];
    texts.into_iter().flat_map(|text| toml::from_str::<Cases>(text).expect("cases").case).collect()
}

impl Case {
    /// What differs from what the case says.
    fn fault(&self) -> Option<String> {
        let scene = Scene::new();
        let (code, text) = scene.run(&format!("set -e\n{}", self.given));
        if code != 0 {
            return Some(format!("{}: `given` exits with {code}: {text}", self.id));
        }
        let (code, text) = scene.run(&self.run);
        let as_said = code == self.exit && text.contains(&self.says);
        (!as_said).then(|| {
            format!("{}: exits with {code}, wanted {} and {:?}: {text}", self.id, self.exit, self.says)
        })
    }
}

#[test]
fn every_case_ends_as_it_says() {
    let cases = all();
    let (next, workers) = (AtomicUsize::new(0), thread::available_parallelism().map_or(1, usize::from));
    let work = || {
        let mine = std::iter::from_fn(|| cases.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.filter(|case| !case.root || is_root()).map(Case::fault).collect::<Vec<_>>()
    };
    let ran: Vec<Option<String>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    let faults: Vec<String> = ran.iter().flatten().cloned().collect();
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), ran.len(), faults.join("\n"));
    assert!(ran.len() >= 80, "{} cases", ran.len());
}

#[test]
fn no_case_is_there_twice() {
    let cases = all();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), cases.len());
}
