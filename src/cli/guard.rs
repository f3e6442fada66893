//! The self-guard.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JsonArgs;

/// What to do about the self-guard.
#[derive(Clone, Debug, Subcommand)]
pub enum GuardCommand {
    /// Say whether it is armed, and for which binaries; exit 1 when it is not
    Status(JsonArgs),
    /// Let another binary count as the agent, so that an upgrade can take over
    Admit(AdmitArgs),
}

/// Which binary.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Run it with the binary that is enrolled. Where a package manager has put the next one in its place already, that is\n/proc/PID/exe of the running agent."
)]
pub struct AdmitArgs {
    /// The next binary
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
