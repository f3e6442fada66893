//! Every hook of every tier refused in turn, by the released binary's own system calls: what is required is all undone,
//! what is optional is told on every surface, and the operation of the hook is refused or said to be uncovered.

mod fault;
mod hooks;
mod operation;

use self::fault::{Fault, How};
use self::hooks::Need;
use super::agent::{Agent, SOON, ask, at, contains, ends, nothing_pinned, readable, tier, want};
use super::{Check, CheckError, Ctx};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const PREFIX: &str = "partial.";

/// How often a run was injured, and what came of it.
static RUNS: AtomicUsize = AtomicUsize::new(0);
static UNDONE: AtomicUsize = AtomicUsize::new(0);
static TOLD: AtomicUsize = AtomicUsize::new(0);
static ABSENT: AtomicUsize = AtomicUsize::new(0);
static SILENT: AtomicUsize = AtomicUsize::new(0);

/// One check a hook and a way to refuse it, and some for all.
pub(super) fn checks() -> Vec<Check> {
    static IDS: OnceLock<Vec<String>> = OnceLock::new();
    let ids = IDS.get_or_init(|| {
        let each = hooks::all().into_iter().flat_map(|hook| {
            let hows = How::ALL.iter().filter(move |how| hook.need != Need::Observes || **how != How::NoType);
            hows.map(move |how| format!("{PREFIX}{}.{}", hook.name, how.name()))
        });
        each.collect()
    });
    let first = [Check { id: "partial.control", run: control }];
    let last = [
        Check { id: "partial.predecessor-stays", run: predecessor_stays },
        Check { id: "partial.steps-down", run: steps_down },
        Check { id: "partial.none-silent", run: none_silent },
    ];
    let each = ids.iter().map(|id| Check { id, run: injure });
    first.into_iter().chain(each).chain(last).collect()
}

fn differs(what: &'static str, want: &str, got: &str) -> CheckError {
    CheckError::Differs { what, want: want.to_owned(), got: got.to_owned() }
}

/// With all hooks at work each operation is refused; on files that no rule names none is.
fn control(_: &Ctx) -> Result<(), CheckError> {
    let (place, held) = operation::prepare("partial-control")?;
    let _agent = Agent::start(&place, &["--enforce", "--lsm-hook", "inode"])?;
    for hook in hooks::all().into_iter().filter(|hook| hook.need != Need::Observes) {
        let refused = held.denied.refuses(hook.name);
        if !refused || held.free.refuses(hook.name) {
            let want = format!("{} refused where denied, and there alone", hook.name);
            return Err(differs("operation", &want, &refused.to_string()));
        }
    }
    Ok(())
}

fn injure(ctx: &Ctx) -> Result<(), CheckError> {
    let (name, how) = ctx.running.trim_start_matches(PREFIX).rsplit_once('.').unwrap_or_default();
    let all = hooks::all();
    let found = all.into_iter().enumerate().find(|(_, hook)| hook.name == name);
    let (Some((position, hook)), Some(how)) = (found, How::named(how)) else {
        return Err(differs("check", "a hook and how it is refused", ctx.running));
    };
    // In modify-return each program has a second copy: one is not loaded, the other not attached, and without the type
    // of the function neither is.
    let backed_up = hook.need != Need::Observes && tier(ctx) == "modify-return";
    let copy = if backed_up && how == How::Attach { "_again" } else { "" };
    let fault = Fault { hook, copy, how, errno: how.errno(position), tier: tier(ctx) };
    match hook.need {
        Need::Required => required(&fault),
        Need::Observes => observing(&fault),
        Need::Optional | Need::IfPresent | Need::OnRequest => optional(&fault),
    }
}

/// Without it nothing is attached, and nothing stays behind.
fn required(fault: &Fault) -> Result<(), CheckError> {
    let (place, _held) = operation::prepare("partial")?;
    let _types = fault.hide()?;
    let outcome = ends(&fault.command(&place, &["--enforce", "--tier", fault.tier]), 69)?;
    fault.took_place(&outcome.stderr)?;
    // Without the type of file_open no trial finds that the tier works.
    let said =
        if fault.how == How::NoType && fault.hook.name == "file_open" { "ENOENT" } else { fault.hook.name };
    contains("message", &outcome.stderr, said)?;
    nothing_pinned()?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    UNDONE.fetch_add(1, Ordering::Relaxed);
    RUNS.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn observing(fault: &Fault) -> Result<(), CheckError> {
    let (place, _held) = operation::prepare("partial")?;
    let outcome = ends(&fault.command(&place, &["--audit", "--tier", "tracepoint"]), 69)?;
    fault.took_place(&outcome.stderr)?;
    at(&ask(&["health", "--json"], 1)?, "/attach_state", &json!("none"))?;
    UNDONE.fetch_add(1, Ordering::Relaxed);
    RUNS.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Without it the others are at work, and what it carries is said to be uncovered.
fn optional(fault: &Fault) -> Result<(), CheckError> {
    let (place, held) = operation::prepare("partial")?;
    let _types = fault.hide()?;
    let mut args = vec!["--enforce", "--tier", fault.tier];
    if fault.hook.need == Need::OnRequest {
        args.extend(["--lsm-hook", "inode"]);
    }
    let mut agent = fault.start(&place, &args)?;
    RUNS.fetch_add(1, Ordering::Relaxed);
    if fault.hook.need == Need::IfPresent && !fault.exists()? {
        // The kernel asks no such hook, so nothing is missing.
        at(&ask(&["status", "--json"], 0)?, "/attach_state", &json!("full"))?;
        want("refused", held.denied.refuses(fault.hook.name), true)?;
        ABSENT.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let told = surfaces(fault, &mut agent);
    // Whatever is told: refused, or said to be uncovered.
    let status = ask(&["status", "--json"], 0)?;
    let covered = status.pointer("/attach_state") == Some(&json!("full"));
    if covered && !held.denied.refuses(fault.hook.name) {
        SILENT.fetch_add(1, Ordering::Relaxed);
    }
    fault.took_place(&agent.process()?.stderr())?;
    told?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    drop(agent);
    nothing_pinned()?;
    if fault.how == How::Load && fault.copy.is_empty() {
        args.push("--strict");
        let outcome = ends(&fault.command(&place, &args), 69)?;
        contains("message", &outcome.stderr, fault.hook.name)?;
        nothing_pinned()?;
    }
    TOLD.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Everything that speaks of the state says that it is partial, and what is uncovered.
fn surfaces(fault: &Fault, agent: &mut Agent) -> Result<(), CheckError> {
    let name = fault.program();
    let claims: BTreeSet<&str> = fault.hook.carries.iter().map(String::as_str).collect();
    let uncovered = json!(claims);
    let event = agent.event("state_change", &[])?;
    let status = ask(&["status", "--json"], 0)?;
    let health = ask(&["health", "--json"], 0)?;
    for surface in [&event, &status, &health] {
        at(surface, "/attach_state", &json!("partial"))?;
        at(surface, "/uncovered", &uncovered)?;
        at(surface, "/status", &json!("degraded"))?;
        contains("reasons", &reasons(surface), &format!("the optional hook {name} did not"))?;
    }
    let hooks = status.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let missing = hooks.iter().filter(|hook| hook.pointer("/attached") == Some(&json!(false)));
    let missing: Vec<&Value> = missing.collect();
    let named: Vec<&str> =
        missing.iter().filter_map(|hook| hook.pointer("/name").and_then(Value::as_str)).collect();
    if !named.contains(&name.as_str()) || named.len() != fault.copies() {
        return Err(differs("hooks that are not attached", &name, &named.join(", ")));
    }
    let proven = |hook: &&Value| hook.pointer("/proven_at").is_some_and(Value::is_string);
    want("a proof of it", missing.iter().any(proven), false)?;
    ask(&["health", "--json", "--strict"], 1)?;
    let text = ends(&Cmd::new(AGENT).args(["status"]), 0)?.stdout;
    contains("status", &text, "attached   partial")?;
    contains("status", &text, &format!("{name} not attached"))?;
    for claim in claims {
        contains("status", &text, &format!("uncovered  {claim}\n"))?;
    }
    Ok(())
}

/// A run that fails leaves the one before it as it was.
fn predecessor_stays(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, held) = operation::prepare("partial-before")?;
    let mut first = Agent::start(&place, &["--enforce"])?;
    if let Some(process) = first.0.take() {
        process.signal(rustix::process::Signal::KILL)?;
        process.wait(SOON)?;
    }
    let pins = || Ok::<_, CheckError>(ends(&Cmd::sh("find /sys/fs/bpf/aegisbpf | sort"), 0)?.stdout);
    let before = pins()?;
    let all = hooks::all();
    for hook in all.into_iter().filter(|hook| hook.need == Need::Required) {
        let fault = Fault { hook, copy: "", how: How::Attach, errno: 16, tier: tier(ctx) };
        let outcome = ends(&fault.command(&place, &["--enforce", "--tier", fault.tier]), 69)?;
        fault.took_place(&outcome.stderr)?;
        want("refused still", held.denied.refuses(hook.name), true)?;
        if pins()? != before {
            return Err(differs("pins", &before, &pins()?));
        }
    }
    Ok(())
}

/// Where that was accepted, a refused hook leads to the tier that only observes.
fn steps_down(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, held) = operation::prepare("partial-down")?;
    let Some(hook) = hooks::all().into_iter().next() else { return Err(differs("hooks", "some", "none")) };
    let fault = Fault { hook, copy: "", how: How::Load, errno: 1, tier: tier(ctx) };
    let mut agent = fault.start(&place, &["--enforce", "--on-degraded", "audit"])?;
    let event = agent.event("state_change", &[])?;
    at(&event, "/status", &json!("degraded"))?;
    at(&event, "/enforcing", &json!(false))?;
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/tier", &json!("tracepoint"))?;
    at(&status, "/mode", &json!("audit"))?;
    contains("reasons", &reasons(&status), hook.name)?;
    nothing_pinned()?;
    want("refused", held.denied.refuses(hook.name), false)
}

fn none_silent(_: &Ctx) -> Result<(), CheckError> {
    let [runs, undone, told, absent, silent] =
        [&RUNS, &UNDONE, &TOLD, &ABSENT, &SILENT].map(|count| count.load(Ordering::Relaxed));
    report::send(&Line::Note(format!(
        "{runs} injured runs: {undone} undone as a whole, {told} partial and told, {absent} of hooks that this kernel has not, {silent} silent"
    )));
    want("runs that count", runs == undone + told + absent && runs > 0, true)?;
    want("silent ones", silent > 0, false)
}

fn reasons(surface: &Value) -> String {
    surface.pointer("/reasons").map(Value::to_string).unwrap_or_default()
}
