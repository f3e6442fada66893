//! What holds under a mandatory access control, whichever it is: a whole life of the agent without one denial, and each
//! thing that a taken-over agent would try refused and in the kernel's log.

use super::agent::{Agent, SOON, TELLING, at, contains, ends, json, nothing_pinned, readable, want};
use super::{Check, CheckError};
use crate::hostile::REFUSED;
use crate::kmsg::Kmsg;
use crate::run::Cmd;
use guest::AGENT;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::path::Path;

/// One kind of mandatory access control.
pub(super) struct Control {
    /// Puts it in force; done already is done.
    pub(super) load: fn() -> Result<(), CheckError>,
    /// A command that an operator gives, who is not bound but where the program itself is.
    pub(super) operator: fn(Cmd) -> Cmd,
    /// `guest hostile` with these arguments, bound as the agent is.
    pub(super) hostile: fn(&[&str]) -> Cmd,
    /// What a line of the kernel's log contains that tells of a denial to the agent.
    pub(super) denial: &'static [&'static str],
    /// Where the kernel tells the label of a process, below `/proc/PID/`.
    pub(super) attribute: &'static str,
    /// That label, for each process of the agent.
    pub(super) label: &'static str,
}

/// Ids of one check for each thing that is tried.
pub(super) fn named(prefix: &str, names: impl Iterator<Item = &'static str>) -> Vec<String> {
    names.map(|name| format!("{prefix}{name}")).collect()
}

pub(super) fn failed(path: &str) -> impl Fn(std::io::Error) -> CheckError {
    move |source| CheckError::File { path: path.into(), source }
}

fn log() -> Result<Kmsg, CheckError> {
    Kmsg::from_now().map_err(failed("/dev/kmsg"))
}

/// Files that are tried for, where a host has them.
fn bait() -> Result<(), CheckError> {
    let script = "mkdir -p /root/.ssh /etc/aegisbpf /mnt /var/lib && echo 'root:*:1:::::' >/etc/shadow && \
        echo key >/root/.ssh/id_ed25519 && [ -e /etc/aegisbpf/policy.conf ] || echo version=1 >/etc/aegisbpf/policy.conf";
    ends(&Cmd::sh(script), 0).map(drop)
}

/// Unbound it can be done, bound it is refused, and the kernel says that it was.
pub(super) fn refuses(control: &Control, id: &str) -> Result<(), CheckError> {
    (control.load)()?;
    bait()?;
    let victim = Cmd::new("/bin/sleep").args(["1000"]).spawn()?;
    let pid = victim.pid().to_string();
    ends(&Cmd::new("/init").args(["hostile", "-", id, &pid]), 0)?;
    let mut log = log()?;
    ends(&(control.hostile)(&[id, &pid]), i32::from(REFUSED))?;
    match log.wait_for(control.denial).map_err(failed("/dev/kmsg"))? {
        Some(_) => Ok(()),
        None => Err(CheckError::Differs {
            what: "the kernel's log",
            want: control.denial.join(" "),
            got: log.lines_with(&[]).map_err(failed("/dev/kmsg"))?.join("\n"),
        }),
    }
}

/// The files of a signed policy, where the agent looks for them without being told.
const FILES: [(&str, &str); 5] = [
    ("policy.conf", include_str!("../../data/signed/a.conf")),
    ("policy.conf.sig", include_str!("../../data/signed/a.conf.sig")),
    ("next.conf", include_str!("../../data/signed/b.conf")),
    ("next.conf.sig", include_str!("../../data/signed/b.conf.sig")),
    ("keys/allowed_signers", include_str!("../../data/signed/allowed_signers")),
];

/// What that policy denies, and what the next one denies as well.
const SECRET: &str = "/tmp/signed/secret";
const NEIGHBOUR: &str = "/tmp/signed/neighbour";

/// The commands that an operator has for a running agent and that end with 0.
const COMMANDS: [&[&str]; 16] = [
    &["status"],
    &["health", "--require", "enforce"],
    &["metrics"],
    &["stats"],
    &["policy", "show"],
    &["policy", "history"],
    &["policy", "export"],
    &["policy", "lint", "/etc/aegisbpf/policy.conf"],
    &["policy", "verify", "/etc/aegisbpf/policy.conf"],
    &["keys", "list"],
    &["keys", "check"],
    &["audit", "verify"],
    &["audit", "show"],
    &["contract"],
    &["probe"],
    &["doctor", "--require", "enforce"],
];

/// From the first start to `detach`, and not one denial to the agent in the kernel's log. That a denial would be seen there
/// is shown at the end, by the same log.
pub(super) fn life(control: &Control) -> Result<(), CheckError> {
    (control.load)()?;
    bait()?;
    let mut log = log()?;
    let lived = lived(control);
    let denials = log.lines_with(control.denial).map_err(failed("/dev/kmsg"))?;
    if !denials.is_empty() {
        // They are the reason why it did not live, where it did not.
        let got =
            format!("{}\n{}", denials.join("\n"), lived.map_or_else(|e| e.to_string(), |()| String::new()));
        return Err(CheckError::Differs { what: "denials", want: "none".into(), got });
    }
    lived?;
    ends(&(control.hostile)(&["read-shadow", "1"]), i32::from(REFUSED))?;
    let seen = log.wait_for(control.denial).map_err(failed("/dev/kmsg"))?;
    want("a denial that is seen", seen.is_some(), true)
}

fn lived(control: &Control) -> Result<(), CheckError> {
    let operator = |args: &[&str]| (control.operator)(Cmd::new(AGENT).args(args));
    let run = |mode: &str| Cmd::new(AGENT).args(TELLING).args([mode, "--proof-interval", "1s"]);
    let began = |mode: &str| -> Result<Agent, CheckError> {
        let mut process = run(mode).spawn()?;
        process.wait_for("\"type\":\"state_change\"", SOON)?;
        Ok(Agent(Some(process)))
    };
    ends(
        &Cmd::sh(
            "mkdir -p -m 755 /etc/aegisbpf/keys /tmp/signed && echo s >/tmp/signed/secret && echo n >/tmp/signed/neighbour && chmod 755 /tmp/signed && chmod 644 /tmp/signed/*",
        ),
        0,
    )?;
    for (name, text) in FILES {
        let path = format!("/etc/aegisbpf/{name}");
        fs::write(&path, text).map_err(failed(&path))?;
    }
    let mut agent = began("--enforce")?;
    labels(control)?;
    let holds = |secret: bool, neighbour: bool| {
        want("the secret", readable(SECRET, 0)?, !secret)?;
        want("its neighbour", readable(NEIGHBOUR, 0)?, !neighbour)
    };
    holds(true, false)?;
    agent.event("deny", &[SECRET])?;
    for args in COMMANDS {
        ends(&operator(args), 0)?;
        // As a unit or a script of the system would give it.
        ends(&Cmd::new(AGENT).args(args), 0)?;
    }
    ends(&operator(&["policy", "apply", "/etc/aegisbpf/next.conf"]), 0)?;
    holds(true, true)?;
    ends(&operator(&["policy", "rollback"]), 0)?;
    holds(true, false)?;
    ends(&operator(&["break-glass", "on", "--reason", "drill"]), 0)?;
    holds(false, false)?;
    agent.event("state_change", &["break-glass is on"])?;
    ends(&operator(&["break-glass", "off", "--reason", "drill"]), 0)?;
    holds(true, false)?;
    ends(&Cmd::sh("sleep 3"), 0)?;
    let health = json(&ends(&operator(&["health", "--json"]), 0)?.stdout)?;
    at(&health, "/status", &json!("healthy"))?;
    at(&health, "/enforcing", &json!(true))?;
    at(&health, "/attach_state", &json!("full"))?;
    // Stopped and begun anew: what is pinned is taken over.
    agent.process()?.signal(Signal::TERM)?;
    let ended = agent.0.take().map(|process| process.wait(SOON)).transpose()?;
    want("stopped with 0", ended.is_some_and(|outcome| outcome.code() == 0), true)?;
    holds(true, false)?;
    let mut agent = began("--enforce")?;
    holds(true, false)?;
    // Dies without a word, and what it pinned is left.
    drop(agent.0.take());
    holds(true, false)?;
    ends(&operator(&["detach"]), 0)?;
    nothing_pinned()?;
    holds(false, false)?;
    audited(began("--audit")?)
}

/// Audit mode, whose canaries are handled all the same, and an end without an operator.
fn audited(mut agent: Agent) -> Result<(), CheckError> {
    want("the secret", readable(SECRET, 0)?, true)?;
    agent.event("would_deny", &[SECRET])?;
    drop(agent.0.take());
    ends(&Cmd::new(AGENT).args(["detach"]), 0).map(drop)
}

/// What an operator may have done without the bounds of the agent: the same words, begun unbound.
pub(super) fn unbound(control: &Control, unbound: &[&'static str]) -> Result<(), CheckError> {
    (control.load)()?;
    let demo = ends(&Cmd::new(AGENT).args(["demo"]).behind(unbound.iter().copied()), 0)?;
    contains("the demo", &demo.stdout, "ENFORCING")?;
    nothing_pinned()
}

/// Agent and helper alike carry the label.
fn labels(control: &Control) -> Result<(), CheckError> {
    let mut found = 0;
    let pids = ends(&Cmd::sh("pidof aegisbpf"), 0)?.stdout;
    for pid in pids.split_ascii_whitespace() {
        let path = format!("/proc/{pid}/{}", control.attribute);
        let label = fs::read_to_string(Path::new(&path)).map_err(failed(&path))?;
        contains("the label", &label, control.label)?;
        found += 1;
    }
    want("agent and helper", found == 2, true)
}

/// Checks of these ids that all do the same.
pub(super) fn checks(ids: &'static [String], run: fn(&super::Ctx) -> Result<(), CheckError>) -> Vec<Check> {
    ids.iter().map(|id| Check { id, run }).collect()
}
