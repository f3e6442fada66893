//! From one ABI of pins to another and back, with a binary of each, under load.

use super::agent::{Place, SOON, at, contains, ends, in_time, json, nothing_pinned, readable, want};
use super::load::{Met, under_readers};
use super::{Check, CheckError};
use crate::report;
use crate::run::{Background, Cmd};
use guest::{AGENT, AGENT_BEFORE, Line};
use rustix::process::Signal;

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "upgrade.to-the-abi-after", run: |_| changed("upgrade-after", AGENT_BEFORE, AGENT) },
    Check { id: "upgrade.to-the-abi-before", run: |_| changed("upgrade-before", AGENT, AGENT_BEFORE) },
];

/// `old` enforces, and `new` is to follow it.
fn changed(id: &str, old: &str, new: &str) -> Result<(), CheckError> {
    ends(&Cmd::sh(&format!("chmod 755 {AGENT_BEFORE}")), 0)?;
    want("the same ABI", abi(old)? == abi(new)?, false)?;
    let place = Place::new(id)?;
    place.deny("")?;
    let first = start(old, &place)?;
    let ((), Met { tries, wrong }) = under_readers(&place, || {
        // Beside an agent that works, and after it was stopped for the change.
        unchanged(new, &place, 75)?;
        stop(first)?;
        unchanged(new, &place, 76)?;
        // Nothing is lost by trying: the one of before goes on with what it left.
        stop(start(old, &place)?)?;
        unchanged(new, &place, 76)
    })?;
    report::send(&Line::Note(format!("{id}: {tries} opens by 4 readers, {wrong} wrong answers")));
    want("readers that tried", tries > 1000, true)?;
    want("wrong answers", wrong != 0, false)?;
    resolved(new, &place)
}

/// Nothing that `new` is told to do changes what `old` put there.
fn unchanged(new: &str, place: &Place, code: i32) -> Result<(), CheckError> {
    for mode in ["--enforce", "--audit"] {
        let run = ends(&command(new, place).args([mode]), code)?;
        contains("message", &run.stderr, "hint:")?;
    }
    let apply = ["policy", "apply", &place.policy, "--allow-unsigned-policy"];
    let apply = ends(&Cmd::new(new).args(apply), 76)?;
    contains("message", &apply.stderr, "pinned by another version")?;
    ends(&Cmd::new(new).args(["policy", "rollback"]), 76)?;
    let health = json(&ends(&Cmd::new(new).args(["health", "--json"]), 1)?.stdout)?;
    at(&health, "/enforcing", &false.into())?;
    contains("reasons", &health.to_string(), "pinned by another version")
}

/// The way out that is named: it ends what the other version enforces, and the next start begins anew.
fn resolved(new: &str, place: &Place) -> Result<(), CheckError> {
    ends(&Cmd::new(new).args(["reset", "--yes"]), 0)?;
    nothing_pinned()?;
    // Of another version it is not known how to make it allow everything at once: the kernel takes it down.
    in_time("secret readable", || readable(&place.secret, 0))?;
    let agent = start(new, place)?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    stop(agent)?;
    ends(&Cmd::new(new).args(["reset", "--yes"]), 0)?;
    nothing_pinned()
}

/// The number by which a binary tells its pins from others.
fn abi(binary: &str) -> Result<String, CheckError> {
    let said = json(&ends(&Cmd::new(binary).args(["version", "--json"]), 0)?.stdout)?;
    Ok(said.pointer("/abi").map(ToString::to_string).unwrap_or_default())
}

fn command(binary: &str, place: &Place) -> Cmd {
    Cmd::new(binary).args(["run", "--allow-unsigned-policy", "--policy", &place.policy])
}

/// An agent, once it enforces. Nobody keeps what it tells of the readers.
fn start(binary: &str, place: &Place) -> Result<Background, CheckError> {
    let run = format!("exec {binary} run --enforce --allow-unsigned-policy --policy {}", place.policy);
    let agent = Cmd::sh(&format!("{run} >/dev/null")).spawn()?;
    in_time("the agent at work", || {
        Ok(Cmd::new(binary).args(["health", "--strict", "--require", "enforce"]).run()?.code() == 0)
    })?;
    Ok(agent)
}

/// As a service manager ends it: what is pinned goes on.
fn stop(agent: Background) -> Result<(), CheckError> {
    agent.signal(Signal::TERM)?;
    let outcome = agent.wait(SOON)?;
    if outcome.code() == 0 { Ok(()) } else { Err(CheckError::Status { want: 0, outcome: Box::new(outcome) }) }
}
