//! The compatibility report: what a host can do, in a form that can be compared with others. Nothing in it names the host,
//! changes with each boot, or tells of its policies: reports are made to be sent to somebody else.

use serde::Serialize;

use super::{Assessment, Check, Facts, Verdict, checks};
use crate::{
    kernel::{Answer, Probe},
    plan::{self, Request},
    tier::{Mode, TIERS, Tier},
};

/// The groups that tell of the host, and not of what is installed on it.
const GROUPS: [&str; 6] = ["kernel", "bpf", "enforcement", "observation", "confinement", "file systems"];

/// Directories of ours, about which the host says nothing.
const LEFT_OUT: [&str; 3] = ["F006", "F007", "F008"];

#[derive(Serialize)]
pub(super) struct Report {
    schema_version: u32,
    version: &'static str,
    host: Host,
    verdict: Verdict,
    reasons: Vec<String>,
    lsm: Option<Vec<String>>,
    tiers: Vec<Selection>,
    probes: Vec<Answered>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Host {
    os: String,
    kernel: String,
    arch: String,
}

/// A tier, and whether it would be taken.
#[derive(Serialize)]
struct Selection {
    tier: &'static str,
    enforces: bool,
    works: bool,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Answered {
    name: Probe,
    answer: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Report {
    /// Of what was found out.
    pub(super) fn of(facts: &Facts<'_>, assessment: &Assessment) -> Self {
        let Facts { host, answers, lsm, .. } = facts;
        let answered = |(name, answer): (&Probe, &Answer)| Answered {
            name: *name,
            answer: answer.word(),
            reason: answer.why().map(ToString::to_string),
        };
        let told = |about: &super::About| GROUPS.contains(&about.group) && !LEFT_OUT.contains(&about.id);
        Self {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            host: Host { os: host.os.clone(), kernel: host.kernel.clone(), arch: host.arch.clone() },
            verdict: assessment.verdict,
            reasons: assessment.reasons.clone(),
            lsm: lsm.as_ref().map(|lsm| lsm.names.clone()),
            tiers: TIERS.iter().map(|tier| selection(facts, tier)).collect(),
            probes: answers.iter().map(answered).collect(),
            checks: checks::all(facts, told),
        }
    }
}

fn selection(facts: &Facts<'_>, tier: &'static Tier) -> Selection {
    let mode = if tier.enforces() { Mode::Enforce } else { Mode::Audit };
    let request = Request { tier: Some(tier.name), ..Request::of(mode) };
    let (works, reasons) = match plan::select(&facts.answers, &request) {
        Ok(_) => (true, Vec::new()),
        Err(refusal) => {
            let own = refusal.passed_over.into_iter().filter(|passed| passed.tier.name == tier.name);
            (false, own.flat_map(|passed| passed.reasons).map(|reason| reason.to_string()).collect())
        }
    };
    Selection { tier: tier.name, enforces: tier.enforces(), works, reasons }
}
