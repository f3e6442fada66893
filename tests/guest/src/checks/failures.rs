//! Everything that the contracts name as a failure, provoked: what became of decisions, what the agent said, and what
//! `health` answers. Each begins with a file that is denied and another that is not.

mod agent;
mod directories;
mod pins;
mod surroundings;

use super::agent::{Agent, Place, SOON, contains, ends, json, readable, tier, want};
use super::{Check, CheckError};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line};
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(super) fn checks() -> Vec<Check> {
    let all = [agent::CHECKS.as_slice(), &directories::CHECKS, &pins::CHECKS, &surroundings::CHECKS];
    all.concat()
}

fn sh(script: &str) -> Result<(), CheckError> {
    ends(&Cmd::sh(script), 0).map(drop)
}

/// An agent that enforces, and says so.
fn enforcing(id: &str, args: &[&str]) -> Result<(Place, Agent), CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    let agent = Agent::start(&place, &[&["--enforce"], args].concat())?;
    holds(&place)?;
    health(0, "healthy")?;
    Ok((place, agent))
}

/// An agent of the observing tier.
fn observing(place: &Place, args: &[&str]) -> Result<Agent, CheckError> {
    let mut agent = Agent::start(place, &[&["--audit", "--tier", "tracepoint"], args].concat())?;
    seen(place, &mut agent)?;
    Ok(agent)
}

/// The policy is in force, and nothing beside it.
fn holds(place: &Place) -> Result<(), CheckError> {
    want("secret readable", readable(&place.secret, 0)?, false)?;
    want("neighbour readable", readable(&place.neighbour, 0)?, true)
}

/// Nothing is in force.
fn nothing_holds(place: &Place) -> Result<(), CheckError> {
    want("secret readable, without enforcement", readable(&place.secret, 0)?, true)
}

/// An open that is observed.
fn seen(place: &Place, agent: &mut Agent) -> Result<(), CheckError> {
    want("secret readable, where it is only observed", readable(&place.secret, 0)?, true)?;
    agent.event("would_deny", &[&place.secret]).map(drop)
}

/// What `health` says, in how long: it must neither wait nor fail, whatever has happened.
fn health(code: i32, status: &str) -> Result<Value, CheckError> {
    health_of(&[], code, status)
}

fn health_of(places: &[&str], code: i32, status: &str) -> Result<Value, CheckError> {
    static SLOWEST: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    let outcome = Cmd::new(AGENT).args(["health", "--json"]).args(places).run()?;
    let time = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    if SLOWEST.fetch_max(time, Ordering::Relaxed) < time {
        report::send(&Line::Note(format!("health took {time} ms of emulated time: the longest so far")));
    }
    let said = json(&outcome.stdout)?;
    if outcome.code() != code {
        return Err(CheckError::Status { want: code, outcome: Box::new(outcome) });
    }
    super::agent::at(&said, "/status", &Value::from(status))?;
    Ok(said)
}

/// Waits until `health` says so, with one of its reasons.
fn health_comes(places: &[&str], code: i32, status: &str, reason: &str) -> Result<(), CheckError> {
    let end = Instant::now() + SOON;
    loop {
        let said =
            health_of(places, code, status).and_then(|said| contains("reasons", &reasons(&said), reason));
        if said.is_ok() || Instant::now() > end {
            return said;
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn reasons(health: &Value) -> String {
    health.pointer("/reasons").map(Value::to_string).unwrap_or_default()
}

/// A run that is refused: with this code, these words, a hint, and nothing of it left.
fn refused(command: &Cmd, code: i32, words: &str) -> Result<(), CheckError> {
    let outcome = ends(command, code)?;
    contains("message", &outcome.stderr, words)?;
    contains("message", &outcome.stderr, "hint:")
}

/// Ends the agent as nobody can who has a last word, and leaves what it pinned.
fn kill(agent: &mut Agent) -> Result<(), CheckError> {
    agent.process()?.signal(rustix::process::Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    Ok(())
}

/// Whether an agent lives under the process id that it began with.
fn lives(agent: &mut Agent) -> Result<(), CheckError> {
    let stat = format!("/proc/{}/stat", agent.process()?.pid());
    let text = fs::read_to_string(&stat).unwrap_or_default();
    want("the agent lives", !text.is_empty() && !text.contains(") Z "), true)
}
