//! What to do with policies.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JsonArgs;
use crate::{
    plan::Accept,
    policy::{Digest, Ops},
};

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Explain every fault and doubt, with place and fix; exit 65 when the policy would be refused
    Lint(LintArgs),
    /// Make a policy the one in force: at once, as a whole, and for the next boot
    Apply(Box<ApplyArgs>),
    /// Keep a policy that was applied with --confirm-within
    Confirm(JsonArgs),
    /// Go back to the policy before, or to a generation
    Rollback(RollbackArgs),
    /// Look anew at the files and cgroups that the policy in force names
    Reload(JsonArgs),
    /// Show what a generation is and what it says [default: the one in force]
    Show(ShowArgs),
    /// Write the text of a generation, byte by byte as it was applied
    Export(ExportArgs),
    /// Show what differs between two policies; exit 1 when something does
    Diff(DiffArgs),
    /// List the generations
    History(JsonArgs),
    /// Sign a policy with a key of `keys generate` or of ssh-keygen
    Sign(SignArgs),
    /// Say who signed a policy; exit 78 when it is nobody who is trusted
    Verify(VerifyArgs),
    /// Ask the matcher in the kernel what it would decide, without any effect; exit 1 when it would deny
    Simulate(SimulateArgs),
    /// From what was denied to the fewest lines that would allow it, and nothing else
    Suggest(SuggestArgs),
}

/// What is accepted on purpose.
#[derive(Clone, Copy, Debug, Args)]
pub struct AcceptArgs {
    /// Accept paths and cgroups that do not exist; a path is bound by its name, a cgroup once the policy is reloaded
    #[arg(long)]
    pub allow_missing: bool,
    /// Accept rules on init, the dynamic loader and the agent, without which the host cannot be repaired
    #[arg(long)]
    pub allow_critical: bool,
}

impl AcceptArgs {
    /// As the planner takes it.
    pub fn accept(self) -> Accept {
        Accept { missing: self.allow_missing, critical: self.allow_critical }
    }
}

/// What to apply.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf policy apply policy.conf\n  aegisbpf policy apply policy.conf --confirm-within 2m   then, in time: aegisbpf policy confirm\n\nThe policy replaces the one in force in one step: no operation meets neither or both.\nA policy that cannot be applied leaves the one in force untouched.\nWithout an agent it takes effect all the same where enforcement is pinned, and is kept for the next run elsewhere."
)]
pub struct ApplyArgs {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// SHA-256 that the policy must have
    #[arg(long, value_name = "HEX", conflicts_with = "sha256_file")]
    pub sha256: Option<Digest>,
    /// A file with that SHA-256, as sha256sum writes it
    #[arg(long, value_name = "FILE")]
    pub sha256_file: Option<PathBuf>,
    /// Go back by itself unless `policy confirm` comes within this time, whether or not an agent is alive
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub confirm_within: Option<std::time::Duration>,
    /// Apply a policy that nobody signed where it will be enforced; reported in every status
    #[arg(long)]
    pub allow_unsigned_policy: bool,
    /// What is accepted on purpose.
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// How many generations to keep on disk
    #[arg(long, value_name = "N", default_value_t = crate::store::KEEP)]
    pub keep: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where to go back to.
#[derive(Clone, Copy, Debug, Args)]
pub struct RollbackArgs {
    /// The generation; `policy history` lists them [default: the one that was in force before]
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to show.
#[derive(Clone, Copy, Debug, Args)]
pub struct ShowArgs {
    /// The generation [default: the one in force]
    #[arg(value_name = "N")]
    pub generation: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to write.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The generation [default: the one in force]
    #[arg(value_name = "N")]
    pub generation: Option<u64>,
    /// Where to; an existing file is not overwritten [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A generation, or a policy file
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// A generation, or a policy file
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to sign.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf policy sign policy.conf --key policy-key   makes policy.conf.sig\n  ssh-keygen -Y sign -n policy@aegisbpf -f policy-key policy.conf   makes the same, and asks for a passphrase"
)]
pub struct SignArgs {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The secret key: one of OpenSSH, ssh-ed25519, without a passphrase, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where the signature goes [default: FILE.sig; standard output for `-`]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Replace a signature that is there
    #[arg(long)]
    pub force: bool,
}

/// What to check.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ssh-keygen -Y sign -n policy@aegisbpf -f KEY policy.conf   makes policy.conf.sig\n  aegisbpf policy verify policy.conf\n\nWho is trusted stands in allowed_signers, as ssh-keygen(1) describes it: `ops@example.org ssh-ed25519 AAAA…`."
)]
pub struct VerifyArgs {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Its signature [default: FILE.sig]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// The directory with `allowed_signers` and `revoked_keys` [default: keys in the configuration directory]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to ask.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf policy simulate --path /etc/shadow --op read\n  aegisbpf policy simulate --path /usr/bin/gcc --op exec --cgroup /sys/fs/cgroup/user.slice --policy new.conf\n\nThe programs in the kernel answer, by the rules in force or by those of --policy. Nothing is opened,\nrun or changed. Where nothing is in force they are attached for the question alone.\n\n  aegisbpf policy simulate --events events.json --policy new.conf   what it would have decided of a log\n\nThere the record answers, with the rules' paths as they are on this host, where the events are of this host.\nWhat neither tells is counted as unknown, with the reason; a mount that shows a part of a tree elsewhere is\nnot followed. Exit 1 when something would be denied."
)]
pub struct SimulateArgs {
    /// The file
    #[arg(long, value_name = "PATH", required_unless_present = "events", requires = "op")]
    pub path: Option<PathBuf>,
    /// The operation: read, write or exec
    #[arg(long, value_name = "OP", value_parser = operation, requires = "path")]
    pub op: Option<Ops>,
    /// Ask for a process in this cgroup [default: that of this process]
    #[arg(long, value_name = "PATH", requires = "path")]
    pub cgroup: Option<PathBuf>,
    /// Ask about every decision in this file of events (JSON lines); `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "allow_missing", "allow_critical"])]
    pub events: Option<PathBuf>,
    /// Ask about this policy instead of the one in force
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// What is accepted on purpose.
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to start from.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf policy suggest --events events.json --policy policy.conf\n  aegisbpf policy suggest --events events.json --policy policy.conf | patch\n\nCgroups are exempted from which something was denied, and no others. A rule is weakened only where no cgroup can\nbe exempted: for processes of the root cgroup, and where more than eight would have to be. What it costs stands\nbeside each change. Nothing is written."
)]
pub struct SuggestArgs {
    /// A file of events (JSON lines); `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// The policy to change [default: the one that was applied last]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn operation(name: &str) -> Result<Ops, String> {
    Ops::from_name(name).ok_or_else(|| "there are read, write and exec".to_owned())
}

/// What to check.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the normalized policy in place of the file (to standard output for `-`)
    #[arg(long, conflicts_with = "json")]
    pub fix: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
