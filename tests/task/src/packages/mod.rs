//! The packages of the release binary, as `Cargo.toml` describes them.

mod rpm;

use crate::artifacts::{self, cargo};
use crate::paths::{self, MUSL};
use anyhow::{Context as _, Result, bail};
pub(crate) use rpm::lives as rpm_lives;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A version before every one that is released, for what an upgrade is.
pub(crate) const BEFORE: &str = "0.0.1";
/// The time that files of a package have: a build gives the same bytes whenever it is made.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What was built.
#[derive(Debug)]
pub(crate) struct Packages {
    pub(crate) deb: PathBuf,
    pub(crate) rpm: PathBuf,
    /// The module of `SELinux`, for hosts with rpm.
    pub(crate) selinux: PathBuf,
}

impl Packages {
    /// All of them.
    pub(crate) fn files(&self) -> [&Path; 3] {
        [&self.deb, &self.rpm, &self.selinux]
    }
}

/// Builds them of the release binary, which has to be there, into a directory that is made anew.
pub(crate) fn build(target: &str, version: Option<&str>, into: &Path) -> Result<Packages> {
    Ok(Packages {
        deb: deb(target, version, &into.join("deb"))?,
        rpm: rpm(target, version, "agent", &into.join("rpm"))?,
        selinux: rpm(target, version, "selinux", &into.join("selinux"))?,
    })
}

fn deb(target: &str, version: Option<&str>, into: &Path) -> Result<PathBuf> {
    let mut deb = cargo()?;
    deb.env(EPOCH, epoch()?).args(["deb", "--quiet", "--no-build", "--no-strip", "--target", target]);
    if let Some(version) = version {
        deb.args(["--deb-version", &format!("{version}-1")]);
    }
    made(deb.arg("--output"), into)
}

fn rpm(target: &str, version: Option<&str>, variant: &str, into: &Path) -> Result<PathBuf> {
    let mut rpm = cargo()?;
    rpm.env(EPOCH, epoch()?).args(["generate-rpm", "--target", target, "--variant", variant]);
    // The module is text.
    if variant == "selinux" {
        rpm.args(["--arch", "noarch"]);
    }
    if let Some(version) = version {
        rpm.args(["--set-metadata", &format!("version = \"{version}\"")]);
    }
    made(rpm.arg("--output"), into)
}

/// Runs a builder, whose last argument is the directory; the one file that is in it then.
fn made(builder: &mut Command, into: &Path) -> Result<PathBuf> {
    if into.exists() {
        fs::remove_dir_all(into)?;
    }
    fs::create_dir_all(into)?;
    // The slash says that it is a directory.
    quietly(builder.arg(format!("{}/", into.display())))?;
    let file =
        fs::read_dir(into)?.next().with_context(|| format!("nothing was made in {}", into.display()))?;
    Ok(file?.path())
}

/// Of two versions, for a guest.
pub(crate) fn for_upgrade() -> Result<Vec<(&'static str, Vec<u8>)>> {
    artifacts::release("aegisbpf", MUSL)?;
    let out = paths::target_dir()?.join("packages");
    let before = deb(MUSL, Some(BEFORE), &out.join("before"))?;
    let now = deb(MUSL, None, &out.join("now"))?;
    Ok(vec![(guest::PACKAGE_BEFORE, fs::read(before)?), (guest::PACKAGE_NOW, fs::read(now)?)])
}

/// As given, or the time of the last commit.
fn epoch() -> Result<String> {
    if let Ok(given) = env::var(EPOCH) {
        return Ok(given);
    }
    let output = Command::new("git").current_dir(paths::root()?).args(["log", "-1", "--format=%ct"]).output();
    let output = output.context("cannot start git: set SOURCE_DATE_EPOCH instead")?;
    let seconds = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if seconds.is_empty() {
        bail!("git knows no commit here: set SOURCE_DATE_EPOCH");
    }
    Ok(seconds)
}

/// The checkers of the distributions have nothing to say.
pub(crate) fn lint(packages: &Packages) -> Result<()> {
    let root = paths::root()?;
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]).arg(&packages.deb);
    quietly(&mut lintian)?;
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.arg("--strict").arg("-c").arg(root.join("dist/rpm/rpmlint.toml"));
    quietly(rpmlint.args([&packages.rpm, &packages.selinux]))
}

/// Runs a program, and shows what it said when it fails.
fn quietly(command: &mut Command) -> Result<()> {
    said(command).map(drop)
}

fn said(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        bail!("{program} {} ended with {}:\n{}", args.join(" "), output.status, said.trim_end());
    }
    Ok(said)
}
