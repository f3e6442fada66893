//! The service as it is shipped, under the systemd of a distribution: every command of `docs/DEPLOYMENT.md` as it stands
//! there, and what happens to a service.

mod confined;
mod guarded;
mod install;
mod journal;
mod package;
mod runbooks;
mod service;
mod supervised;

use self::service::{
    Service, deny, does, eventually, logs, opened_by_a_service, options, show, write_policy,
};
use super::agent::{NOBODY, ask, at, contains, ends, json, nothing_pinned, readable, want};
use super::load::opens;
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// In a row whose init is systemd, with packages for it.
pub(super) fn packages() -> Vec<Check> {
    package::CHECKS.to_vec()
}

/// In a row whose init is systemd.
pub(super) fn checks() -> Vec<Check> {
    [
        CHECKS.as_slice(),
        &supervised::CHECKS,
        &confined::CHECKS,
        &guarded::CHECKS,
        &journal::CHECKS,
        &runbooks::CHECKS,
        &install::CHECKS,
    ]
    .concat()
}

const CHECKS: [Check; 8] = [
    Check { id: "unit.audits-until-told", run: |_| audits() },
    Check { id: "unit.active-means-proven", run: |_| active_means_proven() },
    Check { id: "unit.reload", run: |_| reload() },
    Check { id: "unit.reload-that-is-refused", run: |_| refused() },
    Check { id: "unit.stop-leaves-enforcement", run: |_| stop() },
    Check { id: "unit.cannot-enforce", run: |_| cannot_enforce() },
    Check { id: "unit.boot-switch", run: |_| boot_switch() },
    Check { id: "unit.removed", run: |_| removed() },
];

/// Installed and enabled, it denies nothing, and says what it would deny.
fn audits() -> Result<(), CheckError> {
    let service = Service::install("unit-audit")?;
    does("Start")?;
    want("the secret", readable(&service.place.secret, 0)?, true)?;
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/status", &"healthy".into())?;
    at(&status, "/mode", &"audit".into())?;
    logs(&["WOULD", &service.place.secret])?;
    // What doctor thinks of what was installed; anybody may ask.
    let doctor = json(&Cmd::new(AGENT).args(["doctor", "--json"]).uid(NOBODY).run()?.stdout)?;
    let checks = doctor.pointer("/checks").and_then(Value::as_array).cloned().unwrap_or_default();
    for id in ["U002", "U003", "U004"] {
        let named = |check: &&Value| check.pointer("/id").and_then(Value::as_str) == Some(id);
        let check = checks.iter().find(named).cloned().unwrap_or_default();
        at(&check, "/result", &"ok".into())?;
    }
    Ok(())
}

/// Whoever waits for the service finds the secret denied, and so does every other service.
fn active_means_proven() -> Result<(), CheckError> {
    let service = Service::install("unit-active")?;
    does("Enforce")?;
    ends(&Cmd::new("systemctl").args(["stop", "aegisbpf"]), 0)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    want("the secret without the service", readable(&service.place.secret, 0)?, true)?;
    ends(&Cmd::new("systemctl").args(["start", "--no-block", "aegisbpf"]), 0)?;
    eventually("ActiveState", || Ok(show("ActiveState")? == "active"))?;
    want("the secret once active", opens(&service.place.secret) == Some(false), true)?;
    let health = ask(&["health", "--json", "--require", "enforce"], 0)?;
    let hooks = health.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let proven = hooks.iter().filter(|hook| hook.pointer("/proven_at").is_some_and(Value::is_string)).count();
    want("every hook proven", proven == hooks.len() && proven > 0, true)?;
    let of_policy = |name: &str| health.pointer(&format!("/policy/{name}")).cloned().unwrap_or_default();
    let sha256: String = of_policy("sha256").as_str().unwrap_or_default().chars().take(12).collect();
    let text = show("StatusText")?;
    for part in [
        "healthy, enforcing; bpf-lsm; ".to_owned(),
        format!("{proven} of {proven} hooks"),
        format!("policy {sha256} generation {}", of_policy("generation")),
        "signed by ops@example.org".to_owned(),
    ] {
        contains("the status", &text, &part)?;
    }
    contains(
        "systemctl status",
        &ends(&Cmd::new("systemctl").args(["status", "aegisbpf"]), 0)?.stdout,
        &text,
    )?;
    want("a service opens the neighbour", opened_by_a_service(&service.place.neighbour)?, true)?;
    want("a service opens the secret", opened_by_a_service(&service.place.secret)?, false)?;
    logs(&["DENY", &service.place.secret])
}

/// A new policy is in force when `systemctl reload` returns.
fn reload() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-reload")?;
    let before = show("MainPID")?;
    deny(&[&service.place.secret, &service.place.neighbour])?;
    does("Change the policy")?;
    want("the neighbour", opens(&service.place.neighbour) == Some(false), true)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    want("the same agent", show("MainPID")? == before, true)?;
    // The agent follows, and says so.
    eventually("StatusText", || Ok(show("StatusText")?.contains("with 2 rules, signed by")))
}

/// What is refused fails visibly, and changes nothing.
fn refused() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-refused")?;
    let policy = fs::read_to_string(service::POLICY).unwrap_or_default();
    let before = show("MainPID")?;
    for (text, why) in [
        (format!("{policy}no path at all\n"), "no path at all"),
        // In order, and not what was signed.
        (format!("{policy}{}\n", service.place.neighbour), "it is not one of these bytes"),
    ] {
        write_policy(&text)?;
        let outcome = Cmd::new("systemctl").args(["reload", "aegisbpf"]).run()?;
        want("the reload fails", outcome.code() != 0, true)?;
        logs(&[why])?;
        want("still active", show("ActiveState")? == "active" && show("MainPID")? == before, true)?;
        want("the secret", opens(&service.place.secret) == Some(false), true)?;
        want("the neighbour", opens(&service.place.neighbour) == Some(true), true)?;
    }
    // As it was it is accepted again.
    write_policy(&policy)?;
    does("Change the policy")
}

fn stop() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-stop")?;
    does("Stop")?;
    want("inactive", show("ActiveState")? == "inactive" && show("Result")? == "success", true)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    want("the neighbour", opens(&service.place.neighbour) == Some(true), true)?;
    let health = ask(&["health", "--json"], 0)?;
    at(&health, "/enforcing", &true.into())?;
    at(&health, "/agent/running", &false.into())?;
    contains("the status", &health.to_string(), "the pinned programs stay in force")
}

/// It fails with 69 and is left alone: the next start would end the same way.
fn cannot_enforce() -> Result<(), CheckError> {
    let service = Service::install("unit-cannot")?;
    options("--enforce --tier tracepoint")?;
    let outcome = Cmd::new("systemctl").args(["start", "aegisbpf"]).run()?;
    want("the start fails", outcome.code() != 0, true)?;
    // Longer than it waits before it starts anything again.
    thread::sleep(Duration::from_secs(6));
    want("failed", show("ActiveState")? == "failed", true)?;
    want("69", show("ExecMainStatus")? == "69", true)?;
    want("not started again", show("NRestarts")? == "0", true)?;
    want("the secret", readable(&service.place.secret, 0)?, true)
}

/// Whoever boots with `aegisbpf.off` gets no service, and it has not failed. systemd is asked what it would do on such a
/// boot.
fn boot_switch() -> Result<(), CheckError> {
    let _service = Service::install("unit-switch")?;
    for (line, code) in
        [("quiet", 0), ("quiet aegisbpf.off", 1), ("aegisbpf.off=1", 1), ("aegisbpf.off=0", 0)]
    {
        let ask = Cmd::new("systemd-analyze").args(["condition", "--unit=aegisbpf.service"]);
        ends(&ask.env("SYSTEMD_PROC_CMDLINE", line), code)?;
    }
    Ok(())
}

fn removed() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-removed")?;
    let secret = service.place.secret.clone();
    does("Remove")?;
    want("the secret", readable(&secret, 0)?, true)?;
    nothing_pinned()?;
    for path in ["/etc/aegisbpf", "/var/lib/aegisbpf", "/run/aegisbpf", "/usr/sbin/aegisbpf"] {
        want(path, Path::new(path).exists(), false)?;
    }
    want("the unit", show("LoadState")? == "not-found", true)
}
