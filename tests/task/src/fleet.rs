//! Runs rows of the matrix, some at a time, and counts.

use crate::arch::Arch;
use crate::bench::{self, Bench, Ceilings};
use crate::console;
use crate::docs;
use crate::kernels::{Kernel, Selector, Store};
use crate::matrix::Row;
use crate::peers::{self, Peers};
use crate::record::{Outcome, Record};
use crate::reports;
use crate::results::{self, Outcome as Checked, Results};
use crate::rig::Rig;
use crate::row::{Fault, Seen, Verdict, judge};
use crate::rules;
use crate::samples::{self, Samples};
use crate::tally::Count;
use crate::transcripts::Transcripts;
use anyhow::{Context as _, Result, bail};
use guest::Line;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So begin the names of the lists that measure all there is to record.
const COSTS: &str = "costs";

/// How rows are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// VMs at a time.
    pub(crate) jobs: usize,
    pub(crate) limit: Duration,
    /// Print each check and not only each row.
    pub(crate) verbose: bool,
    /// Record what became of the ways to a file.
    pub(crate) record: bool,
    /// Hold what is measured against its ceilings.
    pub(crate) ceilings: bool,
}

/// A row and its kernel, or why there is none.
#[derive(Debug)]
pub(crate) struct Ready {
    row: Row,
    kernel: Result<Kernel>,
}

/// Finds the kernels for the rows that `words` mean (when there are none, all rows but those on request). A kernel that cannot be had
/// leaves its rows in place, to fail.
pub(crate) fn prepare(store: &Store, rows: Vec<Row>, words: &[String]) -> Result<Vec<Ready>> {
    let mut ready: Vec<Ready> = Vec::new();
    for mut row in rows {
        if !may_be_meant(&row, words) || (words.is_empty() && row.on_request) {
            continue;
        }
        let known = ready.iter().find(|other| other.row.kernel == row.kernel);
        let kernel = match known.map(|other| &other.kernel) {
            Some(Ok(kernel)) => Ok(kernel.clone()),
            Some(Err(error)) => Err(anyhow::anyhow!("{error:#}")),
            None => store.get(&row.kernel),
        };
        if let Ok(kernel) = &kernel {
            row.setup.name = format!("{}/{}", name_of(kernel), row.suffix);
        }
        ready.push(Ready { row, kernel });
    }
    ready.retain(|ready| is_meant(&ready.row, ready.kernel.as_ref().ok(), words));
    if ready.is_empty() {
        bail!("no row is meant by '{}'; ./dev vm --list shows them", words.join(" "));
    }
    Ok(ready)
}

/// What a word means depends on what `newest` stands for; a word that names a fixed series does not, and no other
/// kernel is fetched for it.
fn may_be_meant(row: &Row, words: &[String]) -> bool {
    match row.kernel {
        Selector::Series(_) | Selector::Arm64(_) => is_meant(row, None, words),
        Selector::Newest(_) => words.is_empty() || words.iter().any(|word| !Selector::is_fixed(word)),
    }
}

/// What a row calls its kernel.
fn name_of(kernel: &Kernel) -> String {
    format!("{}{}", kernel.release.arch().prefix(), kernel.release.series())
}

fn is_meant(row: &Row, kernel: Option<&Kernel>, words: &[String]) -> bool {
    let series = kernel.map(name_of);
    words.is_empty() || words.iter().any(|word| row.is_meant(word, series.as_deref()))
}

/// Runs them all; prints each row as it ends.
pub(crate) fn run(rig: &mut Rig, rows: &[Ready], options: &Options) -> Result<Count> {
    if let Some(kernel) = rows
        .iter()
        .rev()
        .find_map(|ready| ready.kernel.as_ref().ok().filter(|kernel| kernel.release.arch() == Arch::Amd64))
    {
        rig.settle_accel(kernel)?;
    }
    for kernel in rows.iter().filter_map(|ready| ready.kernel.as_ref().ok()) {
        rig.build_for(kernel.release.arch())?;
    }
    let rig: &Rig = rig;
    let next = AtomicUsize::new(0);
    let count = Mutex::new((0, Count::default()));
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, rows.len()) {
            scope.spawn(|| {
                while let Some(ready) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let (verdict, found) = one(rig, ready, options)
                        .unwrap_or_else(|e| (Verdict::not_run(format!("{e:#}")), Found::default()));
                    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
                    count.0 += 1;
                    let name = &ready.row.setup.name;
                    count.1 += Count { passed: verdict.passed.len(), failed: verdict.failures(name) };
                    print(&format!("[{}/{}] {name}", count.0, rows.len()), &verdict, start.elapsed());
                    count.1 += kept(name, found);
                }
            });
        }
    });
    Ok(count.into_inner().unwrap_or_else(PoisonError::into_inner).1)
}

/// What a row found that is worth keeping.
#[derive(Debug, Default)]
struct Found {
    /// What became of the ways to a file; a row of which only some checks were run tells nothing of them.
    ways: Option<Outcome>,
    /// What became of the checks that provoke a failure.
    failures: Option<Checked>,
    /// What came of taking away privileges.
    privileges: Option<Checked>,
    /// What came of the drill of a taken-over agent.
    drill: Option<Checked>,
    /// What doctor reports of the guest.
    report: Option<String>,
    /// What the metrics said in each state that an alert is about.
    samples: Option<samples::Row>,
    /// What the commands of the README print.
    transcripts: Option<Transcripts>,
    /// What everything costs, with the size of the agent.
    costs: Option<(u64, bench::Row)>,
    /// What others take for an open.
    peers: Option<Peers>,
}

/// Records a row as soon as it has ended: a matrix takes hours. What cannot be recorded has failed.
fn kept(row: &str, found: Found) -> Count {
    let Found { ways, failures, privileges, drill, report, samples, transcripts, costs, peers } = found;
    let ways = ways.map_or(Ok(()), |ways| Record::keep(row, ways));
    let failures = |()| failures.map_or(Ok(()), |failures| Results::keep(results::FAILURES, row, failures));
    let drill = |()| drill.map_or(Ok(()), |drill| Results::keep(results::DRILL, row, drill));
    let report = |()| report.map_or(Ok(()), |text| reports::keep(row, &text));
    let samples = |()| samples.map_or(Ok(()), |samples| Samples::keep(row, samples));
    let transcripts = |()| transcripts.map_or(Ok(()), Transcripts::keep);
    let privileges =
        |()| privileges.map_or(Ok(()), |privileges| Results::keep(results::PRIVILEGES, row, privileges));
    let costs = |()| costs.map_or(Ok(()), |(bytes, costs)| Bench::keep(bytes, row, costs));
    let peers = |()| peers.map_or(Ok(()), |peers| Bench::keep_peers(row, peers));
    let kept = ways
        .and_then(failures)
        .and_then(privileges)
        .and_then(drill)
        .and_then(report)
        .and_then(samples)
        .and_then(transcripts)
        .and_then(costs)
        .and_then(peers);
    let Err(error) = kept else {
        return Count::default();
    };
    println!("    not recorded: {error:#}");
    Count::failed(format!("{row} was not recorded: {error:#}"))
}

/// Runs one row; says what it found, where that is to be recorded.
fn one(rig: &Rig, ready: &Ready, options: &Options) -> Result<(Verdict, Found)> {
    let kernel = match &ready.kernel {
        Ok(kernel) => kernel,
        Err(error) => bail!("{error:#}"),
    };
    let expected = expected(rig, &ready.row)?;
    let (machine, _media) = rig.machine(kernel, &ready.row.setup)?;
    let mut lines = Lines { rest: Vec::new(), lines: Vec::new() };
    let end = machine.run(options.limit, &mut |bytes| {
        for line in lines.take(bytes) {
            if options.verbose {
                show(&ready.row.setup.name, line);
            }
        }
    })?;
    let trouble = console::trouble(&machine.console);
    let console_tail = console::tail(&machine.console);
    let seen = Seen { lines: lines.lines, end, trouble, console_tail };
    let mut verdict = judge(&expected, &seen);
    let mut found = Found::default();
    if options.record {
        found.report = seen.lines.iter().find_map(|line| match line {
            Line::Report(text) => Some(text.clone()),
            _ => None,
        });
        if verdict.failed() == 0 {
            found.samples = samples::Row::of(&kernel.release, &seen.lines, &rules::metrics()?);
        }
    }
    if options.record && ready.row.chosen.is_empty() {
        found.ways = Outcome::of(&kernel.release, &ready.row.setup.lsm, &expected, &verdict)?;
        let came = |checks: &[String]| Checked::of(&kernel.release, &expected, checks, &verdict);
        found.failures = came(&docs::provoking()?);
        found.privileges = came(&guest::privilege_checks());
        found.drill = came(&guest::attempt_checks());
    }
    if options.record && ready.row.checks == peers::ROW && verdict.failed() == 0 {
        found.peers = Some(Peers::of(&kernel.release, &seen.lines)?);
        return Ok((verdict, found));
    }
    match Transcripts::of(&ready.row.setup.name, &kernel.release, &seen.lines) {
        Some(told) if options.record && verdict.failed() == 0 => found.transcripts = Some(told),
        Some(told) if !options.record => {
            let differ = told.differences(&Transcripts::read()?).into_iter();
            verdict.faults.extend(differ.map(|detail| Fault { id: "transcripts".to_owned(), detail }));
        }
        _ => {}
    }
    let costs = bench::Row::of(&kernel.release, ready.row.suffix, &seen.lines);
    let whole = ready.row.checks.starts_with(COSTS) && ready.row.chosen.is_empty() && verdict.failed() == 0;
    if options.ceilings
        && let Some(costs) = &costs
    {
        verdict.faults.extend(Ceilings::read()?.faults(costs));
    }
    if options.record && whole {
        found.costs = costs.map(|costs| Ok::<_, anyhow::Error>((rig.agent_bytes()?, costs))).transpose()?;
    }
    Ok((verdict, found))
}

fn show(row: &str, line: &Line) {
    match line {
        Line::Report(_) | Line::Metrics { .. } | Line::Transcript { .. } => {}
        Line::Figure(figure) => println!("{row}  {}", bench::told(figure)),
        line => println!("{row}  {line}"),
    }
}

/// The ids that the guest has for a row, asked on this host: what is not asked for cannot be missed.
fn expected(rig: &Rig, row: &Row) -> Result<Vec<String>> {
    let checks = row.checks;
    let output = Command::new(&rig.guest).args(["--list", checks]).output();
    let output = output.with_context(|| format!("cannot start {}", rig.guest.display()))?;
    if !output.status.success() {
        bail!(
            "the guest has no list of checks '{checks}': {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let ids = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(ids.lines().filter(|id| guest::is_chosen(id, &row.chosen)).map(str::to_owned).collect())
}

/// Puts the lines of the report together from the pieces that arrive.
struct Lines {
    rest: Vec<u8>,
    lines: Vec<Line>,
}

impl Lines {
    /// Returns the lines that these bytes completed.
    fn take(&mut self, bytes: &[u8]) -> &[Line] {
        let before = self.lines.len();
        self.rest.extend_from_slice(bytes);
        while let Some(at) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=at).collect();
            self.lines.extend(Line::parse(&String::from_utf8_lossy(&line)));
        }
        self.lines.get(before..).unwrap_or_default()
    }
}

fn print(progress: &str, verdict: &Verdict, elapsed: Duration) {
    let seconds = elapsed.as_secs_f32();
    if verdict.failed() == 0 {
        println!("{progress}  {} checks ok  {seconds:.1} s", verdict.passed.len());
    } else {
        let (passed, failed) = (verdict.passed.len(), verdict.failed());
        println!("{progress}  FAILED: {passed} ok, {failed} failed  {seconds:.1} s");
    }
    for fault in &verdict.faults {
        println!("    {}: {}", fault.id, fault.detail.trim_end().replace('\n', "\n        "));
    }
    if !verdict.missing.is_empty() {
        println!("    no result from: {}", verdict.missing.join(" "));
    }
    for note in &verdict.notes {
        println!("    note: {}", note.replace('\n', "\n        "));
    }
}
