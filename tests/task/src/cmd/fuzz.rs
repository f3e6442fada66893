//! `./dev fuzz`: one target for some time, from the seeds of the tree and what earlier runs found.

use crate::artifacts::cargo;
use crate::paths;
use crate::tally::run;
use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;
use std::fs;
use std::process::{Command, ExitCode};

/// A target, its dictionary, and the directories of its seeds, from `tests/fuzz`.
const TARGETS: [(&str, &str, &[&str]); 4] = [
    ("policy", "policy.dict", &["../policies/bad", "../policies/lint", "../policies/good"]),
    ("signature", "keys.dict", &["seeds/signature"]),
    ("signers", "keys.dict", &["seeds/signers"]),
    // No secret key is in the tree: the first run makes one.
    (SECRET, "keys.dict", &[]),
];

const SECRET: &str = "secret";

/// More is longer than what is fuzzed, and slow.
const LONGEST: &str = "-max_len=2048";

/// What to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target
    #[arg(value_parser = PossibleValuesParser::new(TARGETS.map(|(name, ..)| name)))]
    target: String,
    /// For so long
    #[arg(long, value_name = "N", default_value_t = 660)]
    seconds: u64,
}

/// Runs the chore. What is found stays in `target/fuzz`.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let (name, dictionary, seeds) =
        TARGETS.into_iter().find(|(name, ..)| *name == args.target).context("there is no such target")?;
    let root = paths::root()?;
    let target = root.join("target/fuzz");
    let corpus = target.join("corpus").join(name);
    fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
    let seed = corpus.join("seed");
    if name == SECRET && !seed.exists() {
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "seed", "-f"])
            .arg(seed))?;
    }
    let mut command = cargo()?;
    // The toolchain of the workspace builds the instrumentation, so that no nightly has to be as new as it is. The address
    // sanitizer finds nothing in safe code, and takes most of the time.
    command.current_dir(root.join("tests/fuzz")).env("RUSTC_BOOTSTRAP", "1");
    command.args(["fuzz", "run", "--fuzz-dir", ".", "-s", "none", "--target-dir"]).arg(&target);
    command.arg(name).arg(&corpus).args(seeds).args(["--", LONGEST, "-print_final_stats=1"]);
    command.args([format!("-dict={dictionary}"), format!("-max_total_time={}", args.seconds)]);
    command.arg(format!("-artifact_prefix={}/{name}-", target.display()));
    run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}
