//! What can end a run.

use std::{error::Error as _, io, path::PathBuf, time::Duration};

use super::source::AgentDistrust;
use crate::{
    audit::AuditError,
    confine::ConfineError,
    enforce::EnforceError,
    plan::{Refusal, RulesError},
    policy::Digest,
    store::StoreError,
};

/// Why a run did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// No tier can do what was asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The kernel side failed.
    #[error(transparent)]
    Enforce(#[from] EnforceError),
    /// A hook did not refuse its canary.
    #[error("the proof failed: {}", .0.join("; "))]
    NotProven(Vec<String>),
    /// Optional hooks are missing and that was not accepted.
    #[error("optional hooks did not attach: {}", .hooks.join(", "))]
    Partial {
        /// The hooks.
        hooks: Vec<&'static str>,
    },
    /// Programs of an earlier run are in force, and the selected tier cannot take them over.
    #[error("{} holds programs of an earlier run, which a tier that only observes cannot take over", .dir.display())]
    PinnedEnforcement {
        /// Where they are pinned.
        dir: PathBuf,
    },
    /// The policy does not fit this host.
    #[error("the policy does not fit this host")]
    Rules(#[from] RulesError),
    /// The policy could not be read.
    #[error("{}: the policy could not be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The policy is larger than any that is accepted.
    #[error("{}: the policy is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The policy has faults.
    #[error("{}: the policy has faults\n{report}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The faults, rendered.
        report: String,
    },
    /// The policy is not the one that was meant.
    #[error("{}: the policy's SHA-256 is {found}, not {wanted}", .path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
    /// The policy says itself that it does not hold here and now.
    #[error("{}: the policy does not hold here: {why}", .path.display())]
    NotForUs {
        /// The file.
        path: PathBuf,
        /// Which of its settings says so.
        why: String,
    },
    /// A policy that is older than one that was accepted.
    #[error("{}: replay: {}, and version {highest} was accepted before", .path.display(), match .version {
        Some(version) => format!("the policy has version {version}"),
        None => "the policy has no policy_version".to_owned(),
    })]
    Replay {
        /// The file.
        path: PathBuf,
        /// Its `policy_version=`.
        version: Option<u64>,
        /// The highest one that was accepted.
        highest: u64,
    },
    /// Enforcement of a policy that nobody signed.
    #[error("{}: enforce mode needs a signed policy", .path.display())]
    Unsigned {
        /// The file.
        path: PathBuf,
    },
    /// A signature that is not accepted.
    #[error("{}: the signature was not accepted", .path.display())]
    Distrusted {
        /// The signature's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: AgentDistrust,
    },
    /// A cgroup that does not exist.
    #[error("there is no cgroup {}", .path.display())]
    NoCgroup {
        /// The path in the policy.
        path: PathBuf,
    },
    /// The store of policies failed.
    #[error("the policy store failed")]
    Store(#[from] StoreError),
    /// What was to be done could not be recorded.
    #[error("the audit log could not be written, and nothing changes unrecorded")]
    Unrecorded(#[from] AuditError),
    /// Another process changes the policy.
    #[error("another process is changing the policy")]
    Changing,
    /// A policy waits to be confirmed.
    #[error("generation {generation} waits to be confirmed, for {} more", humantime::format_duration(Duration::from_secs(.left.as_secs())))]
    Unconfirmed {
        /// The generation.
        generation: u64,
        /// How much longer.
        left: Duration,
    },
    /// Nothing waits to be confirmed.
    #[error("no policy waits to be confirmed")]
    NothingPending,
    /// There is nothing to go back to.
    #[error("there is no earlier generation to go back to")]
    NoPrevious,
    /// Confirmation is asked for where nothing could revert.
    #[error("nothing is in force that could go back by itself")]
    NothingInForce,
    /// The break-glass file could not be made or removed.
    #[error("{}: the break-glass file could not be {action}", .path.display())]
    BreakGlass {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The self-guard keeps nothing, so nobody needs to be let in.
    #[error("the self-guard is not armed")]
    NotArmed,
    /// What is no program cannot count as the agent.
    #[error("{}: it cannot be let in as the next binary", .path.display())]
    NotAdmitted {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another agent runs.
    #[error("another agent is running")]
    Busy,
    /// A directory of ours cannot be used.
    #[error("{}: the directory cannot be used", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The file that events are to go to cannot be used.
    #[error("{}: events cannot be written to it", .path.display())]
    LogFile {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// There is no journal.
    #[error("the journal cannot be reached")]
    NoJournal(#[source] io::Error),
    /// The agent could not lock itself down.
    #[error("the agent could not lock itself down")]
    Confine(#[from] ConfineError),
    /// The main loop failed.
    #[error("the agent could not {action}")]
    Loop {
        /// What it tried.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl AgentError {
    /// Whether another tier may do better: the failure lies in how this one meets the kernel.
    pub fn is_of_tier(&self) -> bool {
        matches!(
            self,
            Self::NotProven(_)
                | Self::Enforce(
                    EnforceError::HookNotLoaded { .. }
                        | EnforceError::HookRefused { .. }
                        | EnforceError::NoTarget { .. }
                        | EnforceError::NotRecorded { .. }
                        | EnforceError::Btf(_)
                        | EnforceError::Relocate(_)
                )
        )
    }

    /// The error and its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
