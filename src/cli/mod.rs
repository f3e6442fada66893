//! The command line: what was typed. Help texts live here.

mod audit;
mod break_glass;
mod canary;
mod doctor;
mod event;
mod figures;
mod guard;
mod install;
mod keys;
mod policy;
mod run;
mod texts;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::{
    audit::*, break_glass::*, canary::*, doctor::*, event::*, figures::*, guard::*, install::*, keys::*,
    policy::*, run::*, texts::*,
};
use crate::{agent::Dirs, tier::Mode};

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
    /// Try a policy in stages, audit then enforce, against thresholds; keep the evidence
    Canary(Box<CanaryArgs>),
    /// Find out what this host can do, why, and what would mend it
    Doctor(DoctorArgs),
    /// Say more about something that another command named: a check, a cause, a claim, a failure, a fault of a policy
    Explain(ExplainArgs),
    /// Ask the kernel every question by trial and print the answers
    Probe(ProbeArgs),
    /// Print what each tier denies, observes and cannot do, and what happens in each failure
    Contract(ContractArgs),
    /// Show what is in force, in one screen
    Status(StatusArgs),
    /// Judge what is in force: exit 0 healthy, 1 degraded or unhealthy, 2 misreporting
    Health(HealthArgs),
    /// Count what was decided: by hook, cgroup, rule, inode or path
    Stats(StatsArgs),
    /// Print what is in force as metrics for Prometheus, write them to a file, or answer requests for them
    Metrics(MetricsArgs),
    /// Check, apply, compare and take back policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make keys, and say who is trusted to sign policies
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Show and check the log of what was done to the policy and to enforcement
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check events that were written
    #[command(subcommand)]
    Event(EventCommand),
    /// Suspend every denial at once, and let them return
    #[command(subcommand)]
    BreakGlass(BreakGlassCommand),
    /// Say whether the self-guard is armed, and let in the next binary
    #[command(subcommand)]
    Guard(GuardCommand),
    /// End enforcement: remove every program, map and link of ours from the kernel
    Detach(JsonArgs),
    /// End enforcement and forget every policy that was applied; the audit log is kept
    Reset(ResetArgs),
    /// Put this file and what belongs to it where a system looks for it: the service, manual pages, completions
    Install(InstallArgs),
    /// Remove what `install` put there, and nothing else
    Uninstall(UninstallArgs),
    /// Print what bash, zsh or fish complete
    Completions(CompletionsArgs),
    /// Print a manual page
    Man(ManArgs),
    /// Print the JSON Schema of what a command prints
    Schema(SchemaArgs),
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

/// `--json` alone.
#[derive(Clone, Copy, Debug, Args)]
pub struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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
    /// What is said of one claim, and no failure
    #[arg(long, value_name = "ID", value_parser = claim_id)]
    pub claim: Option<&'static str>,
    /// What is said of one failure, and no claim
    #[arg(long, value_name = "ID", value_parser = failure_id, conflicts_with = "claim")]
    pub failure: Option<&'static str>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `status` is to show.
#[derive(Clone, Copy, Debug, Args)]
pub struct StatusArgs {
    /// Show every hook
    #[arg(long, short)]
    pub verbose: bool,
    /// Show it again and again, at this interval [default: 2s]; Ctrl-C ends it
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "2s", value_parser = interval, conflicts_with = "json")]
    pub watch: Option<std::time::Duration>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn interval(text: &str) -> Result<std::time::Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let shortest = std::time::Duration::from_millis(100);
    if time < shortest { Err("the shortest is 100ms".to_owned()) } else { Ok(time) }
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

fn claim_id(id: &str) -> Result<&'static str, String> {
    let found = crate::tier::CLAIMS.iter().map(|claim| claim.id).find(|known| *known == id);
    found.ok_or_else(|| "there is no such claim; `aegisbpf contract` lists them".to_owned())
}

fn failure_id(id: &str) -> Result<&'static str, String> {
    let found = crate::tier::FAILURES.iter().map(|failure| failure.id).find(|known| *known == id);
    found.ok_or_else(|| "there is no such failure; `aegisbpf contract` lists them".to_owned())
}
