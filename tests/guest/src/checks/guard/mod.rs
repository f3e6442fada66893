//! The self-guard: what others, as root, may not do to the agent while it is armed, and may while it is not; and the ways
//! out.

mod attempts;

use self::attempts::{Attempt, BINARY, BPF, MOUNTS, NAMES, PINS, SIGNALS, TRACE, Target, UNMOUNTS, harmless};
use super::agent::{Agent, Place, SOON, TELLING, ask, at, contains, ends, nothing_pinned, readable, want};
use super::{Check, CheckError};
use crate::bpf;
use crate::run::Cmd;
use guest::AGENT;
use nix::libc::{EOPNOTSUPP, EPERM, ETXTBSY};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 13] = [
    Check { id: "guard.bpf", run: |_| refused("guard-bpf", &[&BPF]) },
    Check { id: "guard.pins", run: |_| refused("guard-pins", &[&NAMES]) },
    Check { id: "guard.mounts", run: |_| mounts() },
    Check { id: "guard.trace", run: |_| refused("guard-trace", &[&TRACE]) },
    Check { id: "guard.signal", run: |_| refused("guard-signal", &[&SIGNALS]) },
    Check { id: "guard.binary", run: |_| binary() },
    Check { id: "guard.links-end-nothing", run: |_| links() },
    Check { id: "guard.harmless-passes", run: |_| passes() },
    Check { id: "guard.own-commands", run: |_| commands() },
    Check { id: "guard.outlives-the-agent", run: |_| outlives() },
    Check { id: "guard.other-binary", run: |_| other_binary() },
    Check { id: "guard.next-binary", run: |_| next_binary() },
    Check { id: "guard.hook-missing", run: |_| hook_missing() },
];

/// An agent that cannot be killed by whoever checks: its own binary lets go of it first.
struct Guarded {
    agent: Agent,
    binary: String,
}

impl Guarded {
    fn start(place: &Place) -> Result<Self, CheckError> {
        Ok(Self { agent: Agent::start(place, &["--enforce", "--guard"])?, binary: AGENT.into() })
    }

    fn target(&mut self) -> Result<Target, CheckError> {
        target(&mut self.agent)
    }

    /// No process sends this signal, so nobody is asked about it: the kernel does, for too much time on a processor.
    fn kill(&mut self, place: &Place) -> Result<(), CheckError> {
        let process = self.agent.process()?;
        let proc = format!("/proc/{}/stat", process.pid());
        let limit = Rlimit { current: Some(1), maximum: Some(1) };
        let set = prlimit(Pid::from_raw(process.pid().cast_signed()), Resource::Cpu, limit);
        set.map_err(|errno| CheckError::File { path: proc.clone().into(), source: errno.into() })?;
        let end = Instant::now() + SOON;
        // Something to do for it.
        while fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z")) && Instant::now() < end {
            readable(&place.secret, 0)?;
        }
        let alive = fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z"));
        want("agent alive", alive, false)?;
        nobody_executes_it()
    }
}

/// The helper goes with the agent, an instant later; until then the kernel lets nobody write to the binary.
fn nobody_executes_it() -> Result<(), CheckError> {
    let end = Instant::now() + SOON;
    let busy =
        || File::options().write(true).open(AGENT).is_err_and(|error| error.raw_os_error() == Some(ETXTBSY));
    while busy() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    want("the binary is executed", busy(), false)
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = Cmd::new(&self.binary).args(["detach"]).run();
    }
}

fn target(agent: &mut Agent) -> Result<Target, CheckError> {
    let pid = agent.process()?.pid();
    let helper = child_of(pid).ok_or_else(|| differs("helper", "a process", "none"))?;
    let pins = fs::read_dir(PINS).and_then(|mut found| found.next().transpose());
    let pins = pins.map_err(|source| CheckError::File { path: PINS.into(), source })?;
    let pins = pins.ok_or_else(|| differs("pins", "some", "none"))?.path().display().to_string();
    Ok(Target { pid, helper, pins })
}

fn child_of(parent: u32) -> Option<u32> {
    let mut processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // PID (NAME) STATE PARENT …
        Some((pid, stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse::<u32>().ok()?))
    });
    processes.find(|(_, of)| *of == parent).map(|(pid, _)| pid)
}

fn differs(what: &'static str, want: &str, got: &str) -> CheckError {
    CheckError::Differs { what, want: want.to_owned(), got: got.to_owned() }
}

fn place(id: &str) -> Result<Place, CheckError> {
    ends(&Cmd::sh(&format!("rm -rf /tmp/{id}")), 0)?;
    let place = Place::new(id)?;
    place.deny("")?;
    Ok(place)
}

fn all(agent: &mut Agent, target: &Target, attempts: &[&[Attempt]]) -> Result<(), CheckError> {
    for attempt in attempts.iter().copied().flatten() {
        denied(attempt, target)?;
        agent.event("deny", &["\"operation\":\"guard\"", &format!("\"hook\":\"{}\"", attempt.hook)])?;
    }
    Ok(())
}

fn denied(attempt: &Attempt, target: &Target) -> Result<(), CheckError> {
    match (attempt.run)(target) {
        Err(error) if error.raw_os_error() == Some(EPERM) => Ok(()),
        other => Err(differs("attempt", &format!("{}: EPERM", attempt.name), &format!("{other:?}"))),
    }
}

fn allowed(attempts: &[&[Attempt]], target: &Target) -> Result<(), CheckError> {
    for attempt in attempts.iter().copied().flatten() {
        if let Err(error) = (attempt.run)(target)
            && error.raw_os_error() == Some(EPERM)
        {
            return Err(differs("attempt", &format!("{}: not refused", attempt.name), "EPERM"));
        }
    }
    Ok(())
}

/// Refused and told while armed; neither while not.
fn refused(id: &str, attempts: &[&[Attempt]]) -> Result<(), CheckError> {
    let place = place(id)?;
    let mut guarded = Guarded::start(&place)?;
    let target = guarded.target()?;
    all(&mut guarded.agent, &target, attempts)?;
    at(&ask(&["status", "--json"], 0)?, "/guard/armed", &json!(true))?;
    drop(guarded);
    nothing_pinned()?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    at(&ask(&["status", "--json"], 0)?, "/guard/armed", &json!(false))?;
    let target = self::target(&mut agent)?;
    allowed(attempts, &target)
}

fn mounts() -> Result<(), CheckError> {
    refused("guard-mounts", &[&MOUNTS])?;
    let place = place("guard-mounts")?;
    let mut guarded = Guarded::start(&place)?;
    let target = guarded.target()?;
    all(&mut guarded.agent, &target, &[&UNMOUNTS])?;
    drop(guarded);
    nothing_pinned()?;
    for attempt in UNMOUNTS {
        if let Err(error) = (attempt.run)(&target) {
            return Err(differs("attempt", &format!("{}: done", attempt.name), &error.to_string()));
        }
    }
    Ok(())
}

/// Nobody executes it then, so that the kernel itself would let it be written to.
fn binary() -> Result<(), CheckError> {
    let place = place("guard-binary")?;
    let mut guarded = Guarded::start(&place)?;
    let target = guarded.target()?;
    guarded.kill(&place)?;
    for attempt in &BINARY {
        denied(attempt, &target)?;
    }
    // The next agent tells.
    let mut next = Guarded::start(&place)?;
    for attempt in &BINARY {
        let hook = format!("\"hook\":\"{}\"", attempt.hook);
        next.agent.event("deny", &["\"operation\":\"guard\"", &hook, AGENT])?;
    }
    drop(next);
    nobody_executes_it()?;
    for attempt in &BINARY {
        if let Err(error) = (attempt.run)(&target) {
            return Err(differs("attempt", &format!("{}: done", attempt.name), &error.to_string()));
        }
    }
    Ok(())
}

/// A link can be had by its pin, and nothing can be done with it.
fn links() -> Result<(), CheckError> {
    let place = place("guard-links")?;
    let mut guarded = Guarded::start(&place)?;
    let pin = format!("{}/links/file_open", guarded.target()?.pins);
    let link = bpf::open(&pin).map_err(|source| CheckError::File { path: pin.into(), source })?;
    match bpf::detach(&link) {
        Err(error) if error.raw_os_error() == Some(EOPNOTSUPP) => {}
        other => return Err(differs("BPF_LINK_DETACH", "EOPNOTSUPP", &format!("{other:?}"))),
    }
    drop(link);
    want("secret readable", readable(&place.secret, 0)?, false)
}

fn passes() -> Result<(), CheckError> {
    let place = place("guard-harmless")?;
    let mut guarded = Guarded::start(&place)?;
    let target = guarded.target()?;
    harmless(&target).map_err(|source| CheckError::File { path: "what is harmless".into(), source })?;
    let told = guarded.agent.process()?.stdout();
    want("event of the guard", told.contains("\"operation\":\"guard\""), false)
}

/// Every command of the same binary works as before, and so does who may only look.
fn commands() -> Result<(), CheckError> {
    let place = place("guard-commands")?;
    let guarded = Guarded::start(&place)?;
    let status = ask(&["health", "--json"], 0)?;
    at(&status, "/status", &json!("healthy"))?;
    at(&status, "/attach_state", &json!("full"))?;
    let hooks = status.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let proven = |name: &str| {
        hooks.iter().any(|hook| {
            hook.get("name") == Some(&json!(name)) && hook.get("proven_at").is_some_and(Value::is_string)
        })
    };
    for name in HOOKS {
        want(name, proven(name), true)?;
    }
    at(&ask(&["guard", "status", "--json"], 0)?, "/armed", &json!(true))?;
    let looked = ends(&Cmd::new(AGENT).args(["status", "--json"]).uid(super::agent::NOBODY), 0)?;
    contains("status for anybody", &looked.stdout, "\"armed\": true")?;
    place.write(&format!("version=1\n[deny_path]\n{}\n", place.neighbour))?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy, "--allow-unsigned-policy"]), 0)?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    want("neighbour readable", readable(&place.neighbour, 0)?, false)?;
    // The rules of the new policy are kept as well.
    let by_id = BPF.into_iter().find(|attempt| attempt.name == "open maps by id");
    let target = Target { pid: 1, helper: 1, pins: PINS.into() };
    by_id.map_or(Ok(()), |attempt| denied(&attempt, &target))?;
    ends(&Cmd::new(AGENT).args(["policy", "rollback"]), 0)?;
    ends(&Cmd::new(AGENT).args(["break-glass", "on", "--reason", "a drill"]), 0)?;
    want("secret readable with break-glass", readable(&place.secret, 0)?, true)?;
    // Break-glass is about the policy.
    by_id.map_or(Ok(()), |attempt| denied(&attempt, &target))?;
    ends(&Cmd::new(AGENT).args(["break-glass", "off", "--reason", "a drill"]), 0)?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    ends(&Cmd::new(AGENT).args(["audit", "verify"]), 0)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    nothing_pinned()?;
    drop(guarded);
    Ok(())
}

/// The self-guard's own hooks.
const HOOKS: [&str; 9] = [
    "bpf_map",
    "bpf_prog",
    "sb_mount",
    "move_mount",
    "sb_umount",
    "ptrace_access_check",
    "task_kill",
    "task_prctl",
    "guard_open",
];

fn outlives() -> Result<(), CheckError> {
    let place = place("guard-outlives")?;
    let mut guarded = Guarded::start(&place)?;
    let target = guarded.target()?;
    guarded.kill(&place)?;
    for attempt in BPF.iter().chain(&NAMES).chain(&UNMOUNTS) {
        denied(attempt, &target)?;
    }
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/guard/armed", &json!(true))?;
    at(&status, "/enforcing", &json!(true))?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    // The same binary takes over.
    let mut next = Guarded::start(&place)?;
    at(&ask(&["health", "--json"], 0)?, "/status", &json!("healthy"))?;
    let target = next.target()?;
    all(&mut next.agent, &target, &[&BPF, &SIGNALS])
}

const OTHER: &str = "/tmp/guard-other/aegisbpf";

fn copy() -> Result<(), CheckError> {
    ends(&Cmd::sh(&format!("rm -rf /tmp/guard-other; mkdir /tmp/guard-other; cp {AGENT} {OTHER}")), 0)
        .map(drop)
}

/// A copy is another program: it is refused, and says what to do.
fn other_binary() -> Result<(), CheckError> {
    let place = place("guard-copy")?;
    copy()?;
    let mut guarded = Guarded::start(&place)?;
    guarded.kill(&place)?;
    let run = ["run", "--enforce", "--allow-unsigned-policy", "--policy", &place.policy];
    let apply = ["policy", "apply", &place.policy, "--allow-unsigned-policy"];
    for args in [&run[..], &apply, &["detach"], &["reset", "--yes"]] {
        let outcome = ends(&Cmd::new(OTHER).args(args), 76)?;
        contains("what it says", &outcome.stderr, "the self-guard")?;
        contains("what it says", &outcome.stderr, "aegisbpf.off")?;
    }
    want("secret readable", readable(&place.secret, 0)?, false)?;
    ends(&Cmd::new(AGENT).args(["audit", "verify"]), 0)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    nothing_pinned()?;
    want("secret readable", readable(&place.secret, 0)?, true)
}

/// What the enrolled binary lets in takes over, and the one before is a stranger then.
fn next_binary() -> Result<(), CheckError> {
    let place = place("guard-next")?;
    copy()?;
    ends(&Cmd::new(AGENT).args(["guard", "admit", OTHER]), 69)?;
    let mut guarded = Guarded::start(&place)?;
    ends(&Cmd::new(OTHER).args(["guard", "admit", OTHER]), 76)?;
    let let_in = ask(&["guard", "admit", OTHER, "--json"], 0)?;
    let enrolled = let_in.pointer("/enrolled").and_then(Value::as_array).map(Vec::len);
    want("two are enrolled", enrolled == Some(2), true)?;
    contains("the log", &ends(&Cmd::new(AGENT).args(["audit", "show"]), 0)?.stdout, OTHER)?;
    guarded.kill(&place)?;
    let fixed = ["--enforce", "--guard", "--allow-unsigned-policy", "--policy", &place.policy];
    let mut next = Cmd::new(OTHER).args(TELLING).args(fixed).spawn()?;
    next.wait_for("\"type\":\"state_change\"", SOON)?;
    let next = Guarded { agent: Agent(Some(next)), binary: OTHER.into() };
    ends(&Cmd::new(AGENT).args(["detach"]), 76)?;
    want("pins", Path::new(PINS).exists(), true)?;
    let status = ends(&Cmd::new(OTHER).args(["health", "--json"]), 0)?;
    contains("health", &status.stdout, "\"status\": \"healthy\"")?;
    drop(next);
    std::thread::sleep(Duration::from_millis(10));
    nothing_pinned()
}

/// What a hook of the guard carries is said to be uncovered where it is not attached, and the rest is at work.
fn hook_missing() -> Result<(), CheckError> {
    let place = place("guard-missing")?;
    let fixed = ["--enforce", "--guard", "--allow-unsigned-policy", "--policy", &place.policy];
    let refuse = ["inject", "attach", "task_kill,task_kill_again", "16", AGENT];
    let command = Cmd::new("/proc/self/exe").args(refuse).args(TELLING).args(fixed);
    let mut agent = command.clone().args(["--strict"]).spawn()?;
    want("exit code", agent.wait_for("task_kill", SOON).is_ok() && agent.wait(SOON)?.code() == 69, true)?;
    nothing_pinned()?;
    let mut agent = command.spawn()?;
    agent.wait_for("\"type\":\"state_change\"", SOON)?;
    let mut guarded = Guarded { agent: Agent(Some(agent)), binary: AGENT.into() };
    let health = ask(&["health", "--json"], 0)?;
    at(&health, "/status", &json!("degraded"))?;
    at(&health, "/attach_state", &json!("partial"))?;
    at(&health, "/uncovered", &json!(["guard.signal"]))?;
    let target = guarded.target()?;
    allowed(&[&SIGNALS], &target)?;
    all(&mut guarded.agent, &target, &[&BPF])
}
