//! Goes every way in one setting, and says how far each led and whether the agent told of it.

use super::super::Ctx;
use super::super::agent::{Agent, Place, SOON};
use super::{AUDIT, CheckError, TRACE, differs, prepare};
use crate::run::{Background, Cmd};
use crate::ways::End;
use guest::{Operation, PARAM_CHECKS, Rule, Scenario, Trace, is_chosen, scenarios};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// More than any way takes, even where a host stands still.
const LIMIT: Duration = Duration::from_secs(60);

/// The setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Without an agent.
    Control,
    /// With one that denies.
    Enforce,
    /// With one that reports what it would deny.
    Audit,
    /// With one that looks at system calls only.
    Trace,
}

/// What became of a way.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) end: End,
    /// Whether the agent told of a denial in the cgroup of the way.
    pub(super) reported: bool,
    pub(super) stderr: String,
}

pub(super) type Results = BTreeMap<&'static str, Seen>;

/// Whether the running kernel has this way at all.
pub(super) fn is_possible(scenario: &Scenario) -> bool {
    let series = series();
    let on_arm64 = cfg!(target_arch = "aarch64") && scenario.lacks.contains_key(&format!("arm64-{series}"));
    !on_arm64 && !scenario.lacks.contains_key(&series)
}

/// Whether the observing tier reports this way here.
pub(super) fn is_traced(scenario: &Scenario) -> bool {
    scenario.trace == Trace::Seen && !scenario.unseen.contains_key(&series())
}

/// The series of the running kernel, such as 6.12.
fn series() -> String {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Those that are chosen. The check of audit mode wants all.
fn chosen(ctx: &Ctx) -> Result<Vec<&'static Scenario>, CheckError> {
    let words = ctx.boot.list(PARAM_CHECKS);
    let words: Vec<&str> = words.iter().map(|word| word.strip_prefix(TRACE).unwrap_or(word)).collect();
    let all = scenarios().map_err(super::broken)?.iter();
    if is_chosen(AUDIT, &words) {
        return Ok(all.collect());
    }
    Ok(all.filter(|scenario| is_chosen(&scenario.id, &words)).collect())
}

/// One more way, gone last: the events of those before it have come when its own has.
fn last() -> Scenario {
    Scenario {
        id: "surface.last".to_owned(),
        claim: String::new(),
        text: String::new(),
        rule: Rule::Path,
        op: Operation::Read,
        expect: guest::Expect::Denied,
        trace: Trace::Seen,
        before: false,
        unseen: BTreeMap::new(),
        lacks: BTreeMap::new(),
    }
}

pub(super) fn play(ctx: &Ctx, mode: Mode) -> Result<Results, CheckError> {
    let last = last();
    let _disk = prepare::Disk::mount()?;
    let mut results = Results::new();
    let mut ready = Vec::new();
    for scenario in chosen(ctx)? {
        match prepare::prepare(scenario) {
            Ok(()) => ready.push(scenario),
            Err(error) => {
                let end = End::Errno(error.raw_os_error().unwrap_or(-1));
                let stderr = format!("cannot be prepared: {error}");
                results.insert(&scenario.id, Seen { end, reported: false, stderr });
            }
        }
    }
    prepare::prepare(&last).map_err(|source| CheckError::File { path: prepare::dir(&last.id), source })?;
    let mut server = Cmd::new(me()?).args(["serve"]).spawn()?;
    server.wait_for("ready", SOON)?;
    let mut held = Vec::new();
    for scenario in ready.iter().copied().filter(|scenario| scenario.before) {
        let mut process = command(scenario)?.spawn()?;
        // One that cannot begin has ended, and its end says why.
        let _ = process.wait_for("ready", LIMIT);
        held.push((scenario, process));
    }
    let mut agent = agent(mode, &ready, &last)?;
    for scenario in ready.iter().copied().filter(|scenario| !scenario.before) {
        results.insert(&scenario.id, seen(command(scenario)?.spawn()?)?);
    }
    for (scenario, process) in held {
        let go = prepare::dir(&scenario.id).with_file_name("go");
        fs::write(&go, "").map_err(|source| CheckError::File { path: go, source })?;
        results.insert(&scenario.id, seen(process)?);
    }
    if let Some(agent) = &mut agent {
        command_of("read.open", &last)?.run()?;
        report(agent, mode, &ready, &last, &mut results)?;
    }
    Ok(results)
}

fn agent(mode: Mode, chosen: &[&Scenario], last: &Scenario) -> Result<Option<Agent>, CheckError> {
    let args: &[&str] = match mode {
        Mode::Control => return Ok(None),
        Mode::Enforce => &["--allow-missing", "--enforce"],
        Mode::Audit => &["--allow-missing", "--audit"],
        Mode::Trace => &["--allow-missing", "--audit", "--tier", "tracepoint"],
    };
    let place = Place::new(&format!("surface-{mode:?}"))?;
    let all: Vec<&Scenario> = chosen.iter().copied().chain([last]).collect();
    place.write(&prepare::policy(&all, mode == Mode::Trace))?;
    Agent::start(&place, args).map(Some)
}

fn me() -> Result<PathBuf, CheckError> {
    let path = Path::new("/proc/self/exe");
    fs::read_link(path).map_err(|source| CheckError::File { path: path.to_owned(), source })
}

fn command(scenario: &Scenario) -> Result<Cmd, CheckError> {
    command_of(&scenario.id, scenario)
}

/// A way, gone in the directory and the cgroup of an entry.
fn command_of(way: &str, scenario: &Scenario) -> Result<Cmd, CheckError> {
    let dir = prepare::dir(&scenario.id);
    Ok(Cmd::new(me()?).args(["way", way]).args([dir]).cgroup(prepare::cgroup(&scenario.id)))
}

fn seen(process: Background) -> Result<Seen, CheckError> {
    use crate::run::CmdError;
    match process.wait(LIMIT) {
        Ok(outcome) => {
            let end = if outcome.code() == 0 { End::Reached } else { End::Errno(outcome.code()) };
            Ok(Seen { end, reported: false, stderr: outcome.stderr })
        }
        // ETIMEDOUT: one that hangs is no reason not to go the others.
        Err(CmdError::Timeout { stderr, .. }) => {
            Ok(Seen { end: End::Errno(110), reported: false, stderr: format!("{stderr}no end in time") })
        }
        Err(error) => Err(error.into()),
    }
}

/// Marks the ways in whose cgroups something was denied.
fn report(
    agent: &mut Agent,
    mode: Mode,
    chosen: &[&'static Scenario],
    last: &Scenario,
    results: &mut Results,
) -> Result<(), CheckError> {
    let kind = if mode == Mode::Enforce { "deny" } else { "would_deny" };
    let end = Instant::now() + SOON;
    let told = loop {
        let told = cgroups_of(&agent.process()?.stdout(), kind);
        if !told.is_disjoint(&numbers(&last.id)) {
            break told;
        }
        if Instant::now() > end {
            let process = agent.process()?;
            return Err(differs(
                "event of the last way",
                kind.to_owned(),
                process.stdout() + &process.stderr(),
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    for scenario in chosen {
        if let Some(seen) = results.get_mut(scenario.id.as_str()) {
            seen.reported = !told.is_disjoint(&numbers(&scenario.id));
        }
    }
    Ok(())
}

/// A cgroup is known by the number of its directory.
fn numbers(id: &str) -> BTreeSet<u64> {
    let all = prepare::cgroups(&prepare::cgroup(id));
    all.iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.ino()).collect()
}

/// The cgroups that events of a kind name.
fn cgroups_of(lines: &str, kind: &str) -> BTreeSet<u64> {
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event.pointer("/type").and_then(Value::as_str) == Some(kind))
        .filter_map(|event| event.pointer("/cgroup_id")?.as_u64())
        .collect()
}
