//! `./dev build`: the static binary.

use crate::artifacts;
use crate::paths::MUSL;
use anyhow::Result;
use std::fs;
use std::process::ExitCode;

/// Options of `build`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target, for example aarch64-unknown-linux-musl
    #[arg(long, default_value = MUSL)]
    target: String,
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let binary = artifacts::release("aegisbpf", &args.target)?;
    println!("{}  {} bytes", binary.display(), fs::metadata(&binary)?.len());
    Ok(ExitCode::SUCCESS)
}
