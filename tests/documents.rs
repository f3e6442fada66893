//! Links of the documents, from one to another and into the tree, lead somewhere.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every document for people.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::from("docs")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).expect("a directory of the tree") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.extend(["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(PathBuf::from));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    found
}

/// What stands in round brackets behind square ones, outside of code.
fn links(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2).collect::<String>();
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.map(str::to_owned).collect()
}

/// The anchors of a document's headings, as forges make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

fn fault(document: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = match file {
        "" => document.to_owned(),
        file => document.parent().unwrap_or(Path::new("")).join(file),
    };
    if !target.exists() {
        return Some(format!("{}: {link} leads nowhere", document.display()));
    }
    let anchor = anchor?;
    let text = fs::read_to_string(&target).expect("a document");
    (!anchors(&text).iter().any(|known| known == anchor))
        .then(|| format!("{}: {link}: there is no such heading", document.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    let mut faults = Vec::new();
    for document in documents() {
        for link in links(&fs::read_to_string(&document).expect("a document")) {
            count += 1;
            faults.extend(fault(&document, &link));
        }
    }
    assert!(count > 50, "{count} links");
    assert_eq!(faults, Vec::<String>::new());
}

/// Each document can be found from the README, by way of others.
#[test]
fn every_document_is_linked() {
    let mut reached = vec![PathBuf::from("README.md")];
    let mut next = 0;
    while let Some(document) = reached.get(next).cloned() {
        next += 1;
        let directory = document.parent().unwrap_or(Path::new("")).to_owned();
        for link in links(&fs::read_to_string(&document).expect("a document")) {
            let file = link.split('#').next().unwrap_or_default();
            let Ok(target) = fs::canonicalize(directory.join(file)) else { continue };
            let here = fs::canonicalize(".").expect("the tree");
            let Ok(target) = target.strip_prefix(here).map(Path::to_owned) else { continue };
            let is_document = target.extension().is_some_and(|extension| extension == "md");
            if is_document && !reached.contains(&target) {
                reached.push(target);
            }
        }
    }
    // A directory of runbooks is linked as one.
    let found = |path: &PathBuf| reached.contains(path) || path.starts_with("docs/runbooks");
    let lost: Vec<PathBuf> = documents().into_iter().filter(|path| !found(path)).collect();
    assert_eq!(lost, Vec::<PathBuf>::new());
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let readme = Path::new("README.md");
    assert!(fault(readme, "docs/NOWHERE.md").is_some());
    assert!(fault(readme, "SECURITY.md#no-such-heading").is_some());
    assert_eq!(fault(readme, "SECURITY.md#privileges"), None);
    assert_eq!(links("[a](b) `c`\n```sh\n[d](e)\n```\n[f](g#h)"), ["b", "g#h"]);
}
