//! The formats of others: each event by the rules of the format, and none that looks like another.

use aegisbpf::event::{Line, ecs, ocsf};
use serde_json::{Value, json};

use crate::{samples, schema::Schema};

const OCSF: &str = include_str!("../ocsf/event.schema.json");

fn line(sample: &Value) -> Line<'static> {
    serde_json::from_value(sample.clone()).expect("an event")
}

/// Name, native event, and the same in another format.
fn as_format(format: fn(&Line<'_>) -> Value) -> Vec<(&'static str, Value, Value)> {
    let samples = samples::all().into_iter();
    samples
        .map(|(what, sample)| (what, format(&line(&sample)), sample))
        .map(|(what, other, sample)| (what, sample, other))
        .collect()
}

#[test]
fn ocsf_is_what_its_schema_says() {
    let schema = Schema::of(OCSF);
    let mut classes = std::collections::BTreeSet::new();
    for (what, sample, event) in as_format(ocsf) {
        schema.takes(what, &event);
        assert_eq!(event["unmapped"], sample, "{what}");
        assert_eq!(event["time"], 1_772_600_767_000_u64, "{what}");
        classes.insert(event["class_uid"].as_u64());
    }
    assert_eq!(classes.into_iter().flatten().collect::<Vec<_>>(), [1001, 1003, 1007, 6002]);
}

/// A schema that takes everything would show nothing.
#[test]
fn the_schema_of_ocsf_refuses_what_is_wrong() {
    let schema = Schema::of(OCSF);
    let (_, _, event) = as_format(ocsf).swap_remove(0);
    for (pointer, wrong) in [
        ("/type_uid", json!(100_101)),
        ("/activity_id", json!(13)),
        ("/category_uid", json!(6)),
        ("/class_uid", json!(1007)),
        ("/severity_id", json!(7)),
        ("/severity", json!("High")),
        ("/disposition", json!("Logged")),
        ("/action_id", json!(3)),
        ("/time", json!("2026-03-04T05:06:07Z")),
        ("/file", json!({"path": "/etc/shadow", "type_id": 0})),
        ("/file/name", json!("")),
        ("/actor", json!({})),
        ("/actor/process", json!({"name": "cat"})),
        ("/device/type_id", json!("0")),
        ("/metadata/product", json!({})),
        ("/metadata/version", json!("1.0.0")),
    ] {
        let mut other = event.clone();
        *other.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(schema.fault(&other).is_some(), "{pointer}");
    }
    for missing in ["actor", "device", "file", "metadata", "time", "severity_id", "type_uid"] {
        let mut other = event.clone();
        other.as_object_mut().expect("an object").remove(missing);
        assert!(schema.fault(&other).is_some(), "{missing}");
    }
}

#[test]
fn ocsf_tells_a_denial_from_what_would_be_one() {
    let controls = |event: &Value| {
        ["action_id", "disposition_id", "status_id", "is_alert"].map(|key| event[key].clone())
    };
    for (what, sample, event) in as_format(ocsf) {
        let wanted = match sample["type"].as_str() {
            Some("deny") => [json!(2), json!(2), json!(2), json!(true)],
            Some("would_deny") => [json!(3), json!(17), json!(1), json!(false)],
            _ => {
                assert_eq!(event["action_id"], Value::Null, "{what}");
                continue;
            }
        };
        assert_eq!(controls(&event), wanted, "{what}");
        assert_eq!(event["count"], sample["count"], "{what}");
    }
}

#[test]
fn ocsf_sorts_by_what_it_is_about() {
    for (what, _, event) in as_format(ocsf) {
        let wanted = match what {
            "a path denied" | "an inode denied" | "an open that was traced" | "a file guarded" => 100_114,
            "attributes denied" => 100_106,
            "a program denied" | "a program that would be denied" | "an exec that was traced" => 100_701,
            "a map guarded" => 100_399,
            "a process guarded" => 100_799,
            "the last state" => 600_204,
            "a state" | "a policy" | "a proof" | "a loss" => 600_299,
            _ => continue,
        };
        assert_eq!(event["type_uid"], wanted, "{what}");
    }
}

#[test]
fn ecs_is_what_ecs_allows() {
    const KINDS: [&str; 8] =
        ["alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"];
    const CATEGORIES: [&str; 4] = ["configuration", "file", "host", "process"];
    const TYPES: [&str; 5] = ["change", "denied", "end", "error", "info"];
    const SETS: [&str; 12] = [
        "@timestamp",
        "aegisbpf",
        "container",
        "ecs",
        "event",
        "file",
        "group",
        "host",
        "message",
        "observer",
        "process",
        "rule",
    ];
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    for (what, sample, event) in as_format(ecs) {
        let keys = event.as_object().expect("an object").keys();
        keys.for_each(|key| assert!(key == "user" || SETS.contains(&key.as_str()), "{what}: {key}"));
        assert_eq!(event["aegisbpf"], sample, "{what}");
        assert_eq!(event["@timestamp"], sample["time"], "{what}");
        let sorted = &event["event"];
        assert!(KINDS.contains(&word(&sorted["kind"]).as_str()), "{what}: {sorted}");
        assert!(CATEGORIES.contains(&word(&sorted["category"][0]).as_str()), "{what}: {sorted}");
        assert!(TYPES.contains(&word(&sorted["type"][0]).as_str()), "{what}: {sorted}");
        let (kind, outcome) = (word(&sorted["type"][0]), &sorted["outcome"]);
        match sample["type"].as_str() {
            Some("deny") => assert_eq!((kind.as_str(), outcome), ("denied", &json!("failure")), "{what}"),
            Some("would_deny") => assert_eq!((kind.as_str(), outcome), ("info", &json!("success")), "{what}"),
            _ => assert_ne!(sorted["kind"], "alert", "{what}"),
        }
    }
}

#[test]
fn ecs_has_a_field_for_what_has_one() {
    let (_, _, event) = as_format(ecs).swap_remove(0);
    for (pointer, wanted) in [
        ("/file/path", json!("/etc/shadow")),
        ("/file/name", json!("shadow")),
        ("/file/inode", json!("9007199254740993")),
        ("/process/pid", json!(4711)),
        ("/process/executable", json!("/usr/bin/cat")),
        ("/process/parent/name", json!("bash")),
        ("/user/id", json!("1000")),
        ("/host/name", json!("node1")),
        ("/rule/id", json!("3")),
        ("/event/action", json!("deny")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&wanted), "{pointer}");
    }
    let contained = as_format(ecs).into_iter().find(|(what, ..)| *what == "a program denied");
    let (_, sample, event) = contained.expect("a sample");
    assert_eq!(event["container"]["id"], sample["container_id"]);
}
