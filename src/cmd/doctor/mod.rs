//! `aegisbpf doctor`: what this host can do, why, and what would mend it. Writes nothing but a report that is asked for,
//! and needs no agent.

mod checks;
mod facts;
pub(super) mod page;
mod report;
mod text;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::Serialize;

pub use self::checks::About;
pub(crate) use self::checks::{CHECKS, GROUPS};
pub(super) use self::text::headline;
use self::{facts::Facts, report::Report};
use crate::{
    agent,
    cli::{DoctorArgs, Places},
    cmd::status::Picture,
    exit::{Exit, Failure},
    kernel::{self, Answer, Answers, Host, Kernel, LsmList, Why},
    plan::{self, PassedOver, Reason, Request},
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

/// Why the kernel refused, or what could be why.
#[derive(Clone, Debug, Serialize)]
struct Possible {
    cause: &'static str,
    /// Whether the evidence leaves no other.
    found: bool,
    text: &'static str,
    evidence: String,
}

impl From<kernel::Finding> for Possible {
    fn from(finding: kernel::Finding) -> Self {
        let kernel::Finding { cause, found, evidence } = finding;
        Self { cause: cause.code(), found, text: cause.text(), evidence }
    }
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
    causes: Vec<Possible>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<String>,
}

/// Everything that was found out.
#[derive(Clone, Debug, Serialize)]
struct Diagnosis {
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

/// Prints the diagnosis and returns whether the requirement is met; or makes a page of reports.
pub(super) fn run(args: &DoctorArgs, places: &Places) -> Result<Exit, Failure> {
    if !args.render.is_empty() {
        return page::run(args);
    }
    let kernel = Kernel::open();
    let facts = Facts::gather(places, &kernel);
    let assessment = assess(&facts.answers, facts.lsm.as_ref(), agent::break_glass(&places.config_dir));
    let wanted = |about: &About| {
        let named = |names: &[&str]| names.iter().any(|name| *name == about.id || *name == about.group);
        (args.only.is_empty() || named(&args.only)) && !named(&args.skip)
    };
    let checks = checks::all(&facts, wanted);
    if let Some(path) = &args.report {
        let text = super::json_text(&Report::of(&facts, &assessment))?;
        write_whole(path, text.as_bytes())?;
    }
    let verdict = verdict(&facts, assessment.verdict);
    let Facts { host, lsm, .. } = facts;
    let (schema_version, version) = (1, env!("CARGO_PKG_VERSION"));
    let reasons = assessment.reasons;
    let diagnosis = Diagnosis { schema_version, version, verdict, reasons, host, lsm, checks };
    if args.json {
        super::print_json(&diagnosis)?;
    } else {
        super::print(&text::text(&diagnosis))?;
    }
    let doubtful = diagnosis.checks.iter().any(|check| !matches!(check.result, Outcome::Ok | Outcome::Skip));
    Ok(match (verdict, args.require) {
        (Verdict::CannotRun | Verdict::Misreporting, _) => Exit::CannotRun,
        (Verdict::AuditOnly, Mode::Enforce) => Exit::Negative,
        _ if args.strict && doubtful => Exit::Negative,
        _ => Exit::Done,
    })
}

/// With what runs here taken into account.
fn verdict(facts: &Facts<'_>, ready: Verdict) -> Verdict {
    let Picture { status, misreporting } = &facts.picture;
    match misreporting {
        true => Verdict::Misreporting,
        false if status.enforcing && status.agent.running => Verdict::Enforcing,
        false => ready,
    }
}

/// What `run` would select here, as a verdict.
pub(super) fn assess(answers: &Answers, lsm: Option<&LsmList>, break_glass: bool) -> Assessment {
    let (verdict, passed_over) = match plan::select(answers, &Request::of(Mode::Enforce)) {
        Ok(decision) => (Verdict::EnforceReady, decision.passed_over),
        Err(_) => match plan::select(answers, &Request::of(Mode::Audit)) {
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
            Reason::Probe(kernel::Probe::LsmLoad, Answer::No(Why::Refused { .. })) if listed => {
                ", although bpf is among the active LSMs"
            }
            _ => "",
        };
        format!("{}: {reason}{contradiction}", passed.tier.name)
    };
    passed.reasons.iter().map(say).collect()
}

/// Puts a file there as a whole, or not at all. What is no regular file (a pipe, a terminal) is written to as it is.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let shown = io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        Failure::new(Exit::Io, shown).hint("name a file in a directory that you may write to")
    };
    if path == Path::new("-") {
        return super::print(&String::from_utf8_lossy(bytes));
    }
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut out| out.write_all(bytes))
            .map_err(failed);
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&new)
        .and_then(|mut out| out.write_all(bytes))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        // The first error is the one to report.
        drop(fs::remove_file(&new));
        failed(error)
    })
}
