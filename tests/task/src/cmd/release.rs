//! `./dev release`: the files of a release, from the commit that is checked out and nothing else.

use crate::paths::{self, MUSL};
use crate::supply::provenance::{self, Build};
use crate::supply::source::{Source, said};
use crate::supply::{licences, parts, sbom};
use crate::tally::run;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGETS: [&str; 2] = [MUSL, "aarch64-unknown-linux-musl"];
const SUMS: &str = "SHA256SUMS";
/// What a signature is for: one of a policy is none of a release.
const NAMESPACE: &str = "release@aegisbpf";
const VERIFY: &str = "tests/supply/verify.py";

/// Options of `release`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build it twice, in two places, and compare the bytes; nothing is released
    #[arg(long, conflicts_with_all = ["key", "with", "builder"])]
    reproducible: bool,
    /// Sign the sums with this key of OpenSSH
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// One more file of the release, such as a package
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Who builds, as a URI, for the provenance
    #[arg(long, value_name = "URI", default_value = "urn:x-aegisbpf:builder:local")]
    builder: String,
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.reproducible {
        return reproducible();
    }
    let work = paths::target_dir()?.join("supply");
    let source = Source::unpack("HEAD", &work.join("source"))?;
    let release = work.join("release");
    crate::kernels::remove(&release)?;
    fs::create_dir_all(&release)?;
    for target in TARGETS {
        let binary = source.build(&work.join("build"), target)?;
        binary_files(&source, target, &binary, &release)?;
    }
    for file in &args.with {
        copy(file, &release.join(file.file_name().context("--with takes a file")?))?;
    }
    let sums = sums(&release)?;
    let statement = statement(&source, &args.builder, &sums)?;
    write_json(&release.join(name("provenance.json")), &statement)?;
    write_sums(&release)?;
    match &args.key {
        Some(key) => sign(&release, key)?,
        None => eprintln!("note: without --key the sums are not signed"),
    }
    println!("{}", release.display());
    run(Command::new("cat").arg(release.join(SUMS)))?;
    Ok(ExitCode::SUCCESS)
}

/// Names of the files begin with it.
fn name(rest: &str) -> String {
    format!("aegisbpf-{}-{rest}", env!("CARGO_PKG_VERSION"))
}

/// The binary of a target, with its parts and their licences.
fn binary_files(source: &Source, target: &str, binary: &Path, release: &Path) -> Result<()> {
    let arch = target.split('-').next().unwrap_or(target);
    let file = release.join(name(arch));
    copy(binary, &file)?;
    let parts = parts::of(&source.tree, target)?;
    let sha256 = sum(&file)?;
    let subject = sbom::Subject { sha256: &sha256, time: &time(&source.epoch)? };
    let list = release.join(name(&format!("{arch}.cdx.json")));
    write_json(&list, &sbom::document(&parts, &subject))?;
    fs::write(release.join(name(&format!("{arch}-licences.txt"))), licences::text(&parts)?)?;
    copy(&licences::of_the_library()?, &release.join(name("licences-of-rust.html")))?;
    let python = paths::cache_dir()?.join("python/bin/python3");
    run(Command::new(python).arg(paths::root()?.join(VERIFY)).args([&file, &list]))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("{} to {}", from.display(), to.display()))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, format!("{value:#}\n")).with_context(|| path.display().to_string())
}

fn time(epoch: &str) -> Result<String> {
    said("date", &["-u", "-d", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"], Path::new("/"))
}

fn sum(file: &Path) -> Result<String> {
    let line = said("sha256sum", &[file], Path::new("/"))?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

/// The name and the sum of each file so far.
fn sums(release: &Path) -> Result<Vec<(String, String)>> {
    let mut sums = Vec::new();
    for entry in fs::read_dir(release)? {
        let entry = entry?;
        sums.push((entry.file_name().to_string_lossy().into_owned(), sum(&entry.path())?));
    }
    sums.sort();
    Ok(sums)
}

fn write_sums(release: &Path) -> Result<()> {
    let mut lines = String::new();
    for (name, sum) in sums(release)? {
        writeln!(lines, "{sum}  {name}")?;
    }
    fs::write(release.join(SUMS), lines)?;
    run(Command::new("sha256sum").args(["--check", "--strict", "--quiet", SUMS]).current_dir(release))
}

fn statement(source: &Source, builder: &str, files: &[(String, String)]) -> Result<Value> {
    let build = Build {
        files,
        version: env!("CARGO_PKG_VERSION"),
        commit: &source.commit,
        time: &time(&source.epoch)?,
        builder,
        rustc: &said("rustc", &["--version"], &source.tree)?,
        clang: &said("clang", &["--version"], &source.tree)?,
        lock_sha256: &sum(&source.tree.join("Cargo.lock"))?,
    };
    Ok(provenance::statement(&build))
}

/// Signs, and verifies as whoever takes the release does.
fn sign(release: &Path, key: &Path) -> Result<()> {
    let sums = release.join(SUMS);
    run(Command::new("ssh-keygen").args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key).arg(&sums))?;
    let mut public = key.as_os_str().to_owned();
    public.push(".pub");
    let public = fs::read_to_string(&public).with_context(|| PathBuf::from(&public).display().to_string())?;
    let trusted = release.with_file_name("allowed_signers");
    fs::write(&trusted, format!("release namespaces=\"{NAMESPACE}\" {}\n", public.trim()))?;
    verify(release, &trusted)
}

fn verify(release: &Path, trusted: &Path) -> Result<()> {
    let status = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "release", "-n", NAMESPACE, "-f"])
        .arg(trusted)
        .arg("-s")
        .arg(release.join(format!("{SUMS}.sig")))
        .stdin(File::open(release.join(SUMS))?)
        .status();
    if !status.context("cannot start ssh-keygen")?.success() {
        bail!("the signature of {SUMS} does not verify");
    }
    Ok(())
}

/// Two builds of one commit that have nothing in common but the toolchain.
fn reproducible() -> Result<ExitCode> {
    let work = paths::target_dir()?.join("supply/twice");
    crate::kernels::remove(&work)?;
    let mut sums = Vec::new();
    for place in ["one", "another/and/longer"] {
        let source = Source::unpack("HEAD", &work.join(place).join("source"))?;
        let binary = source.build(&work.join(place).join("build"), MUSL)?;
        sums.push(sum(&binary)?);
        println!("{}  {}", sum(&binary)?, binary.display());
    }
    sums.dedup();
    if sums.len() != 1 {
        bail!("the two builds differ");
    }
    println!("the same bytes twice");
    crate::kernels::remove(&work)?;
    Ok(ExitCode::SUCCESS)
}

const WORKFLOWS: &str = ".github/workflows";

/// The workflows are such as the forge takes.
pub(crate) fn workflows() -> Result<()> {
    let python = paths::cache_dir()?.join("python/bin/python3");
    let mut command = Command::new(python);
    command.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]);
    for entry in fs::read_dir(paths::root()?.join(WORKFLOWS))? {
        command.arg(entry?.path());
    }
    run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a release is made, but for its binaries.
    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not() -> Result<()> {
        let work = paths::target_dir()?.join("supply/test");
        crate::kernels::remove(&work)?;
        let release = work.join("release");
        fs::create_dir_all(&release)?;
        fs::write(release.join("one"), "1")?;
        let source = Source { tree: paths::root()?, commit: "c0ffee".to_owned(), epoch: "0".to_owned() };
        let statement = statement(&source, "urn:x-aegisbpf:builder:test", &sums(&release)?)?;
        let one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
        assert_eq!(statement["subject"][0]["digest"]["sha256"], one);
        let built = &statement["predicate"]["buildDefinition"];
        assert_eq!(built["internalParameters"]["sourceDate"], "1970-01-01T00:00:00Z");
        write_json(&release.join("provenance.json"), &statement)?;
        write_sums(&release)?;
        let key = work.join("key");
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?;
        sign(&release, &key)?;
        fs::write(release.join(SUMS), "changed")?;
        assert!(verify(&release, &work.join("allowed_signers")).is_err());
        crate::kernels::remove(&work)
    }

    #[test]
    fn workflows_run_what_everybody_can_run() -> Result<()> {
        let mut count = 0;
        for entry in fs::read_dir(paths::root()?.join(WORKFLOWS))? {
            for line in fs::read_to_string(entry?.path())?.lines() {
                if let Some((_, command)) = line.split_once("run: ") {
                    assert!(command.starts_with("./dev "), "{line}");
                    count += 1;
                }
            }
        }
        assert_eq!(count, 4);
        Ok(())
    }
}
