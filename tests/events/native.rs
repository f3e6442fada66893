//! The native format: what `event validate` takes the published schema takes, and the other way round.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use aegisbpf::{event, tier::TIERS};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::{samples, schema::Schema};

const SCHEMA: &str = include_str!("../../docs/schema/event.schema.json");

#[test]
fn every_sample_is_what_the_schema_says() {
    let schema = Schema::of(SCHEMA);
    for (what, sample) in samples::all() {
        schema.takes(what, &sample);
        let kind = event::check(&sample.to_string()).unwrap_or_else(|unfit| panic!("{what}: {unfit}"));
        assert_eq!(sample["type"], kind, "{what}");
    }
}

#[test]
fn the_schema_knows_every_hook_and_tier() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let named = |pointer: &str| -> Vec<String> {
        let names = schema.pointer(pointer).and_then(Value::as_array).expect("a list").iter();
        let mut names: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort();
        names
    };
    let hooks: BTreeSet<&str> = TIERS.iter().flat_map(|tier| tier.hooks).map(|hook| hook.name).collect();
    let firsts: Vec<&str> = hooks.iter().copied().filter(|name| !name.ends_with("_again")).collect();
    assert_eq!(named("/$defs/hook/enum"), firsts);
    let proofs: Vec<&str> =
        hooks.into_iter().chain([event::POLICY]).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(named("/$defs/proof/properties/hook/enum"), proofs);
    for kind in ["deny", "would_deny", "state_change", "policy_change", "proof", "lost"] {
        let tiers = named(&format!("/$defs/{kind}/properties/tier/enum"));
        assert_eq!(tiers.len(), TIERS.len());
        assert!(TIERS.iter().all(|tier| tiers.iter().any(|name| name == tier.name)), "{tiers:?}");
    }
}

/// What may stand where something else should.
fn values() -> Vec<Value> {
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let mut values = vec![
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([1]),
        json!(["x"]),
        json!([{"pid": 1, "exe": "x"}]),
        json!([{"pid": 1, "exe": "x", "more": 1}]),
        json!([{"pid": 1}]),
        json!([{"pid": -1, "exe": "x"}]),
        Value::from(vec![json!({"pid": 1, "exe": "x"}); 7]),
    ];
    let numbers = [-1_i64, 0, 1, 2, 3, 4095, 4096, 1 << 31, (1 << 32) - 1, 1 << 32];
    values.extend(numbers.map(Value::from));
    values.push(json!(u64::MAX));
    let words = [
        "",
        "x",
        "deny",
        "would_deny",
        "state_change",
        "policy_change",
        "proof",
        "lost",
        "audit",
        "enforce",
        "Enforce",
        "read",
        "read,write",
        "read,,write",
        "write,read,exec",
        "read,write,exec,read",
        "guard",
        "guard,read",
        "file_open",
        "trace_open",
        "policy",
        "bpf-lsm",
        "tracepoint",
        "healthy",
        "stopped",
        "full",
        "none",
        "kernel",
        "file",
        "8:1",
        "8:",
        ":1",
        "8:1:1",
        "12345678901:1",
        "+8:1",
        "2026-01-02T03:04:05.000000006Z",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.000000006+00:00",
        "2026-02-30T03:04:05.000000006Z",
        "2024-02-29T03:04:05.000000006Z",
        "2026-13-02T03:04:05.000000006Z",
        "2026-01-02T24:04:05.000000006Z",
        "2026-01-02T03:04:60.000000006Z",
        "2016-12-31T23:59:60.000000000Z",
        "1969-12-31T23:59:59.000000000Z",
        "2026-01-02t03:04:05.000000006z",
        "2026-01-02 03:04:05.000000006Z",
        "3b0f8e6a-0c4d-4b61-9a42-6f1d2c3e4a5b",
        "3B0F8E6A-0c4d-4b61-9a42-6f1d2c3e4a5b",
        "3b0f8e6a",
        hex,
        &hex[1..],
        &hex.to_uppercase(),
    ];
    values.extend(words.iter().map(|word| json!(word)));
    values
}

/// A sample with one key taken away, put in, or given another value.
fn changed() -> impl Strategy<Value = Value> {
    (any::<Index>(), any::<Index>(), any::<Index>(), 0..8_u8).prop_map(|(sample, key, value, change)| {
        let samples = samples::all();
        let mut event = samples[sample.index(samples.len())].1.clone();
        let keys: Vec<String> = event.as_object().expect("an object").keys().cloned().collect();
        let key = &keys[key.index(keys.len())];
        let values = values();
        let value = values[value.index(values.len())].clone();
        let object = event.as_object_mut().expect("an object");
        match change {
            0 => drop(object.remove(key)),
            1 => drop(object.insert(format!("{key}s"), value)),
            // A key of another type of event.
            2 => {
                let others =
                    samples[value.to_string().len() % samples.len()].1.as_object().expect("an object");
                object.extend(
                    others
                        .iter()
                        .filter(|(other, _)| !keys.contains(other))
                        .take(1)
                        .map(|(key, value)| (key.clone(), value.clone())),
                );
            }
            _ => drop(object.insert(key.clone(), value)),
        }
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn validate_and_the_schema_agree(event in changed()) {
        thread_local!(static SCHEMA_OF_EVENTS: Schema = Schema::of(SCHEMA));
        let fault = SCHEMA_OF_EVENTS.with(|schema| schema.fault(&event));
        let unfit = event::check(&event.to_string()).err().map(|unfit| unfit.to_string());
        prop_assert_eq!(fault.is_none(), unfit.is_none(), "{:?}, {:?}, {}", fault, unfit, event);
    }

    #[test]
    fn any_text_is_judged(text in ".{0,200}") {
        prop_assert!(event::check(&text).is_err());
    }
}

/// Every value at every key of one sample of each shape: what the properties try at random.
#[test]
fn each_value_at_each_key() {
    let schema = Schema::of(SCHEMA);
    let (mut taken, mut refused) = (0, 0);
    let shapes =
        ["several denied", "an open that was traced", "a healthy state", "no policy", "a proof", "a loss"];
    for (what, sample) in samples::all().into_iter().filter(|(what, _)| shapes.contains(what)) {
        for key in sample.as_object().expect("an object").keys() {
            for value in values() {
                let mut event = sample.clone();
                event[key] = value;
                let fault = schema.fault(&event);
                let unfit = event::check(&event.to_string()).err();
                assert_eq!(fault.is_none(), unfit.is_none(), "{what}, {key}: {fault:?}, {unfit:?}: {event}");
                *(if fault.is_none() { &mut taken } else { &mut refused }) += 1;
            }
        }
    }
    assert!(taken > 500 && refused > 5000, "taken {taken}, refused {refused}");
}

#[test]
fn what_was_written_twice_or_half_is_none() {
    let (_, sample) = &samples::all()[0];
    let text = sample.to_string();
    for (wrong, why) in [
        (text.replacen('{', "{\"seq\":8,", 1), "duplicate field"),
        (text.replace("\"rule\":3", "\"rule\":3.0"), "invalid type"),
        (text[..text.len() / 2].to_owned(), "EOF"),
        (format!("{text} {text}"), "trailing"),
        (format!("[{text}]"), "no JSON object"),
        (text.replacen('{', "{\"colour\":1,", 1), "no key colour"),
        (text.replace("\"comm\":\"cat\",", ""), "comm"),
    ] {
        let unfit = event::check(&wrong).expect_err(&wrong).to_string();
        assert!(unfit.contains(why), "{unfit} does not say {why}");
    }
}

fn validate(args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegisbpf"));
    command.args(["event", "validate"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn validate_counts_or_names_the_line() {
    let lines: Vec<String> = samples::all().iter().map(|(_, sample)| sample.to_string()).collect();
    let good = lines.join("\n") + "\n";
    let output = validate(&["-"], &good);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with(&format!("{} events, all valid: 10 deny, 1 lost", lines.len())), "{said}");
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("events");
    std::fs::write(&file, format!("{good}nonsense\n")).expect("a scratch file");
    let output = validate(&["--json", file.to_str().expect("UTF-8")], "");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(65));
    assert_eq!((&report["valid"], &report["invalid"]), (&json!(false), &json!(1)));
    assert_eq!(report["faults"][0]["line"], lines.len() + 1);
    let missing = validate(&["/nonexistent/events"], "");
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(74), 0));
}

#[test]
fn the_schema_is_published() {
    let command = Command::new(env!("CARGO_BIN_EXE_aegisbpf")).args(["schema", "event"]).output();
    assert_eq!(String::from_utf8_lossy(&command.expect("the binary starts").stdout), SCHEMA);
}
