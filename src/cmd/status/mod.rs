//! `aegisbpf status` and `aegisbpf health`: what is in force, from the agent's state file and from the kernel itself.

mod text;
mod watch;

use std::{collections::BTreeSet, sync::atomic::Ordering, time::SystemTime};

use crate::{
    abi,
    agent::{self, AgentError},
    cli::{HealthArgs, Places, StatusArgs},
    enforce::{EnforceError, Pinned, Pins},
    exit::{Exit, Failure},
    kernel::BootSwitches,
    state::{AgentState, AttachState, Health, HookState, RunDir, Status},
    store::Store,
    tier::{Hook, Mode, Need, TIERS},
};

/// What is known, and whether what the agent says of itself is contradicted by the kernel.
pub(super) struct Picture {
    /// What is known.
    pub status: Status,
    /// Whether the kernel contradicts the agent.
    pub misreporting: bool,
}

/// Prints everything.
pub(super) fn status(args: StatusArgs, places: &Places) -> Result<Exit, Failure> {
    if let Some(every) = args.watch {
        return watch::watch(every, args.verbose, places);
    }
    let Picture { status, misreporting } = look(places);
    if args.json {
        super::print_json(&status)?;
    } else {
        super::print(&text::text(&status, misreporting, args.verbose, SystemTime::now()))?;
    }
    Ok(Exit::Done)
}

/// Prints the verdict and returns it as the exit code.
pub(super) fn health(args: HealthArgs, places: &Places) -> Result<Exit, Failure> {
    let Picture { status, misreporting } = look(places);
    if args.json {
        super::print_json(&status)?;
    } else {
        super::print(&format!("{}{}\n", status.status.word(), reasons(&status)))?;
    }
    let required = args.require.is_none_or(|mode| match mode {
        Mode::Enforce => status.enforcing,
        Mode::Audit => status.agent.running,
    });
    Ok(match status.status {
        _ if misreporting => Exit::CannotRun,
        Health::Unhealthy => Exit::Negative,
        Health::Degraded if args.strict || !required => Exit::Negative,
        Health::Healthy if !required => Exit::Negative,
        _ => Exit::Done,
    })
}

/// Reads both sides.
pub(super) fn look(places: &Places) -> Picture {
    let run_dir = RunDir::at(&places.run_dir);
    let alive = run_dir.agent_alive();
    let said = run_dir.read();
    let unread = alive && said.is_none();
    let mut status = said.unwrap_or_else(Status::nothing);
    status.agent.running = alive;
    if unread {
        status.reasons.push("an agent is running, and what it says of itself cannot be read".to_owned());
    }
    status.break_glass = agent::break_glass(&places.config_dir);
    if !alive {
        status.agent = AgentState::NONE;
        status.sandbox = None;
    }
    let mut misreporting = false;
    match Pins::below(&places.bpffs).look() {
        Ok(Some(pinned)) => {
            let claimed = status.enforcing;
            let held = compare(&mut status, &pinned, places, alive);
            misreporting = alive && claimed && !held;
        }
        Ok(None) if alive => {
            misreporting = status.enforcing;
            if misreporting {
                status
                    .reasons
                    .insert(0, "the agent says it enforces, and nothing is pinned in the kernel".to_owned());
            }
        }
        Ok(None) => {
            let reasons = vec!["no agent is running, and nothing is enforced".to_owned()];
            status = Status { reasons, break_glass: status.break_glass, ..Status::nothing() };
        }
        Err(EnforceError::Pin { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            if !alive {
                status.status = Health::Unhealthy;
                status.enforcing = false;
            }
            status.reasons.push("the kernel side was not looked at: that needs root".to_owned());
        }
        // Whoever asks how things stand gets an answer, and that is one.
        Err(error) => {
            let reasons =
                vec![format!("what is pinned cannot be looked at: {}", AgentError::from(error).chain())];
            let agent = status.agent;
            status = Status { reasons, agent, break_glass: status.break_glass, ..Status::nothing() };
        }
    }
    if alive {
        note_silence(&mut status);
    }
    if BootSwitches::current().off {
        status
            .reasons
            .insert(0, "aegisbpf.off stands on the kernel command line: nothing is started".to_owned());
    }
    if misreporting {
        status.enforcing = false;
        status.status = Health::Unhealthy;
    }
    Picture { status, misreporting }
}

/// An agent that does not run is worth no more than none.
fn note_silence(status: &mut Status) {
    let (Some(silence), pid) = (status.agent.silent_for(), status.agent.pid.unwrap_or(0)) else { return };
    let tier = TIERS.iter().find(|tier| status.tier.as_deref() == Some(tier.name));
    let stays = tier.is_some_and(|tier| tier.fail_closed);
    status.status = match status.status {
        Health::Healthy if stays => Health::Degraded,
        Health::Healthy | Health::Degraded if !stays => Health::Unhealthy,
        other => other,
    };
    status.reasons.insert(0, format!(
        "nothing was heard of the agent (pid {pid}) for {}: it is stopped, or waits for somebody who reads what it writes",
        humantime::format_duration(silence)
    ));
}

/// Holds what the state file says against the pins. Returns whether the kernel is set to enforce.
fn compare(status: &mut Status, pinned: &Pinned, places: &Places, alive: bool) -> bool {
    let control = &pinned.bank.control;
    let mode = control.mode.load(Ordering::Acquire);
    let suspended = control.break_glass.load(Ordering::Acquire) != 0;
    let now = pinned.bank.in_force();
    let active = now.held.is_some();
    let held = mode == abi::MODE_ENFORCE && active && !suspended && !pinned.hooks.is_empty();
    // The kernel knows better than a file which policy decides.
    let record = now.held.and_then(|held| {
        let record = Store::at(&places.state_dir).record(held.generation).ok()?;
        (record.sha256 == held.sha256).then_some(record)
    });
    status.policy = agent::policy_state(&now, record.as_ref());
    status.guard = agent::guard_state(&pinned.bank);
    if !alive {
        status.mode = match mode {
            abi::MODE_ENFORCE => Some(Mode::Enforce),
            abi::MODE_AUDIT => Some(Mode::Audit),
            _ => None,
        };
        status.tier = pinned.tier.map(|tier| tier.name.to_owned());
        // The self-guard's hooks deny nothing that a policy says.
        let decides = |name: &str| {
            !TIERS
                .iter()
                .flat_map(|tier| tier.hooks)
                .any(|hook| hook.need == Need::Guard && hook.name == name)
        };
        let attached = status.hooks.iter().filter(|hook| hook.attached && decides(&hook.name));
        let mut attached = attached.peekable();
        status.enforcing = held && attached.peek().is_some() && attached.all(|hook| hook.proven_at.is_some());
        status.status = if pinned.hooks.is_empty() { Health::Unhealthy } else { Health::Degraded };
        status.reasons = vec![if pinned.hooks.is_empty() {
            "no agent is running, and no program is attached".to_owned()
        } else {
            "no agent is running; the pinned programs stay in force, last proven when it ran".to_owned()
        }];
        status.attach_state = attach_state(pinned);
    }
    if suspended {
        status.enforcing = false;
    }
    note_pins(status, pinned, alive);
    if alive && status.enforcing && !held {
        status.reasons.insert(0, "the agent says it enforces, and the kernel is not set to".to_owned());
    }
    if pinned.skipped > 0 {
        status.status = Health::Unhealthy;
        status.reasons.push(format!(
            "the kernel skipped both copies of a program: up to {} decisions were not made",
            pinned.skipped
        ));
    }
    held
}

/// What the pins say of themselves. A hook that only some kernels have is not missed: whether this one has it, the agent
/// said when it ran.
fn attach_state(pinned: &Pinned) -> AttachState {
    let hooks = pinned.tier.map(|tier| tier.hooks).unwrap_or_default();
    let missed = |hook: &Hook| {
        (matches!(hook.need, Need::Required | Need::Optional)
            || hook.need == Need::Guard && pinned.bank.enrolled().is_some())
            && !pinned.hooks.iter().any(|name| name == hook.name)
    };
    match hooks.iter().any(missed) {
        _ if pinned.hooks.is_empty() => AttachState::None,
        true => AttachState::Partial,
        false => AttachState::Full,
    }
}

/// A hook without its pin is at work as long as the agent holds it, and no longer.
fn note_pins(status: &mut Status, pinned: &Pinned, alive: bool) {
    let is_lost = |hook: &&mut HookState| hook.attached && !pinned.hooks.contains(&hook.name);
    let mut lost = Vec::new();
    for hook in status.hooks.iter_mut().filter(is_lost) {
        lost.push(hook.name.clone());
        if !alive {
            hook.attached = false;
            hook.proven_at = None;
        }
    }
    if lost.is_empty() {
        return;
    }
    status.status = Health::Unhealthy;
    let what = if alive { "enforcement there ends with the agent" } else { "nothing is enforced there" };
    status.reasons.push(format!("the pins of {} are gone or not ours: {what}", lost.join(", ")));
    if !alive {
        status.enforcing = false;
        let hooks = pinned.tier.map(|tier| tier.hooks).unwrap_or_default();
        let hooks = hooks.iter().filter(|hook| lost.iter().any(|name| name == hook.name));
        let claims = hooks.flat_map(|hook| hook.carries).map(|claim| (*claim).to_owned());
        let all: BTreeSet<String> = status.uncovered.drain(..).chain(claims).collect();
        status.uncovered.extend(all);
    }
}

fn reasons(status: &Status) -> String {
    if status.reasons.is_empty() { String::new() } else { format!(": {}", status.reasons.join("; ")) }
}
