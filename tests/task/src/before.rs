//! The agent as it was before the ABI of its pins last changed.

use crate::artifacts::cargo;
use crate::kernels;
use crate::paths::{self, MUSL};
use crate::supply::source::{Source, said};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;

/// Where the number stands.
const HEADER: &str = "bpf-lsm/abi.h";

/// Its binary, built from the last commit with the number before this one, unless that was done.
pub(crate) fn binary() -> Result<PathBuf> {
    let commit = commit()?;
    let place = paths::target_dir()?.join("before");
    let binary = place.join(&commit);
    if binary.exists() {
        return Ok(binary);
    }
    eprintln!("building {commit}, the last one with the ABI before");
    let (tree, target) = (place.join("source"), place.join("build"));
    Source::unpack(&commit, &tree)?;
    let mut build = cargo()?;
    build.current_dir(&tree).args(["build", "--release", "--locked", "--target", MUSL, "-p", "aegisbpf"]);
    let status = build.args(["--bin", "aegisbpf", "--target-dir"]).arg(&target).status();
    if !status.context("cannot start cargo")?.success() {
        bail!("the build of {commit} failed");
    }
    fs::rename(target.join(MUSL).join("release/aegisbpf"), &binary)?;
    kernels::remove(&tree)?;
    kernels::remove(&target)?;
    Ok(binary)
}

fn commit() -> Result<String> {
    let root = paths::root()?;
    let changed = said("git", &["log", "-1", "--format=%H", "-GAEGIS_ABI_VERSION =", "--", HEADER], &root)?;
    if changed.is_empty() {
        bail!("git knows no commit that changed AEGIS_ABI_VERSION in {HEADER}: the history is needed");
    }
    said("git", &["rev-parse", &format!("{changed}^")], &root)
}
