//! What everything costs, on one processor whose clock counts instructions. A check here measures and tells; the runner
//! judges.

mod commands;
mod empty;
mod operations;
mod peers;
mod rules;

use self::operations::{ALL, DENYING, FEW, NAMED, OBSERVING, Operation, measure, prepare};
pub(crate) use self::peers::main as measured;
use super::agent::{self, Agent, SOON, at, ends};
use super::{Check, CheckError, Ctx};
use crate::report;
use crate::run::{Background, Cmd};
use guest::{AGENT, Line};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::io;
use std::time::Duration;

/// Enough to see each day that nothing has become dearer.
pub(super) const DAILY: [Check; 3] = [
    Check { id: "bench.nothing", run: |_| nothing(FEW) },
    Check { id: "bench.empty", run: |ctx| empty(ctx, FEW) },
    Check { id: "bench.few-rules", run: few_rules },
];

/// Everything, in an enforcing tier.
pub(super) const COSTS: [Check; 6] = [
    Check { id: "bench.nothing", run: |_| nothing(ALL) },
    Check { id: "bench.empty", run: |ctx| empty(ctx, ALL) },
    Check { id: "bench.rules", run: all_rules },
    Check { id: "bench.kinds-of-rules", run: kinds_of_rules },
    Check { id: "bench.audit", run: |ctx| audit(agent::tier(ctx)) },
    Check { id: "bench.commands", run: commands::measure },
];

/// Everything, in the tier that only observes.
pub(super) const TRACED: [Check; 2] = [
    Check { id: "bench.nothing", run: |_| nothing(ALL) },
    Check { id: "bench.audit", run: |_| audit("tracepoint") },
];

/// What others take for an open.
pub(super) const PEERS: [Check; 6] = peers::CHECKS;

/// With a million rules an emulated machine takes minutes for a command.
const LONG: Duration = Duration::from_mins(20);

/// What a call on a file, or on something like it, says.
fn fault<T>(what: &str, result: io::Result<T>) -> Result<T, CheckError> {
    result.map_err(|source| CheckError::File { path: what.into(), source })
}

fn nothing(operations: &[Operation]) -> Result<(), CheckError> {
    prepare()?;
    measure("nothing", operations)
}

fn empty(ctx: &Ctx, operations: &[Operation]) -> Result<(), CheckError> {
    prepare()?;
    let attached = empty::attach(agent::tier(ctx))?;
    report::send(&Line::Note(format!("{} empty programs", attached.len())));
    measure("empty", operations)
}

/// Starts the agent as it is by default, with this policy, in this tier and no other.
fn start(mode: &str, tier: &str, policy: &str) -> Result<Background, CheckError> {
    let args = ["run", mode, "--tier", tier, "--log-format", "json", "--policy", policy];
    let mut agent = Cmd::new(AGENT).args(args).args(["--allow-unsigned-policy"]).spawn()?;
    agent.wait_for("\"type\":\"state_change\"", SOON.max(LONG))?;
    Ok(agent)
}

fn apply(policy: &str) -> Result<(), CheckError> {
    let args = ["policy", "apply", policy, "--allow-unsigned-policy", "--json"];
    let outcome = ends(&Cmd::new(AGENT).args(args).timeout(LONG), 0)?;
    at(&agent::json(&outcome.stdout)?, "/in_force", &json!(true))
}

fn few_rules(ctx: &Ctx) -> Result<(), CheckError> {
    prepare()?;
    let _agent = Agent(Some(start("--enforce", agent::tier(ctx), &rules::inodes(1)?)?));
    measure("1 inode rule", FEW)?;
    apply(&rules::inodes(1000)?)?;
    measure("1,000 inode rules", FEW)
}

fn all_rules(ctx: &Ctx) -> Result<(), CheckError> {
    prepare()?;
    let _agent = Agent(Some(start("--enforce", agent::tier(ctx), &rules::inodes(1)?)?));
    measure("1 inode rule", ALL)?;
    for (count, condition) in
        [(1000, "1,000 inode rules"), (65_536, "65,536 inode rules"), (1_000_000, "1,000,000 inode rules")]
    {
        apply(&rules::inodes(count)?)?;
        measure(condition, ALL)?;
    }
    Ok(())
}

fn kinds_of_rules(ctx: &Ctx) -> Result<(), CheckError> {
    prepare()?;
    fault(rules::CGROUP, fs::create_dir_all(rules::CGROUP))?;
    let mut agent = Agent(Some(start("--enforce", agent::tier(ctx), &rules::tree()?)?));
    measure("1 tree", ALL)?;
    apply(&rules::paths()?)?;
    measure("10,000 path rules", ALL)?;
    apply(&rules::beside()?)?;
    measure("1 path rule beside it", NAMED)?;
    apply(&rules::scope()?)?;
    measure("named, out of scope", NAMED)?;
    enter(rules::CGROUP)?;
    apply(&rules::allow()?)?;
    let measured = measure("named, allow-listed cgroup", NAMED);
    enter("/sys/fs/cgroup")?;
    measured?;
    apply(&rules::with_denied(1000)?)?;
    measure("denying, with a reader", DENYING)?;
    agent.process()?.signal(Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    measure("denying, without a reader", DENYING)
}

/// Moves this process, and what it starts.
fn enter(cgroup: &str) -> Result<(), CheckError> {
    let path = format!("{cgroup}/cgroup.procs");
    fault(&path, fs::write(&path, std::process::id().to_string()))
}

fn audit(tier: &str) -> Result<(), CheckError> {
    prepare()?;
    let _agent = Agent(Some(start("--audit", tier, &rules::with_denied(1000)?)?));
    measure("audit, 1,000 inode rules", ALL)?;
    measure("audit, 1,000 inode rules", OBSERVING)
}
