//! Break-glass by the command and by the file: with and without an agent, under load.

use super::agent::{Agent, TELLING, at, readable, want};
use super::ledger::Own;
use super::{Check, CheckError};
use crate::report;
use guest::Line;
use rustix::process::Signal;
use serde_json::json;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "glass.command-with-agent", run: |_| with_agent() },
    Check { id: "glass.command-without-agent", run: |_| without_agent() },
    Check { id: "glass.under-load", run: |_| under_load() },
];

/// Switches by the command; it is so when the command has ended.
fn switch(own: &Own, word: &str) -> Result<(), CheckError> {
    own.ends(&["break-glass", word, "--reason", "a check"], 0)?;
    want("secret readable", readable(&own.place.secret, 0)?, word == "on")
}

fn status(own: &Own, on: bool) -> Result<(), CheckError> {
    let said = own.ends(&["break-glass", "status", "--json"], i32::from(on))?;
    let said = super::agent::json(&said.stdout)?;
    at(&said, "/break_glass", &json!(on))?;
    at(&said, "/in_kernel", &json!(on))
}

fn with_agent() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(1)?;
    status(&own, false)?;
    switch(&own, "on")?;
    switch(&own, "on")?;
    status(&own, true)?;
    agent.event("state_change", &["break-glass is on", "\"enforcing\":false"])?;
    agent.event("would_deny", &[&own.place.secret])?;
    // The agent follows, and does not switch back.
    thread::sleep(Duration::from_secs(2));
    status(&own, true)?;
    own.ends(&["health", "--require", "enforce"], 1)?;
    switch(&own, "off")?;
    thread::sleep(Duration::from_secs(2));
    status(&own, false)?;
    own.ends(&["health", "--require", "enforce"], 0)?;
    let entries = own.entries()?;
    let glass: Vec<&str> =
        entries.iter().map(String::as_str).filter(|entry| entry.contains("glass")).collect();
    let wanted = ["break_glass_on done", "break_glass_on done", "break_glass_off done"];
    // The agent may have seen the file before the command came to switch, and then has said so as well.
    let seen: Vec<&str> = glass.iter().copied().filter(|entry| wanted.contains(entry)).collect();
    want("an entry for each", seen.len() == glass.len() && glass.len() >= wanted.len(), true)?;
    own.sound()
}

fn without_agent() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(1)?;
    agent.process()?.signal(Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(super::agent::SOON)?;
    }
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    switch(&own, "on")?;
    status(&own, true)?;
    switch(&own, "off")?;
    status(&own, false)?;
    switch(&own, "on")?;
    // What the next run finds is the file.
    own.ends(&["detach"], 0)?;
    let file = format!("{}/v1.conf", own.place.dir);
    let run = [TELLING.as_slice(), &["--enforce", "--policy", &file]].concat();
    let mut process = own.command(&run).spawn()?;
    process.wait_for("break-glass is on", super::agent::SOON)?;
    let _agent = Agent(Some(process));
    want("secret readable", readable(&own.place.secret, 0)?, true)?;
    switch(&own, "off")?;
    own.sound()
}

/// While readers try all the time: how long it takes from the file until each answer is the other one, and that after the
/// command no answer is the old one.
fn under_load() -> Result<(), CheckError> {
    let own = Own::new()?;
    let _agent = own.start(1)?;
    let stop = AtomicBool::new(false);
    let secret = &own.place.secret;
    let switched = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        let _ = opens(secret);
                    }
                    // The one who switches gets a processor, too.
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let switched = (0..3).map(|_| round(&own)).collect::<Result<Vec<Duration>, CheckError>>();
        stop.store(true, Ordering::Relaxed);
        switched
    });
    let slowest = switched?.into_iter().max().unwrap_or_default();
    report::send(&Line::Note(format!("break-glass by file under load, emulated: at most {slowest:?}")));
    own.sound()
}

fn opens(path: &str) -> Result<bool, CheckError> {
    match File::open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(source) => Err(CheckError::File { path: path.into(), source }),
    }
}

/// On and off by the command, on and off by the file; returns the longer time that the file took.
fn round(own: &Own) -> Result<Duration, CheckError> {
    /// The second of the contract, on an emulated machine that shares its host.
    const LIMIT: Duration = Duration::from_secs(5);
    let secret = &own.place.secret;
    let all = |wanted: bool| (0..200).all(|_| opens(secret).is_ok_and(|opened| opened == wanted));
    switch(own, "on")?;
    want("every open after the command", all(true), true)?;
    switch(own, "off")?;
    want("no open after the command", all(false), true)?;
    let file = format!("{}/etc/break_glass", own.place.dir);
    let mut slowest = Duration::ZERO;
    for on in [true, false] {
        let changed = if on { File::create(&file).map(drop) } else { std::fs::remove_file(&file) };
        changed.map_err(|source| CheckError::File { path: file.clone().into(), source })?;
        let start = Instant::now();
        while opens(secret)? != on {
            want("the file followed in time", start.elapsed() < LIMIT, true)?;
            thread::sleep(Duration::from_millis(1));
        }
        slowest = slowest.max(start.elapsed());
    }
    Ok(slowest)
}
