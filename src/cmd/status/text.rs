//! The status for a person: one screen, what matters most first, every label in the same column.

use std::time::SystemTime;

use crate::{
    cmd::remedy::remedies,
    policy::visible,
    state::{AttachState, BinaryState, Decided, EventState, Health, HookState, Status},
    tier::Mode,
};

/// Everything; with `verbose` a line a hook.
pub(super) fn text(status: &Status, misreporting: bool, verbose: bool, now: SystemTime) -> String {
    let mut lines = vec![verdict(status, misreporting)];
    lines.extend(status.reasons.iter().map(|reason| row("because", reason)));
    lines.extend(remedies(&status.reasons).into_iter().map(|way| row("next", way)));
    lines.push(row("enforcing", if status.enforcing { "yes" } else { "no" }));
    if status.break_glass {
        lines.push(row("glass", "break-glass is on: nothing is denied"));
    }
    lines.extend(policy(status));
    lines.extend(hooks(status, verbose, now));
    lines.extend(status.uncovered.iter().map(|claim| row("uncovered", claim)));
    lines.extend(decided(status));
    lines.push(events(&status.events));
    let pid = status.agent.pid.filter(|_| status.agent.running);
    lines.push(row(
        "agent",
        &pid.map_or_else(|| "not running".to_owned(), |pid| format!("running, pid {pid}")),
    ));
    lines.extend(status.guard.enrolled.iter().map(|binary| {
        let BinaryState { device, inode, generation } = binary;
        let of = format!("device {device}, inode {inode}, generation {generation}");
        row("guard", &format!("armed for the binary of {of}"))
    }));
    lines.extend(status.sandbox.iter().map(|sandbox| row("sandbox", sandbox)));
    lines.iter().map(|line| visible(line) + "\n").collect()
}

/// What the agent has counted; nothing where none has.
fn decided(status: &Status) -> Option<String> {
    let sum = |of: fn(&Decided) -> u64| status.decisions.iter().map(of).fold(0, u64::saturating_add);
    let (denied, passed) = (sum(|one| one.deny), sum(|one| one.would_deny));
    (!status.decisions.is_empty()).then(|| {
        row("decided", &format!("{denied} denied, {passed} passed that would be, since the agent began"))
    })
}

/// How many events there were, and of those that were lost what had no room for them.
fn events(events: &EventState) -> String {
    let by: Vec<String> = events
        .lost_by
        .iter()
        .filter(|(_, lost)| **lost > 0)
        .map(|(by, lost)| format!("{by} {lost}"))
        .collect();
    let by = if by.is_empty() { String::new() } else { format!(": {}", by.join(", ")) };
    row("events", &format!("{} told, {} lost{by}", events.submitted, events.lost))
}

fn row(label: &str, text: &str) -> String {
    format!("{label:<9}  {text}")
}

/// Health and what it is the health of, in one line.
fn verdict(status: &Status, misreporting: bool) -> String {
    let word = match status.status {
        _ if misreporting => "MISREPORTING",
        Health::Healthy => "HEALTHY",
        Health::Degraded => "DEGRADED",
        Health::Unhealthy => "UNHEALTHY",
    };
    let does = match (status.enforcing, status.mode) {
        (true, _) => "enforcing",
        (false, Some(Mode::Audit)) => "observing, nothing is denied",
        (false, Some(Mode::Enforce)) => "set to enforce, and not shown to",
        (false, None) => return format!("{word}: nothing is in force"),
    };
    let tier = status.tier.as_deref().map(|tier| format!(", tier {tier}")).unwrap_or_default();
    format!("{word}: {does}{tier}")
}

fn policy(status: &Status) -> Vec<String> {
    let Some(policy) = &status.policy else { return vec![row("policy", "none")] };
    let signed =
        policy.signed_by.as_deref().map_or_else(|| "unsigned".to_owned(), |by| format!("signed by {by}"));
    let (rules, generation) = (policy.rules, policy.generation);
    let mut lines = vec![
        row(
            "policy",
            &format!("{rules} rule{}, generation {generation}, {signed}", if rules == 1 { "" } else { "s" }),
        ),
        row("", &format!("sha256 {}", policy.sha256)),
    ];
    let trial = policy.confirm_before.as_deref();
    lines.extend(
        trial.map(|end| row("", &format!("ends at {end} unless `aegisbpf policy confirm` comes first"))),
    );
    lines
}

/// How many are attached, and when the one that waits longest was proven; the others one by one.
fn hooks(status: &Status, verbose: bool, now: SystemTime) -> Vec<String> {
    let attached = status.hooks.iter().filter(|hook| hook.attached);
    let (count, all) = (attached.clone().count(), status.hooks.len());
    let word = status.attach_state.word();
    if status.attach_state == AttachState::None || all == 0 {
        return vec![row("attached", word)];
    }
    let unproven = attached.clone().filter(|hook| hook.proven_at.is_none()).count();
    let oldest = attached.filter_map(|hook| humantime::parse_rfc3339(hook.proven_at.as_deref()?).ok()).min();
    let proven = match (unproven, oldest) {
        (0, Some(oldest)) => format!("proven {}", ago(oldest, now)),
        (_, None) => "none proven".to_owned(),
        (some, Some(oldest)) => format!("{some} not proven, the others {}", ago(oldest, now)),
    };
    let mut lines = vec![row("attached", &format!("{word}: {count} of {all} hooks, {proven}"))];
    let shown = status.hooks.iter().filter(|hook| verbose || !hook.attached);
    lines.extend(shown.map(hook));
    lines
}

fn hook(hook: &HookState) -> String {
    let attached = if hook.attached { "attached" } else { "not attached" };
    let need = if hook.required { "" } else { ", optional" };
    let proven =
        hook.proven_at.as_deref().map_or_else(|| "not proven".to_owned(), |at| format!("proven {at}"));
    row("hook", &format!("{} {attached}{need}, {proven}", hook.name))
}

/// How long ago, in one number: the clock may have been set since.
fn ago(then: SystemTime, now: SystemTime) -> String {
    let seconds = now.duration_since(then).map_or(0, |time| time.as_secs());
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn status(hooks: &[(&str, bool, Option<&str>)]) -> Status {
        let hook = |(name, attached, proven): &(&str, bool, Option<&str>)| HookState {
            name: (*name).to_owned(),
            required: true,
            attached: *attached,
            proven_at: proven.map(str::to_owned),
        };
        Status {
            status: Health::Healthy,
            enforcing: true,
            mode: Some(Mode::Enforce),
            tier: Some("bpf-lsm".to_owned()),
            attach_state: if hooks.iter().all(|one| one.1) {
                AttachState::Full
            } else {
                AttachState::Partial
            },
            hooks: hooks.iter().map(hook).collect(),
            ..Status::nothing()
        }
    }

    fn shown(status: &Status, verbose: bool) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(104);
        text(status, false, verbose, now)
    }

    #[test]
    fn decisions_are_summed_and_losses_say_where() {
        let decided = |hook: &str, deny| Decided { hook: hook.to_owned(), deny, would_deny: 1 };
        let status = Status {
            decisions: vec![decided("file_open", 5), decided("mmap_file", 2)],
            events: EventState {
                submitted: 9,
                lost: 3,
                lost_by: [("agent".to_owned(), 0), ("kernel".to_owned(), 3)].into(),
            },
            ..status(&[])
        };
        let text = shown(&status, false);
        assert!(
            text.contains("decided    7 denied, 2 passed that would be, since the agent began\n"),
            "{text}"
        );
        assert!(text.contains("events     9 told, 3 lost: kernel 3\n"), "{text}");
    }

    const EARLY: Option<&str> = Some("1970-01-01T00:01:40Z");
    const LATE: Option<&str> = Some("1970-01-01T00:01:42Z");

    #[test]
    fn the_verdict_comes_first_and_hooks_are_one_line() {
        let all = status(&[("file_open", true, LATE), ("mmap_file", true, EARLY)]);
        let text = shown(&all, false);
        assert!(text.starts_with("HEALTHY: enforcing, tier bpf-lsm\n"), "{text}");
        assert!(text.contains("\nattached   full: 2 of 2 hooks, proven 4 s ago\n"), "{text}");
        assert!(!text.contains("mmap_file"), "{text}");
        assert!(shown(&all, true).contains("\nhook       mmap_file attached, proven 1970-01-01T00:01:40Z\n"));
        assert!(text.lines().skip(1).all(|line| line.get(9..11) == Some("  ")), "{text}");
    }

    #[test]
    fn what_is_missing_is_named_without_being_asked() {
        let some = status(&[("file_open", true, EARLY), ("mmap_file", false, None)]);
        let text = shown(&some, false);
        assert!(text.contains("\nattached   partial: 1 of 2 hooks, proven 4 s ago\n"), "{text}");
        assert!(text.contains("\nhook       mmap_file not attached, not proven\n"), "{text}");
        let none = status(&[("file_open", true, None), ("mmap_file", true, EARLY)]);
        assert!(shown(&none, false).contains("1 not proven, the others 4 s ago"));
    }

    #[test]
    fn reasons_come_with_the_way_out_and_steer_no_terminal() {
        let mut status = Status::nothing();
        status.reasons = vec!["break-glass is on\u{1b}[2J".to_owned()];
        let text = shown(&status, false);
        assert!(text.starts_with(
            "UNHEALTHY: nothing is in force\nbecause    break-glass is on\u{fffd}[2J\nnext       `"
        ));
    }
}
