//! A commit, apart from the tree that somebody works in, and the binary that it gives.

use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A commit in a directory of its own.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) tree: PathBuf,
    pub(crate) commit: String,
    /// When it was made, in seconds since 1970: what builds take for the date.
    pub(crate) epoch: String,
}

impl Source {
    /// A commit, for example `HEAD`, unpacked into `tree`.
    pub(crate) fn unpack(commit: &str, tree: &Path) -> Result<Self> {
        let root = paths::root()?;
        let commit = said("git", &["rev-parse", commit], &root)?;
        let epoch = said("git", &["log", "-1", "--format=%ct", &commit], &root)?;
        crate::kernels::remove(tree)?;
        fs::create_dir_all(tree).with_context(|| tree.display().to_string())?;
        let mut archive = Command::new("git")
            .current_dir(&root)
            .args(["archive", &commit])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start git")?;
        let from = archive.stdout.take().context("git archive without its output")?;
        let unpacked = Command::new("tar").arg("-x").current_dir(tree).stdin(from).status();
        if !archive.wait()?.success() || !unpacked.context("cannot start tar")?.success() {
            bail!("the commit {commit} could not be unpacked into {}", tree.display());
        }
        Ok(Self { tree: tree.to_owned(), commit, epoch })
    }

    /// The agent, built so that neither the place nor the time is in it, with the list of its crates.
    pub(crate) fn build(&self, into: &Path, target: &str) -> Result<PathBuf> {
        let home = cargo_home()?;
        let places = [(self.tree.as_path(), "/source"), (into, "/target"), (&home, "/cargo")];
        let flags: Vec<String> = places
            .iter()
            .map(|(from, to)| format!("\"--remap-path-prefix={}={to}\"", from.display()))
            .collect();
        let mut command = Command::new("cargo");
        command.current_dir(&self.tree).env("SOURCE_DATE_EPOCH", &self.epoch).env_remove("RUSTFLAGS");
        // Joined with those of .cargo/config.toml, where RUSTFLAGS would replace them.
        command.args(["auditable", "build", "--release", "--locked", "-p", "aegisbpf", "--bin", "aegisbpf"]);
        command.args(["--target", target, "--config"]);
        command.arg(format!("target.{target}.rustflags=[{}]", flags.join(",")));
        command.arg("--target-dir").arg(into);
        let status = command.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("the build for {target} in {} failed", self.tree.display());
        }
        Ok(into.join(target).join("release/aegisbpf"))
    }
}

fn cargo_home() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(home) => Ok(home.into()),
        None => Ok(PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cargo")),
    }
}

/// The first line of what a program prints.
pub(crate) fn said(program: &str, args: &[impl AsRef<OsStr>], directory: &Path) -> Result<String> {
    let output = Command::new(program).args(args).current_dir(directory).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
