//! What `/proc` says of an agent that watches, and of its helper.

use super::super::agent::{Agent, NOBODY, Place, SOON, TELLING, ask, at, contains, ends, readable, want};
use super::super::{Check, CheckError, Ctx};
use super::{kernel, text};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;

pub(super) const CHECKS: [Check; 6] = [
    Check { id: "lockdown.capabilities", run: capabilities },
    Check { id: "lockdown.no-sandbox", run: no_sandbox },
    Check { id: "lockdown.memory-is-its-own", run: memory },
    Check { id: "lockdown.descriptors", run: descriptors },
    Check { id: "lockdown.environment", run: environment },
    Check { id: "lockdown.directories-of-others", run: directories },
];

/// The sets of `/proc/PID/status`.
const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
const CAP_BPF: u64 = 1 << guest::CAP_BPF.number;

fn enforcing(id: &str, args: &[&str]) -> Result<(Place, Agent), CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    let agent = Agent::start(&place, &[&["--enforce"], args].concat())?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    Ok((place, agent))
}

fn read(path: &str) -> Result<String, CheckError> {
    fs::read_to_string(path).map_err(|source| CheckError::File { path: path.into(), source })
}

/// A number of a status file; sets are hexadecimal, the umask is octal.
fn number(status: &str, key: &'static str) -> Result<u64, CheckError> {
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let radix = match key {
        _ if key.starts_with("Cap") => 16,
        "Umask" => 8,
        _ => 10,
    };
    value.and_then(|value| u64::from_str_radix(value.trim(), radix).ok()).ok_or(CheckError::Differs {
        what: key,
        want: "a number".to_owned(),
        got: status.to_owned(),
    })
}

fn is(status: &str, key: &'static str, wanted: u64) -> Result<(), CheckError> {
    let got = number(status, key)?;
    if got == wanted {
        return Ok(());
    }
    Err(CheckError::Differs { what: key, want: format!("{wanted:x}"), got: format!("{got:x} in {status}") })
}

/// The status of every thread of a process.
fn threads(pid: &str) -> Result<Vec<String>, CheckError> {
    let dir = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&dir).map_err(|source| CheckError::File { path: dir.into(), source })?;
    entries.flatten().map(|entry| read(&format!("{}/status", entry.path().display()))).collect()
}

/// The processes that the agent started.
fn helpers(pid: &str) -> Result<Vec<String>, CheckError> {
    let children = read(&format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Nothing is left to any thread of either; `CAP_BPF` to the agent where the kernel asks for it to read a map.
fn capabilities(_: &Ctx) -> Result<(), CheckError> {
    let (_place, mut agent) = enforcing("capabilities", &["--proof-interval", "1s"])?;
    let pid = agent.process()?.pid().to_string();
    let disabled = read("/proc/sys/kernel/unprivileged_bpf_disabled")?.trim() != "0";
    let kept = if kernel() < (5, 19) && disabled { CAP_BPF } else { 0 };
    let of_agent = threads(&pid)?;
    want("several threads", of_agent.len() > 1, true)?;
    for status in &of_agent {
        for set in SETS {
            is(status, set, if matches!(set, "CapPrm" | "CapEff") { kept } else { 0 })?;
        }
        is(status, "Seccomp", 2)?;
    }
    let mut of_helpers = Vec::new();
    for helper in helpers(&pid)? {
        of_helpers.extend(threads(&helper)?);
    }
    want("a helper of one thread", of_helpers.len() == 1, true)?;
    for status in &of_helpers {
        SETS.into_iter().try_for_each(|set| is(status, set, 0))?;
    }
    for status in of_agent.iter().chain(&of_helpers) {
        is(status, "NoNewPrivs", 1)?;
        is(status, "Umask", 0o77)?;
    }
    // What is compared with nothing is there to be seen: this process has it.
    let own = read("/proc/self/status")?;
    want("capabilities of root", number(&own, "CapEff")? != 0 && number(&own, "CapBnd")? != 0, true)?;
    // All of its work goes on like that: reading counters, proving, writing its state.
    ends(&Cmd::sh("sleep 3"), 0)?;
    let health = ask(&["health", "--json"], 0)?;
    at(&health, "/status", &json!("healthy"))?;
    let said = &text(&health, "/sandbox");
    contains("sandbox", said, if kept == 0 { "no capabilities" } else { "CAP_BPF alone" })?;
    want("the bounding set as it was", said.contains("bounding set"), false)
}

/// Everything is kept, and every surface says so.
fn no_sandbox(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("open", &["--no-sandbox"])?;
    let health = ask(&["health", "--json"], 0)?;
    at(&health, "/status", &json!("degraded"))?;
    at(&health, "/enforcing", &json!(true))?;
    at(&health, "/sandbox", &json!("none (--no-sandbox)"))?;
    contains("reasons", &text(&health, "/reasons"), "--no-sandbox")?;
    ask(&["health", "--json", "--strict"], 1)?;
    let doctor = ends(&Cmd::new(AGENT).args(["doctor"]), 0)?;
    contains("doctor", &doctor.stdout, "none (--no-sandbox)")?;
    let pid = agent.process()?.pid().to_string();
    for status in threads(&pid)? {
        want("capabilities", number(&status, "CapEff")? != 0, true)?;
        is(&status, "Seccomp", 0)?;
    }
    drop(agent);
    let both = Agent::command(&place, &["--seccomp", "--no-sandbox"]);
    ends(&both, 64).map(drop)
}

/// Whose files below `/proc` belong to root, of a process that is not root, is not to be looked into: neither by its user
/// nor in a core file.
fn memory(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("memory")?;
    place.deny("")?;
    let own = format!("{}/own", place.dir);
    ends(&Cmd::sh(&format!("mkdir {own} && chown {NOBODY}:{NOBODY} {own}")), 0)?;
    let agent = Cmd::new("/init").args(["lacking", "as:24,38,39", AGENT]).args(TELLING);
    let places = ["--run-dir", &own, "--state-dir", &own, "--policy", &place.policy];
    let mut agent = agent.args(["--audit", "--tier", "tracepoint"]).args(places).spawn()?;
    agent.wait_for("\"type\":\"state_change\"", SOON)?;
    let mut other = Cmd::sh("echo ready; exec sleep 1000").uid(NOBODY).spawn()?;
    other.wait_for("ready", SOON)?;
    let environ = |pid: u32| format!("/proc/{pid}/environ");
    let owner = |pid: u32| fs::metadata(environ(pid)).map(|file| file.uid()).ok();
    let look = |pid: u32| Cmd::new("/bin/cat").args([environ(pid)]).uid(NOBODY).run();
    want("the other's memory is its user's", owner(other.pid()) == Some(NOBODY), true)?;
    want("the other's memory read", look(other.pid())?.code() == 0, true)?;
    want("the agent's memory is root's", owner(agent.pid()) == Some(0), true)?;
    want("the agent's memory read", look(agent.pid())?.code() == 0, false)?;
    let status = read(&format!("/proc/{}/status", agent.pid()))?;
    is(&status, "CapAmb", 0)?;
    is(&status, "Seccomp", 2)
}

/// What an open descriptor may be, by the beginning of what it leads to.
const KINDS: [&str; 8] = [
    "anon_inode:bpf",
    "anon_inode:btf",
    "anon_inode:[eventpoll]",
    "anon_inode:[eventfd]",
    "anon_inode:[timerfd]",
    "socket:",
    "pipe:",
    "/run/aegisbpf/lock",
];

/// A starter that leaves descriptors open, and standard input closed.
fn descriptors(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("descriptors")?;
    place.deny("")?;
    let run = format!(
        "exec {AGENT} {} --enforce --allow-unsigned-policy --policy {}",
        TELLING.join(" "),
        place.policy
    );
    let script = format!("exec 5</etc 7<>{} <&-; ls -l /proc/self/fd >&2; {run}", place.neighbour);
    let mut process = Cmd::sh(&script).spawn()?;
    process.wait_for("\"type\":\"state_change\"", SOON)?;
    contains("what it was given", &process.stderr(), &place.neighbour)?;
    let pid = process.pid().to_string();
    let _agent = Agent(Some(process));
    let mut of_agent = links(&pid)?;
    let standard: Vec<(u32, String)> = of_agent.extract_if(.., |(number, _)| *number < 3).collect();
    want("three standard ones", standard.len() == 3, true)?;
    want("a closed one open", standard.contains(&(0, "/dev/null".to_owned())), true)?;
    want("others", of_agent.is_empty(), false)?;
    let strange = |link: &(u32, String)| !KINDS.iter().any(|kind| link.1.starts_with(kind));
    let of_helpers: Vec<(u32, String)> =
        helpers(&pid)?.iter().map(|helper| links(helper)).collect::<Result<Vec<_>, _>>()?.concat();
    let canary = |link: &(u32, String)| !link.1.ends_with("/canary/file");
    let strange: Vec<(u32, String)> =
        of_agent.into_iter().chain(of_helpers.into_iter().filter(canary)).filter(strange).collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(CheckError::Differs {
        what: "descriptors",
        want: "known ones".to_owned(),
        got: format!("{strange:?}"),
    })
}

/// The descriptors of a process, and what they lead to.
fn links(pid: &str) -> Result<Vec<(u32, String)>, CheckError> {
    let dir = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&dir).map_err(|source| CheckError::File { path: dir.into(), source })?;
    let link = |entry: fs::DirEntry| {
        let leads = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        Some((entry.file_name().to_str()?.parse().ok()?, leads))
    };
    Ok(entries.flatten().filter_map(link).collect())
}

/// Nothing of a secret is left, also not in memory; what the service manager says is.
fn environment(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("environment")?;
    place.deny("")?;
    let command =
        Agent::command(&place, &["--enforce"]).env("TOKEN", "topsecret").env("WATCHDOG_USEC", "30000000");
    let mut process = command.spawn()?;
    process.wait_for("\"type\":\"state_change\"", SOON)?;
    let pid = process.pid().to_string();
    let _agent = Agent(Some(process));
    for one in [vec![pid.clone()], helpers(&pid)?].concat() {
        let text = read(&format!("/proc/{one}/environ"))?;
        want("the secret", text.contains("topsecret") || text.contains("TOKEN"), false)?;
        want("the path", text.contains("PATH="), false)?;
        contains("environment", &text, "WATCHDOG_USEC=30000000")?;
    }
    // What would be found, were it there.
    let mut control = Cmd::sh("echo ready; while :; do sleep 1; done").env("TOKEN", "topsecret").spawn()?;
    control.wait_for("ready", SOON)?;
    contains("of another process", &read(&format!("/proc/{}/environ", control.pid()))?, "TOKEN=topsecret")
}

/// Root that gives up its capabilities is nobody special to directories of others: it is told before anything begins.
fn directories(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("directories")?;
    place.deny("")?;
    for flag in ["--run-dir", "--state-dir", "--config-dir"] {
        let dir = format!("{}/{}", place.dir, flag.trim_start_matches("--"));
        ends(&Cmd::sh(&format!("mkdir -m 700 {dir} && chown {NOBODY}:{NOBODY} {dir}")), 0)?;
        let refused = ends(&Agent::command(&place, &["--enforce", flag, &dir]), 77)?;
        contains("message", &refused.stderr, &dir)?;
        contains("message", &refused.stderr, "CAP_DAC_OVERRIDE")?;
        want("secret readable", readable(&place.secret, 0)?, true)?;
        ends(&Cmd::sh(&format!("chown 0:0 {dir}")), 0)?;
        let agent = Agent::start(&place, &["--enforce", flag, &dir])?;
        want("secret readable", readable(&place.secret, 0)?, false)?;
        drop(agent);
    }
    // Whoever asks for the status is to be answered, whatever the umask of the agent.
    let _agent = Agent::start(&place, &["--enforce"])?;
    let status = ends(&Cmd::new(AGENT).args(["status", "--json"]).uid(NOBODY), 0)?;
    at(&super::super::agent::json(&status.stdout)?, "/agent/running", &Value::from(true))
}
