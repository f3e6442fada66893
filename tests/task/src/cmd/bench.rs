//! `./dev bench`: what everything costs, in instructions of the guest, so that it repeats.

use crate::artifacts;
use crate::bench::{self, Bench, Ceilings};
use crate::docs;
use crate::fleet::{self, Options};
use crate::kernels::{Selector, Store};
use crate::matrix;
use crate::peers;
use crate::rig::Rig;
use crate::sizes;
use crate::vm::Accel;
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// For one row: with a million rules some commands take an emulated processor minutes.
const LIMIT: Duration = Duration::from_hours(2);
/// Each kernel in each tier.
const WHOLE: [&str; 3] = ["costs", "costs-no-lsm", "costs-trace"];
const QUICK: [&str; 2] = ["bench", "bench-no-lsm"];

/// Options of `bench`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Args {
    /// A kernel: a series such as 6.12, or newest, or newest-1; can be given more than once
    #[arg(long = "kernel", value_name = "K", default_values = ["6.1", "6.12", "newest"])]
    kernels: Vec<String>,
    /// Fail when a figure is above its ceiling in tests/bench.toml
    #[arg(long)]
    check: bool,
    /// Four operations under four conditions, and nothing is recorded
    #[arg(long)]
    quick: bool,
    /// What others take for an open that they let through, instead of what everything of ours costs
    #[arg(long, conflicts_with_all = ["check", "quick"])]
    peers: bool,
    /// What each crate takes of the binary, instead: no VM, but a build of its own
    #[arg(long, conflicts_with_all = ["kernels", "check", "quick", "peers", "jobs"])]
    sizes: bool,
    /// Measure nothing: write tests/bench.toml anew from what is recorded
    #[arg(long, conflicts_with_all = ["kernels", "check", "quick", "peers", "sizes", "binary", "jobs"])]
    ceilings: bool,
    /// Take this binary as the agent instead of building it
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// VMs at a time; figures do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.ceilings {
        Ceilings::settle()?;
        println!("{}", bench::CEILINGS);
        return Ok(ExitCode::SUCCESS);
    }
    if args.sizes {
        let agent = artifacts::agent(args.binary.as_deref())?;
        Bench::keep_crates(fs::metadata(agent)?.len(), sizes::measure()?)?;
        docs::bench::write(&Bench::read()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let suffixes: &[&str] = match args {
        Args { peers: true, .. } => &[peers::ROW],
        Args { quick: true, .. } => &QUICK,
        _ => &WHOLE,
    };
    let mut words = Vec::new();
    for kernel in &args.kernels {
        let kernel = Selector::parse(kernel)?.name();
        words.extend(suffixes.iter().map(|suffix| format!("{kernel}/{suffix}")));
    }
    let ready = fleet::prepare(&Store::open()?, matrix::rows(), &words)?;
    let mut rig = Rig::new(args.binary.as_deref(), Some(Accel::Tcg))?;
    let options =
        Options { jobs: args.jobs, limit: LIMIT, verbose: true, record: !args.quick, ceilings: args.check };
    let count = fleet::run(&mut rig, &ready, &options)?;
    if !args.quick {
        docs::bench::write(&Bench::read()?)?;
    }
    Ok(count.finish())
}
