//! The agent, what it says, and what suspends it.

use super::{super::Facts, Finding};
use crate::{
    agent::Glass,
    cmd::status::Picture,
    confine,
    kernel::BootSwitches,
    policy::Timestamp,
    state::{AttachState, Health, RunDir, Status},
};

/// Proofs come every 30 s where nobody asks for another interval; twice as long is late.
const LATE: i64 = 90;

/// The status, where there is somebody or something to speak of.
fn status<'a>(facts: &'a Facts<'_>) -> Result<&'a Status, Finding> {
    let status = &facts.picture.status;
    if status.agent.running || status.tier.is_some() {
        Ok(status)
    } else {
        Err(Finding::skip("no agent, no pins"))
    }
}

pub(super) fn agent(facts: &Facts<'_>) -> Finding {
    let status = &facts.picture.status;
    if !status.agent.running {
        return Finding::skip("not running");
    }
    let why = status.reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
    let evidence = format!("pid {}, {}{why}", status.agent.pid.unwrap_or_default(), status.status.word());
    match status.status {
        Health::Healthy => Finding::ok(evidence),
        Health::Degraded => Finding::warn(evidence).fix("aegisbpf status"),
        Health::Unhealthy => Finding::fail(evidence).fix("aegisbpf status"),
    }
}

pub(super) fn agrees(facts: &Facts<'_>) -> Finding {
    if let Picture { misreporting: true, status } = &facts.picture {
        return Finding::fail(
            status.reasons.first().cloned().unwrap_or_else(|| "they do not agree".to_owned()),
        )
        .fix("systemctl restart aegisbpf");
    }
    match status(facts) {
        Ok(_) => Finding::ok("state file and pins agree"),
        Err(finding) => finding,
    }
}

pub(super) fn state_file(facts: &Facts<'_>) -> Finding {
    let run_dir = RunDir::at(&facts.places.run_dir);
    let path = facts.places.run_dir.join("state.json");
    let shown = path.display();
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !run_dir.agent_alive() => {
            Finding::skip(format!("{shown} does not exist"))
        }
        Err(error) => Finding::fail(format!("{shown}: {error}")).fix("systemctl restart aegisbpf"),
        Ok(_) if run_dir.read().is_some() => Finding::ok(format!("{shown} is readable")),
        Ok(_) if run_dir.agent_alive() => {
            Finding::fail(format!("{shown} is not one that this version can read"))
                .fix("systemctl restart aegisbpf")
        }
        Ok(_) => Finding::warn(format!("{shown} is not one that this version can read")),
    }
}

pub(super) fn proofs(facts: &Facts<'_>) -> Finding {
    let status = match status(facts) {
        Ok(status) if status.hooks.is_empty() => return Finding::skip("there is nothing to prove"),
        Ok(status) => status,
        Err(finding) => return finding,
    };
    if !status.hooks.iter().any(|hook| hook.proven_at.is_some()) && !status.enforcing {
        return Finding::skip("nothing is proven where nothing is denied");
    }
    let Some(oldest) =
        status.hooks.iter().filter(|hook| hook.attached).map(|hook| hook.proven_at.as_deref()).min()
    else {
        return Finding::skip("no hook is attached");
    };
    // Seconds are enough; the state file has more.
    let seconds = oldest.and_then(|text| Timestamp::parse(&format!("{}Z", text.get(..19)?)));
    match (oldest, seconds) {
        (None, _) => Finding::fail("a hook is attached and not proven").fix("systemctl restart aegisbpf"),
        (Some(text), None) => Finding::unknown(format!("`{text}` is no time")),
        (Some(text), Some(time)) if facts.now - time.unix() > LATE => {
            Finding::warn(format!("the oldest is of {text}")).fix("systemctl start aegisbpf")
        }
        (Some(text), Some(_)) => Finding::ok(format!("the oldest is of {text}")),
    }
}

pub(super) fn hooks(facts: &Facts<'_>) -> Finding {
    let status = match status(facts) {
        Ok(status) => status,
        Err(finding) => return finding,
    };
    let attached = status.hooks.iter().filter(|hook| hook.attached).count();
    match status.attach_state {
        AttachState::Full => Finding::ok(format!("{attached} hooks, all of the contract")),
        AttachState::Partial => {
            Finding::warn(format!("{attached} hooks; not covered: {}", status.uncovered.join(", ")))
                .fix("aegisbpf run --strict ends instead")
        }
        AttachState::None => Finding::fail("no hook is attached").fix("systemctl restart aegisbpf"),
    }
}

pub(super) fn break_glass(facts: &Facts<'_>) -> Finding {
    let dirs = facts.places.dirs();
    let glass = Glass::of(&dirs);
    let file = glass.path();
    match file.symlink_metadata() {
        Ok(_) => Finding::warn(format!("{} is there: {}", file.display(), glass.note().unwrap_or_default()))
            .fix("aegisbpf break-glass off --reason TEXT"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok(format!("{} is not there", file.display()))
        }
        Err(error) => Finding::unknown(format!("{}: {error}", file.display())).fix("sudo aegisbpf doctor"),
    }
}

pub(super) fn boot_switches(facts: &Facts<'_>) -> Finding {
    let word = match BootSwitches::read(&facts.cmdline) {
        BootSwitches { off: true, .. } => "aegisbpf.off",
        BootSwitches { audit: true, .. } => "aegisbpf.mode=audit",
        BootSwitches { .. } => return Finding::ok("none (/proc/cmdline)"),
    };
    Finding::warn(format!("{word} (/proc/cmdline)")).fix("reboot without it")
}

pub(super) fn sandbox(facts: &Facts<'_>) -> Finding {
    let status = &facts.picture.status;
    if !status.agent.running {
        return Finding::skip("no agent is running");
    }
    match &status.sandbox {
        Some(sandbox) if sandbox == confine::NONE => {
            Finding::warn(sandbox.clone()).fix("start it without --no-sandbox")
        }
        Some(sandbox) if sandbox.contains("fully enforced") => Finding::ok(sandbox.clone()),
        Some(sandbox) => Finding::warn(sandbox.clone()).fix("use a kernel with Landlock (C009)"),
        None => Finding::unknown("the agent does not say"),
    }
}

pub(super) fn events(facts: &Facts<'_>) -> Finding {
    match status(facts) {
        Ok(status) if status.events.lost > 0 => {
            Finding::warn(format!("{} lost, {} submitted", status.events.lost, status.events.submitted))
        }
        Ok(status) => Finding::ok(format!("none lost, {} submitted", status.events.submitted)),
        Err(finding) => finding,
    }
}
