//! `index.md`: the evidence for a person.

use std::fmt::Write as _;

use super::{
    evidence::Evidence,
    limits::{Side, Threshold},
    review::Review,
    verdict::{Phase, Verdict, shown},
};
use crate::{exit::Failure, tier::Mode};

/// What the files at the top are.
const FILES: &str = "
## Files

| file | what it is |
| --- | --- |
| `verdict.json` | this page for programs (`aegisbpf schema canary`) |
| `policy.conf`, `policy.conf.sha256`, `policy.conf.sig` | the policy that was tried, its sum, and its signature where it has one |
| `facts.json` | the host and its kernel |
| `doctor.json` | what `aegisbpf doctor --json` said before |
| `state/` | the state directory of the agents that the canary started, with their audit log |
| `PHASE/samples.jsonl` | health, memory, descriptors and counters, a line for each sample |
| `PHASE/events.jsonl`, `PHASE/agent.log` | what the agent told, and what it said |
| `PHASE/status-before.json`, `-after.json` | `aegisbpf status --json` |
| `PHASE/health-after.json` | `aegisbpf health --json` |
| `PHASE/metrics-before.prom`, `-after.prom` | `aegisbpf metrics` |
| `PHASE/drill.json` | the rollback drill |
| `PHASE/workload.out`, `workload.err` | what the workload wrote |

An agent that ran before keeps its events and its state where they are.
";

/// Writes it.
pub(super) fn write(evidence: &Evidence, verdict: &Verdict) -> Result<(), Failure> {
    let mut out = format!(
        "# Canary: {}\n\n- {} to {}\n- aegisbpf {}, policy `{}`\n- {}\n- no signal is sent to denied processes (asked for: `{}`)\n",
        verdict.word.shown(),
        verdict.started,
        verdict.ended,
        verdict.version,
        verdict.policy_sha256.as_deref().unwrap_or("unknown"),
        if verdict.attached { "watched an agent that ran already" } else { "with agents of its own" },
        verdict.enforce_signal,
    );
    // Writing to a string cannot fail.
    for phase in &verdict.phases {
        out += &section(evidence, verdict, phase)?;
    }
    for mode in &verdict.not_begun {
        let _ = writeln!(out, "\n## {}\n\nNot begun.", mode.name());
    }
    evidence.write("index.md", (out + FILES).as_bytes())
}

fn section(evidence: &Evidence, verdict: &Verdict, phase: &Phase) -> Result<String, Failure> {
    let name = phase.mode.name();
    let mut out = format!(
        "\n## {name}: {}\n\n{:.0} s, {} samples, tier {}.\n",
        phase.verdict.shown(),
        phase.seconds,
        phase.samples,
        phase.tier.as_deref().unwrap_or("none"),
    );
    if !phase.reasons.is_empty() {
        // As it was said, with nothing in it that Markdown could take for its own.
        out += "\n";
        for line in phase.reasons.iter().flat_map(|reason| reason.lines()) {
            let _ = writeln!(out, "    {line}");
        }
    }
    if !phase.thresholds.is_empty() {
        out += "\n| threshold | limit | measured | kept |\n| --- | --- | --- | --- |\n";
        out.extend(phase.thresholds.iter().map(row));
    }
    if let Some(drill) = &phase.drill {
        let _ = writeln!(
            out,
            "\nRollback drill: {}, applied in {:.1} ms, back in {:.1} ms.",
            if drill.pass { "as it should be" } else { "**not as it should be**" },
            drill.apply_ms,
            drill.rollback_ms
        );
    } else if verdict.attached && phase.mode == Mode::Enforce {
        out += "\nNo rollback drill: the policy of the agent that runs is left alone.\n";
    }
    if let Some(workload) = &phase.workload {
        let how = if workload.by_itself { "ended by itself" } else { "was ended" };
        let code = workload.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let _ = writeln!(out, "\nThe workload {how}, exit code {code}.");
    }
    if !verdict.attached {
        let dir = Evidence::at(evidence.path().join(name));
        let _ = write!(out, "\n### {name}: decisions to review\n\n{}", Review::of(&dir)?.table());
    }
    Ok(out)
}

fn row(one: &Threshold) -> String {
    let side = match one.side {
        Side::AtMost => "at most",
        Side::AtLeast => "at least",
    };
    let measured = one.measured.map_or_else(|| "not measured".to_owned(), shown);
    let kept = if one.pass { "yes" } else { "**no**" };
    format!("| `{}` | {side} {} | {measured} | {kept} |\n", one.name, shown(one.limit))
}
