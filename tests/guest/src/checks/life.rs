//! The life of an agent: killed, restarted, stopped, detached, run twice, and its demo.

use super::agent::{Agent, Place, SOON, ask, at, contains, ends, nothing_pinned, readable, tier, want};
use super::{Check, CheckError, Ctx};
use crate::run::Cmd;
use guest::AGENT;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

pub(super) const CHECKS: [Check; 12] = [
    Check { id: "life.killed-agent-leaves-enforcement", run: killed },
    Check { id: "life.next-run-adopts-without-a-gap", run: adopted },
    Check { id: "life.stop-leaves-enforcement", run: stopped },
    Check { id: "life.detach-ends-it", run: detached },
    Check { id: "life.one-agent-at-a-time", run: one_at_a_time },
    Check { id: "life.break-glass-suspends", run: break_glass },
    Check { id: "life.proof-on-noexec-run", run: noexec_run },
    Check { id: "life.proof-repeats", run: proof_repeats },
    Check { id: "life.full-ring-buffer", run: full_ring_buffer },
    Check { id: "life.service-manager-is-told", run: service_manager },
    Check { id: "life.metrics", run: metrics },
    Check { id: "life.demo-cleans-up", run: demo },
];

fn enforcing(id: &str) -> Result<(Place, Agent), CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    let agent = Agent::start(&place, &["--enforce"])?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    Ok((place, agent))
}

/// Nobody reads the ring buffer, which has room for some ten thousand events: each of more denials is one all the same, and
/// what could not be told is counted.
fn full_ring_buffer(_: &Ctx) -> Result<(), CheckError> {
    const DENIALS: u32 = 30_000;
    let (place, mut agent) = enforcing("flood")?;
    agent.process()?.signal(Signal::STOP)?;
    let denied = |_: &u32| {
        fs::File::open(&place.secret).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let count = (0..DENIALS).filter(denied).count();
    agent.process()?.signal(Signal::CONT)?;
    want("every open denied", count == DENIALS as usize, true)?;
    let lost = agent.event("lost", &[])?;
    want("events counted as lost", lost.pointer("/total").and_then(Value::as_u64) > Some(0), true)
}

/// Ends the agent by a signal and keeps what it pinned.
fn end(agent: &mut Agent, signal: Signal) -> Result<i32, CheckError> {
    agent.process()?.signal(signal)?;
    match agent.0.take() {
        Some(process) => Ok(process.wait(SOON)?.code()),
        None => Ok(-1),
    }
}

fn killed(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("killed")?;
    end(&mut agent, Signal::KILL)?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    want("neighbour readable", readable(&place.neighbour, 0)?, true)?;
    let health = ask(&["health", "--json"], 0)?;
    at(&health, "/status", &json!("degraded"))?;
    at(&health, "/enforcing", &json!(true))?;
    at(&health, "/tier", &json!(tier(ctx)))?;
    at(&health, "/agent/running", &json!(false))?;
    ask(&["health", "--json", "--strict"], 1)?;
    Ok(())
}

/// While one agent is killed and the next takes over, a reader tries all the time: it never gets through.
fn adopted(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("adopted")?;
    let before = ask(&["status", "--json"], 0)?.pointer("/policy/generation").cloned().unwrap_or_default();
    let script = format!(
        "n=0; while [ ! -e {0}/stop ]; do cat {1} 2>/dev/null && echo GAP; n=$((n+1)); done; echo tries $n",
        place.dir, place.secret
    );
    let reader = Cmd::sh(&script).spawn()?;
    end(&mut agent, Signal::KILL)?;
    let mut next = Agent::start(&place, &["--enforce"])?;
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/status", &json!("healthy"))?;
    at(&status, "/tier", &json!(tier(ctx)))?;
    at(&status, "/policy/generation", &before)?;
    next.event("deny", &[&place.secret, &format!("\"policy_generation\":{before}")])?;
    fs::write(format!("{}/stop", place.dir), "")
        .map_err(|source| CheckError::File { path: place.dir.clone().into(), source })?;
    let outcome = reader.wait(SOON)?;
    contains("reader", &outcome.stdout, "tries ")?;
    want("a gap", outcome.stdout.contains("GAP"), false)
}

fn stopped(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("stopped")?;
    let code = end(&mut agent, Signal::TERM)?;
    want("exit code 0", code == 0, true)?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    at(&ask(&["health", "--json"], 0)?, "/enforcing", &json!(true))
}

fn detached(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("detached")?;
    end(&mut agent, Signal::KILL)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    nothing_pinned()?;
    let health = ask(&["health", "--json"], 1)?;
    at(&health, "/enforcing", &json!(false))?;
    at(&health, "/attach_state", &json!("none"))
}

fn one_at_a_time(_: &Ctx) -> Result<(), CheckError> {
    let (place, _agent) = enforcing("twice")?;
    let second = ends(&Agent::command(&place, &["--enforce"]), 75)?;
    contains("message", &second.stderr, "another agent is running")?;
    want("secret readable", readable(&place.secret, 0)?, false)
}

fn break_glass(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("glass")?;
    place.deny("")?;
    let config = format!("{}/etc", place.dir);
    let mut agent = Agent::start(&place, &["--enforce", "--config-dir", &config])?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    ends(&Cmd::sh(&format!("mkdir -p {config} && touch {config}/break_glass && sleep 2")), 0)?;
    want("with break-glass", readable(&place.secret, 0)?, true)?;
    agent.event("state_change", &["break-glass is on", "\"enforcing\":false"])?;
    ends(&Cmd::sh(&format!("rm {config}/break_glass && sleep 2")), 0)?;
    want("without break-glass", readable(&place.secret, 0)?, false)?;
    drop(agent);
    // Started while it is on: suspended from the first moment, and enforcing once it goes.
    ends(&Cmd::sh(&format!("touch {config}/break_glass")), 0)?;
    let _agent = Agent::start(&place, &["--enforce", "--config-dir", &config])?;
    want("started with break-glass", readable(&place.secret, 0)?, true)?;
    ends(&Cmd::sh(&format!("rm {config}/break_glass && sleep 2")), 0)?;
    want("after break-glass", readable(&place.secret, 0)?, false)
}

/// On most hosts `/run` is noexec: an exec there fails before any hook is asked, and proves nothing.
fn noexec_run(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::sh("mount -o remount,noexec /run"), 0)?;
    let result =
        enforcing("noexec").and_then(|_| at(&ask(&["health", "--json"], 0)?, "/enforcing", &json!(true)));
    ends(&Cmd::sh("mount -o remount,exec /run"), 0)?;
    result
}

/// The proof goes on inside the agent's own sandbox, and its time is told.
fn proof_repeats(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("again")?;
    place.deny("")?;
    let _agent = Agent::start(&place, &["--enforce", "--proof-interval", "1s"])?;
    let proven = || -> Result<Vec<String>, CheckError> {
        let health = ask(&["health", "--json"], 0)?;
        at(&health, "/status", &json!("healthy"))?;
        let hooks = health.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(hooks.iter().filter_map(|hook| hook["proven_at"].as_str().map(str::to_owned)).collect())
    };
    let before = proven()?;
    ends(&Cmd::sh("sleep 4"), 0)?;
    let after = proven()?;
    want("as many hooks proven", before.len() == after.len() && !before.is_empty(), true)?;
    want("an old proof", before.iter().any(|time| after.contains(time)), false)
}

/// Ready means proven, and the line says what is in force; the socket is still there once the sandbox is closed.
fn service_manager(ctx: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("notify")?;
    place.deny("")?;
    let path = format!("{}/socket", place.dir);
    let failed = |source| CheckError::File { path: path.clone().into(), source };
    let socket = UnixDatagram::bind(&path).map_err(failed)?;
    socket.set_read_timeout(Some(SOON)).map_err(failed)?;
    let said = || -> Result<String, CheckError> {
        let mut bytes = [0; 4096];
        let size = socket.recv(&mut bytes).map_err(failed)?;
        Ok(String::from_utf8_lossy(bytes.get(..size).unwrap_or_default()).into_owned())
    };
    let command = Agent::command(&place, &["--enforce"]).env("NOTIFY_SOCKET", &path);
    let mut agent = Agent(Some(command.spawn()?));
    // Each step of the start asks for time of its own, and none of them is taken for the end.
    let mut first = said()?;
    contains("the first step", &first, "STATUS=starting: ")?;
    contains("the first step", &first, "\nEXTEND_TIMEOUT_USEC=")?;
    while first.starts_with("STATUS=starting: ") {
        first = said()?;
    }
    want("enforced once ready", readable(&place.secret, 0)?, false)?;
    for part in ["READY=1\nSTATUS=healthy, enforcing", tier(ctx), "generation ", "unsigned"] {
        contains("the message that it is ready", &first, part)?;
    }
    want("a partial attach", first.contains("PARTIAL"), false)?;
    end(&mut agent, Signal::TERM)?;
    contains("the last message", &said()?, "STOPPING=1\nSTATUS=degraded, enforcing")
}

fn metrics(ctx: &Ctx) -> Result<(), CheckError> {
    let before = ends(&Cmd::new(AGENT).args(["metrics"]), 0)?.stdout;
    contains("without an agent", &before, "\naegisbpf_enforcing 0\n")?;
    contains("without an agent", &before, "\naegisbpf_attach_state_info{state=\"none\"} 1\n")?;
    let (_place, _agent) = enforcing("metrics")?;
    let text = ends(&Cmd::new(AGENT).args(["metrics"]), 0)?.stdout;
    for line in [
        "aegisbpf_enforcing 1".to_owned(),
        "aegisbpf_agent_running 1".to_owned(),
        "aegisbpf_policy_rules 2".to_owned(),
        "aegisbpf_hook_attached{hook=\"file_open\"} 1".to_owned(),
        "aegisbpf_attach_state_info{state=\"full\"} 1".to_owned(),
        format!("aegisbpf_mode_info{{mode=\"enforce\",tier=\"{}\",reason=\"as-requested\"}} 1", tier(ctx)),
    ] {
        contains("metrics", &text, &format!("\n{line}\n"))?;
    }
    Ok(())
}

fn demo(_: &Ctx) -> Result<(), CheckError> {
    let demo = ends(&Cmd::new(AGENT).args(["demo"]), 0)?;
    contains("demo", &demo.stdout, "ENFORCING")?;
    contains("demo", &demo.stdout, "EPERM")?;
    contains("demo", &demo.stdout, "DENY exec")?;
    nothing_left()?;
    // Interrupted half way: the same. The tool is only there once the demo is at work.
    let mut interrupted = Cmd::new(AGENT).args(["demo"]).spawn()?;
    interrupted.wait_for("before", SOON)?;
    interrupted.signal(Signal::INT)?;
    let outcome = interrupted.wait(Duration::from_secs(30))?;
    want("interrupted or done", matches!(outcome.code(), 0 | 1), true)?;
    nothing_left()
}

fn nothing_left() -> Result<(), CheckError> {
    nothing_pinned()?;
    let left =
        ends(&Cmd::sh("ls -d /tmp/aegisbpf-demo-* /sys/fs/cgroup/aegisbpf-demo-* 2>/dev/null; true"), 0)?;
    want("scratch left", left.stdout.is_empty(), true)
}
