//! What came of a canary: `verdict.json`, the line at the end, the exit code.

use serde::Serialize;

use super::{drill::Drill, limits::Threshold, workload};
use crate::{exit::Exit, tier::Mode};

/// The verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// Everything was kept.
    Pass,
    /// Something was not.
    Fail,
    /// It was ended before there was anything to judge.
    Interrupted,
    /// The agent could not do there what the phase is about.
    Unavailable,
}

impl Word {
    /// As printed.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Interrupted => "INTERRUPTED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// What came of a phase.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Phase {
    /// What it was about.
    #[serde(rename = "phase")]
    pub(super) mode: Mode,
    /// What came of it.
    pub(super) verdict: Word,
    /// Why.
    pub(super) reasons: Vec<String>,
    /// How long it was.
    pub(super) seconds: f64,
    /// How often was looked.
    pub(super) samples: usize,
    /// The tier in force.
    pub(super) tier: Option<String>,
    /// The limits, and what was measured.
    pub(super) thresholds: Vec<Threshold>,
    /// The rollback drill; `null`: there was none.
    pub(super) drill: Option<Drill>,
    /// The workload; `null`: there was none.
    pub(super) workload: Option<workload::Ended>,
    /// The exit code of the agent that was started.
    pub(super) agent_exit: Option<i32>,
}

impl Phase {
    /// One of which there is nothing yet.
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            verdict: Word::Interrupted,
            reasons: Vec::new(),
            seconds: 0.0,
            samples: 0,
            tier: None,
            thresholds: Vec::new(),
            drill: None,
            workload: None,
            agent_exit: None,
        }
    }

    /// Where the agent could not do what was asked.
    pub(super) fn unavailable(mut self, reasons: Vec<String>) -> Self {
        (self.verdict, self.reasons) = (Word::Unavailable, reasons);
        self
    }

    /// Judges by its thresholds.
    pub(super) fn judged(mut self) -> Self {
        let broken = self.thresholds.iter().filter(|one| !one.pass).map(Threshold::shown);
        self.reasons.extend(broken);
        self.reasons.extend(self.drill.iter().flat_map(|drill| drill.faults.iter().cloned()));
        self.verdict = if self.thresholds.iter().all(|one| one.pass) { Word::Pass } else { Word::Fail };
        self
    }
}

impl Threshold {
    /// In words.
    pub(super) fn shown(&self) -> String {
        let measured = self.measured.map_or_else(|| "not measured".to_owned(), shown);
        format!("{}: {measured}, the limit is {}", self.name, shown(self.limit))
    }
}

/// Counts as such, the rest with as many digits as matter.
pub(super) fn shown(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.3}") }
}

/// What came of the canary.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) schema_version: u32,
    /// What tried.
    pub(super) version: &'static str,
    /// What came of it.
    #[serde(rename = "verdict")]
    pub(super) word: Word,
    /// RFC 3339.
    pub(super) started: String,
    /// The same.
    pub(super) ended: String,
    /// Whether it watched an agent that ran already.
    pub(super) attached: bool,
    /// Names the text of the policy; `null`: it is not known.
    pub(super) policy_sha256: Option<String>,
    /// The signal that was asked for. None is sent.
    pub(super) enforce_signal: &'static str,
    /// The phases that were begun.
    pub(super) phases: Vec<Phase>,
    /// Those that were not.
    pub(super) not_begun: Vec<Mode>,
}

impl Verdict {
    /// The worst of the phases: what was not tried has not passed.
    pub(super) fn worst(phases: &[Phase], not_begun: &[Mode]) -> Word {
        let by = |word: Word| phases.iter().any(|phase| phase.verdict == word);
        match () {
            () if by(Word::Unavailable) => Word::Unavailable,
            () if by(Word::Fail) => Word::Fail,
            () if by(Word::Interrupted) || phases.is_empty() || !not_begun.is_empty() => Word::Interrupted,
            () => Word::Pass,
        }
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self.word {
            Word::Pass => Exit::Done,
            Word::Fail => Exit::Negative,
            Word::Interrupted => Exit::CannotRun,
            Word::Unavailable => {
                let code = self.phases.iter().find(|phase| phase.verdict == Word::Unavailable);
                exit_of(code.and_then(|phase| phase.agent_exit))
            }
        }
    }

    /// The line at the end.
    pub(super) fn line(&self, dir: &str) -> String {
        let phase = |phase: &Phase| format!("{} {}", phase.mode.name(), phase.verdict.shown());
        let phases: Vec<String> = self.phases.iter().map(phase).collect();
        format!("{}: {}; evidence in {dir}\n", self.word.shown(), phases.join(", "))
    }
}

/// What the agent ended with, where that says what is wrong; an agent that ended well all the same did not enforce.
fn exit_of(code: Option<i32>) -> Exit {
    let known = [
        Exit::Usage,
        Exit::Input,
        Exit::Bug,
        Exit::Io,
        Exit::Busy,
        Exit::Incompatible,
        Exit::Privilege,
        Exit::Trust,
    ];
    known.into_iter().find(|exit| Some(*exit as i32) == code).unwrap_or(Exit::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(mode: Mode, verdict: Word) -> Phase {
        Phase { verdict, ..Phase::new(mode) }
    }

    #[test]
    fn what_was_not_tried_has_not_passed() {
        let pass = phase(Mode::Audit, Word::Pass);
        assert_eq!(Verdict::worst(&[], &[]), Word::Interrupted);
        assert_eq!(Verdict::worst(std::slice::from_ref(&pass), &[Mode::Enforce]), Word::Interrupted);
        assert_eq!(Verdict::worst(&[pass.clone(), phase(Mode::Enforce, Word::Pass)], &[]), Word::Pass);
        let unavailable = phase(Mode::Enforce, Word::Unavailable);
        assert_eq!(Verdict::worst(&[pass, unavailable], &[]), Word::Unavailable);
        assert_eq!(Verdict::worst(&[phase(Mode::Audit, Word::Fail)], &[Mode::Enforce]), Word::Fail);
    }

    #[test]
    fn an_agent_that_ended_well_did_not_enforce() {
        assert_eq!(exit_of(Some(0)), Exit::Unavailable);
        assert_eq!(exit_of(Some(69)), Exit::Unavailable);
        assert_eq!(exit_of(Some(78)), Exit::Trust);
        assert_eq!(exit_of(None), Exit::Unavailable);
    }
}
