//! `guest soak SECONDS`: opens, execs and denials at a steady rate, now and then another policy, and every ten seconds how
//! the agent is.

#![expect(clippy::print_stdout, reason = "the lines of the soak are this program's output")]

use crate::run::{Cmd, CmdError};
use guest::{AGENT, SOAK_INTERVAL, SOAK_RATES, SoakBegin, SoakEnd, SoakLine, SoakSample};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use thiserror::Error;

const DIR: &str = "/tmp/soak";
const SECRET: &str = "/tmp/soak/secret";
const NEIGHBOUR: &str = "/tmp/soak/neighbour";
/// Denied by the second policy alone.
const THIRD: &str = "/tmp/soak/third";
const DENIED_TOOL: &str = "/tmp/soak/denied/true";
const FREE_TOOL: &str = "/tmp/soak/free/true";
const FIRST_POLICY: &str = "/tmp/soak/first.conf";
const SECOND_POLICY: &str = "/tmp/soak/second.conf";

/// How often the worker makes its share.
const SLOTS_A_SECOND: u64 = 20;
const SLOT: Duration = Duration::from_millis(1000 / SLOTS_A_SECOND);
/// Of the denials, so many are execs: starting a process takes an emulated machine longer than all the rest.
const EXEC_SLOTS: u64 = SLOTS_A_SECOND / SOAK_RATES.execs_a_second;
const DENIED_OPENS: u64 = SOAK_RATES.denials_a_second - SOAK_RATES.execs_a_second;

/// An emulated machine proves within this time, or does not.
const SOON: Duration = Duration::from_secs(100);

/// How often a tick of `/proc/PID/stat` comes.
const TICK_MS: u64 = 10;

/// Why it could not go on.
#[derive(Debug, Error)]
enum SoakError {
    #[error(transparent)]
    Command(#[from] CmdError),
    #[error("{what}: {source}")]
    File { what: &'static str, source: io::Error },
    #[error("`{command}` ended with {code}: {stderr}")]
    Failed { command: String, code: i32, stderr: String },
    #[error("{0}")]
    Agent(&'static str),
    #[error("{what} is no JSON: {source}")]
    Json { what: &'static str, source: serde_json::Error },
}

/// Works for so many seconds.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let seconds = args.first().and_then(|text| text.parse().ok()).unwrap_or(0);
    match soak(Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tell(&SoakLine::Fault(fault.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn tell(line: &SoakLine) {
    // A line of ours is always JSON.
    println!("{}", serde_json::to_string(line).unwrap_or_default());
}

/// What the workers met.
#[derive(Default)]
struct Met {
    free: AtomicU64,
    denied: AtomicU64,
    wrong: AtomicU64,
    /// How long denied opens took since the last sample, nanoseconds.
    took: Mutex<Vec<u64>>,
}

impl Met {
    fn saw(&self, allowed: Option<bool>, wanted: bool) {
        match allowed {
            Some(true) => self.free.fetch_add(1, Ordering::Relaxed),
            Some(false) => self.denied.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        self.wrong.fetch_add(u64::from(allowed != Some(wanted)), Ordering::Relaxed);
    }

    fn took(&self) -> Vec<u64> {
        std::mem::take(&mut *self.took.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn soak(length: Duration) -> Result<(), SoakError> {
    prepare()?;
    let mut agent = Agent::start()?;
    let (met, stop) = (Met::default(), AtomicBool::new(false));
    let changes = thread::scope(|scope| {
        scope.spawn(|| work(&met, &stop));
        let watched = watch(&agent, &met, length);
        stop.store(true, Ordering::Relaxed);
        watched
    })?;
    let (told, lost) = agent.stop()?;
    let (denied, wrong) = (met.denied.into_inner(), met.wrong.into_inner());
    tell(&SoakLine::End(SoakEnd { denied, told, lost, wrong, changes }));
    Ok(())
}

fn prepare() -> Result<(), SoakError> {
    let rules = format!("version=2\n[deny_path]\n{SECRET}\n{DENIED_TOOL}\n");
    let file =
        |what: &'static str, made: io::Result<()>| made.map_err(|source| SoakError::File { what, source });
    for dir in [DIR, "/tmp/soak/free", "/tmp/soak/denied"] {
        file("a directory", fs::create_dir_all(dir))?;
    }
    for path in [SECRET, NEIGHBOUR, THIRD] {
        file("a file", fs::write(path, path))?;
    }
    for tool in [FREE_TOOL, DENIED_TOOL] {
        file("a tool", fs::copy("/bin/busybox", tool).map(drop))?;
    }
    file("a policy", fs::write(SECOND_POLICY, format!("{rules}{THIRD}\n")))?;
    file("a policy", fs::write(FIRST_POLICY, rules))
}

/// The work of each slot, until it is told to stop.
fn work(met: &Met, stop: &AtomicBool) {
    let mut due = Instant::now();
    let mut slot = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..SOAK_RATES.opens_a_second / SLOTS_A_SECOND {
            met.saw(opens(NEIGHBOUR), true);
        }
        for _ in 0..DENIED_OPENS / SLOTS_A_SECOND {
            let start = Instant::now();
            let answer = opens(SECRET);
            let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            met.took.lock().unwrap_or_else(PoisonError::into_inner).push(took);
            met.saw(answer, false);
        }
        if slot.is_multiple_of(EXEC_SLOTS) {
            met.saw(executes(FREE_TOOL), true);
            met.saw(executes(DENIED_TOOL), false);
        }
        slot += 1;
        due += SLOT;
        let now = Instant::now();
        // What a machine that stood still has missed is not made up for: the rate stays moderate.
        due = due.max(now.checked_sub(SLOT).unwrap_or(now));
        thread::sleep(due.saturating_duration_since(now));
    }
}

/// What an open answers: yes, EPERM, or something that is neither.
fn opens(path: &str) -> Option<bool> {
    answer(File::open(path).map(|_| true))
}

/// The same of an exec.
fn executes(path: &str) -> Option<bool> {
    answer(Command::new(path).status().map(|status| status.success()))
}

fn answer(result: io::Result<bool>) -> Option<bool> {
    match result {
        Ok(true) => Some(true),
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => Some(false),
        _ => None,
    }
}

/// Samples, and changes the policy now and then; how often it did.
fn watch(agent: &Agent, met: &Met, length: Duration) -> Result<u64, SoakError> {
    let start = Instant::now();
    let (mut changes, mut since) = (0, start);
    let mut due = start + Duration::from_secs(SOAK_INTERVAL);
    loop {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += Duration::from_secs(SOAK_INTERVAL);
        tell(&SoakLine::Sample(sample(agent, met, start, changes)?));
        if start.elapsed() >= length {
            return Ok(changes);
        }
        if since.elapsed().as_secs() + SOAK_INTERVAL / 2 >= SOAK_RATES.seconds_a_policy {
            since = Instant::now();
            change(met, changes % 2 == 0)?;
            changes += 1;
        }
    }
}

/// Applies the second policy, or goes back to the first; the third file shows which of them decides.
fn change(met: &Met, forth: bool) -> Result<(), SoakError> {
    if forth {
        ask(&["policy", "apply", SECOND_POLICY, "--allow-unsigned-policy"])?;
    } else {
        ask(&["policy", "rollback"])?;
    }
    met.saw(opens(THIRD), !forth);
    Ok(())
}

fn ask(args: &[&str]) -> Result<String, SoakError> {
    let outcome = Cmd::new(AGENT).args(args).timeout(SOON).run()?;
    match outcome.code() {
        0 => Ok(outcome.stdout),
        code => Err(SoakError::Failed { command: outcome.command, code, stderr: outcome.stderr }),
    }
}

fn json(what: &'static str, text: &str) -> Result<Value, SoakError> {
    serde_json::from_str(text).map_err(|source| SoakError::Json { what, source })
}

fn status() -> Result<Value, SoakError> {
    json("status", &ask(&["status", "--json"])?)
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn word(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn sample(agent: &Agent, met: &Met, start: Instant, changes: u64) -> Result<SoakSample, SoakError> {
    let status = status()?;
    let pid = agent.child.id();
    let file = |what: &'static str| move |source| SoakError::File { what, source };
    let memory = fs::read_to_string(format!("/proc/{pid}/status")).map_err(file("the agent's status"))?;
    let times = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(file("the agent's times"))?;
    let descriptors =
        fs::read_dir(format!("/proc/{pid}/fd")).map_err(file("the agent's descriptors"))?.count();
    let mut took = met.took();
    took.sort_unstable();
    Ok(SoakSample {
        seconds: start.elapsed().as_secs(),
        rss_kib: field(&memory, "VmRSS:"),
        own_kib: field(&memory, "RssAnon:"),
        descriptors: descriptors as u64,
        threads: field(&memory, "Threads:"),
        cpu_ms: cpu_ms(&times),
        submitted: number(&status, "/events/submitted"),
        lost: number(&status, "/events/lost"),
        free: met.free.load(Ordering::Relaxed),
        denied: met.denied.load(Ordering::Relaxed),
        wrong: met.wrong.load(Ordering::Relaxed),
        changes,
        p50_ns: percentile(&took, 50),
        p99_ns: percentile(&took, 99),
        max_ns: took.last().copied().unwrap_or(0),
        health: word(&status, "/status"),
        enforcing: status.pointer("/enforcing") == Some(&Value::Bool(true)),
    })
}

/// A number of `/proc/PID/status`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// User and system time: the 14th and the 15th field, which come after a name that can hold anything.
fn cpu_ms(stat: &str) -> u64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_ascii_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok());
    ticks.sum::<u64>() * TICK_MS
}

/// Of sorted values; 0 of none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}

/// The agent as it is by default, and a thread that counts what it tells.
struct Agent {
    child: Child,
    reader: Option<JoinHandle<u64>>,
}

impl Agent {
    fn start() -> Result<Self, SoakError> {
        let args =
            ["run", "--enforce", "--allow-unsigned-policy", "--log-format", "json", "--policy", FIRST_POLICY];
        let spawned = Command::new(AGENT).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|source| SoakError::File { what: "the agent", source })?;
        let out = child.stdout.take().ok_or(SoakError::Agent("the agent has no standard output"))?;
        let agent = Self { child, reader: Some(thread::spawn(move || told(out))) };
        let end = Instant::now() + SOON;
        loop {
            let status = status()?;
            if number(&status, "/agent/pid") == u64::from(agent.child.id())
                && status.pointer("/enforcing") == Some(&Value::Bool(true))
            {
                let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
                let begin = SoakBegin { kernel: kernel.trim().to_owned(), tier: word(&status, "/tier") };
                tell(&SoakLine::Begin(begin));
                return Ok(agent);
            }
            if Instant::now() > end {
                return Err(SoakError::Agent("the agent does not enforce in time"));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Ends it; how many denials its events stand for, and how many are counted as lost.
    fn stop(&mut self) -> Result<(u64, u64), SoakError> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(|error| SoakError::File { what: "the agent's end", source: error.into() })?;
        self.child.wait().map_err(|source| SoakError::File { what: "the agent's end", source })?;
        let told = self.reader.take().and_then(|reader| reader.join().ok()).unwrap_or(0);
        Ok((told, number(&status()?, "/events/lost")))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many denials the events stand for.
fn told(out: ChildStdout) -> u64 {
    let lines = BufReader::new(out).lines().map_while(Result::ok);
    let denials = lines.filter(|line| line.contains("\"type\":\"deny\""));
    denials
        .filter_map(|line| serde_json::from_str(&line).ok())
        .map(|event: Value| number(&event, "/count"))
        .sum()
}
