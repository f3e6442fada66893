//! Events as entries of the systemd journal (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): a datagram of fields each.
//! Pure: the socket is the agent's.

use serde_json::Value;

use super::{Event, Line, show::statement};

/// What an event is called in the journal, whatever its text. `dist/systemd/aegisbpf.catalog` explains each.
pub const MESSAGES: [(&str, &str); 6] = [
    ("deny", "1cedbe659a814ef4a29b6abb4ff34fa2"),
    ("would_deny", "e66e144e14c14debb206dd9177caba9d"),
    ("state_change", "73bc82b8c08b492e8e87dbbd81a55e79"),
    ("policy_change", "a8cb45aeab70490789264dfcc0a8a057"),
    ("proof", "fa5ff056582c4e8c86e06e065dfa204b"),
    ("lost", "08d3be99b08f4829ad7fe00a6d1788d4"),
];

/// The `MESSAGE_ID` of an event.
pub fn message_id(event: &Event) -> &'static str {
    let kind = event.kind();
    MESSAGES.iter().find(|(known, _)| *known == kind).map_or("", |(_, id)| id)
}

/// How urgent it is, as syslog counts it.
fn priority(event: &Event) -> u8 {
    const ERROR: u8 = 3;
    const WARNING: u8 = 4;
    const NOTICE: u8 = 5;
    const INFO: u8 = 6;
    match event {
        Event::Deny(_) | Event::Lost(_) => WARNING,
        Event::WouldDeny(_) | Event::PolicyChange(_) => NOTICE,
        Event::StateChange(state) => match &*state.status {
            "healthy" => INFO,
            "stopped" => NOTICE,
            "degraded" => WARNING,
            _ => ERROR,
        },
        Event::Proof(proof) if proof.proven => INFO,
        Event::Proof(_) => ERROR,
    }
}

/// The entry of a line. Each key of the native event is a field, `AEGISBPF_` and its name in capitals; `AEGISBPF_EVENT` is
/// the whole of it, for the commands that read events.
pub fn entry(line: &Line<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2048);
    field(&mut bytes, "MESSAGE", &statement(line));
    field(&mut bytes, "MESSAGE_ID", message_id(&line.event));
    field(&mut bytes, "PRIORITY", &priority(&line.event).to_string());
    field(&mut bytes, "SYSLOG_IDENTIFIER", "aegisbpf");
    field(&mut bytes, "AEGISBPF_EVENT", &serde_json::to_string(line).unwrap_or_default());
    let Ok(Value::Object(keys)) = serde_json::to_value(line) else { return bytes };
    for (key, value) in &keys {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        field(&mut bytes, &format!("AEGISBPF_{}", key.to_ascii_uppercase()), &text);
    }
    bytes
}

/// A value with a line feed in it says how long it is, so that nothing in it begins another field.
fn field(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::event::{Lost, ProofResult};

    fn line(event: &Event) -> Line<'_> {
        Line {
            schema_version: 1,
            time: "2026-01-02T03:04:05.000000006Z".to_owned(),
            boot_id: "".into(),
            seq: 7,
            host: "node1".into(),
            tier: "bpf-lsm".into(),
            event: Cow::Borrowed(event),
        }
    }

    #[test]
    fn each_key_is_a_field() {
        let lost = Event::Lost(Lost { events: 5, total: 9, reason: "kernel".into() });
        let entry = String::from_utf8(entry(&line(&lost))).unwrap();
        for field in [
            "MESSAGE=LOST 5 events (9 in all): kernel",
            "MESSAGE_ID=08d3be99b08f4829ad7fe00a6d1788d4",
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=aegisbpf",
            "AEGISBPF_TYPE=lost",
            "AEGISBPF_SEQ=7",
            "AEGISBPF_TOTAL=9",
            &format!("AEGISBPF_EVENT={}", serde_json::to_string(&line(&lost)).unwrap()),
        ] {
            assert!(entry.lines().any(|line| line == field), "no {field} in {entry}");
        }
    }

    #[test]
    fn nothing_in_a_value_begins_another_field() {
        let detail = "not refused\nPRIORITY=0".to_owned();
        let proof = Event::Proof(ProofResult { hook: "file_open".into(), proven: false, detail });
        let entry = entry(&line(&proof));
        let text = b"PROOF file_open NOT PROVEN: not refused\nPRIORITY=0";
        let mut wanted = b"MESSAGE\n".to_vec();
        wanted.extend_from_slice(&(text.len() as u64).to_le_bytes());
        wanted.extend_from_slice(text);
        assert!(entry.starts_with(&wanted), "{}", String::from_utf8_lossy(&entry));
    }
}
