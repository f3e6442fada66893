//! The text form of events: one line for a person.

use std::time::SystemTime;

use super::{Decision, Event, Line};

/// One line, without the line feed.
pub fn text_line(line: &Line<'_>) -> String {
    format!("{} {}", line.time, statement(line))
}

/// What happened, for where the time stands beside it.
pub(super) fn statement(line: &Line<'_>) -> String {
    let Line { tier, event, .. } = line;
    match &**event {
        Event::Deny(decision) => format!("DENY {}", decision_text(decision)),
        Event::WouldDeny(decision) => format!("WOULD-DENY {}", decision_text(decision)),
        Event::StateChange(state) => {
            let reasons = if state.reasons.is_empty() {
                String::new()
            } else {
                format!(": {}", state.reasons.join("; "))
            };
            let does = if state.enforcing { "enforcing" } else { "not enforcing" };
            let mode = state.mode.name();
            let attach = &state.attach_state;
            let uncovered = if state.uncovered.is_empty() {
                String::new()
            } else {
                format!(" uncovered={}", state.uncovered.join(","))
            };
            format!(
                "STATE {} {does} tier={tier} mode={mode} attach={attach}{uncovered}{reasons}",
                state.status
            )
        }
        Event::PolicyChange(change) => {
            let number =
                |generation: Option<u64>| generation.map_or_else(|| "none".to_owned(), |n| n.to_string());
            let trial = if change.provisional { " until confirmed" } else { "" };
            let sha256 = change.sha256.map(|sha256| format!(" sha256={sha256}")).unwrap_or_default();
            let (now, before) = (number(change.generation), number(change.before));
            format!("POLICY {now}{trial} rules={}{sha256} before={before}", change.rules)
        }
        Event::Proof(proof) => {
            let word = if proof.proven { "proven" } else { "NOT PROVEN" };
            format!("PROOF {} {word}: {}", proof.hook, proof.detail)
        }
        Event::Lost(lost) => {
            format!("LOST {} events ({} in all): {}", lost.events, lost.total, lost.reason)
        }
    }
}

fn decision_text(decision: &Decision) -> String {
    let Decision { operation, path, rule, pid, uid, comm, hook, policy_generation, .. } = decision;
    let more = decision.since.as_deref().map(|since| format!(" {} times since {since}", decision.count));
    let more = more.unwrap_or_default();
    let exe = decision.exe.as_deref().unwrap_or("?");
    if operation == "guard" {
        let kept = decision.guarded.map(|kept| format!(" {kept}")).unwrap_or_default();
        return format!(
            "{operation}{kept} {path} pid={pid} uid={uid} comm={comm} exe={exe} hook={hook}{more}"
        );
    }
    format!(
        "{operation} {path} rule={rule} policy={policy_generation} pid={pid} uid={uid} comm={comm} exe={exe} hook={hook}{more}"
    )
}

/// `2026-01-02T03:04:05.000000006Z`
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(time).to_string()
}
