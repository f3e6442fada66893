//! What the agent tells other processes: one file, replaced as a whole, and a lock that shows whether it is alive.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};

use crate::{policy::Digest, sys::files, tier::Mode};

/// Raised with any change that a reader of the JSON could trip over.
pub const SCHEMA_VERSION: u32 = 1;

/// Larger than any state file of ours: more is not read.
const MAX_BYTES: u64 = 1024 * 1024;

/// How often an agent writes its state, whether or not there is news.
pub const BEAT: Duration = Duration::from_secs(5);

/// An agent that has not been heard of for so long does not run: a proof on a slow host takes less.
const SILENCE: Duration = Duration::from_secs(15);

/// How long an agent waits for the lock, which whoever asks for its health holds for a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventState {
    /// Handed to the ring buffer, or counted where they happened.
    pub submitted: u64,
    /// Never told.
    pub lost: u64,
    /// Those, by what had no room for them, as `lost` events name it: `kernel`, the ring buffer; `agent`, an agent that died;
    /// `output`, `file` and `journal`.
    #[serde(default)]
    pub lost_by: BTreeMap<String, u64>,
}

/// What the agent has counted at a hook since it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The hook.
    pub hook: String,
    /// Operations that were refused.
    pub deny: u64,
    /// Operations that would have been refused in enforce mode, and passed.
    pub would_deny: u64,
}

/// The agent process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    /// Whether it is alive.
    pub running: bool,
    /// Its process id.
    pub pid: Option<u32>,
    /// When it last wrote, in seconds of `CLOCK_MONOTONIC`, which nobody can set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<u64>,
}

impl AgentState {
    /// No agent.
    pub const NONE: Self = Self { running: false, pid: None, beat: None };

    /// For how long nothing was heard of an agent that is said to run, where that is too long.
    pub fn silent_for(&self) -> Option<Duration> {
        let silence = uptime().checked_sub(Duration::from_secs(self.beat?))?;
        (silence > SILENCE).then(|| Duration::from_secs(silence.as_secs()))
    }
}

/// Time since the boot, but for that in which the host slept.
pub fn uptime() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// The self-guard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardState {
    /// Whether it keeps anything from anybody.
    pub armed: bool,
    /// The programs on disk that count as the agent: the one that runs, and one that was let in.
    pub enrolled: Vec<BinaryState>,
}

/// A program on disk, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryState {
    /// `major:minor`.
    pub device: String,
    /// Inode number.
    pub inode: u64,
    /// Inode generation.
    pub generation: u32,
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
    /// Decisions, by hook; hooks that decided nothing are left out.
    #[serde(default)]
    pub decisions: Vec<Decided>,
    /// Whether the break-glass file is there.
    pub break_glass: bool,
    /// The agent.
    pub agent: AgentState,
    /// What the agent may still do, in words; absent without an agent.
    pub sandbox: Option<String>,
    /// The self-guard.
    #[serde(default)]
    pub guard: GuardState,
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
            decisions: Vec::new(),
            break_glass: false,
            agent: AgentState::NONE,
            sandbox: None,
            guard: GuardState::default(),
            reasons: Vec::new(),
            maps: BTreeMap::new(),
        }
    }
}

/// Names in the runtime directory.
const LOCK: &str = "lock";
const STATE: &str = "state.json";
/// Stands behind the name of a file that is being written.
const NEW: &str = ".new";

/// The mode of the state file; `src/confine/calls.toml` allows no other.
const PUBLIC: u32 = 0o644;

/// The mode of what others have no business with.
const PRIVATE: u32 = 0o600;

/// More than a state file takes.
const TRIED_BYTES: usize = 16 * 1024;

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
        // Whoever may ask for the status may look there.
        files::make_dir(&self.0, 0o755)?;
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = files::open(&mut options, &self.0.join(LOCK))?;
        // Whoever can open it can hold it, and pass for an agent.
        file.set_permissions(Permissions::from_mode(0o600))?;
        for _ in 0..LOCK_TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Lock(file))),
                Err(rustix::io::Errno::WOULDBLOCK) => thread::sleep(LOCK_PAUSE),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }

    /// Whether an agent holds the lock. Who may not look at it takes the agent's word, as long as that is fresh.
    pub fn agent_alive(&self) -> bool {
        match files::open(File::options().read(true), &self.0.join(LOCK)) {
            Ok(file) => {
                flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.read().is_some_and(|said| {
                    said.agent.running && said.agent.beat.is_some() && said.agent.silent_for().is_none()
                })
            }
            Err(_) => false,
        }
    }

    /// Fails where no state could be written: an agent of which nobody could learn how it is does not begin.
    pub fn try_write(&self) -> io::Result<()> {
        let new = self.0.join(format!("{STATE}{NEW}"));
        write_new(&new, &[b' '; TRIED_BYTES], PUBLIC)?;
        fs::remove_file(new)
    }

    /// Replaces the state file.
    pub fn write(&self, status: &Status) -> io::Result<()> {
        let mut text = serde_json::to_vec(status)?;
        text.push(b'\n');
        self.replace(STATE, &text, PUBLIC)
    }

    /// Replaces a file that is for its owner alone.
    pub fn write_private(&self, name: &str, text: &[u8]) -> io::Result<()> {
        self.replace(name, text, PRIVATE)
    }

    fn replace(&self, name: &str, text: &[u8], mode: u32) -> io::Result<()> {
        let new = self.0.join(format!("{name}{NEW}"));
        write_new(&new, text, mode)?;
        fs::rename(&new, self.0.join(name)).inspect_err(|_| {
            // The first error is the one to report.
            drop(fs::remove_file(&new));
        })
    }

    /// The last state that an agent wrote; `None` when there is none that this version understands.
    pub fn read(&self) -> Option<Status> {
        let mut text = String::new();
        let file = files::open(File::options().read(true), &self.0.join(STATE)).ok()?;
        file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        let status: Status = serde_json::from_str(&text).ok()?;
        (status.schema_version == SCHEMA_VERSION).then_some(status)
    }
}

/// Writes a file in the place of whatever lies there, or leaves none.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(PRIVATE).open(path)?;
    // Others may read it, whatever the umask.
    let opened = if mode == PRIVATE { Ok(()) } else { file.set_permissions(Permissions::from_mode(mode)) };
    opened.and_then(|()| file.write_all(bytes)).inspect_err(|_| {
        // The first error is the one to report.
        drop(fs::remove_file(path));
    })
}
