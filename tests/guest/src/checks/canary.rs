//! The canary: what passes, what does not, what it refuses, and that it leaves nothing behind however it ends.

use super::agent::{Agent, NOBODY, Place, SOON, at, contains, ends, json, nothing_pinned, readable, want};
use super::doctor::valid;
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) const CHECKS: [Check; 6] = [
    Check { id: "canary.passes", run: |_| passes() },
    Check { id: "canary.threshold-not-kept", run: |_| threshold_not_kept() },
    Check { id: "canary.refuses", run: |_| refuses() },
    Check { id: "canary.interrupted", run: |_| interrupted() },
    Check { id: "canary.attached", run: |_| attached() },
    Check { id: "canary.cannot-enforce", run: |_| cannot_enforce() },
];

/// What each phase leaves, and what lies beside them.
const OF_A_PHASE: [&str; 9] = [
    "samples.jsonl",
    "events.jsonl",
    "agent.log",
    "status-before.json",
    "status-after.json",
    "health-after.json",
    "metrics-before.prom",
    "metrics-after.prom",
    "workload.out",
];
const OF_ALL: [&str; 6] =
    ["verdict.json", "index.md", "policy.conf", "policy.conf.sha256", "facts.json", "doctor.json"];

/// A place with a policy, and where the evidence goes.
fn scene(id: &str) -> Result<(Place, String), CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    let out = format!("{}/evidence", place.dir);
    Ok((place, out))
}

/// A canary of a few seconds that asks for a few decisions. Its workload makes them for as long as it is let.
const BRIEF: [&str; 4] = ["--duration", "3", "--min-total-decisions", "4"];

/// A canary whose workload reads what is denied and what is not.
fn canary(place: &Place, out: &str, args: &[&str]) -> Cmd {
    let work = format!(
        "while :; do cat {0} && echo read; cat {1} && echo beside; sleep 0.1; done 2>/dev/null",
        place.secret, place.neighbour
    );
    let fixed = ["canary", "--json", "--interval", "1"];
    let given = ["--policy", &place.policy, "--out", out, "--allow-unsigned-policy"];
    Cmd::new(AGENT).args(fixed).args(given).args(args).args(["--", "/bin/sh", "-c", &work])
}

fn read(path: &str) -> Result<String, CheckError> {
    fs::read_to_string(path).map_err(|source| CheckError::File { path: path.into(), source })
}

/// Runs a canary to its end; its verdict is as its schema says, and the same in the evidence.
fn verdict(command: &Cmd, out: &str, code: i32) -> Result<Value, CheckError> {
    let verdict = json(&ends(command, code)?.stdout)?;
    valid("canary", &verdict)?;
    want("the verdict in the evidence", json(&read(&format!("{out}/verdict.json"))?)? == verdict, true)?;
    Ok(verdict)
}

/// Nothing is attached, nobody runs, and the secret can be read.
fn nothing_left(place: &Place) -> Result<(), CheckError> {
    nothing_pinned()?;
    want("the secret readable again", readable(&place.secret, NOBODY)?, true)?;
    want("an agent", Cmd::new(AGENT).args(["health"]).run()?.code() == 0, false)?;
    let left = ends(
        &Cmd::sh("ls -d /sys/fs/cgroup/aegisbpf-canary-* 2>/dev/null; pgrep -f '[s]leep 0[.]1'; true"),
        0,
    )?;
    contains("what is left", &format!("[{}]", left.stdout.trim()), "[]")
}

fn passes() -> Result<(), CheckError> {
    let (place, out) = scene("canary")?;
    let verdict = verdict(&canary(&place, &out, &BRIEF), &out, 0)?;
    at(&verdict, "/verdict", &json!("pass"))?;
    at(&verdict, "/phases/1/drill/pass", &json!(true))?;
    at(&verdict, "/phases/1/drill/opens/0", &json!("opened"))?;
    at(&verdict, "/phases/1/drill/opens/3", &json!("opened"))?;
    let mode = fs::metadata(&out).map_err(|source| CheckError::File { path: out.clone().into(), source })?;
    want("the evidence private", mode.permissions().mode() & 0o777 == 0o700, true)?;
    for name in OF_ALL {
        want("a file of the evidence", read(&format!("{out}/{name}"))?.is_empty(), false)?;
    }
    ends(&Cmd::sh(&format!("cd {out} && sha256sum -c policy.conf.sha256")), 0)?;
    contains("the page", &read(&format!("{out}/index.md"))?, "# Canary: PASS")?;
    for (phase, told, work) in [("audit", "would_deny", "read"), ("enforce", "deny", "beside")] {
        for name in OF_A_PHASE {
            want("a file of a phase", Path::new(&format!("{out}/{phase}/{name}")).exists(), true)?;
        }
        let events = read(&format!("{out}/{phase}/events.jsonl"))?;
        let event = format!("\"type\":\"{told}\"");
        contains("events", &events, &event)?;
        contains("what the workload wrote", &read(&format!("{out}/{phase}/workload.out"))?, work)?;
        let samples = read(&format!("{out}/{phase}/samples.jsonl"))?;
        want("samples", samples.lines().count() >= 4, true)?;
        for line in samples.lines() {
            at(&json(line)?, "/status", &json!("healthy"))?;
        }
        valid("status", &json(&read(&format!("{out}/{phase}/status-after.json"))?)?)?;
    }
    let denied = read(&format!("{out}/enforce/workload.out"))?;
    want("the workload read the secret while it was denied", denied.contains("secret"), false)?;
    nothing_left(&place)
}

/// More decisions are asked for than there are: it fails, says why, and does not go on to enforce.
fn threshold_not_kept() -> Result<(), CheckError> {
    let (place, out) = scene("canary-few")?;
    let verdict =
        verdict(&canary(&place, &out, &["--duration", "3", "--min-total-decisions", "100000"]), &out, 1)?;
    at(&verdict, "/verdict", &json!("fail"))?;
    at(&verdict, "/not_begun", &json!(["enforce"]))?;
    contains("the reason", &verdict.to_string(), "min_total_decisions: ")?;
    let broken = verdict.pointer("/phases/0/thresholds").and_then(Value::as_array).cloned();
    let broken: Vec<Value> =
        broken.unwrap_or_default().into_iter().filter(|one| one.get("pass") == Some(&json!(false))).collect();
    want("that one alone", broken.len() == 1, true)?;
    nothing_left(&place)
}

fn refuses() -> Result<(), CheckError> {
    let (place, out) = scene("canary-refused")?;
    let kill = canary(&place, &out, &BRIEF).env("ENFORCE_SIGNAL", "kill");
    contains("the way out", &ends(&kill, 64)?.stderr, "ALLOW_SIGKILL_CANARY=1")?;
    want("evidence", Path::new(&out).exists(), false)?;
    // With the word for it there is a canary, and the evidence is there already.
    ends(&Cmd::sh(&format!("mkdir {out}")), 0)?;
    let asked = kill.env("ALLOW_SIGKILL_CANARY", "1");
    contains("what is not overwritten", &ends(&asked, 64)?.stderr, "not overwritten")?;
    let _agent = Agent::start(&place, &["--audit"])?;
    contains("the way out", &ends(&canary(&place, &format!("{out}-2"), &BRIEF), 75)?.stderr, "--attach")
}

/// Somebody ends it in the middle of enforcing.
fn interrupted() -> Result<(), CheckError> {
    let (place, out) = scene("canary-interrupted")?;
    let mut canary = canary(&place, &out, &["--phase", "enforce", "--duration", "1h"]).spawn()?;
    canary.wait_for("s  healthy enforcing", SOON)?;
    want("the secret while it enforces", readable(&place.secret, NOBODY)?, false)?;
    canary.signal(Signal::INT)?;
    let outcome = canary.wait(SOON)?;
    want("the exit code", outcome.code() == 2, true)?;
    let verdict = json(&outcome.stdout)?;
    valid("canary", &verdict)?;
    at(&verdict, "/verdict", &json!("interrupted"))?;
    at(&verdict, "/phases/0/agent_exit", &json!(0))?;
    contains("the page", &read(&format!("{out}/index.md"))?, "# Canary: INTERRUPTED")?;
    nothing_left(&place)
}

/// An agent that ran before is watched, and still runs afterwards.
fn attached() -> Result<(), CheckError> {
    let (place, out) = scene("canary-attached")?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    let args =
        ["canary", "--attach", "--json", "--duration", "2", "--interval", "1", "--min-total-decisions", "0"];
    let verdict = verdict(&Cmd::new(AGENT).args(args).args(["--out", &out]), &out, 0)?;
    at(&verdict, "/attached", &json!(true))?;
    at(&verdict, "/phases/0/phase", &json!("enforce"))?;
    at(&verdict, "/phases/0/drill", &Value::Null)?;
    want("the policy", read(&format!("{out}/policy.conf"))? == read(&place.policy)?, true)?;
    let audit = Cmd::new(AGENT).args(args).args(["--phase", "audit", "--out", &format!("{out}-2")]);
    contains("the mode that runs", &ends(&audit, 69)?.stderr, "enforce")?;
    want("the secret", readable(&place.secret, NOBODY)?, false)?;
    let pid = agent.process()?.pid();
    let status = json(&ends(&Cmd::new(AGENT).args(["status", "--json"]), 0)?.stdout)?;
    at(&status, "/agent/pid", &json!(pid))
}

/// Where `bpf(2)` is refused nothing can be enforced: that is no pass.
fn cannot_enforce() -> Result<(), CheckError> {
    let (place, out) = scene("canary-refused-bpf")?;
    let command = canary(&place, &out, &[BRIEF.as_slice(), &["--phase", "enforce"]].concat())
        .behind(["/init", "filtered", "38"]);
    let verdict = verdict(&command, &out, 69)?;
    at(&verdict, "/verdict", &json!("unavailable"))?;
    at(&verdict, "/phases/0/thresholds", &json!([]))?;
    nothing_left(&place)
}
