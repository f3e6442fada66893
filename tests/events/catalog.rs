//! The catalog of the journal explains each event that there is, and nothing else.

use std::collections::BTreeSet;

use aegisbpf::event::{Line, MESSAGES, entry, message_id};

use crate::samples;

const CATALOG: &str = include_str!("../../dist/systemd/aegisbpf.catalog");

/// Identifier and text of each entry.
fn entries() -> Vec<(&'static str, &'static str)> {
    CATALOG.split("\n-- ").skip(1).map(|entry| entry.split_once('\n').expect("a text")).collect()
}

#[test]
fn ids_in_code_and_catalog_agree() {
    let there: Vec<&str> = entries().iter().map(|(id, _)| *id).collect();
    let known: Vec<&str> = MESSAGES.iter().map(|(_, id)| *id).collect();
    assert_eq!(there, known);
    let distinct: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(distinct.len(), known.len());
    assert!(known.iter().all(|id| id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())));
}

#[test]
fn every_entry_has_its_headers_and_fields_that_there_are() {
    let fields: BTreeSet<String> = samples::all()
        .iter()
        .flat_map(|(_, sample)| {
            let line: Line<'_> = serde_json::from_value(sample.clone()).expect("an event");
            let entry = String::from_utf8_lossy(&entry(&line)).into_owned();
            entry.lines().filter_map(|line| line.split('=').next().map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    for (id, text) in entries() {
        for header in ["Subject: ", "Defined-By: AegisBPF", "Documentation: man:aegisbpf"] {
            assert!(text.lines().any(|line| line.starts_with(header)), "{id}: {header}");
        }
        let mut named = text.split('@').skip(1).step_by(2);
        assert!(named.all(|field| fields.contains(field)), "{id}: a field that no event has: {text}");
    }
}

#[test]
fn each_event_names_its_entry() {
    for (what, sample) in samples::all() {
        let line: Line<'_> = serde_json::from_value(sample.clone()).expect("an event");
        let kind = sample["type"].as_str().expect("a type");
        let wanted = MESSAGES.iter().find(|(known, _)| *known == kind).map(|(_, id)| *id);
        assert_eq!(Some(message_id(&line.event)), wanted, "{what}");
    }
}
