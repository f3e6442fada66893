//! What `stats` counts: each decision once, whatever was told together, and for its owner alone to read.

use super::agent::{Agent, NOBODY, Place, SOON, ask, at, contains, ends, executable, want};
use super::doctor::valid;
use super::load::opens;
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "figures.each-once", run: |_| each_once() },
    Check { id: "figures.for-the-owner", run: |_| for_the_owner() },
];

const TABLES: [&str; 5] = ["hook", "cgroup", "rule", "inode", "path"];

fn start(place: &Place) -> Result<Agent, CheckError> {
    let fixed =
        ["run", "--enforce", "--allow-unsigned-policy", "--log-format", "json", "--repeat-window", "2s"];
    let mut process = Cmd::new(AGENT).args(fixed).args(["--policy", &place.policy]).spawn()?;
    process.wait_for("\"type\":\"state_change\"", SOON)?;
    Ok(Agent(Some(process)))
}

/// Every table has all of it.
fn adds_up(stats: &Value) -> Result<u64, CheckError> {
    valid("stats", stats)?;
    let count = |value: &Value| value.pointer("/deny").and_then(Value::as_u64).unwrap_or(0);
    let all = stats.pointer("/decisions").map_or(0, count);
    for table in TABLES {
        let at = |part: &str| stats.pointer(&format!("/by/{table}/{part}"));
        let rows = at("rows").and_then(Value::as_array).cloned().unwrap_or_default();
        let sum = rows.iter().map(count).sum::<u64>() + at("other").map_or(0, count);
        want("a table that adds up", sum == all, true)?;
    }
    Ok(all)
}

fn counted(number: u64) -> Result<Value, CheckError> {
    let end = Instant::now() + SOON;
    loop {
        let stats = ask(&["stats", "--json"], 0)?;
        let all = adds_up(&stats)?;
        if all == number {
            return Ok(stats);
        }
        if all > number || Instant::now() > end {
            let want = number.to_string();
            return Err(CheckError::Differs { what: "decisions counted", want, got: stats.to_string() });
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// A thousand opens that are told together, and two execs.
fn each_once() -> Result<(), CheckError> {
    const OPENS: u64 = 1000;
    let place = Place::new("figures")?;
    place.deny("")?;
    let mut agent = start(&place)?;
    counted(0)?;
    let denied = (0..OPENS).filter(|_| opens(&place.secret) == Some(false)).count() as u64;
    want("each denied", denied == OPENS, true)?;
    want("the neighbour", opens(&place.neighbour) == Some(true), true)?;
    for _ in 0..2 {
        want("the tool", executable(&place.tool, 0)?, false)?;
    }
    let stats = counted(OPENS + 2)?;
    at(&stats, "/running", &json!(true))?;
    at(&stats, "/by/path/rows/0", &json!({ "path": place.secret, "deny": OPENS, "would_deny": 0 }))?;
    at(&stats, "/by/path/rows/1/deny", &json!(2))?;
    at(&stats, "/by/rule/rows/0/rule", &json!(1))?;
    at(&stats, "/by/rule/rows/1/rule", &json!(2))?;
    let told = ask(&["status", "--json"], 0)?;
    let told = told.pointer("/decisions").and_then(Value::as_array).cloned().unwrap_or_default();
    let told: u64 = told.iter().filter_map(|one| one["deny"].as_u64()).sum();
    want("the same in the status", told == OPENS + 2, true)?;
    let shown = ends(&Cmd::new(AGENT).args(["stats", "--by", "path", "--top", "1"]), 0)?.stdout;
    contains("the first row", &shown, &format!("{OPENS}         0  {}\n", place.secret))?;
    contains("all others", &shown, "     2         0  all others\n")?;
    // What waited to be told is counted when the agent ends.
    want("once more", opens(&place.secret) == Some(false), true)?;
    agent.process()?.signal(Signal::TERM)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    at(&counted(OPENS + 3)?, "/running", &json!(false))?;
    // The next one begins anew.
    agent = start(&place)?;
    counted(0)?;
    drop(agent);
    Ok(())
}

fn for_the_owner() -> Result<(), CheckError> {
    let place = Place::new("figures-owner")?;
    place.deny("")?;
    let _agent = start(&place)?;
    let stats = Cmd::new(AGENT).args(["stats"]);
    ends(&stats, 0)?;
    contains("the hint", &ends(&stats.uid(NOBODY), 77)?.stderr, "run it as root")?;
    // How things stand is nobody's secret, and decisions by hook name no file.
    let metrics = ends(&Cmd::new(AGENT).args(["metrics"]).uid(NOBODY), 0)?.stdout;
    contains("metrics", &metrics, "aegisbpf_decisions_total{hook=\"file_open\",verdict=\"deny\"} ")?;
    want("what only root may read", metrics.contains("kernel_memory"), false)?;
    let metrics = ends(&Cmd::new(AGENT).args(["metrics"]), 0)?.stdout;
    want("what only root may read", metrics.contains("kernel_memory"), true)
}
