//! Breaking the glass, and forgetting.

use clap::{Args, Subcommand};

use super::JsonArgs;

/// What to do about break-glass.
#[derive(Clone, Debug, Subcommand)]
pub enum BreakGlassCommand {
    /// Deny nothing from now on, with or without an agent, also after a reboot
    On(ReasonArgs),
    /// Let denials return
    Off(ReasonArgs),
    /// Say whether it is on, since when and why; exit 1 when it is
    Status(JsonArgs),
}

/// Why.
#[derive(Clone, Debug, Args)]
pub struct ReasonArgs {
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT", required = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub reason: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to forget.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    after_help = "Enforcement ends, and every generation, the highest accepted policy version and the latest seen time are forgotten.\nThe audit log is kept, with an entry that says so. The configuration and the keys are not touched."
)]
pub struct ResetArgs {
    /// Forget the latest seen time alone: the clock of now is right, and was wrong before
    #[arg(long)]
    pub clock: bool,
    /// Do it
    #[arg(long, required_unless_present = "clock")]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
