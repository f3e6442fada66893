//! What to do with events that were written.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with events that were written.
#[derive(Clone, Debug, Subcommand)]
pub enum EventCommand {
    /// Check that each line of a file is an event as this version writes them; exit 65 when one is not
    Validate(EventValidateArgs),
}

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct EventValidateArgs {
    /// Lines of `run --log-format json`, in the format `native`; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
