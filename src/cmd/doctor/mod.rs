//! `aegisbpf doctor`: what this host can do, why, and what would mend it. Writes nothing and needs no agent.

mod checks;

use serde::Serialize;

use crate::{
    agent,
    cli::{DoctorArgs, Places},
    exit::{Exit, Failure},
    kernel::{Answer, Answers, Host, Kernel, LsmList, Why},
    plan::{self, OnDegraded, PassedOver, Reason, Request},
    tier::Mode,
};

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub(super) enum Verdict {
    /// An agent enforces, and its proofs hold.
    Enforcing,
    /// Enforcement was tried on a small scale and works.
    EnforceReady,
    /// Only observation works.
    AuditOnly,
    /// Nothing works, or nothing could be tried.
    CannotRun,
    /// The agent says it enforces, and the kernel says otherwise.
    Misreporting,
}

impl Verdict {
    /// As printed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Enforcing => "ENFORCING",
            Self::EnforceReady => "ENFORCE-READY",
            Self::AuditOnly => "AUDIT-ONLY",
            Self::CannotRun => "CANNOT-RUN",
            Self::Misreporting => "MISREPORTING",
        }
    }
}

/// How a check came out. `Unknown` never counts as ok.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warn,
    Fail,
    Unknown,
    Skip,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
struct Check {
    id: &'static str,
    group: &'static str,
    title: &'static str,
    result: Outcome,
    evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<String>,
}

/// Everything that was found out.
#[derive(Clone, Debug, Serialize)]
struct Report {
    schema_version: u32,
    version: &'static str,
    verdict: Verdict,
    reasons: Vec<String>,
    host: Host,
    lsm: Option<LsmList>,
    checks: Vec<Check>,
}

/// The verdict with its reasons, for a host whose kernel has answered.
pub(super) struct Assessment {
    /// The word.
    pub verdict: Verdict,
    /// Why it is not better, strongest tier first.
    pub reasons: Vec<String>,
}

/// Prints the report and returns whether the requirement is met.
pub(super) fn run(args: DoctorArgs, places: &Places) -> Result<Exit, Failure> {
    let answers = Kernel::open().probe(&places.bpffs);
    let lsm = LsmList::current();
    let picture = super::status::look(places).ok();
    let Assessment { mut verdict, reasons } =
        assess(&answers, lsm.as_ref(), agent::break_glass(&places.config_dir));
    if let Some(picture) = &picture {
        if picture.misreporting {
            verdict = Verdict::Misreporting;
        } else if picture.status.enforcing && picture.status.agent.running {
            verdict = Verdict::Enforcing;
        }
    }
    let checks = checks::all(places, &answers, lsm.as_ref(), picture.as_ref());
    let report = Report {
        schema_version: 1,
        version: env!("CARGO_PKG_VERSION"),
        verdict,
        reasons,
        host: Host::current(),
        lsm,
        checks,
    };
    if args.json {
        super::print_json(&report)?;
    } else {
        super::print(&text(&report))?;
    }
    Ok(match (verdict, args.require) {
        (Verdict::Enforcing | Verdict::EnforceReady, _) | (Verdict::AuditOnly, Mode::Audit) => Exit::Done,
        (Verdict::AuditOnly, Mode::Enforce) => Exit::Negative,
        (Verdict::CannotRun | Verdict::Misreporting, _) => Exit::CannotRun,
    })
}

/// What `run` would select here, as a verdict.
pub(super) fn assess(answers: &Answers, lsm: Option<&LsmList>, break_glass: bool) -> Assessment {
    let request = |mode| Request {
        mode,
        tier: None,
        on_degraded: OnDegraded::Exit,
        break_glass: false,
        audit_boot: false,
        failed: Vec::new(),
    };
    let (verdict, passed_over) = match plan::select(answers, &request(Mode::Enforce)) {
        Ok(decision) => (Verdict::EnforceReady, decision.passed_over),
        Err(_) => match plan::select(answers, &request(Mode::Audit)) {
            Ok(decision) => (Verdict::AuditOnly, decision.passed_over),
            Err(refusal) => (Verdict::CannotRun, refusal.passed_over),
        },
    };
    let mut reasons: Vec<String> = passed_over.iter().flat_map(|passed| explain(passed, lsm)).collect();
    if break_glass {
        reasons.push("break-glass is on: a run would audit and deny nothing".to_owned());
    }
    Assessment { verdict, reasons }
}

/// The reasons of one tier; where a load was refused although the configuration looks right, that is said.
fn explain(passed: &PassedOver, lsm: Option<&LsmList>) -> Vec<String> {
    let listed = lsm.is_some_and(LsmList::has_bpf);
    let say = |reason: &Reason| {
        let contradiction = match reason {
            Reason::Probe(crate::kernel::Probe::LsmLoad, Answer::No(Why::Refused { .. })) if listed => {
                ", although bpf is among the active LSMs"
            }
            _ => "",
        };
        format!("{}: {reason}{contradiction}", passed.tier.name)
    };
    passed.reasons.iter().map(say).collect()
}

fn text(report: &Report) -> String {
    let Report { host, verdict, checks, .. } = report;
    let mut lines = vec![
        format!("aegisbpf {} on {}, Linux {} {}", report.version, host.os, host.kernel, host.arch),
        headline(*verdict, &report.reasons),
    ];
    lines.extend(report.reasons.iter().map(|reason| format!("  {reason}")));
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
        lines.push(format!("  {mark} {} {:<34} {}", check.id, check.title, check.evidence));
        lines.extend(check.why.map(|why| format!("         why  {why}")));
        lines.extend(check.fix.iter().map(|fix| format!("         fix  {fix}")));
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
    lines.push(headline(*verdict, &report.reasons));
    lines.join("\n") + "\n"
}

/// The verdict in one line.
pub(super) fn headline(verdict: Verdict, reasons: &[String]) -> String {
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
