//! The service with the self-guard, by the drop-in that ships for it and the commands of `docs/SELF_GUARD.md`.

use super::super::agent::{ask, at, contains, ends, want};
use super::super::load::opens;
use super::super::{Check, CheckError};
use super::service::{Service, does, does_of, drop_in, eventually, opened_by_a_service, options, show};
use crate::run::Cmd;
use serde_json::{Value, json};

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "unit.guard", run: |_| guard() },
    Check { id: "unit.guard-needs-its-drop-in", run: |_| without_the_drop_in() },
];

const PAGE: &str = include_str!("../../../../../docs/SELF_GUARD.md");
/// The hooks that the agent itself puts to the test, once.
const DRILLED: [&str; 7] =
    ["bpf_map", "bpf_prog", "sb_mount", "move_mount", "sb_umount", "ptrace_access_check", "task_kill"];
/// Refused to everybody while the guard is armed, the next agent's drill included: the first start alone shows it.
const FIRST_ALONE: &str = "task_prctl";

/// Each hook proven, nothing to complain about, and the agent out of root's reach; the service goes on as before.
fn guard() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-guard")?;
    let secret = service.place.secret.as_str();
    does_of(PAGE, "As a service")?;
    want("active", show("ActiveState")? == "active", true)?;
    armed(&[DRILLED.as_slice(), &[FIRST_ALONE]].concat())?;
    let agent = show("MainPID")?;
    let killed = Cmd::sh(&format!("kill -KILL {agent}")).run()?;
    want("a kill by root", killed.code() == 0, false)?;
    contains("a kill by root", &killed.stderr, "Operation not permitted")?;
    want("the same agent", show("MainPID")? == agent, true)?;
    // systemd, and whoever has a mount namespace of his own, goes on.
    want("a service opens the secret", opened_by_a_service(secret)?, false)?;
    with_mounts_of_its_own()?;
    does("Change the policy")?;
    ends(&Cmd::new("systemctl").args(["restart", "aegisbpf"]).timeout(super::service::LONG), 0)?;
    eventually("another agent", || Ok(show("MainPID")? != agent && show("ActiveState")? == "active"))?;
    armed(&DRILLED)?;
    want("the secret", opens(secret) == Some(false), true)?;
    // What it was allowed for its start it has let go of.
    let status = format!("/proc/{}/status", show("MainPID")?);
    let text = std::fs::read_to_string(&status)
        .map_err(|source| CheckError::File { path: status.into(), source })?;
    contains("the capabilities of the agent", &text, "CapEff:\t0000000000000000\n")?;
    does("Stop")?;
    want("the secret after a stop", opens(secret) == Some(false), true)
}

/// A service whose file system is put together by mounts, over the way to the pins as well, begins.
fn with_mounts_of_its_own() -> Result<(), CheckError> {
    const UNIT: &str = "[Service]\nType=oneshot\nExecStart=/bin/true\nProtectSystem=strict\nPrivateTmp=yes\n\
        ProtectKernelTunables=yes\nProtectControlGroups=yes\nPrivateDevices=yes\n";
    let path = "/run/systemd/system/own-mounts.service";
    std::fs::write(path, UNIT).map_err(|source| CheckError::File { path: path.into(), source })?;
    ends(&Cmd::new("systemctl").args(["daemon-reload"]), 0)?;
    ends(&Cmd::new("systemctl").args(["start", "own-mounts"]), 0).map(drop)
}

fn armed(drilled: &[&'static str]) -> Result<(), CheckError> {
    at(&ask(&["guard", "status", "--json"], 0)?, "/armed", &json!(true))?;
    let health = ask(&["health", "--json", "--require", "enforce", "--strict"], 0)?;
    at(&health, "/status", &json!("healthy"))?;
    at(&health, "/attach_state", &json!("full"))?;
    let hooks = health.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in drilled.iter().copied() {
        let proven = |hook: &Value| hook.get("name") == Some(&json!(name)) && hook["proven_at"].is_string();
        want(name, hooks.iter().any(proven), true)?;
    }
    Ok(())
}

/// The unit's own filter ends whoever tries to mount: without the drop-in the guard is not to be had, and does not seem so.
fn without_the_drop_in() -> Result<(), CheckError> {
    let _service = Service::install("unit-bare-guard")?;
    options("--enforce --guard")?;
    drop_in("once", "Restart=no")?;
    let outcome = Cmd::new("systemctl").args(["start", "aegisbpf"]).run()?;
    want("the start fails", outcome.code() != 0, true)?;
    want("by SIGSYS", show("ExecMainStatus")? == "31", true)?;
    at(&ask(&["guard", "status", "--json"], 1)?, "/armed", &json!(false))
}
