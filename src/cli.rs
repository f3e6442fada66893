//! The command line: what was typed. Help texts live here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    agent::Dirs,
    plan::{Accept, OnDegraded},
    policy::{Digest, Ops},
    tier::Mode,
};

/// Blocks unauthorised opens and execs of files in the kernel, and never claims more than it has proven.
#[derive(Debug, Parser)]
#[command(name = "aegisbpf", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Start here:\n  aegisbpf demo     see what this host can do, in one screen\n  aegisbpf doctor   why, and what would mend it"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where files are.
    #[command(flatten)]
    pub places: Places,
}

/// Directories; the defaults are for a host, others for tests and containers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Directories")]
pub struct Places {
    /// Policy, keys and the break-glass file
    #[arg(long, global = true, value_name = "DIR", default_value = "/etc/aegisbpf")]
    pub config_dir: PathBuf,
    /// What survives a reboot
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/aegisbpf")]
    pub state_dir: PathBuf,
    /// Agent state and canaries
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/aegisbpf")]
    pub run_dir: PathBuf,
    /// A mounted BPF file system; pins go to aegisbpf/ below it
    #[arg(long, global = true, value_name = "DIR", default_value = "/sys/fs/bpf")]
    pub bpffs: PathBuf,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch or enforce a policy until told to stop
    Run(Box<RunArgs>),
    /// Show on this host what works: a file before and after, the event, the way back
    Demo,
    /// Find out what this host can do, why, and what would mend it
    Doctor(DoctorArgs),
    /// Ask the kernel every question by trial and print the answers
    Probe(ProbeArgs),
    /// Print what each tier denies, observes and cannot do, and what happens in each failure
    Contract(ContractArgs),
    /// Show what is in force
    Status(JsonArgs),
    /// Judge what is in force: exit 0 healthy, 1 degraded or unhealthy, 2 misreporting
    Health(HealthArgs),
    /// Check, apply, compare and take back policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show who is trusted to sign policies
    #[command(subcommand)]
    Keys(KeysCommand),
    /// End enforcement: remove every program, map and link of ours from the kernel
    Detach(JsonArgs),
    /// Print version and build
    Version(JsonArgs),
}

impl Places {
    /// As the agent takes them.
    pub fn dirs(&self) -> Dirs {
        Dirs {
            config: self.config_dir.clone(),
            state: self.state_dir.clone(),
            run: self.run_dir.clone(),
            bpffs: self.bpffs.clone(),
        }
    }
}

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
    /// Say who signed a policy; exit 78 when it is nobody who is trusted
    Verify(VerifyArgs),
    /// Ask the matcher in the kernel what it would decide, without any effect; exit 1 when it would deny
    Simulate(SimulateArgs),
}

/// What to do with keys.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys of `allowed_signers` with their fingerprints, and which of them are revoked
    List(JsonArgs),
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
    after_help = "Examples:\n  aegisbpf policy simulate --path /etc/shadow --op read\n  aegisbpf policy simulate --path /usr/bin/gcc --op exec --cgroup /sys/fs/cgroup/user.slice --policy new.conf\n\nThe programs in the kernel answer, by the rules in force or by those of --policy. Nothing is opened,\nrun or changed. Where nothing is in force they are attached for the question alone."
)]
pub struct SimulateArgs {
    /// The file
    #[arg(long, value_name = "PATH")]
    pub path: PathBuf,
    /// The operation: read, write or exec
    #[arg(long, value_name = "OP", value_parser = operation)]
    pub op: Ops,
    /// Ask for a process in this cgroup [default: that of this process]
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
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

/// `--json` alone.
#[derive(Clone, Copy, Debug, Args)]
pub struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

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
    /// Exit when an optional hook is missing or a proof fails
    #[arg(long)]
    pub strict: bool,
    /// How often to prove enforcement again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub proof_interval: std::time::Duration,
    /// How events are written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
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

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for a person
    Text,
    /// A JSON object a line
    Json,
}

/// What `doctor` is to judge.
#[derive(Clone, Copy, Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// What this host must be able to do for exit 0
    #[arg(long, value_name = "WHAT", default_value = "enforce")]
    pub require: Mode,
}

/// What `probe` is to ask.
#[derive(Clone, Copy, Debug, Args)]
pub struct ProbeArgs {
    /// Load every program of every tier as well, and print what the verifier spends on each; attaches nothing
    #[arg(long)]
    pub programs: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which contract to print.
#[derive(Clone, Copy, Debug, Args)]
pub struct ContractArgs {
    /// One tier only
    #[arg(long, value_name = "NAME", value_parser = tier_name)]
    pub tier: Option<&'static str>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `health` is to require.
#[derive(Clone, Copy, Debug, Args)]
pub struct HealthArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Exit 1 unless this is what runs
    #[arg(long, value_name = "MODE")]
    pub require: Option<Mode>,
    /// Exit 1 when degraded
    #[arg(long)]
    pub strict: bool,
}

fn tier_name(name: &str) -> Result<&'static str, String> {
    crate::tier::Tier::named(name).map(|tier| tier.name).ok_or_else(|| {
        let names: Vec<&str> = crate::tier::TIERS.iter().map(|tier| tier.name).collect();
        format!("there is no such tier; there are {}", names.join(", "))
    })
}
