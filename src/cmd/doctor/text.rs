//! The diagnosis for a person.

use super::{Diagnosis, Outcome, Possible, Verdict};

/// The whole of it, the verdict first and last.
pub(super) fn text(diagnosis: &Diagnosis) -> String {
    let Diagnosis { host, verdict, checks, reasons, .. } = diagnosis;
    let mut lines = vec![
        headline(*verdict, reasons),
        format!("aegisbpf {} on {}, Linux {} {}", diagnosis.version, host.os, host.kernel, host.arch),
    ];
    lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
    let mut group = "";
    for check in checks {
        if check.group != group {
            group = check.group;
            lines.push(format!("\n{group}"));
        }
        let mark = match check.result {
            Outcome::Ok => "[ok]  ",
            Outcome::Warn => "[warn]",
            Outcome::Fail => "[FAIL]",
            Outcome::Unknown => "[????]",
            Outcome::Skip => "[skip]",
        };
        lines.push(format!("  {mark} {} {:<43} {}", check.id, check.title, check.evidence));
        lines.extend(check.why.map(|why| format!("         why  {why}")));
        lines.extend(check.causes.iter().map(cause));
        lines.extend(check.fix.iter().map(|fix| format!("         fix  {fix}")));
        if matches!(check.result, Outcome::Fail | Outcome::Warn) {
            lines.push(format!("         more aegisbpf explain {}", check.id));
        }
    }
    let count = |wanted| checks.iter().filter(|check| check.result == wanted).count();
    lines.push(format!(
        "\n{} ok, {} warnings, {} failed, {} unknown, {} skipped",
        count(Outcome::Ok),
        count(Outcome::Warn),
        count(Outcome::Fail),
        count(Outcome::Unknown),
        count(Outcome::Skip)
    ));
    lines.push(headline(*verdict, reasons));
    lines.join("\n") + "\n"
}

fn cause(possible: &Possible) -> String {
    let word = if possible.found { "because" } else { "perhaps" };
    format!("         {word} {}: {} ({})", possible.cause, possible.text, possible.evidence)
}

/// The verdict in one line.
pub(in crate::cmd) fn headline(verdict: Verdict, reasons: &[String]) -> String {
    let text = match verdict {
        Verdict::Enforcing => "an agent enforces here, and its proofs hold",
        Verdict::EnforceReady => "this host can enforce",
        Verdict::AuditOnly => "this host can observe and cannot deny",
        Verdict::CannotRun if reasons.iter().any(|reason| reason.contains("cannot be tried")) => {
            "nothing could be tried; run it as root for an answer"
        }
        Verdict::CannotRun => "no tier works here",
        Verdict::Misreporting => "the agent says it enforces, and the kernel says otherwise",
    };
    format!("{}: {text}", verdict.word())
}
