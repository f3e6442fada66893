//! What to do with the audit log.

use clap::{Args, Subcommand};

use super::JsonArgs;

/// What to do with the audit log.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no entry was changed, removed, put in or moved; exit 78 with the place when one was
    Verify(JsonArgs),
    /// List the entries, the latest last
    Show(AuditShowArgs),
}

/// What to show of the audit log.
#[derive(Clone, Copy, Debug, Args)]
pub struct AuditShowArgs {
    /// How many, the latest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// Print JSON, an entry a line
    #[arg(long)]
    pub json: bool,
}
