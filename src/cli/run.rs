//! How to run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{AcceptArgs, tier_name};
use crate::{plan::OnDegraded, policy::Digest, tier::Mode};

/// How `run` is to run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    after_help = "Examples:\n  aegisbpf run --audit --policy policy.conf\n  aegisbpf run --enforce --on-degraded audit --log-format json\n\nWithout --enforce it audits: it reports what would be denied, and denies nothing.\nEnforcement goes on when the agent ends; `aegisbpf detach` ends it."
)]
pub struct RunArgs {
    /// Report what would be denied, deny nothing (the default)
    #[arg(long, conflicts_with = "enforce")]
    pub audit: bool,
    /// Deny
    #[arg(long)]
    pub enforce: bool,
    /// The policy [default: policy.conf in the configuration directory]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// SHA-256 that the policy must have
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Digest>,
    /// This tier and no other: bpf-lsm, modify-return or tracepoint
    #[arg(long, value_name = "NAME", value_parser = tier_name)]
    pub tier: Option<&'static str>,
    /// What to do where enforcement was asked for and cannot be had
    #[arg(long, value_name = "WHAT", default_value = "exit")]
    pub on_degraded: OnDegraded,
    /// Enforce a policy that nobody signed; reported in every status
    #[arg(long)]
    pub allow_unsigned_policy: bool,
    /// What is accepted on purpose.
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// Which hooks ask the rules. auto and file: those of the contract; inode and both: `inode_permission` as well, which
    /// refuses denied inodes to access(2) and on the way to other files, at a cost for every directory of every path
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub lsm_hook: LsmHook,
    /// Arm the self-guard: keep maps, programs, pins, memory and binary of the agent from every other program, root's too
    #[arg(long)]
    pub guard: bool,
    /// Exit when an optional hook is missing or a proof fails
    #[arg(long)]
    pub strict: bool,
    /// Which signal a denied process gets. `none` is what there is: a denied operation answers EPERM, and its process
    /// lives to handle that
    #[arg(long, value_name = "SIGNAL", default_value = "none")]
    pub enforce_signal: EnforceSignal,
    /// Accepted, and of no effect: no signal is sent
    #[arg(long)]
    pub allow_sigkill: bool,
    /// Accepted, and of no effect: the system call filter is always there
    #[arg(long, conflicts_with = "no_sandbox")]
    pub seccomp: bool,
    /// For debugging: keep the capabilities, and leave out Landlock and the system call filter; every status says so
    #[arg(long)]
    pub no_sandbox: bool,
    /// How often to prove enforcement again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub proof_interval: std::time::Duration,
    /// Tell a decision at once, and count those that repeat it for so long before they are told as one event with their
    /// number; 0s: tell each
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub repeat_window: std::time::Duration,
    /// Where events go.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Where events go, and how they are written.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// How events are written to standard output or to a file
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Which JSON: of AegisBPF, of OCSF 1.8.0, or of ECS 9.0.0; the last two hold the first as well
    #[arg(long, value_name = "FORMAT", default_value = "native")]
    pub event_format: EventFormat,
    /// Where events go. The journal gets a field for each key, `AEGISBPF_` and its name
    #[arg(long, value_name = "WHERE", default_value = "stdout", overrides_with = "log_to")]
    pub log_to: LogTo,
    /// Append events to this file instead of standard output, and begin a new one at SIGUSR1
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Mode of that file, within 0664
    #[arg(long, value_name = "MODE", default_value = "0640", value_parser = log_mode, requires = "log_file")]
    pub log_file_mode: u32,
    /// Group of that file, by name or number
    #[arg(long, value_name = "GROUP", requires = "log_file")]
    pub log_file_group: Option<String>,
}

/// The agent reads and writes it; nobody executes it, and not everybody may write it.
fn log_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| mode & 0o600 == 0o600 && mode & !0o664 == 0);
    mode.ok_or_else(|| "a mode from 0600 to 0664, in octal digits".to_owned())
}

impl RunArgs {
    /// The wanted mode.
    pub fn mode(&self) -> Mode {
        if self.enforce { Mode::Enforce } else { Mode::Audit }
    }
}

/// Which hooks ask the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LsmHook {
    /// Those that the contract rests on
    Auto,
    /// The same
    File,
    /// Those, and `inode_permission`
    Inode,
    /// The same
    Both,
}

impl LsmHook {
    /// Whether `inode_permission` is asked for. The other hooks are never left out: the contract rests on them.
    pub fn with_permission(self) -> bool {
        matches!(self, Self::Inode | Self::Both)
    }
}

/// Which signal a denied process gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EnforceSignal {
    /// None: EPERM is the verdict
    None,
    /// Refused
    Term,
    /// Refused
    Int,
    /// Refused
    Kill,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for a person
    Text,
    /// A JSON object a line
    Json,
}

/// Which JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// `docs/schema/event.schema.json`
    Native,
    /// Open Cybersecurity Schema Framework
    Ocsf,
    /// Elastic Common Schema
    Ecs,
}

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogTo {
    /// Standard output
    Stdout,
    /// The journal of systemd
    Journal,
    /// Both
    Both,
}
