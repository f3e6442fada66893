//! `aegisbpf metrics`: what is in force, as Prometheus reads it.

use std::{fmt::Write as _, time::SystemTime};

use crate::{
    abi,
    cli::Places,
    exit::{Exit, Failure},
    state::{AttachState, Health, Status},
    tier::Mode,
};

/// Prints the metrics.
pub(super) fn run(places: &Places) -> Result<Exit, Failure> {
    let picture = super::status::look(places);
    super::print(&exposition(&picture.status, picture.misreporting))?;
    Ok(Exit::Done)
}

/// The text format: each metric once, with its help and type. Labels have few values: hooks, claims, modes.
fn exposition(status: &Status, misreporting: bool) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
        if samples.is_empty() {
            return;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP aegisbpf_{name} {help}\n# TYPE aegisbpf_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "aegisbpf_{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let flag = |value: bool| one(f64::from(u8::from(value)));
    let build = [("version", env!("CARGO_PKG_VERSION")), ("abi", &abi::ABI_VERSION.to_string())];
    metric("build_info", "gauge", "What answers.", &[(labels(&build), 1.0)]);
    metric(
        "enforcing",
        "gauge",
        "Whether denied operations are refused, as last proven.",
        &flag(status.enforcing),
    );
    metric(
        "status_info",
        "gauge",
        "How things stand: one of these is 1.",
        &stateset(
            "status",
            &[Health::Healthy, Health::Degraded, Health::Unhealthy]
                .map(|health| (health.word(), status.status == health)),
        ),
    );
    metric(
        "misreporting",
        "gauge",
        "Whether the kernel contradicts what the agent says.",
        &flag(misreporting),
    );
    let tier = status.tier.as_deref().unwrap_or("none");
    let mode = [("mode", status.mode.map_or("none", Mode::name)), ("tier", tier)];
    metric("mode_info", "gauge", "Mode and tier in force.", &[(labels(&mode), 1.0)]);
    metric(
        "attach_state_info",
        "gauge",
        "How many of the hooks are attached: one of these is 1.",
        &stateset(
            "state",
            &[("full", AttachState::Full), ("partial", AttachState::Partial), ("none", AttachState::None)]
                .map(|(word, state)| (word, status.attach_state == state)),
        ),
    );
    let hooks: Vec<_> = status
        .hooks
        .iter()
        .map(|hook| (labels(&[("hook", &hook.name)]), f64::from(u8::from(hook.attached))))
        .collect();
    metric("hook_attached", "gauge", "Whether the hook's program is attached.", &hooks);
    let uncovered: Vec<_> = status.uncovered.iter().map(|claim| (labels(&[("claim", claim)]), 1.0)).collect();
    metric("claim_uncovered", "gauge", "A claim of the contract that rests on a missing hook.", &uncovered);
    let oldest = status.hooks.iter().filter_map(|hook| seconds(hook.proven_at.as_deref()?)).reduce(f64::min);
    let proven: Vec<_> = oldest.into_iter().map(|time| (String::new(), time)).collect();
    metric(
        "selftest_last_success_timestamp_seconds",
        "gauge",
        "When the hook that waits longest was last proven.",
        &proven,
    );
    if let Some(policy) = &status.policy {
        metric(
            "policy_generation",
            "gauge",
            "Number of the policy in force.",
            &one(count(policy.generation)),
        );
        metric(
            "policy_rules",
            "gauge",
            "Deny rules of the policy in force.",
            &one(count(policy.rules as u64)),
        );
        metric(
            "policy_signed",
            "gauge",
            "Whether somebody who is trusted signed it.",
            &flag(policy.signed_by.is_some()),
        );
    }
    metric(
        "events_submitted_total",
        "counter",
        "Events handed to the ring buffer.",
        &one(count(status.events.submitted)),
    );
    metric("events_lost_total", "counter", "Events that found it full.", &one(count(status.events.lost)));
    metric("break_glass", "gauge", "Whether enforcement is suspended.", &flag(status.break_glass));
    metric("agent_running", "gauge", "Whether an agent is alive.", &flag(status.agent.running));
    text
}

fn stateset(label: &str, states: &[(&str, bool)]) -> Vec<(String, f64)> {
    states.iter().map(|(word, on)| (labels(&[(label, word)]), f64::from(u8::from(*on)))).collect()
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// Prometheus has no other numbers than these; counts stay exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn count(value: u64) -> f64 {
    value as f64
}

fn seconds(time: &str) -> Option<f64> {
    let time = humantime::parse_rfc3339(time).ok()?;
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::HookState;

    #[test]
    fn a_partial_attach_is_in_the_metrics() {
        let hook = |name: &str, attached: bool, at: &str| HookState {
            name: name.to_owned(),
            required: false,
            attached,
            proven_at: attached.then(|| at.to_owned()),
        };
        let status = Status {
            attach_state: AttachState::Partial,
            hooks: vec![
                hook("file_open", true, "2026-01-01T00:00:02.5Z"),
                hook("mmap_file", true, "2026-01-01T00:00:01Z"),
                hook("file_receive", false, ""),
            ],
            uncovered: vec!["fd.received".to_owned()],
            ..Status::nothing()
        };
        let text = exposition(&status, false);
        for line in [
            "aegisbpf_attach_state_info{state=\"partial\"} 1",
            "aegisbpf_attach_state_info{state=\"full\"} 0",
            "aegisbpf_hook_attached{hook=\"file_receive\"} 0",
            "aegisbpf_claim_uncovered{claim=\"fd.received\"} 1",
            "aegisbpf_selftest_last_success_timestamp_seconds 1767225601",
            "aegisbpf_enforcing 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(labels(&[("a", "x\"y\\z\n")]), r#"{a="x\"y\\z\n"}"#);
    }
}
