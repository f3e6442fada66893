//! From bytes in the ring buffer to lines that people and machines read.

mod check;
mod decode;
mod ecs;
mod journal;
mod ocsf;
mod read;
mod recorded;
mod show;

use std::{borrow::Cow, time::SystemTime};

use serde::{Deserialize, Serialize};

pub use self::{
    check::{POLICY, Unfit, check},
    decode::{Clock, boot_time, decode, likeness},
    ecs::ecs,
    journal::{MESSAGES, entry, message_id},
    ocsf::ocsf,
    read::{BadLine, LINE_BYTES, Lines, Numbered, parse, unescape},
    show::{rfc3339, text_line},
};
use crate::{policy::Digest, tier::Mode};

/// Raised with any change that a reader of the JSON could trip over.
pub const SCHEMA_VERSION: u32 = 1;

/// One line of output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line<'a> {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// When it happened, RFC 3339 in UTC with nanoseconds.
    pub time: String,
    /// The boot it happened in.
    pub boot_id: Cow<'a, str>,
    /// Grows by one a line, from the start of the agent.
    pub seq: u64,
    /// The host's name.
    pub host: Cow<'a, str>,
    /// The tier that saw it.
    pub tier: Cow<'a, str>,
    /// What happened.
    #[serde(flatten)]
    pub event: Cow<'a, Event>,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// An operation was refused.
    Deny(Decision),
    /// An operation would be refused in enforce mode, and passed.
    WouldDeny(Decision),
    /// The agent's state changed.
    StateChange(StateChange),
    /// Another policy decides, or the same one no longer waits to be confirmed.
    PolicyChange(PolicyChange),
    /// A proof that changed the picture: the first, a failed one, the first after a failed one.
    Proof(ProofResult),
    /// Events that could not be handed over.
    Lost(Lost),
}

/// A decision about one operation of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own in the JSON")]
pub struct Decision {
    /// Mode at the time of the decision.
    pub mode: Mode,
    /// `read`, `write`, `exec`, joined with `,`; `guard` where the self-guard refused.
    pub operation: String,
    /// How many decisions this stands for. More than one: they differ in time, process and namespaces alone, and none of
    /// them was told before. The time is that of the last of them; process and namespaces are those of one of them.
    pub count: u64,
    /// When the first of several happened, RFC 3339; where the kernel counted them, up to half a second early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What the self-guard kept: the id of a map or program (hooks `bpf_map`, `bpf_prog`), or a process; absent where the
    /// path says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guarded: Option<u32>,
    /// The hook that decided.
    pub hook: Cow<'static, str>,
    /// Error number that the process got; 0 when it passed.
    pub errno: i32,
    /// As the kernel sees it, in the process's mount tree; bytes that are not UTF-8 as `\xNN`, `\` as `\\`.
    pub path: String,
    /// Set when the start of the path is missing because it is too deep.
    pub path_cut: bool,
    /// Set when no rule matched, but the file lies too deep to tell whether it is in a denied tree.
    pub too_deep: bool,
    /// Set when no rule matched, but the file was opened by a handle, and could be where a rule means it.
    pub unplaced: bool,
    /// Set when no rule matched, but the process would have left the scope of the rules.
    pub leaves_scope: bool,
    /// `major:minor`; absent in a tier that sees no inodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Inode generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Id of the rule: its position in the policy.
    pub rule: u32,
    /// SHA-256 of the policy; absent for an event of a policy that this agent did not load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_sha256: Option<String>,
    /// Generation of the policy that decided.
    pub policy_generation: u64,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Process id of the parent; absent in a tier that does not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ppid: Option<u32>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Name of the thread, escaped as `path`.
    pub comm: String,
    /// The executable as the kernel sees it; absent in a tier that does not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The user who logged in, whoever the process acts as since; absent where nobody did, or the tier does not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// The processes above, the parent first, at most six; empty in a tier that does not see them.
    pub lineage: Vec<Ancestor>,
    /// Id of the cgroup.
    pub cgroup_id: u64,
    /// Its place in the hierarchy of version 2; absent in a tier that does not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Id of the container, where the cgroup is named after one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Mount namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_ns: Option<u32>,
    /// Pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_ns: Option<u32>,
    /// When, for the line that carries this.
    #[serde(skip)]
    pub at: Option<SystemTime>,
}

/// A process above the one that a decision is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// File name of what it executes, escaped as `path` and cut after 27 bytes; of a kernel thread its name.
    pub exe: String,
}

/// A state of the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateChange {
    /// `healthy`, `degraded`, `unhealthy` or `stopped`.
    pub status: Cow<'static, str>,
    /// Whether denied operations are refused.
    pub enforcing: bool,
    /// The mode.
    pub mode: Mode,
    /// How many of the hooks are attached: `full`, `partial` or `none`.
    pub attach_state: Cow<'static, str>,
    /// Claims that rest on a missing hook, also where another hook carries them as well.
    pub uncovered: Vec<String>,
    /// Why, where there is something to explain.
    pub reasons: Vec<String>,
}

/// A change of policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyChange {
    /// The generation that decides now; `null`: none.
    pub generation: Option<u64>,
    /// Names its text.
    pub sha256: Option<Digest>,
    /// How many deny rules it has.
    pub rules: u32,
    /// The generation that decided before.
    pub before: Option<u64>,
    /// Whether it waits to be confirmed.
    pub provisional: bool,
}

/// Result of a proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProofResult {
    /// The hook; `policy` for what the kernel holds of the policies.
    pub hook: Cow<'static, str>,
    /// Whether it refused the canary.
    pub proven: bool,
    /// What happened, in words.
    pub detail: String,
}

/// What can have no room for an event: the ring buffer, an agent that died, and each way out.
pub const LOSSES: [&str; 5] = ["kernel", "agent", "output", "file", "journal"];

/// A loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// Events since the last such line with this reason.
    pub events: u64,
    /// Events since the maps were made (`kernel`, `agent`), or since the agent started.
    pub total: u64,
    /// Where there was no room: `kernel` (the ring buffer), `output` (standard output), `file` (of `--log-file`), `journal`.
    pub reason: Cow<'static, str>,
}

impl Event {
    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deny(_) => "deny",
            Self::WouldDeny(_) => "would_deny",
            Self::StateChange(_) => "state_change",
            Self::PolicyChange(_) => "policy_change",
            Self::Proof(_) => "proof",
            Self::Lost(_) => "lost",
        }
    }

    /// The decision that it tells of.
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Deny(decision) | Self::WouldDeny(decision) => Some(decision),
            _ => None,
        }
    }

    /// Makes a decision stand for several like it.
    #[must_use]
    pub fn standing_for(mut self, count: u64, since: Option<SystemTime>) -> Self {
        if let Self::Deny(decision) | Self::WouldDeny(decision) = &mut self {
            decision.count = count;
            decision.since = since.filter(|_| count > 1).map(rfc3339);
        }
        self
    }

    /// When it happened, where the kernel said so.
    pub fn at(&self) -> Option<SystemTime> {
        self.decision()?.at
    }
}
