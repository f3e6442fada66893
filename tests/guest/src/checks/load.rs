//! Policies under load: swapped under readers, killed at every step, a thousand times over, a million rules.

use super::agent::{Agent, Place, SOON, ask, at, ends, in_time, want};
use super::{Check, CheckError, Ctx};
use crate::killer::{self, End};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line, PARAM_ROUNDS};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// On two processors, at the speed of the emulation.
pub(super) const SWAPS: [Check; 2] = [
    Check { id: "load.swaps-under-readers", run: swaps },
    Check { id: "load.killed-at-every-step", run: killed },
];

/// On one processor whose clock counts instructions.
pub(super) const COUNTED: [Check; 3] = [
    Check { id: "load.health-is-quick", run: quick_health },
    Check { id: "load.apply-and-rollback", run: apply_and_rollback },
    Check { id: "load.many-rules", run: many_rules },
];

/// A command that takes longer than this hangs.
const LONG: Duration = Duration::from_secs(300);

fn rounds(ctx: &Ctx) -> usize {
    ctx.boot.value(PARAM_ROUNDS).and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

fn file(path: String, text: &str) -> Result<String, CheckError> {
    fs::write(&path, text).map_err(|source| CheckError::File { path: path.clone().into(), source })?;
    Ok(path)
}

fn change(args: &[&str]) -> Result<Value, CheckError> {
    let command = Cmd::new(AGENT).args([&["policy"], args, &["--json"]].concat()).timeout(LONG);
    super::agent::json(&ends(&command, 0)?.stdout)
}

fn apply(file: &str) -> Result<u64, CheckError> {
    let applied = change(&["apply", file, "--allow-unsigned-policy"])?;
    at(&applied, "/in_force", &json!(true))?;
    Ok(applied.pointer("/generation").and_then(Value::as_u64).unwrap_or(0))
}

fn rollback(to: u64) -> Result<(), CheckError> {
    change(&["rollback", "--to", &to.to_string()]).map(drop)
}

/// What an open answers: yes, EPERM, or something that is neither.
pub(super) fn opens(path: &str) -> Option<bool> {
    match File::open(path) {
        Ok(_) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(false),
        Err(_) => None,
    }
}

/// `secret` is denied by both policies, `neighbour` by none, and the tool by the second alone.
fn two(id: &str) -> Result<(Place, Agent, [String; 2]), CheckError> {
    let place = Place::new(id)?;
    let rules = format!("version=2\n[deny_path]\n{} read\n", place.secret);
    place.write(&rules)?;
    let second = file(format!("{}/second", place.dir), &format!("{rules}{} read\n", place.tool))?;
    let agent = Agent::start(&place, &["--enforce"])?;
    let first = place.policy.clone();
    Ok((place, agent, [first, second]))
}

/// The same with an agent whose events nobody keeps: there are millions, and the guest's memory is all the room there is.
fn two_unheard(id: &str) -> Result<(Place, Agent, [String; 2]), CheckError> {
    let (place, agent, files) = two(id)?;
    drop(agent);
    let run =
        format!("exec {AGENT} run --enforce --allow-unsigned-policy --policy {} >/dev/null", place.policy);
    let agent = unheard(&run)?;
    Ok((place, agent, files))
}

/// An agent that a script starts, once it enforces.
pub(super) fn unheard(script: &str) -> Result<Agent, CheckError> {
    let agent = Agent(Some(Cmd::sh(script).spawn()?));
    in_time("the agent at work", || {
        Ok(Cmd::new(AGENT).args(["health", "--require", "enforce"]).run()?.code() == 0)
    })?;
    Ok(agent)
}

/// What readers met while something else was done.
pub(super) struct Met {
    pub(super) tries: u64,
    pub(super) wrong: u64,
}

/// Four readers try all the time while `work` is done: the secret is denied throughout, its neighbour never.
pub(super) fn under_readers<T>(
    place: &Place,
    work: impl FnOnce() -> Result<T, CheckError>,
) -> Result<(T, Met), CheckError> {
    let (stop, tries, wrong) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let done = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..20 {
                        let right =
                            opens(&place.secret) == Some(false) && opens(&place.neighbour) == Some(true);
                        tries.fetch_add(2, Ordering::Relaxed);
                        wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
                    }
                    // The one who works gets a processor, too.
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    });
    Ok((done?, Met { tries: tries.into_inner(), wrong: wrong.into_inner() }))
}

/// Policies are swapped under readers: one file is denied by both, one by none.
fn swaps(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, _agent, files) = two_unheard("swaps")?;
    let rounds = rounds(ctx);
    let (applies, Met { tries, wrong }) = under_readers(&place, || swap(rounds, &files, &place.tool))?;
    report::send(&Line::Note(format!(
        "{rounds} swaps ({applies} by apply, the others by rollback) under 4 readers: {tries} opens, {wrong} wrong answers"
    )));
    want("readers that tried", tries > rounds as u64, true)?;
    want("wrong answers", wrong != 0, false)
}

/// Every tenth swap is a new generation, the others go back to one that the kernel holds.
fn swap(rounds: usize, files: &[String; 2], tool: &str) -> Result<usize, CheckError> {
    let [first, second] = files;
    let mut now = (first, apply(first)?);
    let mut other = (second, apply(second)?);
    let mut applies = 0;
    for round in 0..rounds {
        if round % 20 < 2 {
            now.1 = apply(now.0)?;
            applies += 1;
        } else {
            rollback(now.1)?;
        }
        if opens(tool) != Some(now.0 == first) {
            let got = format!("{:?} in round {round}", opens(tool));
            return Err(CheckError::Differs {
                what: "the tool under the policy of now",
                want: now.0.clone(),
                got,
            });
        }
        std::mem::swap(&mut now, &mut other);
    }
    Ok(applies)
}

/// `policy apply` dies at each of its steps: the policy in force is the old or the new one, whole, and on record.
fn killed(_: &Ctx) -> Result<(), CheckError> {
    let (place, _agent, files) = two("killed-apply")?;
    let mut old = apply(&files[0])?;
    let (mut steps, mut kept, mut changed) = (0, 0, 0);
    loop {
        let args = ["policy", "apply", &files[1], "--allow-unsigned-policy"];
        let end = killer::run(AGENT, &args, steps + 1)
            .map_err(|source| CheckError::File { path: AGENT.into(), source })?;
        let died = format!("after step {steps} of apply ({end:?})");
        let recorded = on_record()?;
        let state = ask(&["policy", "show", "--json"], 0)?;
        at(&state, "/state", &json!("in force"))?;
        let now = state.pointer("/generation").and_then(Value::as_u64).unwrap_or(0);
        let rules = state.pointer("/rules").and_then(Value::as_u64).unwrap_or(0);
        let seen = [opens(&place.secret), opens(&place.neighbour), opens(&place.tool)];
        let is_old = now == old && rules == 1 && seen == [Some(false), Some(true), Some(true)];
        let is_new = now > old && rules == 2 && seen == [Some(false), Some(true), Some(false)];
        if !is_old && !is_new {
            let got = format!("generation {now} with {rules} rules, opens {seen:?}, {died}");
            return Err(CheckError::Differs {
                what: "the policy in force",
                want: format!("{old} or the next"),
                got,
            });
        }
        // Nothing comes into force that is not on record before.
        if recorded != now && !(is_old && recorded > old) {
            let want = format!("generation {now}");
            return Err(CheckError::Differs { what: "on record", want, got: format!("{recorded}, {died}") });
        }
        // The next command removes what is left; a number that was given away is not given away again.
        if is_new {
            changed += 1;
            old = apply(&files[0])?;
        } else {
            kept += 1;
            rollback(old)?;
        }
        want("on record after the next command", last_told()? == old, true)?;
        tidy(now).map_err(|got| CheckError::Differs { what: "left behind", want: died, got })?;
        if end != End::Killed {
            want("the last run to its end", end == End::Exited(0), true)?;
            break;
        }
        steps += 1;
    }
    report::send(&Line::Note(format!(
        "policy apply killed at each of {steps} steps: {kept} times the old policy stayed, {changed} times the new one was in force"
    )));
    want("steps on both sides of the switch", kept > 1 && changed > 1, true)
}

/// The log is sound, whoever was killed, and this is the generation that its last change leads to, done or intended.
fn on_record() -> Result<u64, CheckError> {
    ask(&["audit", "verify", "--json"], 0)?;
    last_told()
}

fn last_told() -> Result<u64, CheckError> {
    let shown = ends(&Cmd::new(AGENT).args(["audit", "show", "--json", "-n", "20"]), 0)?.stdout;
    let mut last = 0;
    for line in shown.lines() {
        let entry = super::agent::json(line)?;
        let to = entry.pointer("/to").and_then(Value::as_u64);
        if entry.pointer("/result") != Some(&json!("refused")) {
            last = to.unwrap_or(last);
        }
    }
    Ok(last)
}

/// So many kills fill more than one file of the audit log.
fn is_full_log(name: &str) -> bool {
    name.strip_prefix("audit.log.").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Nothing in the state directory but what a generation needs.
fn tidy(least: u64) -> Result<(), String> {
    let state = Path::new("/var/lib/aegisbpf");
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let known = [
        "apply.lock",
        "audit.lock",
        "audit.log",
        "current",
        "floor.json",
        "generations",
        "policies",
        "seen.json",
    ];
    let stray: Vec<String> = names(state)
        .into_iter()
        .filter(|name| !known.contains(&name.as_str()) && !is_full_log(name))
        .collect();
    let half = [state.join("policies"), state.join("generations")];
    let half: Vec<String> =
        half.iter().flat_map(|dir| names(dir)).filter(|name| name.contains(".new")).collect();
    let current = fs::read_to_string(state.join("current")).unwrap_or_default();
    let current: u64 = current.trim().parse().unwrap_or(0);
    if stray.is_empty() && half.is_empty() && current >= least {
        return Ok(());
    }
    Err(format!("{stray:?}, {half:?}, current {current}"))
}

/// With a live agent and with a dead one: whoever watches over many hosts asks often.
fn quick_health(_: &Ctx) -> Result<(), CheckError> {
    let (_place, mut agent, _) = two("health")?;
    let asked = |code| -> Result<Duration, CheckError> {
        let mut times = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            ask(&["health", "--json"], code)?;
            times.push(start.elapsed());
        }
        Ok(at_percent(&mut times, 99))
    };
    let alive = asked(0)?;
    agent.process()?.signal(rustix::process::Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    let dead = asked(0)?;
    drop(agent);
    let nothing = asked(1)?;
    report::send(&Line::Note(format!(
        "health in guest time, the slowest of 20: {alive:?} with an agent, {dead:?} after its death, {nothing:?} with nothing"
    )));
    want(
        "each below 100 ms",
        [alive, dead, nothing].iter().all(|time| *time < Duration::from_millis(100)),
        true,
    )
}

/// Guest time: on this row's machine a nanosecond is an instruction.
fn apply_and_rollback(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, _agent, files) = two("iterations")?;
    let rounds = rounds(ctx);
    let (mut applies, mut rollbacks) = (Vec::new(), Vec::new());
    apply(&files[0])?;
    for _ in 0..rounds {
        let start = Instant::now();
        apply(&files[1])?;
        applies.push(start.elapsed());
        want("the second policy", opens(&place.tool) == Some(false), true)?;
        let start = Instant::now();
        change(&["rollback"])?;
        rollbacks.push(start.elapsed());
        want("the first policy again", opens(&place.tool) == Some(true), true)?;
    }
    let slowest = at_percent(&mut rollbacks, 99);
    report::send(&Line::Note(format!(
        "{rounds} of {rounds} applied and rolled back, whole commands in guest time: apply p50 {:?} p99 {:?}, rollback p50 {:?} p99 {slowest:?}",
        at_percent(&mut applies, 50),
        at_percent(&mut applies, 99),
        at_percent(&mut rollbacks, 50),
    )));
    want("p99 of rollback below 50 ms", slowest < Duration::from_millis(50), true)
}

fn at_percent(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn many_rules(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("many")?;
    place.write("version=1\n")?;
    let dir = &place.dir;
    let mut paths = "version=1\n[deny_path]\n".to_owned();
    for number in 0..10_000 {
        let at = format!("{dir}/{}", number / 100);
        if number % 100 == 0 {
            fs::create_dir(&at).map_err(|source| CheckError::File { path: at.clone().into(), source })?;
        }
        let path = file(format!("{at}/{number}"), "x")?;
        let _ = writeln!(paths, "{path}");
    }
    let mut inodes = "version=1\n[deny_inode]\n".to_owned();
    for number in 1..=1_000_000 {
        let _ = writeln!(inodes, "240:1:{number}");
    }
    let paths = file(format!("{dir}/paths"), &paths)?;
    let inodes = file(format!("{dir}/inodes"), &inodes)?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    for (what, policy) in [("10,000 path rules", &paths), ("1,000,000 inode rules", &inodes)] {
        let before = available();
        let start = Instant::now();
        apply(policy)?;
        let time = start.elapsed();
        let used = before.saturating_sub(available());
        report::send(&Line::Note(format!(
            "{what}: applied in {time:?} guest time, {used} KiB of kernel memory"
        )));
    }
    rollback(apply(&paths)?)?;
    want("one of 10,000", opens(&format!("{dir}/77/7777")) == Some(false), true)?;
    want("the file beside it", opens(&place.neighbour) == Some(true), true)
}

/// What the kernel could give away now, KiB.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
