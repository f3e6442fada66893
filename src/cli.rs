//! The command line: what was typed. Help texts live here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{plan::OnDegraded, tier::Mode};

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
    Probe(JsonArgs),
    /// Print what each tier denies, observes and cannot do, and what happens in each failure
    Contract(ContractArgs),
    /// Show what is in force
    Status(JsonArgs),
    /// Judge what is in force: exit 0 healthy, 1 degraded or unhealthy, 2 misreporting
    Health(HealthArgs),
    /// Check policy files
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// End enforcement: remove every program, map and link of ours from the kernel
    Detach(JsonArgs),
    /// Print version and build
    Version(JsonArgs),
}

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Explain every fault and doubt, with place and fix; exit 65 when the policy would be refused
    Lint(LintArgs),
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
    pub sha256: Option<String>,
    /// This tier and no other: bpf-lsm, modify-return or tracepoint
    #[arg(long, value_name = "NAME", value_parser = tier_name)]
    pub tier: Option<&'static str>,
    /// What to do where enforcement was asked for and cannot be had
    #[arg(long, value_name = "WHAT", default_value = "exit")]
    pub on_degraded: OnDegraded,
    /// Enforce a policy that nobody signed; reported in every status
    #[arg(long)]
    pub allow_unsigned_policy: bool,
    /// Accept rules whose path does not exist; they bind nothing until the policy is applied again
    #[arg(long)]
    pub allow_missing: bool,
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
