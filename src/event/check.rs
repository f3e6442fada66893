//! Whether a line is an event as this version writes them, by the types that write them: read, written again, and held
//! against what it was. `docs/schema/event.schema.json` says the same to others, but for numbers with a fraction or an
//! exponent, which it cannot tell from those without.

use serde_json::{Map, Value};

use super::{Decision, Event, LOSSES, Line, SCHEMA_VERSION};
use crate::{
    abi,
    tier::{Mode, TIERS},
};

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Not JSON, or a key is missing or of another type.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
    /// No object.
    #[error("it is no JSON object")]
    NoObject,
    /// A key that no event of this type has.
    #[error("an event of this type has no key {}", .0.escape_debug())]
    Unknown(String),
    /// A key that each event of this type has.
    #[error("the key {0} is missing")]
    Missing(String),
    /// A value of the right type that is never written.
    #[error("the value of {0} is none that is written there")]
    Value(String),
}

/// The type of the event in a line, or why there is none.
pub fn check(text: &str) -> Result<&'static str, Unfit> {
    let given: Value = serde_json::from_str(text)?;
    let Value::Object(given) = given else { return Err(Unfit::NoObject) };
    let line: Line<'_> = serde_json::from_str(text)?;
    let Value::Object(written) = serde_json::to_value(&line)? else { return Err(Unfit::NoObject) };
    same(&given, &written)?;
    match fault(&line) {
        Some(key) => Err(Unfit::Value(key.to_owned())),
        None => Ok(line.event.kind()),
    }
}

/// What is read and not written again was no part of the event; what is written and was not read was left out.
fn same(given: &Map<String, Value>, written: &Map<String, Value>) -> Result<(), Unfit> {
    for (key, value) in given {
        match written.get(key) {
            None if value.is_null() => return Err(Unfit::Value(key.clone())),
            None => return Err(Unfit::Unknown(key.clone())),
            Some(other) if other != value => return Err(Unfit::Value(key.clone())),
            Some(_) => {}
        }
    }
    match written.keys().find(|key| !given.contains_key(*key)) {
        Some(key) => Err(Unfit::Missing(key.clone())),
        None => Ok(()),
    }
}

/// The first key whose value is of the right type, and wrong.
fn fault(line: &Line<'_>) -> Option<&'static str> {
    let head = [
        ("schema_version", line.schema_version == SCHEMA_VERSION),
        ("time", is_time(&line.time)),
        ("boot_id", line.boot_id.is_empty() || is_uuid(&line.boot_id)),
        ("seq", line.seq > 0),
        ("tier", TIERS.iter().any(|tier| tier.name == line.tier)),
    ];
    wrong(&head).or_else(|| match &*line.event {
        Event::Deny(decision) => {
            let refused = decision.mode == Mode::Enforce && (1..=MAX_ERRNO).contains(&decision.errno);
            wrong(&[("errno", refused)]).or_else(|| of_decision(decision))
        }
        Event::WouldDeny(decision) => {
            let passed = decision.mode == Mode::Audit && decision.errno == 0;
            wrong(&[("errno", passed)]).or_else(|| of_decision(decision))
        }
        Event::StateChange(state) => wrong(&[
            ("status", ["healthy", "degraded", "unhealthy", "stopped"].contains(&&*state.status)),
            ("attach_state", ["full", "partial", "none"].contains(&&*state.attach_state)),
        ]),
        // The type of a digest takes capitals as well, and they do not come out as they were.
        Event::PolicyChange(_) => None,
        Event::Lost(lost) => wrong(&[("reason", LOSSES.contains(&&*lost.reason))]),
        Event::Proof(proof) => wrong(&[("hook", proof.hook == POLICY || is_hook(&proof.hook, true))]),
    })
}

/// `include/linux/err.h`
const MAX_ERRNO: i32 = 4095;

/// Stands in the place of a hook where the policy itself was looked at.
pub const POLICY: &str = "policy";

fn wrong(values: &[(&'static str, bool)]) -> Option<&'static str> {
    values.iter().find(|(_, right)| !right).map(|(key, _)| *key)
}

fn of_decision(decision: &Decision) -> Option<&'static str> {
    let hexadecimal = |value: &Option<String>| value.as_deref().is_none_or(|text| is_hex(text, 64));
    wrong(&[
        ("operation", is_operation(&decision.operation)),
        ("count", decision.count > 0),
        ("since", decision.since.as_deref().is_none_or(|since| is_time(since) && decision.count > 1)),
        ("hook", is_hook(&decision.hook, false)),
        ("device", decision.device.as_deref().is_none_or(is_device)),
        ("policy_sha256", hexadecimal(&decision.policy_sha256)),
        ("lineage", decision.lineage.len() <= abi::ANCESTORS as usize),
        ("container_id", hexadecimal(&decision.container_id)),
    ])
}

/// As [`super::rfc3339`] writes it.
fn is_time(text: &str) -> bool {
    humantime::parse_rfc3339(text).is_ok_and(|time| super::rfc3339(time) == text)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 5 && groups.iter().zip([8, 4, 4, 4, 12]).all(|(group, digits)| is_hex(group, digits))
}

fn is_operation(text: &str) -> bool {
    let words: Vec<&str> = text.split(',').collect();
    text == "guard" || words.len() <= 3 && words.iter().all(|word| ["read", "write", "exec"].contains(word))
}

fn is_device(text: &str) -> bool {
    let number =
        |text: &str| (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
}

/// Which copy of its program was proven is told, which one decided is not.
fn is_hook(name: &str, may_be_copy: bool) -> bool {
    let mut hooks = TIERS.iter().flat_map(|tier| tier.hooks);
    hooks.any(|hook| hook.name == name && (may_be_copy || hook.number & abi::HOOK_AGAIN == 0))
}
