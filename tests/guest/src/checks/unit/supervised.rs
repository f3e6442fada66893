//! What systemd does when the agent dies, hangs, is replaced or is hung up on; enforcement has no gap meanwhile.

use super::super::agent::{contains, ends, want};
use super::super::{Check, CheckError};
use super::service::{self, Service, deny, does, drop_in, eventually, logs, show};
use crate::run::Cmd;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::Duration;

pub(super) const CHECKS: [Check; 4] = [
    Check { id: "unit.killed-is-started-again", run: |_| killed() },
    Check { id: "unit.upgrade-without-a-gap", run: |_| upgraded() },
    Check { id: "unit.watchdog", run: |_| watchdog() },
    Check { id: "unit.hangup-is-no-end", run: |_| hangup() },
];

/// Waits until another agent than this one is ready.
fn succeeded(by: &str) -> Result<(), CheckError> {
    eventually("another agent", || {
        let pid = show("MainPID")?;
        Ok(pid != by && pid != "0" && show("ActiveState")? == "active")
    })
}

fn members() -> Result<Vec<String>, CheckError> {
    let path = format!("/sys/fs/cgroup{}/cgroup.procs", show("ControlGroup")?);
    let text = fs::read_to_string(&path).map_err(|source| CheckError::File { path: path.into(), source })?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn killed() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-killed")?;
    let (agent, before) = (show("MainPID")?, members()?);
    want("the agent and its helper", before.len() == 2 && before.contains(&agent), true)?;
    service.without_a_gap(|| {
        ends(&Cmd::sh(&format!("kill -KILL {agent}")), 0)?;
        succeeded(&agent)
    })?;
    want("started again once", show("NRestarts")? == "1", true)?;
    let after = members()?;
    want("one of before is left", after.iter().any(|pid| before.contains(pid)), false)?;
    want("an agent and a helper", after.len() == 2, true)
}

fn upgraded() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-upgraded")?;
    let identity = |path: &str| {
        let file = fs::metadata(path).map_err(|source| CheckError::File { path: path.into(), source })?;
        Ok::<_, CheckError>((file.dev(), file.ino()))
    };
    let before = (show("MainPID")?, identity("/usr/sbin/aegisbpf")?);
    service::next_version("/root/aegisbpf.new")?;
    service.without_a_gap(|| does("Upgrade"))?;
    let (agent, binary) = (show("MainPID")?, identity("/usr/sbin/aegisbpf")?);
    want("another agent", agent == before.0, false)?;
    want("another file", binary == before.1, false)?;
    want("the agent is that file", identity(&format!("/proc/{agent}/exe"))? == binary, true)?;
    contains("the status", &show("StatusText")?, "healthy, enforcing")
}

/// An agent whose loop stands still is killed and started again; one that works is left alone for longer than that.
fn watchdog() -> Result<(), CheckError> {
    let service = Service::install("unit-watchdog")?;
    drop_in("watchdog", "WatchdogSec=15")?;
    does("Enforce")?;
    let agent = show("MainPID")?;
    thread::sleep(Duration::from_secs(20));
    want("the agent that works", show("MainPID")? == agent, true)?;
    service.without_a_gap(|| {
        ends(&Cmd::sh(&format!("kill -STOP {agent}")), 0)?;
        succeeded(&agent)
    })?;
    logs(&["Watchdog timeout (limit 15s)"])?;
    contains("the status", &show("StatusText")?, "healthy, enforcing")
}

fn hangup() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-hangup")?;
    let agent = show("MainPID")?;
    ends(&Cmd::sh(&format!("kill -HUP {agent}")), 0)?;
    // It goes on to work, and that is more than not to have ended yet.
    deny(&[&service.place.secret, &service.place.neighbour])?;
    does("Change the policy")?;
    eventually("the status", || Ok(show("StatusText")?.contains("with 2 rules")))?;
    want("the same agent", show("MainPID")? == agent, true)
}
