//! How long commands take in guest time, what the agent takes of memory, and what a rule takes.

use super::{Agent, CheckError, Ctx, agent, apply, ends, fault, rules, start};
use crate::bpf;
use crate::report;
use crate::run::{Background, Cmd};
use guest::{AGENT, Figure, Line, Unit};
use std::fs;
use std::time::{Duration, Instant};

/// What is in force where the name of a figure does not say otherwise.
const CONDITION: &str = "10,000 path rules";
/// The kernel keeps so many policies; each apply takes the place of the oldest.
const SLOTS: usize = 4;
const INODES: usize = 1_000_000;
/// After so long the kernel has let go of everything; no time of the host passes.
const SETTLED: Duration = Duration::from_secs(20);

pub(super) fn measure(ctx: &Ctx) -> Result<(), CheckError> {
    super::prepare()?;
    let (paths, one, inodes) = (rules::paths()?, rules::inodes(1)?, rules::inodes(INODES)?);
    let _agent = started(agent::tier(ctx), &paths)?;
    times("health", 20, || command(&["health", "--json"]))?;
    times("status", 20, || command(&["status", "--json"]))?;
    let (mut applied, mut back) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        applied.push(took(|| apply(&one))?);
        back.push(took(|| command(&["policy", "rollback"]))?);
    }
    tell(Unit::Nanoseconds, "policy apply, 1 inode rule", applied);
    tell(Unit::Nanoseconds, "policy rollback", back);
    applies(
        "policy apply, 10,000 path rules",
        "kernel memory of a path rule",
        (&paths, rules::PATHS),
        &one,
        3,
    )?;
    applies(
        "policy apply, 1,000,000 inode rules",
        "kernel memory of an inode rule",
        (&inodes, INODES),
        &one,
        2,
    )
}

/// Starts it some times, and leaves the last one.
fn started(tier: &str, policy: &str) -> Result<Agent, CheckError> {
    let mut values = Vec::new();
    let mut agent = Agent(None);
    for _ in 0..3 {
        // Takes down what the one before has pinned; the kernel goes on with that for a while, on the only processor.
        drop(agent);
        std::thread::sleep(SETTLED);
        let mut process = None;
        values.push(took(|| {
            process = Some(start("--enforce", tier, policy)?);
            Ok(())
        })?);
        agent = Agent(process);
    }
    tell(Unit::Nanoseconds, "start to proven enforcement", values);
    memory(agent.process()?)?;
    Ok(agent)
}

fn memory(agent: &Background) -> Result<(), CheckError> {
    let path = format!("/proc/{}/status", agent.pid());
    let text = fault(&path, fs::read_to_string(&path))?;
    for (name, what) in [("VmRSS:", "resident memory of the agent"), ("RssAnon:", "of it its own")] {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        tell(Unit::Bytes, what, vec![kib * 1024]);
    }
    Ok(())
}

/// Applies a policy some times, and sees by how much the maps have grown then, for each rule.
fn applies(
    what: &str,
    memory: &str,
    (policy, rules): (&str, usize),
    small: &str,
    count: usize,
) -> Result<(), CheckError> {
    let (mut values, mut each) = (Vec::new(), Vec::new());
    for _ in 0..count {
        for _ in 0..SLOTS {
            apply(small)?;
        }
        let before = fault("maps", bpf::map_memory())?;
        values.push(took(|| apply(policy))?);
        let grown = fault("maps", bpf::map_memory())?.saturating_sub(before);
        each.push(grown / rules as u64);
    }
    tell(Unit::Nanoseconds, what, values);
    tell(Unit::Bytes, memory, each);
    Ok(())
}

fn command(args: &[&str]) -> Result<(), CheckError> {
    ends(&Cmd::new(AGENT).args(args), 0).map(drop)
}

fn times(what: &str, count: usize, run: impl Fn() -> Result<(), CheckError>) -> Result<(), CheckError> {
    let values: Result<Vec<u64>, _> = (0..count).map(|_| took(&run)).collect();
    tell(Unit::Nanoseconds, what, values?);
    Ok(())
}

fn took(run: impl FnOnce() -> Result<(), CheckError>) -> Result<u64, CheckError> {
    let start = Instant::now();
    run()?;
    Ok(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

fn tell(unit: Unit, what: &str, values: Vec<u64>) {
    report::send(&Line::Figure(Figure::of(unit, CONDITION, what, values)));
}
