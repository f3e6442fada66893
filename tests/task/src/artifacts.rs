//! The binaries that a run needs, built by cargo.

use crate::paths::{self, MUSL};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds a package of the workspace for release; returns its binary, which has the package's name.
pub(crate) fn release(package: &str, target: &str) -> Result<PathBuf> {
    let mut command = cargo()?;
    command.args(["build", "--release", "--target", target, "-p", package, "--bin", package]);
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the build of {package} for {target} failed");
    }
    paths::release_binary(target, package)
}

/// The agent: as given, or built.
pub(crate) fn agent(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string()),
        None => release("aegisbpf", MUSL),
    }
}

/// cargo, in the root of the tree.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new("cargo");
    command.current_dir(paths::root()?);
    Ok(command)
}
