//! `./dev dist`: packages of the release binary.

use crate::artifacts;
use crate::packages::{self, BEFORE, Packages};
use crate::paths::{self, MUSL};
use anyhow::{Result, bail};
use std::fs;
use std::process::ExitCode;

/// Options of `dist`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target, for example aarch64-unknown-linux-musl
    #[arg(long, default_value = MUSL)]
    target: String,
    /// Try them as well: lintian and rpmlint, the same bytes again, the life of the rpm
    #[arg(long)]
    check: bool,
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    artifacts::release("aegisbpf", &args.target)?;
    if args.check {
        check(&args.target)?;
    }
    for file in make(&args.target)?.files() {
        println!("{}  {} bytes", file.display(), fs::metadata(file)?.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn make(target: &str) -> Result<Packages> {
    packages::build(target, None, &paths::target_dir()?.join("dist").join(target))
}

/// Tries those of a binary that is built.
pub(crate) fn check(target: &str) -> Result<()> {
    let scratch = paths::target_dir()?.join("packages");
    let (first, again) = (make(target)?, packages::build(target, None, &scratch.join("again"))?);
    for (one, other) in first.files().into_iter().zip(again.files()) {
        if fs::read(one)? != fs::read(other)? {
            bail!("{} is not the same when it is built again", one.display());
        }
    }
    packages::lint(&first)?;
    let before = packages::build(target, Some(BEFORE), &scratch.join("old"))?;
    packages::rpm_lives(&before, &first, target)
}
