//! What the agent tells other processes: one file, replaced as a whole, and a lock that shows whether it is alive.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{policy::Digest, tier::Mode};

/// Raised with any change that a reader of the JSON could trip over.
pub const SCHEMA_VERSION: u32 = 1;

/// Larger than any state file of ours: more is not read.
const MAX_BYTES: u64 = 1024 * 1024;

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// What was asked for is what runs.
    Healthy,
    /// Less than asked for, and known.
    Degraded,
    /// Something is wrong.
    Unhealthy,
}

impl Health {
    /// The word used in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How many of the hooks are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachState {
    /// All.
    Full,
    /// All required ones, and not all optional ones.
    Partial,
    /// None.
    None,
}

impl AttachState {
    /// The word used in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookState {
    /// Its name.
    pub name: String,
    /// Whether nothing runs without it.
    pub required: bool,
    /// Whether its program is attached.
    pub attached: bool,
    /// When it last refused a canary, RFC 3339; absent: never, or the last proof failed.
    pub proven_at: Option<String>,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Names its text.
    pub sha256: Digest,
    /// Its number.
    pub generation: u64,
    /// Set while it waits to be confirmed: when it ends by itself, RFC 3339.
    pub confirm_before: Option<String>,
    /// `policy_version=` of the file, where it has one.
    pub policy_version: Option<u64>,
    /// Principal whose signature was accepted; absent: unsigned.
    pub signed_by: Option<String>,
    /// Number of deny rules.
    pub rules: usize,
}

/// Counts since the maps were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventState {
    /// Handed to the ring buffer.
    pub submitted: u64,
    /// Not handed over, because it was full.
    pub lost: u64,
}

/// The agent process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    /// Whether it is alive.
    pub running: bool,
    /// Its process id.
    pub pid: Option<u32>,
}

/// Everything that `status --json` and `health --json` print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// The verdict.
    pub status: Health,
    /// Whether denied operations are refused, as last proven.
    pub enforcing: bool,
    /// The mode.
    pub mode: Option<Mode>,
    /// The tier.
    pub tier: Option<String>,
    /// How many of the hooks are attached.
    pub attach_state: AttachState,
    /// The hooks.
    pub hooks: Vec<HookState>,
    /// Claims that rest on a missing hook.
    pub uncovered: Vec<String>,
    /// The policy in force.
    pub policy: Option<PolicyState>,
    /// Event counts.
    pub events: EventState,
    /// Whether the break-glass file is there.
    pub break_glass: bool,
    /// The agent.
    pub agent: AgentState,
    /// What the agent may still do, in words; absent without an agent.
    pub sandbox: Option<String>,
    /// Why the status is not healthy, and what else the reader must know.
    pub reasons: Vec<String>,
    /// Ids of the kernel's maps that hold the rules, where they are not pinned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maps: BTreeMap<String, u32>,
}

impl Status {
    /// Nothing is in force and nobody runs.
    pub fn nothing() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            status: Health::Unhealthy,
            enforcing: false,
            mode: None,
            tier: None,
            attach_state: AttachState::None,
            hooks: Vec::new(),
            uncovered: Vec::new(),
            policy: None,
            events: EventState::default(),
            break_glass: false,
            agent: AgentState { running: false, pid: None },
            sandbox: None,
            reasons: Vec::new(),
            maps: BTreeMap::new(),
        }
    }
}

/// The runtime directory.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

/// Held while the agent runs.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is released when the file is closed")] File);

impl RunDir {
    /// Names it; nothing is touched.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the directory and takes the agent's lock. `None`: another agent has it.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        DirBuilder::new().recursive(true).mode(0o755).create(&self.0)?;
        let file =
            File::options().write(true).create(true).truncate(false).mode(0o644).open(self.0.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether an agent holds the lock.
    pub fn agent_alive(&self) -> bool {
        let Ok(file) = File::open(self.0.join("lock")) else { return false };
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    }

    /// Replaces the state file.
    pub fn write(&self, status: &Status) -> io::Result<()> {
        let (path, new) = (self.0.join("state.json"), self.0.join("state.json.new"));
        let mut text = serde_json::to_vec(status)?;
        text.push(b'\n');
        File::options().write(true).create(true).truncate(true).mode(0o644).open(&new)?.write_all(&text)?;
        fs::rename(new, path)
    }

    /// The last state that an agent wrote; `None` when there is none that this version understands.
    pub fn read(&self) -> Option<Status> {
        use io::Read as _;
        let mut text = String::new();
        File::open(self.0.join("state.json")).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        let status: Status = serde_json::from_str(&text).ok()?;
        (status.schema_version == SCHEMA_VERSION).then_some(status)
    }
}
