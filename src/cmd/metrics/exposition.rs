//! What is known of this host, metric by metric. Labels have few values: hooks, claims, maps, words of ours; never what a
//! process could choose.

use std::collections::BTreeMap;

use super::{
    changes::{Changes, seconds},
    page::{Kind, Page, Sample, flag, labels, number, stateset},
    process::Process,
};
use crate::{
    abi,
    enforce::MapSize,
    event::LOSSES,
    kernel::BootSwitches,
    state::{AttachState, Health, Status},
    tier::Mode,
};

/// Everything that metrics tell of.
#[derive(Debug)]
pub(super) struct Seen {
    /// How things stand.
    pub(super) status: Status,
    /// Whether the kernel contradicts what the agent says.
    pub(super) misreporting: bool,
    /// What the kernel command line says.
    pub(super) switches: BootSwitches,
    /// What became of changes of the policy.
    pub(super) changes: Option<Changes>,
    /// The pinned maps.
    pub(super) maps: Vec<MapSize>,
    /// The agent, while it runs.
    pub(super) process: Option<Process>,
}

/// The text format, metric by metric.
pub(super) fn text(seen: &Seen) -> String {
    let mut page = Page::default();
    state(&mut page, seen);
    hooks(&mut page, &seen.status);
    decisions(&mut page, &seen.status);
    policy(&mut page, &seen.status, seen.changes.as_ref());
    maps(&mut page, &seen.maps);
    process(&mut page, seen.process.as_ref());
    page.text()
}

fn state(page: &mut Page, seen: &Seen) {
    let status = &seen.status;
    let build = [("version", env!("CARGO_PKG_VERSION")), ("abi", &abi::ABI_VERSION.to_string())];
    page.metric("build_info", Kind::Gauge, "What answers.", &[(labels(&build), 1.0)]);
    page.gauge("enforcing", "Whether denied operations are refused, as last proven.", flag(status.enforcing));
    let health = [Health::Healthy, Health::Degraded, Health::Unhealthy];
    let health = health.map(|health| (health.word(), status.status == health));
    let help = "How things stand: one of these is 1.";
    page.metric("status_info", Kind::Gauge, help, &stateset("status", &health));
    page.gauge(
        "misreporting",
        "Whether the kernel contradicts what the agent says.",
        flag(seen.misreporting),
    );
    let tier = status.tier.as_deref().unwrap_or("none");
    let mode = status.mode.map_or("none", Mode::name);
    let info = labels(&[("mode", mode), ("tier", tier), ("reason", reason(seen))]);
    page.metric(
        "mode_info",
        Kind::Gauge,
        "Mode and tier in force, and what keeps them from more.",
        &[(info, 1.0)],
    );
    let attached = [AttachState::Full, AttachState::Partial, AttachState::None];
    let attached = attached.map(|state| (state.word(), status.attach_state == state));
    let help = "How many of the hooks are attached: one of these is 1.";
    page.metric("attach_state_info", Kind::Gauge, help, &stateset("state", &attached));
    page.gauge("break_glass", "Whether enforcement is suspended.", flag(status.break_glass));
    page.gauge("agent_running", "Whether an agent is alive.", flag(status.agent.running));
}

/// What stands behind the mode, in one word: the first of these that holds.
fn reason(seen: &Seen) -> &'static str {
    let status = &seen.status;
    let words = [
        (seen.misreporting, "misreporting"),
        (seen.switches.off, "boot-off"),
        (seen.switches.audit, "boot-audit"),
        (status.break_glass, "break-glass"),
        (!status.agent.running, "no-agent"),
        (status.status == Health::Unhealthy, "unhealthy"),
        (status.attach_state == AttachState::Partial, "partial"),
        (status.status == Health::Degraded, "degraded"),
    ];
    words.iter().find(|(holds, _)| *holds).map_or("as-requested", |(_, word)| word)
}

fn hooks(page: &mut Page, status: &Status) {
    let hooks: Vec<Sample> =
        status.hooks.iter().map(|hook| (labels(&[("hook", &hook.name)]), flag(hook.attached))).collect();
    page.metric("hook_attached", Kind::Gauge, "Whether the hook's program is attached.", &hooks);
    let uncovered: Vec<Sample> =
        status.uncovered.iter().map(|claim| (labels(&[("claim", claim)]), 1.0)).collect();
    let help = "A claim of the contract that rests on a missing hook.";
    page.metric("claim_uncovered", Kind::Gauge, help, &uncovered);
    let proven = status.hooks.iter().filter_map(|hook| seconds(hook.proven_at.as_deref()?));
    page.gauge(
        "selftest_last_success_timestamp_seconds",
        "When the hook that waits longest was last proven.",
        proven.reduce(f64::min),
    );
}

fn decisions(page: &mut Page, status: &Status) {
    // Attached hooks and losses from the beginning: what comes out of nowhere is no increase to Prometheus.
    let attached = status.hooks.iter().filter(|hook| hook.attached).map(|hook| (hook.name.as_str(), (0, 0)));
    let mut by_hook: BTreeMap<&str, (u64, u64)> = attached.collect();
    by_hook.extend(status.decisions.iter().map(|one| (one.hook.as_str(), (one.deny, one.would_deny))));
    let decided = by_hook.iter().flat_map(|(hook, (deny, would_deny))| {
        [("deny", deny), ("would_deny", would_deny)]
            .map(|(verdict, count)| (labels(&[("hook", hook), ("verdict", verdict)]), number(*count)))
    });
    let decided: Vec<Sample> = decided.collect();
    page.metric("decisions_total", Kind::Counter, "Decisions since the agent began.", &decided);
    let events = &status.events;
    page.counter("events_submitted_total", "Events handed to the ring buffer.", number(events.submitted));
    let lost = LOSSES.map(|by| (by, events.lost_by.get(by).copied().unwrap_or(0)));
    let lost = lost.map(|(reason, count)| (labels(&[("reason", reason)]), number(count)));
    let help = "Events that were never told, by what had no room for them.";
    page.metric("events_lost_total", Kind::Counter, help, &lost);
}

fn policy(page: &mut Page, status: &Status, changes: Option<&Changes>) {
    if let Some(policy) = &status.policy {
        page.gauge("policy_generation", "Number of the policy in force.", number(policy.generation));
        page.gauge("policy_rules", "Deny rules of the policy in force.", number(policy.rules as u64));
        page.gauge(
            "policy_signed",
            "Whether somebody who is trusted signed it.",
            flag(policy.signed_by.is_some()),
        );
    }
    let Some(Changes { done, refused }) = changes else { return };
    let applied = [("done", done), ("refused", refused)];
    let applied = applied.map(|(result, past)| (labels(&[("result", result)]), number(past.count)));
    let help =
        "Policies applied, reloaded or rolled back, in the audit log; fewer when its oldest file goes.";
    page.metric("policy_apply_total", Kind::Counter, help, &applied);
    page.gauge("policy_last_apply_timestamp_seconds", "When a policy was last changed.", done.last);
    page.gauge(
        "policy_last_refusal_timestamp_seconds",
        "When a change of the policy was last refused.",
        refused.last,
    );
}

fn maps(page: &mut Page, maps: &[MapSize]) {
    let samples = |value: &dyn Fn(&MapSize) -> Option<u64>| -> Vec<Sample> {
        let sample = |map| Some((map, value(map)?));
        let found = maps.iter().filter_map(sample);
        found.map(|(map, value)| (labels(&[("map", &map.name)]), number(value))).collect()
    };
    let filled = samples(&|map| map.filled.map(|(entries, _)| entries));
    page.metric("map_entries", Kind::Gauge, "Entries that the policy in force has in the map.", &filled);
    let room = samples(&|map| map.filled.map(|(_, room)| room));
    page.metric("map_max_entries", Kind::Gauge, "Entries that the map was made for, by the policy.", &room);
    let bytes = samples(&|map| map.bytes);
    let help = "Memory of the map in the kernel, that of every policy kept there.";
    page.metric("kernel_memory_bytes", Kind::Gauge, help, &bytes);
}

/// By names of ours: `node_exporter`, which may be the one to read them, has `process_*` of its own.
fn process(page: &mut Page, process: Option<&Process>) {
    let Some(process) = process else { return };
    page.counter("process_cpu_seconds_total", "Time that the agent ran on processors.", process.cpu);
    page.gauge("process_resident_memory_bytes", "Memory of the agent.", number(process.resident));
    page.gauge("process_virtual_memory_bytes", "Addresses of the agent.", number(process.virtual_size));
    page.gauge("process_open_fds", "Open descriptors of the agent.", process.open_fds.map(number));
    page.gauge("process_start_time_seconds", "When the agent was started.", process.started);
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::state::{Decided, EventState, HookState, PolicyState};

    /// A host of which everything is known, with a hook missing.
    fn seen() -> Seen {
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
            events: EventState {
                submitted: 9,
                lost: 7,
                lost_by: [("kernel".to_owned(), 4), ("output".to_owned(), 3)].into(),
            },
            decisions: vec![Decided { hook: "file_open".to_owned(), deny: 5, would_deny: 2 }],
            policy: Some(PolicyState {
                sha256: crate::policy::Digest::of(b""),
                generation: 4,
                confirm_before: None,
                policy_version: None,
                signed_by: None,
                rules: 2,
            }),
            ..Status::nothing()
        };
        let past = |count, last| super::super::changes::Past { count, last };
        Seen {
            status,
            misreporting: false,
            switches: BootSwitches::default(),
            changes: Some(Changes { done: past(3, Some(10.0)), refused: past(0, None) }),
            maps: vec![
                MapSize { name: "objects".to_owned(), filled: Some((0, 1)), bytes: Some(4096) },
                MapSize { name: "events".to_owned(), filled: None, bytes: None },
            ],
            process: Some(Process {
                resident: 1,
                virtual_size: 2,
                cpu: 0.25,
                started: None,
                open_fds: Some(7),
            }),
        }
    }

    #[test]
    fn everything_that_is_known_is_told() {
        let text = text(&seen());
        for line in [
            "aegisbpf_attach_state_info{state=\"partial\"} 1",
            "aegisbpf_attach_state_info{state=\"full\"} 0",
            "aegisbpf_hook_attached{hook=\"file_receive\"} 0",
            "aegisbpf_claim_uncovered{claim=\"fd.received\"} 1",
            "aegisbpf_selftest_last_success_timestamp_seconds 1767225601",
            "aegisbpf_enforcing 0",
            "aegisbpf_mode_info{mode=\"none\",tier=\"none\",reason=\"no-agent\"} 1",
            "aegisbpf_decisions_total{hook=\"file_open\",verdict=\"deny\"} 5",
            "aegisbpf_decisions_total{hook=\"file_open\",verdict=\"would_deny\"} 2",
            "aegisbpf_decisions_total{hook=\"mmap_file\",verdict=\"deny\"} 0",
            "aegisbpf_events_lost_total{reason=\"kernel\"} 4",
            "aegisbpf_events_lost_total{reason=\"output\"} 3",
            "aegisbpf_policy_generation 4",
            "aegisbpf_policy_apply_total{result=\"done\"} 3",
            "aegisbpf_policy_apply_total{result=\"refused\"} 0",
            "aegisbpf_policy_last_apply_timestamp_seconds 10",
            "aegisbpf_map_entries{map=\"objects\"} 0",
            "aegisbpf_map_max_entries{map=\"objects\"} 1",
            "aegisbpf_kernel_memory_bytes{map=\"objects\"} 4096",
            "aegisbpf_process_cpu_seconds_total 0.25",
            "aegisbpf_process_open_fds 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for absent in ["file_receive\",verdict", "map=\"events\"", "process_start", "last_refusal"] {
            assert!(!text.contains(absent), "{absent} is in\n{text}");
        }
        assert!(text.ends_with('\n'));
    }

    /// By the tool of Prometheus, which `./dev` installs.
    #[test]
    fn prometheus_has_nothing_to_complain_of() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool, of the package prometheus");
        promtool.stdin.take().expect("a pipe").write_all(text(&seen()).as_bytes()).expect("it reads");
        let output = promtool.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    #[test]
    fn no_metric_comes_twice() {
        let text = text(&seen());
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn this_process_takes_something() {
        let process = Process::of(std::process::id()).expect("it runs");
        assert!(process.resident > 0 && process.virtual_size > process.resident);
        assert!(process.started.is_some_and(|at| at > 1.0e9));
        assert!(process.open_fds.is_some_and(|count| count > 2));
        assert_eq!(Process::of(u32::MAX), None);
    }
}
