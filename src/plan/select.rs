//! Which tier runs, in which mode, and why not a stronger one.

use std::fmt;

use crate::{
    kernel::{Answer, Answers, Probe},
    tier::{Mode, TIERS, Tier},
};

/// What to do where the wanted mode cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnDegraded {
    /// Do not start.
    #[default]
    Exit,
    /// Run in audit mode, and say so everywhere.
    Audit,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The wanted mode.
    pub mode: Mode,
    /// One tier and no other.
    pub tier: Option<&'static str>,
    /// What to do where no tier enforces.
    pub on_degraded: OnDegraded,
    /// Whether the break-glass file is there.
    pub break_glass: bool,
    /// Whether `aegisbpf.mode=audit` stands on the kernel command line.
    pub audit_boot: bool,
    /// Tiers that were tried in earnest and failed, with what happened.
    pub failed: Vec<(&'static str, String)>,
}

impl Request {
    /// For a mode, by whatever tier offers it, with nothing in the way.
    pub fn of(mode: Mode) -> Self {
        Self {
            mode,
            tier: None,
            on_degraded: OnDegraded::Exit,
            break_glass: false,
            audit_boot: false,
            failed: Vec::new(),
        }
    }
}

/// Why a tier was not selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A probe did not answer yes.
    Probe(Probe, Answer),
    /// The tier does not offer the mode.
    Mode(Mode),
    /// The request names another tier.
    NotAsked,
    /// It was tried and failed.
    Failed(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe(probe, answer) => match answer.why() {
                Some(why) => write!(f, "{}: {}, {why}", probe.name(), answer.word()),
                None => write!(f, "{}: {}", probe.name(), answer.word()),
            },
            Self::Mode(mode) => write!(f, "it has no {} mode", mode.name()),
            Self::NotAsked => f.write_str("another tier was asked for"),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

/// A tier that was not selected.
#[derive(Clone, Debug)]
pub struct PassedOver {
    /// The tier.
    pub tier: &'static Tier,
    /// All reasons; the first probe that failed is the cause, those built on it are left out.
    pub reasons: Vec<Reason>,
}

/// What runs.
#[derive(Clone, Debug)]
#[must_use]
pub struct Decision {
    /// The tier.
    pub tier: &'static Tier,
    /// The mode it runs in.
    pub mode: Mode,
    /// Set when enforcement was wanted and is not what runs.
    pub degraded: bool,
    /// Every stronger tier, with the reasons.
    pub passed_over: Vec<PassedOver>,
}

/// Nothing runs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no tier can {} here", if *.enforcing { "enforce" } else { "run" })]
pub struct Refusal {
    /// Whether enforcement was wanted.
    pub enforcing: bool,
    /// Every tier, with the reasons.
    pub passed_over: Vec<PassedOver>,
}

/// Selects the strongest tier that answers the request. A host that was booted to audit does, and is degraded where
/// enforcement was asked for. Break-glass does not change the tier: enforcement is set up
/// and suspended, so that it returns when the file goes; but it excuses a host that cannot enforce.
pub fn select(answers: &Answers, request: &Request) -> Result<Decision, Refusal> {
    let mode = request.mode;
    let enforcing = mode == Mode::Enforce;
    if enforcing && request.audit_boot {
        return match strongest(answers, request, Mode::Audit) {
            Ok((tier, passed_over)) => Ok(Decision { tier, mode: Mode::Audit, degraded: true, passed_over }),
            Err(passed_over) => Err(Refusal { enforcing: false, passed_over }),
        };
    }
    match strongest(answers, request, mode) {
        Ok((tier, passed_over)) => {
            Ok(Decision { tier, mode, degraded: enforcing && request.break_glass, passed_over })
        }
        Err(passed_over)
            if enforcing && (request.break_glass || request.on_degraded == OnDegraded::Audit) =>
        {
            match strongest(answers, request, Mode::Audit) {
                Ok((tier, passed_over)) => {
                    Ok(Decision { tier, mode: Mode::Audit, degraded: true, passed_over })
                }
                Err(_) => Err(Refusal { enforcing, passed_over }),
            }
        }
        Err(passed_over) => Err(Refusal { enforcing, passed_over }),
    }
}

fn strongest(
    answers: &Answers,
    request: &Request,
    mode: Mode,
) -> Result<(&'static Tier, Vec<PassedOver>), Vec<PassedOver>> {
    let mut passed_over = Vec::new();
    for tier in TIERS {
        let reasons = objections(tier, answers, request, mode);
        if reasons.is_empty() {
            return Ok((tier, passed_over));
        }
        passed_over.push(PassedOver { tier, reasons });
    }
    Err(passed_over)
}

fn objections(tier: &Tier, answers: &Answers, request: &Request, mode: Mode) -> Vec<Reason> {
    if request.tier.is_some_and(|name| name != tier.name) {
        return vec![Reason::NotAsked];
    }
    let mut reasons = Vec::new();
    if !tier.modes.contains(&mode) {
        reasons.push(Reason::Mode(mode));
    }
    for probe in tier.needs {
        match answers.get(probe) {
            Some(Answer::Yes) => {}
            // The probe it builds on is among the needs, and says why.
            Some(Answer::Unknown(crate::kernel::Why::After(earlier))) if tier.needs.contains(earlier) => {}
            Some(answer) => reasons.push(Reason::Probe(*probe, answer.clone())),
            None => reasons.push(Reason::Probe(*probe, Answer::Unknown(crate::kernel::Why::After(*probe)))),
        }
    }
    let failed = request.failed.iter().filter(|(name, _)| *name == tier.name);
    reasons.extend(failed.map(|(_, what)| Reason::Failed(what.clone())));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Why;

    fn all(answer: &Answer) -> Answers {
        Probe::ALL.iter().map(|probe| (*probe, answer.clone())).collect()
    }

    fn without_effect() -> Answers {
        let mut answers = all(&Answer::Yes);
        answers.insert(Probe::LsmEffect, Answer::No(Why::NotCalled));
        answers
    }

    #[test]
    fn strongest_tier_first() {
        let decision =
            select(&all(&Answer::Yes), &Request::of(Mode::Enforce)).map(|decision| decision.tier.name);
        assert_eq!(decision.ok(), Some("bpf-lsm"));
    }

    #[test]
    fn programs_that_are_never_called_do_not_enforce() {
        let decision = select(&without_effect(), &Request::of(Mode::Enforce));
        let decision = decision.expect("modify-return works");
        assert_eq!(decision.tier.name, "modify-return");
        assert_eq!(decision.passed_over.len(), 1);
        assert!(decision.passed_over[0].reasons[0].to_string().contains("never called it"));
    }

    #[test]
    fn pinned_tier_never_falls_back() {
        let request = Request { tier: Some("bpf-lsm"), ..Request::of(Mode::Enforce) };
        assert!(select(&without_effect(), &request).is_err());
    }

    #[test]
    fn degraded_is_chosen_not_slipped_into() {
        let mut answers = all(&Answer::Yes);
        answers.insert(Probe::LsmLoad, Answer::No(Why::Refused { what: "loading", errno: libc::EPERM }));
        answers.insert(Probe::FmodRetLoad, Answer::No(Why::Refused { what: "loading", errno: libc::EPERM }));
        assert!(select(&answers, &Request::of(Mode::Enforce)).is_err());
        let lenient = Request { on_degraded: OnDegraded::Audit, ..Request::of(Mode::Enforce) };
        let decision = select(&answers, &lenient).ok();
        assert_eq!(
            decision.map(|decision| (decision.tier.name, decision.mode, decision.degraded)),
            Some(("tracepoint", Mode::Audit, true))
        );
    }

    #[test]
    fn break_glass_suspends_and_excuses() {
        let broken = Request { break_glass: true, ..Request::of(Mode::Enforce) };
        let decision = select(&all(&Answer::Yes), &broken).ok();
        assert_eq!(decision.map(|decision| (decision.mode, decision.degraded)), Some((Mode::Enforce, true)));
        let mut answers = without_effect();
        answers.insert(Probe::FmodRetEffect, Answer::No(Why::NotCalled));
        let decision = select(&answers, &broken).ok();
        assert_eq!(decision.map(|decision| (decision.mode, decision.degraded)), Some((Mode::Audit, true)));
    }

    #[test]
    fn a_host_that_was_booted_to_audit_does() {
        let booted = Request { audit_boot: true, ..Request::of(Mode::Enforce) };
        let decision = select(&all(&Answer::Yes), &booted).ok();
        assert_eq!(
            decision.map(|decision| (decision.tier.name, decision.mode, decision.degraded)),
            Some(("bpf-lsm", Mode::Audit, true))
        );
        let audit = Request { audit_boot: true, ..Request::of(Mode::Audit) };
        assert_eq!(select(&all(&Answer::Yes), &audit).ok().map(|decision| decision.degraded), Some(false));
    }

    proptest::proptest! {
        /// Whatever the answers: what is selected has all its needs answered yes, offers the mode, and enforcement that
        /// was asked for is either had or marked as degraded.
        #[test]
        fn selected_means_proven(
            bits in proptest::collection::vec(0_u8..3, Probe::ALL.len()),
            enforce: bool, lenient: bool, break_glass: bool, audit_boot: bool,
            pinned in proptest::option::of(0_usize..TIERS.len()),
        ) {
            let answers: Answers = Probe::ALL.iter().zip(&bits).map(|(probe, bit)| (*probe, match bit {
                0 => Answer::Yes,
                1 => Answer::No(Why::NotCalled),
                _ => Answer::Unknown(Why::NotCalled),
            })).collect();
            let request = Request {
                mode: if enforce { Mode::Enforce } else { Mode::Audit },
                tier: pinned.map(|index| TIERS[index].name),
                on_degraded: if lenient { OnDegraded::Audit } else { OnDegraded::Exit },
                break_glass,
                audit_boot,
                failed: Vec::new(),
            };
            if let Ok(decision) = select(&answers, &request) {
                assert!(decision.tier.needs.iter().all(|probe| answers[probe] == Answer::Yes));
                assert!(decision.tier.modes.contains(&decision.mode));
                assert_eq!(decision.degraded, enforce && (break_glass || decision.mode == Mode::Audit));
                assert!(request.tier.is_none_or(|name| name == decision.tier.name));
                assert!(!decision.degraded || lenient || break_glass || audit_boot);
                assert!(!audit_boot || decision.mode == Mode::Audit);
            }
        }
    }
}
