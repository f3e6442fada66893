//! Events that no policy decided: what each means, and what to do next.

use super::event::Trace;
use crate::{
    cmd::{recorded::program, remedy::remedies},
    event::{Decision, Event, Line, Lost, PolicyChange, ProofResult, StateChange},
    kernel::errno_name,
};

/// Explains it.
pub(super) fn trace(line: &Line<'_>) -> Trace {
    if let Some(decision) = line.event.decision() {
        return guarded(line, decision);
    }
    match &*line.event {
        Event::StateChange(state) => state_change(line, state),
        Event::PolicyChange(change) => policy_change(line, change),
        Event::Proof(proof) => proof_result(line, proof),
        Event::Lost(lost) => lost_events(line, lost),
        Event::Deny(_) | Event::WouldDeny(_) => Trace::of(line, String::new()),
    }
}

fn of(line: &Line<'_>, what: &str, why: &[&str], next: &[&str]) -> Trace {
    let mut trace = Trace::of(line, format!("{}: {what} (host {})", line.time, line.host));
    trace.why.extend(why.iter().map(|why| (*why).to_owned()));
    trace.next.extend(next.iter().map(|next| (*next).to_owned()));
    trace
}

fn guarded(line: &Line<'_>, decision: &Decision) -> Trace {
    let kept = match (&*decision.hook, decision.guarded) {
        ("bpf_map", Some(id)) => format!("the agent's map {id}"),
        ("bpf_prog", Some(id)) => format!("the agent's program {id}"),
        (_, Some(pid)) => format!("the agent's process {pid}"),
        _ => decision.path.clone(),
    };
    let Decision { pid, uid, comm, .. } = decision;
    let refused = match &*line.event {
        Event::Deny(_) => format!("was refused: {}", errno_name(decision.errno)),
        _ => "passed, which enforce mode would refuse".to_owned(),
    };
    let what = format!(
        "{} ({comm}, pid {pid}, uid {uid}) reached for {kept}, and {refused} (hook {})",
        program(decision),
        decision.hook
    );
    let why = "the self-guard decided, and no policy: only the enrolled binary reaches what is the agent's";
    let next = [
        "`aegisbpf guard status` says which binaries are enrolled",
        "for an upgrade, `/proc/PID/exe guard admit FILE` of the running agent lets in the next binary",
        "without the enrolled binary: boot with aegisbpf.off on the kernel command line",
    ];
    of(line, &what, &[why], &next)
}

fn state_change(line: &Line<'_>, state: &StateChange) -> Trace {
    let does = if state.enforcing { "enforces" } else { "does not enforce" };
    let what = format!("the agent is {} and {does}, in {} mode", state.status, state.mode.name());
    let mut trace = of(line, &what, &[], &[]);
    if state.status == "stopped" {
        trace.why.push("the agent ended; what it pinned stays in force without it".to_owned());
    }
    if !state.uncovered.is_empty() {
        trace.why.push(format!("nothing holds these claims now: {}", state.uncovered.join(", ")));
    }
    trace.why.extend(state.reasons.iter().cloned());
    trace.next.extend(remedies(&state.reasons).into_iter().map(str::to_owned));
    trace.next.push("`aegisbpf status` shows how things stand now".to_owned());
    trace
}

fn policy_change(line: &Line<'_>, change: &PolicyChange) -> Trace {
    let number = |generation: Option<u64>| generation.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let (now, before) = (number(change.generation), number(change.before));
    let what =
        format!("policy generation {now} decides, with {} rules; before it was {before}", change.rules);
    let mut trace = of(line, &what, &[], &["`aegisbpf audit show` says who changed it, and when"]);
    if change.provisional {
        trace.why.push("it is on trial, and goes back by itself".to_owned());
        trace.next.push("`aegisbpf policy confirm` keeps it".to_owned());
    }
    if let (Some(now), Some(before)) = (change.generation, change.before)
        && now != before
    {
        trace.next.push(format!("`aegisbpf policy diff {before} {now}` shows what differs"));
    }
    if change.before.is_some() {
        trace.next.push("`aegisbpf policy rollback` takes it back".to_owned());
    }
    trace
}

fn proof_result(line: &Line<'_>, proof: &ProofResult) -> Trace {
    let hook = &proof.hook;
    if proof.proven {
        let what = format!("{hook} is proven: {}", proof.detail);
        return of(line, &what, &["the agent tried a denied operation there, and it was refused"], &[]);
    }
    let what = format!("the proof of {hook} failed: {}", proof.detail);
    if hook == "policy" {
        let why = "the rules or the control fields in the kernel are not what the agent put there: somebody who is root changed them";
        let next = [
            "`aegisbpf policy reload` puts the policy there anew",
            "`aegisbpf audit show` says whether a command did it; `aegisbpf run --guard` keeps others from it",
        ];
        return of(line, &what, &[why], &next);
    }
    let why = "what this hook carries may not be denied now; health is unhealthy until it is proven again";
    let next = [
        "`aegisbpf status --verbose` shows the other hooks",
        "`aegisbpf doctor` says what this host can do; restarting the agent attaches anew",
    ];
    of(line, &what, &[why], &next)
}

fn lost_events(line: &Line<'_>, lost: &Lost) -> Trace {
    let what = format!("{} events could not be told, {} in all", lost.events, lost.total);
    let why = [
        "every decision was made all the same: it does not wait for its event",
        match &*lost.reason {
            "kernel" => "the ring buffer was full: more came than the agent took, or no agent ran",
            "agent" => "an agent died that had counted them and not told them yet",
            "journal" => "the journal did not take them",
            "file" => {
                "the file of --log-file did not take them: a full disk, or an error that `aegisbpf status` names"
            }
            _ => "nobody read standard output",
        },
    ];
    let next = [
        "`aegisbpf metrics` counts what was decided, told or not",
        "`aegisbpf policy suggest --events FILE` shows which rule and program are behind most of them",
        "`aegisbpf run --repeat-window 60s` tells decisions that repeat one another less often",
    ];
    of(line, &what, &why, &next)
}
