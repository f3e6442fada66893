//! What to install and to remove.

use std::path::PathBuf;

use clap::Args;

use crate::tier::Mode;

/// What to install.
#[derive(Debug, Args)]
#[command(
    after_help = "The program itself, its unit, catalog, directories, manual pages, completions, rotation of logs, and what confines\nit where AppArmor or SELinux is. Nothing is started. Examples:\n  aegisbpf install --dry-run\n  aegisbpf install --root /mnt/image"
)]
pub struct InstallArgs {
    /// Into this directory as if it were the root; no link leads out of it, and nothing is run
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// What the service is to do from its next start on [default: audit, or what an install before said]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to remove.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Debug, Args)]
#[command(
    after_help = "Removes what `aegisbpf install` put there and nobody changed since. What a package put there, the package manager removes."
)]
pub struct UninstallArgs {
    /// From this directory as if it were the root; nothing is run
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Configuration, policies, keys, generations, the audit log and events as well
    #[arg(long)]
    pub purge: bool,
    /// End enforcement first; without it nothing is removed from a host that is enforcing
    #[arg(long)]
    pub detach: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
