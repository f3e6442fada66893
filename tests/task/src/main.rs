//! The chores of the project, behind `./dev`.

#![expect(clippy::print_stdout, reason = "results go to standard output")]
#![expect(clippy::print_stderr, reason = "progress goes to standard error")]

mod accel;
mod apt;
mod arch;
mod artifacts;
mod before;
mod bench;
mod browser;
mod cmd;
mod console;
mod cpio;
mod disks;
mod docs;
mod fleet;
mod image;
mod initramfs;
mod kernels;
mod man;
mod matrix;
mod modules;
mod packages;
mod paths;
mod peers;
mod profiles;
mod record;
mod release;
mod reports;
mod results;
mod rig;
mod row;
mod rules;
mod samples;
mod single;
mod sizes;
mod soak;
mod supply;
mod tally;
mod transcripts;
mod unit;
mod userland;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "./dev", about = "The chores of AegisBPF", disable_help_subcommand = false)]
struct Cli {
    #[command(subcommand)]
    command: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Measure in VMs what everything costs, and note it
    Bench(cmd::bench::Args),
    /// Show what AegisBPF can do on this host, and in a VM
    Demo,
    /// Build the static release binary
    Build(cmd::build::Args),
    /// Formats, lints, unit tests: the fast loop
    Check,
    /// Packages of the release binary: .deb and .rpm
    Dist(cmd::dist::Args),
    /// Write what is generated and kept in the tree: documents and parts of them, the manual page
    Docs(cmd::docs::Args),
    /// Feed a parser with what no file should hold, for some time
    Fuzz(cmd::fuzz::Args),
    /// Write the manifests for Kubernetes, from the chart
    Kubernetes,
    /// Make the files of a release, from the commit that is checked out
    Release(cmd::release::Args),
    /// Let the agent work steadily in a VM for minutes or hours, and watch what it takes
    Soak(cmd::soak::Args),
    /// Everything
    Test,
    /// Boot VMs: the matrix of kernels, or one kernel with a command or a prompt
    Vm(Box<cmd::vm::Args>),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Chore::Bench(args) => cmd::bench::main(&args),
        Chore::Demo => cmd::demo::main(),
        Chore::Build(args) => cmd::build::main(&args),
        Chore::Check => Ok(cmd::check::main()),
        Chore::Dist(args) => cmd::dist::main(&args),
        Chore::Docs(args) => cmd::docs::main(&args),
        Chore::Fuzz(args) => cmd::fuzz::main(&args),
        Chore::Kubernetes => cmd::kubernetes::main(),
        Chore::Release(args) => cmd::release::main(&args),
        Chore::Soak(args) => cmd::soak::main(&args),
        Chore::Test => cmd::test::main(),
        Chore::Vm(args) => cmd::vm::main(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
