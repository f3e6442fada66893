//! How events leave a running agent: in each format, to a file that is moved away, to a journal, and past a sink that takes
//! nothing.

use super::agent::{Agent, Place, SOON, TELLING, ask, at, contains, ends, json, want};
use super::load::opens;
use super::{Check, CheckError};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 8] = [
    Check { id: "events.native", run: |_| native() },
    Check { id: "events.ocsf-and-ecs", run: |_| others() },
    Check { id: "events.file-moved-under-load", run: |_| moved() },
    Check { id: "events.file-of-a-group", run: |_| of_a_group() },
    Check { id: "events.file-that-is-none", run: |_| no_file() },
    Check { id: "events.full-disk", run: |_| full_disk() },
    Check { id: "events.journal", run: |_| journal() },
    Check { id: "events.stuck-sink-delays-no-other", run: |_| stuck() },
];

fn file(path: impl Into<String>) -> Result<String, CheckError> {
    let path = path.into();
    fs::read_to_string(&path).map_err(|source| CheckError::File { path: path.into(), source })
}

/// Stops the agent as an operator would.
fn stop(agent: &mut Agent) -> Result<String, CheckError> {
    agent.process()?.signal(Signal::TERM)?;
    let Some(process) = agent.0.take() else { return Ok(String::new()) };
    let outcome = process.wait(SOON)?;
    want("it stops as it should", outcome.code() == 0, true)?;
    Ok(outcome.stdout)
}

/// What `event validate` says of these lines.
fn validate(lines: &str, code: i32) -> Result<Value, CheckError> {
    json(&ends(&Cmd::new(AGENT).args(["event", "validate", "--json", "-"]).stdin(lines), code)?.stdout)
}

/// A run with each type of event but a loss: denials, another policy, break-glass, a stop.
fn native() -> Result<(), CheckError> {
    let place = Place::new("events")?;
    place.deny("")?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    want("the secret", opens(&place.secret) == Some(false), true)?;
    agent.event("deny", &[&place.secret])?;
    place.deny(&format!("{}\n", place.neighbour))?;
    ask(&["policy", "apply", &place.policy, "--allow-unsigned-policy", "--json"], 0)?;
    agent.event("policy_change", &[])?;
    ask(&["break-glass", "on", "--reason", "a check", "--json"], 0)?;
    want("the secret, with break-glass", opens(&place.secret) == Some(true), true)?;
    agent.event("would_deny", &[&place.secret])?;
    ask(&["break-glass", "off", "--reason", "a check", "--json"], 0)?;
    let lines = stop(&mut agent)?;
    let report = validate(&lines, 0)?;
    for kind in ["deny", "would_deny", "state_change", "policy_change", "proof"] {
        let count = report.pointer(&format!("/types/{kind}")).and_then(Value::as_u64);
        want(kind, count > Some(0), true)?;
    }
    // It can fail.
    at(&validate(&lines.replace("\"errno\":1", "\"errno\":0"), 65)?, "/valid", &json!(false))?;
    // What is pinned goes with it.
    drop(agent);
    let trace = Agent::command(&place, &["--tier", "tracepoint"]).spawn()?;
    let mut trace = Agent(Some(trace));
    trace.process()?.wait_for("\"type\":\"state_change\"", SOON)?;
    want("the secret, observed", opens(&place.secret) == Some(true), true)?;
    trace.event("would_deny", &[&place.secret])?;
    at(&validate(&stop(&mut trace)?, 0)?, "/valid", &json!(true))
}

fn others() -> Result<(), CheckError> {
    let place = Place::new("formats")?;
    place.deny("")?;
    for (format, kept, denied, passed) in [
        ("ocsf", "/unmapped", ["/action_id", "2"], ["/action_id", "3"]),
        ("ecs", "/aegisbpf", ["/event/outcome", "\"failure\""], ["/event/outcome", "\"success\""]),
    ] {
        for (mode, kind, [pointer, wanted]) in
            [("--enforce", "deny", denied), ("--audit", "would_deny", passed)]
        {
            let mut agent = Agent::start(&place, &[mode, "--event-format", format])?;
            want("the secret", opens(&place.secret) == Some(mode == "--audit"), true)?;
            let event = agent.event(kind, &[&place.secret])?;
            at(&event, pointer, &json(wanted)?)?;
            let lines = stop(&mut agent)?;
            let native = lines.lines().map(|line| Ok(json(line)?.pointer(kept).cloned().unwrap_or_default()));
            let native: Vec<Value> = native.collect::<Result<_, CheckError>>()?;
            let text: Vec<String> = native.iter().map(Value::to_string).collect();
            at(&validate(&text.join("\n"), 0)?, "/events", &json!(native.len()))?;
        }
    }
    ends(&Cmd::new(AGENT).args(["run", "--event-format", "ocsf"]), 64).map(drop)
}

/// `run` that writes its events to a file below the place.
fn to_file(place: &Place, args: &[&str]) -> Result<(Agent, String), CheckError> {
    let log = format!("{}/log", place.dir);
    ends(&Cmd::sh(&format!("mkdir -p -m 755 {log}")), 0)?;
    let path = format!("{log}/events.json");
    let agent = Agent::command(place, &["--enforce", "--log-file", &path]).args(args).spawn()?;
    let agent = Agent(Some(agent));
    let end = Instant::now() + SOON;
    while !fs::read_to_string(&path).is_ok_and(|text| text.contains("\"state_change\"")) {
        want("the agent watching in time", Instant::now() < end, true)?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok((agent, path))
}

/// While somebody is denied all the time, the file is moved away again and again: each event is in one of the files, once,
/// and whole.
fn moved() -> Result<(), CheckError> {
    const FILES: u32 = 20;
    let place = Place::new("moved")?;
    place.deny("")?;
    let (mut agent, path) = to_file(&place, &[])?;
    let pid = agent.process()?.pid();
    let (over, denied) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                denied.fetch_add(u64::from(opens(&place.secret) == Some(false)), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        });
        let turns: Result<(), CheckError> = (1..=FILES).try_for_each(|number| {
            ends(&Cmd::sh(&format!("mv {path} {path}.{number} && kill -USR1 {pid}")), 0)?;
            let end = Instant::now() + SOON;
            while !fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
                want("a new file in time", Instant::now() < end, true)?;
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(Duration::from_millis(50));
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        turns
    })?;
    stop(&mut agent)?;
    let mut text = String::new();
    for number in 1..=FILES {
        text += &file(format!("{path}.{number}"))?;
    }
    text += &file(path)?;
    let events = text.lines().map(json).collect::<Result<Vec<Value>, _>>()?;
    let number = |event: &Value, key: &str| event.get(key).and_then(Value::as_u64).unwrap_or(0);
    let mut last = 0;
    for event in &events {
        want("each event once, in order", number(event, "seq") == last + 1, true)?;
        last += 1;
    }
    let told: u64 = events
        .iter()
        .filter(|event| event.get("type") == Some(&json!("deny")))
        .map(|event| number(event, "count"))
        .sum();
    let denied = denied.into_inner();
    report::send(&Line::Note(format!("{denied} denials, {told} told, {last} events in {} files", FILES + 1)));
    want("some", denied > 500, true)?;
    want("each denial told", told == denied, true)
}

/// Mode and group are as they were asked for, also of a file that is begun without any capability; a directory that hands
/// on its group does without the call.
fn of_a_group() -> Result<(), CheckError> {
    let group = "grep -q ^watchers: /etc/group 2>/dev/null || echo watchers:x:4321: >>/etc/group";
    ends(&Cmd::sh(group), 0)?;
    for handed_on in [false, true] {
        let place = Place::new("group")?;
        place.deny("")?;
        let log = format!(
            "mkdir {0}/log; chgrp 4321 {0}/log; chmod {1} {0}/log",
            place.dir,
            if handed_on { "2755" } else { "755" }
        );
        ends(&Cmd::sh(&log), 0)?;
        let (mut agent, path) =
            to_file(&place, &["--log-file-mode", "0660", "--log-file-group", "watchers"])?;
        let pid = agent.process()?.pid();
        for turn in 1..=2 {
            let there = fs::metadata(&path)
                .map_err(|source| CheckError::File { path: path.clone().into(), source })?;
            want("its group", there.gid() == 4321, true)?;
            want("its mode", there.mode() & 0o7777 == 0o660, true)?;
            if turn == 1 {
                ends(&Cmd::sh(&format!("mv {path} {path}.1 && kill -USR1 {pid}")), 0)?;
                let end = Instant::now() + SOON;
                // Its mode comes last.
                while !fs::metadata(&path).is_ok_and(|file| file.mode() & 0o7777 == 0o660) {
                    want("a new file in time", Instant::now() < end, true)?;
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        stop(&mut agent)?;
        drop(agent);
        ends(&Cmd::sh(&format!("rm -rf {}", place.dir)), 0)?;
    }
    Ok(())
}

fn no_file() -> Result<(), CheckError> {
    let place = Place::new("nofile")?;
    place.deny("")?;
    let path = format!("{}/events", place.dir);
    let refused = |what: &'static str, args: &[&str], code: i32, why: &str| {
        let outcome = ends(&Agent::command(&place, &["--log-file", &path]).args(args), code)?;
        contains(what, &outcome.stderr, why)
    };
    ends(&Cmd::sh(&format!("ln -s {} {path}", place.secret)), 0)?;
    refused("a link", &[], 74, "(os error 40)")?;
    want("what it leads to", file(place.secret.clone())? == "secret\n", true)?;
    ends(&Cmd::sh(&format!("rm {path}; mkfifo {path}")), 0)?;
    refused("a pipe", &[], 74, "hint:")?;
    ends(&Cmd::sh(&format!("rm {path}; mknod {path} c 1 3")), 0)?;
    refused("a device", &[], 74, "not a regular file")?;
    ends(&Cmd::sh(&format!("rm {path}")), 0)?;
    refused("a group", &["--log-file-group", "nobodys"], 64, "there is no group nobodys")?;
    refused("a mode", &["--log-file-mode", "0666"], 64, "0664")?;
    refused("no room for it", &["--log-to", "journal"], 64, "--log-to both")
}

/// A disk without room: the agent goes on, denies, says so, counts, and writes again once there is room.
fn full_disk() -> Result<(), CheckError> {
    let place = Place::new("fulldisk")?;
    place.deny("")?;
    let mount = format!("mkdir {0}/log && mount -t tmpfs -o size=64k,mode=755 tmpfs {0}/log", place.dir);
    ends(&Cmd::sh(&mount), 0)?;
    let (mut agent, path) = to_file(&place, &[])?;
    want("every one denied", (0..500).all(|_| opens(&place.secret) == Some(false)), true)?;
    let reason = |part: &str, wanted: bool| {
        let end = Instant::now() + SOON;
        loop {
            let status = json(&Cmd::new(AGENT).args(["status", "--json"]).run()?.stdout)?;
            if status.to_string().contains(part) == wanted {
                return Ok(status);
            }
            if Instant::now() > end {
                return contains("the status", &status.to_string(), part).map(|()| status);
            }
            thread::sleep(Duration::from_millis(100));
        }
    };
    let status = reason("No space left on device", true)?;
    let lost = status.pointer("/events/lost").and_then(Value::as_u64).unwrap_or(0);
    want("some lost", lost > 100, true)?;
    at(&status, "/enforcing", &json!(true))?;
    let full = file(path.clone())?;
    let whole = full.lines().map(json).collect::<Result<Vec<Value>, _>>()?.len() as u64;
    want("it ends with a whole event", full.ends_with('\n'), true)?;
    want("the secret", opens(&place.secret) == Some(false), true)?;
    let pid = agent.process()?.pid();
    ends(&Cmd::sh(&format!("rm {path} && kill -USR1 {pid}")), 0)?;
    reason("No space left on device", false)?;
    want("the secret again", opens(&place.secret) == Some(false), true)?;
    stop(&mut agent)?;
    let after = file(path)?;
    contains("the new file", &after, &place.secret)?;
    contains("the new file", &after, "\"reason\":\"file\"")?;
    let report = validate(&after, 0)?;
    report::send(&Line::Note(format!("{whole} events in 64 KiB, {lost} lost; then {report}")));
    ends(&Cmd::sh(&format!("umount {}/log", place.dir)), 0).map(drop)
}

/// What takes the place of journald where there is none.
struct Journal(UnixDatagram);

const SOCKET: &str = "/run/systemd/journal/socket";

impl Journal {
    fn new() -> Result<Self, CheckError> {
        ends(&Cmd::sh(&format!("mkdir -p {}; rm -f {SOCKET}", SOCKET.trim_end_matches("/socket"))), 0)?;
        let socket = UnixDatagram::bind(SOCKET).and_then(|socket| {
            socket.set_read_timeout(Some(Duration::from_secs(30)))?;
            Ok(socket)
        });
        socket.map(Self).map_err(|source| CheckError::File { path: SOCKET.into(), source })
    }

    /// The next entry.
    fn next(&self) -> Option<String> {
        let mut bytes = vec![0; 64 * 1024];
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(bytes.get(..length)?).into_owned())
    }

    /// Reads until an entry has all of `parts`.
    fn entry(&self, parts: &[&str]) -> Result<String, CheckError> {
        let mut said = String::new();
        while let Some(entry) = self.next() {
            if parts.iter().all(|part| entry.contains(part)) {
                return Ok(entry);
            }
            said += &entry;
        }
        contains("the journal", &said, &parts.join(" … ")).map(|()| said)
    }
}

/// Each event is an entry, and nothing is on standard output; a journal that goes away is said and counted.
fn journal() -> Result<(), CheckError> {
    let place = Place::new("journal")?;
    place.deny("")?;
    ends(&Cmd::sh(&format!("rm -f {SOCKET}")), 0)?;
    let run = ["--enforce", "--log-to", "journal"];
    let without = ends(&Agent::command(&place, &run), 74)?;
    contains("what it says", &without.stderr, "the journal cannot be reached")?;
    let journal = Journal::new()?;
    let mut agent = Agent(Some(Agent::command(&place, &run).spawn()?));
    journal.entry(&["AEGISBPF_TYPE=state_change\n", "AEGISBPF_STATUS=healthy\n"])?;
    want("the secret", opens(&place.secret) == Some(false), true)?;
    let path = format!("AEGISBPF_PATH={}\n", place.secret);
    let entry = journal.entry(&["AEGISBPF_TYPE=deny\n", &path])?;
    for field in
        ["MESSAGE=DENY read ", "\nPRIORITY=4\n", "\nSYSLOG_IDENTIFIER=aegisbpf\n", "\nAEGISBPF_ERRNO=1\n"]
    {
        contains("the entry", &entry, field)?;
    }
    let ids = entry.lines().filter_map(|line| line.strip_prefix("MESSAGE_ID=")).filter(|id| id.len() == 32);
    want("one id", ids.count() == 1, true)?;
    want("standard output", agent.process()?.stdout().is_empty(), true)?;
    drop(journal);
    want("the secret", opens(&place.secret) == Some(false), true)?;
    let end = Instant::now() + SOON;
    loop {
        let status = ask(&["status", "--json"], 0)?;
        let lost = status.pointer("/events/lost").and_then(Value::as_u64) > Some(0);
        if lost && status.to_string().contains("the journal does not take events") {
            break;
        }
        want("said in time", Instant::now() < end, true)?;
        thread::sleep(Duration::from_millis(100));
    }
    want("the secret", opens(&place.secret) == Some(false), true)?;
    stop(&mut agent).map(drop)
}

/// More than a sink that nobody reads has room for.
const DENIALS: u64 = 4000;

/// A sink that nobody reads loses what it has no room for; the other one has every event, and has it at once.
fn stuck() -> Result<(), CheckError> {
    let place = Place::new("stuck")?;
    place.deny("")?;
    past_a_journal(&place)?;
    past_a_pipe(&place)?;
    ends(&Cmd::sh(&format!("rm -f {SOCKET}")), 0).map(drop)
}

fn past_a_journal(place: &Place) -> Result<(), CheckError> {
    let journal = Journal::new()?;
    let mut agent = Agent::start(place, &["--enforce", "--log-to", "both"])?;
    want("every one denied", (0..DENIALS).all(|_| opens(&place.secret) == Some(false)), true)?;
    let asked = Instant::now();
    let told = loop {
        let text = agent.process()?.stdout();
        let told = text.lines().filter(|line| line.contains("\"type\":\"deny\"")).count() as u64;
        if told >= DENIALS || asked.elapsed() > SOON {
            break told;
        }
        thread::sleep(Duration::from_millis(50));
    };
    let took = asked.elapsed();
    report::send(&Line::Note(format!("past a stuck journal {told} of {DENIALS} after {took:?}")));
    want("each denial on standard output", told == DENIALS, true)?;
    agent.event("lost", &["\"reason\":\"journal\""])?;
    agent.event("state_change", &["nobody has read the journal for 5 s"])?;
    // Whoever begins to read gets what still waits.
    journal.entry(&["AEGISBPF_TYPE=deny\n"]).map(drop)
}

/// The pipe is open for reading, and nobody does.
fn past_a_pipe(place: &Place) -> Result<(), CheckError> {
    let journal = Journal::new()?;
    let more = ["--enforce", "--log-to", "both", "--allow-unsigned-policy", "--policy", &place.policy];
    let run = [TELLING.as_slice(), &more].concat().join(" ");
    let script = format!("mkfifo {0}/pipe; exec 3<>{0}/pipe; exec {AGENT} {run} >&3", place.dir);
    let _agent = Agent(Some(Cmd::sh(&script).spawn()?));
    let told = thread::scope(|scope| -> Result<u64, CheckError> {
        let reading = scope.spawn(|| {
            let (mut told, start) = (0, Instant::now());
            while told < DENIALS && start.elapsed() < SOON {
                let entry = journal.next().unwrap_or_default();
                told += u64::from(entry.contains("AEGISBPF_TYPE=deny\n"));
            }
            told
        });
        let start = Instant::now();
        while opens(&place.secret) != Some(false) {
            want("enforcement in time", start.elapsed() < SOON, true)?;
            thread::sleep(Duration::from_millis(20));
        }
        want("every one denied", (1..DENIALS).all(|_| opens(&place.secret) == Some(false)), true)?;
        Ok(reading.join().unwrap_or(0))
    })?;
    report::send(&Line::Note(format!("past a stuck pipe {told} of {DENIALS}")));
    want("each denial in the journal", told == DENIALS, true)
}
