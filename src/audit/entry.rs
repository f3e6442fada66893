//! One line of the log.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::policy::Digest;

/// Raised with any change that a reader of the JSON could trip over.
pub const SCHEMA_VERSION: u32 = 1;

/// No text in an entry is longer, so that no line is longer than a page or two.
const TEXT_BYTES: usize = 1024;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// A policy was applied.
    Apply,
    /// An earlier generation was taken back.
    Rollback,
    /// A policy on trial was kept.
    Confirm,
    /// A policy was resolved anew.
    Reload,
    /// A policy on trial went back by itself.
    TrialEnded,
    /// Another policy is in force than the log says, and nobody recorded why.
    Found,
    /// An agent began.
    RunStart,
    /// An agent ended.
    RunStop,
    /// An agent had ended without a word.
    RunLost,
    /// Who is trusted to sign was changed.
    KeyChange,
    /// Enforcement was suspended.
    BreakGlassOn,
    /// The suspension ended.
    BreakGlassOff,
    /// Enforcement was ended.
    Detach,
    /// Another binary was let in by the self-guard.
    GuardAdmit,
    /// State was forgotten.
    Reset,
    /// The last seen time was set to the time of now.
    ClockReset,
    /// The line before is what is left of an entry whose writer was interrupted.
    Recovered,
    /// The log is not what it was when it was last written.
    Broken,
}

impl What {
    /// The word used in the log.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether it says which generation is in force from here on.
    pub fn is_change(self) -> bool {
        matches!(
            self,
            Self::Apply
                | Self::Rollback
                | Self::Confirm
                | Self::Reload
                | Self::TrialEnded
                | Self::Found
                | Self::Reset
                | Self::RunStart
        )
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is about to be done. Another entry says what came of it, also when its writer is interrupted.
    Intended,
    /// It was done.
    Done,
    /// It was not done, for the reason given.
    Refused,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// User id.
    pub uid: u32,
    /// The user who logged in, whoever he became since; absent: nobody logged in for this.
    pub loginuid: Option<u32>,
    /// Process id.
    pub pid: u32,
    /// The program.
    pub exe: String,
}

impl Who {
    /// This process.
    pub fn current() -> Self {
        /// `AUDIT_UID_UNSET`
        const NOBODY: u32 = u32::MAX;
        let loginuid = fs::read_to_string("/proc/self/loginuid").ok();
        let loginuid = loginuid.and_then(|text| text.trim().parse().ok()).filter(|uid| *uid != NOBODY);
        let exe = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
        Self {
            uid: rustix::process::getuid().as_raw(),
            loginuid,
            pid: std::process::id(),
            exe: clipped(&exe),
        }
    }
}

/// What is to be recorded of a deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What was done.
    pub what: What,
    /// What came of it.
    pub result: Outcome,
    /// The generation before.
    pub from: Option<u64>,
    /// The generation that it leads to.
    pub to: Option<u64>,
    /// Names the policy.
    pub sha256: Option<Digest>,
    /// `policy_version=` of the policy.
    pub policy_version: Option<u64>,
    /// Principal whose signature was accepted.
    pub signed_by: Option<String>,
    /// Seconds after which it ends by itself unless confirmed.
    pub trial: Option<u64>,
    /// Why it was done, or was not.
    pub reason: Option<String>,
}

impl Deed {
    /// A deed of which nothing else is known.
    pub fn new(what: What, result: Outcome) -> Self {
        Self {
            what,
            result,
            from: None,
            to: None,
            sha256: None,
            policy_version: None,
            signed_by: None,
            trial: None,
            reason: None,
        }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same with another result.
    #[must_use]
    pub fn with(self, result: Outcome) -> Self {
        Self { result, ..self }
    }

    pub(super) fn bounded(mut self) -> Self {
        self.reason = self.reason.map(|reason| clipped(&reason));
        self.signed_by = self.signed_by.map(|signer| clipped(&signer));
        self
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Its number, from 1, without a gap.
    pub seq: u64,
    /// SHA-256 of the line before, without its line feed; zeros for the first.
    pub prev: Digest,
    /// When, RFC 3339.
    pub time: String,
    /// By whom.
    pub who: Who,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
    /// For [`What::Recovered`]: SHA-256 of the last whole line, before what is left of an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Digest>,
}

impl Entry {
    /// Reads a line, without its line feed. `None`: it is no entry of this version.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(line).ok()?;
        (entry.schema_version == SCHEMA_VERSION).then_some(entry)
    }
}

/// The beginning of a text that is too long.
fn clipped(text: &str) -> String {
    match text
        .char_indices()
        .map(|(at, letter)| at + letter.len_utf8())
        .take_while(|end| *end <= TEXT_BYTES)
        .last()
    {
        Some(end) if end < text.len() => format!("{}…", text.get(..end).unwrap_or_default()),
        _ => text.to_owned(),
    }
}
