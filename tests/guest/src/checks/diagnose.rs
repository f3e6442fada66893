//! From a live denial to its diagnosis, and to the line that ends it.

use super::agent::{Agent, Place, at, contains, ends, executable, json, readable, want};
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::{Value, json};
use std::fs;

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "diagnose.explained-and-mended", run: |_| mended() },
    Check { id: "diagnose.log", run: |_| log() },
    Check { id: "diagnose.status", run: |_| status() },
];

/// The cgroup of the program that is denied.
const SERVICE: &str = "/sys/fs/cgroup/diagnosed.service";

/// What a process of the service can read: `Ok(false)` when it answered EPERM.
fn reads(path: &str) -> Result<bool, CheckError> {
    fs::create_dir_all(SERVICE).map_err(|source| CheckError::File { path: SERVICE.into(), source })?;
    super::agent::judge(&Cmd::new("/bin/cat").args([path]).cgroup(SERVICE))
}

/// What the agent has told so far, as a file.
fn told(place: &Place, agent: &mut Agent) -> Result<String, CheckError> {
    let path = format!("{}/events.json", place.dir);
    let text = agent.process()?.stdout();
    // The last line may be on its way.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    fs::write(&path, format!("{whole}\n"))
        .map_err(|source| CheckError::File { path: path.clone().into(), source })?;
    Ok(path)
}

fn output(args: &[&str], code: i32) -> Result<String, CheckError> {
    Ok(ends(&Cmd::new(AGENT).args(args), code)?.stdout)
}

/// Three commands: what happened and what would allow it, the line in the policy, the policy in force.
fn mended() -> Result<(), CheckError> {
    let place = Place::new("mended")?;
    place.deny("")?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    want("the secret, by the service", reads(&place.secret)?, false)?;
    want("the neighbour, by the service", reads(&place.neighbour)?, true)?;
    agent.event("deny", &["\"cgroup\":\"/diagnosed.service\""])?;
    let log = told(&place, &mut agent)?;
    // The policy is found by its SHA-256: nobody names it.
    let trace = json(&output(&["explain", &log, "--json"], 0)?)?;
    at(&trace, "/rule/id", &json!(1))?;
    at(&trace, "/rule/text", &json!(place.secret))?;
    at(&trace, "/policy/remark", &Value::Null)?;
    at(&trace, "/would_allow/0/section", &json!("allow_cgroup"))?;
    at(&trace, "/would_allow/0/add/0", &json!(SERVICE))?;
    let text = output(&["explain", &log], 0)?;
    contains("the explanation", &text, &format!("was refused read of {}: EPERM", place.secret))?;
    let line = trace.pointer("/would_allow/0/add/0").and_then(Value::as_str).unwrap_or_default();
    ends(&Cmd::sh(&format!("printf '[allow_cgroup]\\n{line}\\n' >>{}", place.policy)), 0)?;
    output(&["policy", "apply", &place.policy, "--allow-unsigned-policy"], 0)?;
    want("the secret, by the service", reads(&place.secret)?, true)?;
    want("the secret, by others", readable(&place.secret, 0)?, false)
}

/// A log of two denials is answered by the policy that decided them, by none, and by what is suggested.
fn log() -> Result<(), CheckError> {
    let place = Place::new("logged")?;
    place.write(&format!("version=2\n[deny_path]\n{} read\n{}\n", place.secret, place.tool))?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    want("the secret, by the service", reads(&place.secret)?, false)?;
    want("the tool", executable(&place.tool, 0)?, false)?;
    agent.event("deny", &["\"rule\":1"])?;
    agent.event("deny", &["\"rule\":2"])?;
    let log = told(&place, &mut agent)?;
    let simulate = |code| {
        json(&output(&["policy", "simulate", "--events", &log, "--policy", &place.policy, "--json"], code)?)
    };
    let all = simulate(1)?;
    at(&all, "/unknown", &json!(0))?;
    at(&all, "/bad_lines", &json!(0))?;
    let denied = all.pointer("/denied").and_then(Value::as_u64).unwrap_or(0);
    want("at least what was just denied", denied >= 2, true)?;
    // Another name of the file, and the same file: both are told here, because the rules' paths are.
    let link = format!("{}/link", place.dir);
    let hard = format!("{}/hard", place.dir);
    let script = format!("ln -s {0} {link} && ln {1} {hard}", place.secret, place.neighbour);
    ends(&Cmd::sh(&script), 0)?;
    let linked = format!("{}/linked.conf", place.dir);
    let write = |text: &str| {
        fs::write(&linked, text).map_err(|source| CheckError::File { path: linked.clone().into(), source })
    };
    write(&format!("version=2\n[deny_path]\n{link}\n{hard}\n"))?;
    let by_link =
        json(&output(&["policy", "simulate", "--events", &log, "--policy", &linked, "--json"], 1)?)?;
    at(&by_link, "/denied", &json!(1))?;
    at(&by_link, "/by_rule/0/rule", &json!(1))?;
    at(&by_link, "/unknown", &json!(0))?;
    // The tool is denied to a process of the root cgroup, which cannot be exempted: there the rule gives way.
    let patch =
        format!("{} policy suggest --events {log} --policy {1} 2>/dev/null >{1}.diff", AGENT, place.policy);
    ends(&Cmd::sh(&format!("{patch} && cd / && patch -p0 <{}.diff", place.policy)), 0)?;
    let none = simulate(0)?;
    at(&none, "/denied", &json!(0))?;
    output(&["policy", "apply", &place.policy, "--allow-unsigned-policy"], 0)?;
    want("the secret, by the service", reads(&place.secret)?, true)?;
    want("the secret, by others", readable(&place.secret, 0)?, false)?;
    want("the tool", executable(&place.tool, 0)?, true)
}

/// The screen of a healthy agent, and of none.
fn status() -> Result<(), CheckError> {
    let place = Place::new("shown")?;
    place.deny("")?;
    let agent = Agent::start(&place, &["--enforce"])?;
    let text = output(&["status"], 0)?;
    contains("the first line", text.lines().next().unwrap_or_default(), ": enforcing, tier ")?;
    contains("the hooks", &text, "attached   full: ")?;
    contains("the hooks", &text, " hooks, proven ")?;
    contains("the policy", &text, "policy     2 rules, generation ")?;
    want("one screen", text.lines().count() <= 20, true)?;
    contains("every hook", &output(&["status", "--verbose"], 0)?, "hook       file_open attached, proven ")?;
    let watched =
        Cmd::sh(&format!("timeout -s INT 2 {AGENT} status --watch 500ms; echo ended $?")).run()?.stdout;
    want("more than one", watched.matches("attached   full: ").count() > 1, true)?;
    // busybox says that it was in time; what it ran has ended by itself then.
    want("it ended", watched.contains("ended "), true)?;
    drop(agent);
    contains("the status", &output(&["status"], 0)?, "UNHEALTHY: nothing is in force")
}
