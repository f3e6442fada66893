//! What becomes of the agent itself: killed, told to stop, held up, replaced, unheard.

use super::super::agent::{Agent, Place, SOON, TELLING, at, contains, ends, in_time, readable, want};
use super::super::{Check, CheckError, Ctx};
use super::{
    enforcing, health, health_comes, health_of, holds, kill, lives, nothing_holds, observing, refused, sh,
};
use crate::run::Cmd;
use guest::AGENT;
use rustix::process::Signal;
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 7] = [
    Check { id: "failure.agent-killed", run: killed },
    Check { id: "failure.agent-stopped", run: stopped },
    Check { id: "failure.agent-stalled", run: stalled },
    Check { id: "failure.agent-upgraded", run: upgraded },
    Check { id: "failure.agent-downgraded", run: downgraded },
    Check { id: "failure.agent-twice", run: twice },
    Check { id: "failure.output-stuck", run: output_stuck },
];

const CGROUP: &str = "/sys/fs/cgroup/small";

/// By the OOM killer, because its cgroup has no memory left; the observing tier by a signal.
fn killed(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("oom", &[])?;
    let pid = agent.process()?.pid();
    sh(&format!(
        "echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir -p {CGROUP} && echo {pid} >{CGROUP}/cgroup.procs"
    ))?;
    // What a process has touched before stays on the account of its old cgroup: the new one is to be in debt at once.
    sh(&format!("echo 4096 >{CGROUP}/memory.max"))?;
    let denied = |_: &u32| readable(&place.secret, 0).is_ok_and(|read| !read);
    want("denied all the time", (0..20).all(|round| denied(&round)), true)?;
    let process = agent.0.take().ok_or(CheckError::Differs {
        what: "agent",
        want: "one".into(),
        got: "none".into(),
    })?;
    let code = process.wait(SOON)?.code();
    sh(&format!("rmdir {CGROUP}"))?;
    want("ended by SIGKILL", code == 137, true)?;
    holds(&place)?;
    let said = health(0, "degraded")?;
    at(&said, "/enforcing", &json!(true))?;
    at(&said, "/tier", &json!(super::tier(ctx)))?;
    drop(agent);
    nothing_holds(&place)?;
    let mut observer = observing(&place, &[])?;
    kill(&mut observer)?;
    at(&health(1, "unhealthy")?, "/enforcing", &json!(false))
}

/// By whoever supervises it. A hangup is nothing to an agent that writes to no terminal.
fn stopped(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("stopped", &[])?;
    agent.process()?.signal(Signal::HUP)?;
    thread::sleep(Duration::from_secs(2));
    lives(&mut agent)?;
    agent.process()?.signal(Signal::TERM)?;
    if let Some(process) = agent.0.take() {
        let outcome = process.wait(SOON)?;
        want("exit code 0", outcome.code() == 0, true)?;
        contains("its last word", &outcome.stdout, "the pinned programs stay in force")?;
    }
    holds(&place)?;
    at(&health(0, "degraded")?, "/enforcing", &json!(true))
}

/// Stopped processes hold their locks, and their files say that all is well.
fn stalled(_: &Ctx) -> Result<(), CheckError> {
    const SILENT: &str = "nothing was heard of the agent";
    let other = Place::new("stalled-observer")?;
    other.deny("")?;
    let dir = format!("{}/run", other.dir);
    let places = ["--run-dir", dir.as_str(), "--state-dir", dir.as_str(), "--bpffs", dir.as_str()];
    let mut observer = observing(&other, &places)?;
    let (place, mut agent) = enforcing("stalled", &[])?;
    agent.process()?.signal(Signal::STOP)?;
    observer.process()?.signal(Signal::STOP)?;
    thread::sleep(Duration::from_secs(3));
    holds(&place)?;
    health_comes(&[], 0, "degraded", SILENT)?;
    holds(&place)?;
    health_comes(&places, 1, "unhealthy", SILENT)?;
    ends(&Cmd::new(AGENT).args(["health", "--strict"]), 1)?;
    agent.process()?.signal(Signal::CONT)?;
    observer.process()?.signal(Signal::CONT)?;
    health_comes(&[], 0, "healthy", "")?;
    health_comes(&places, 0, "healthy", "")?;
    agent.event("deny", &[&place.secret]).map(drop)
}

/// Another binary takes over while somebody tries all the time.
fn upgraded(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("upgraded", &[])?;
    let (dir, secret) = (&place.dir, &place.secret);
    sh(&format!("cp {AGENT} {dir}/next && echo next >>{dir}/next"))?;
    let script = format!(
        "n=0; while [ ! -e {dir}/stop ]; do cat {secret} 2>/dev/null && echo GAP; n=$((n+1)); done; echo tries $n"
    );
    let reader = Cmd::sh(&script).spawn()?;
    agent.process()?.signal(Signal::TERM)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    let args = ["--enforce", "--allow-unsigned-policy", "--policy", &place.policy];
    let mut next = Cmd::new(format!("{dir}/next")).args(TELLING).args(args).spawn()?;
    next.wait_for("\"status\":\"healthy\"", SOON)?;
    let _next = Agent(Some(next));
    sh(&format!("touch {dir}/stop"))?;
    let outcome = reader.wait(SOON)?;
    contains("reader", &outcome.stdout, "tries ")?;
    want("a gap", outcome.stdout.contains("GAP"), false)?;
    holds(&place)?;
    health(0, "healthy").map(drop)
}

/// Pins of another version are left alone by everything but `detach`.
fn downgraded(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("downgraded", &[])?;
    kill(&mut agent)?;
    sh("mv /sys/fs/bpf/aegisbpf/[0-9]* /sys/fs/bpf/aegisbpf/99")?;
    for args in [["--enforce"].as_slice(), &["--audit"], &["--audit", "--tier", "tracepoint"]] {
        refused(&Agent::command(&place, args), 76, "pinned by another version")?;
        holds(&place)?;
    }
    ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy, "--allow-unsigned-policy"]), 76)?;
    let said = health(1, "unhealthy")?;
    contains("reasons", &super::reasons(&said), "pinned by another version")?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    // Of another version it is not known how to make it allow everything at once: the kernel takes it down.
    in_time("secret readable", || readable(&place.secret, 0))?;
    nothing_holds(&place)
}

/// The lock is the agent's alone: nobody else can hold it and pass for an agent.
fn twice(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("two", &[])?;
    refused(&Agent::command(&place, &["--enforce"]), 75, "another agent is running")?;
    holds(&place)?;
    let foreign = Cmd::sh("exec 3</run/aegisbpf/lock && flock -x 3").uid(super::super::agent::NOBODY);
    let outcome = foreign.run()?;
    want("the lock in the hands of nobody", outcome.code() == 0, false)?;
    contains("why", &outcome.stderr, "Permission denied")?;
    // Somebody who may not ask the lock learns it from the state.
    let health = Cmd::new(AGENT).args(["health", "--json"]).uid(super::super::agent::NOBODY);
    at(&super::json(&ends(&health, 0)?.stdout)?, "/agent/running", &json!(true))?;
    kill(&mut agent)?;
    health_of(&[], 0, "degraded").map(drop)
}

/// More than waits in the agent, less than the ring buffer holds.
const UNREAD: usize = 3000;

/// A reader that does not read, and then is gone.
fn output_stuck(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("stuck")?;
    place.deny("")?;
    let dir = &place.dir;
    sh(&format!("mkfifo {dir}/pipe"))?;
    let reader = Cmd::sh(&format!("exec sleep 1000 <{dir}/pipe")).spawn()?;
    let run = format!(
        "exec {AGENT} {} --enforce --allow-unsigned-policy --proof-interval 1s --policy {} >{dir}/pipe",
        TELLING.join(" "),
        place.policy
    );
    let mut agent = Agent(Some(Cmd::sh(&run).spawn()?));
    health_comes(&[], 0, "healthy", "")?;
    want("denied", (0..UNREAD).all(|_| std::fs::File::open(&place.secret).is_err()), true)?;
    health_comes(&[], 0, "degraded", "nobody has read standard output")?;
    let proven = || health(0, "degraded").map(|said| said.pointer("/hooks/0/proven_at").cloned());
    let before = proven()?;
    let end = Instant::now() + SOON;
    while proven()? == before {
        want("another proof while nobody reads", Instant::now() < end, true)?;
        thread::sleep(Duration::from_millis(500));
    }
    lives(&mut agent)?;
    let cat = Cmd::sh(&format!("exec cat {dir}/pipe")).spawn()?;
    health_comes(&[], 0, "healthy", "")?;
    let said = || cat.stdout().matches("\"type\":\"deny\"").count();
    while said() < UNREAD {
        want("every event once somebody reads", Instant::now() < end + SOON, true)?;
        thread::sleep(Duration::from_millis(500));
    }
    drop((cat, reader));
    // The next event meets nobody.
    want("secret readable", readable(&place.secret, 0)?, false)?;
    let outcome = agent.0.take().map(|process| process.wait(SOON)).transpose()?;
    want("exit code 74", outcome.is_some_and(|outcome| outcome.code() == 74), true)?;
    holds(&place)?;
    at(&health(0, "degraded")?, "/enforcing", &json!(true))
}
