//! `./dev vm`: the matrix, one command, or a prompt.

use crate::fleet::{self, Options};
use crate::kernels::{self, Selector, Store};
use crate::matrix;
use crate::profiles::Profile;
use crate::rig::{LSM_WITH_BPF, Rig, Setup};
use crate::single;
use crate::tally::Count;
use crate::vm::Accel;
use anyhow::Result;
use guest::{PARAM_NOMOUNT, PARAM_SHELL};
use rustix::termios::tcgetwinsize;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Seconds that a VM may take. The longest rows take half of it on two emulated processors.
const LIMIT: u64 = 2700;

/// Options of `vm`. Without `--run` and `--shell` it runs the matrix.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of the command line")]
#[command(group(clap::ArgGroup::new("one").args(["run", "shell"])))]
pub(crate) struct Args {
    /// Run one command in a guest, and end with its exit status
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// Give a prompt in a guest; Ctrl-A x ends it
    #[arg(long)]
    shell: bool,
    /// The kernel of that guest: a series such as 6.12, or newest, or newest-1
    #[arg(long, requires = "one", default_value = "newest")]
    kernel: String,
    /// Its list of security modules
    #[arg(long, requires = "one", value_name = "LIST", default_value = LSM_WITH_BPF)]
    lsm: String,
    /// Load this kernel module and what it needs
    #[arg(long = "module", requires = "one", value_name = "NAME")]
    modules: Vec<String>,
    /// Give it a disk with ext4, one with xfs and one with btrfs (in this order vda, vdb and vdc)
    #[arg(long, requires = "one")]
    disks: bool,
    /// Boot a whole Debian with systemd as init; what is in dist/ lies in /root/dist
    #[arg(long, requires = "one")]
    image: bool,
    /// Take along what confines the agent, compiled
    #[arg(long, requires = "one", value_enum)]
    profile: Option<Profile>,
    /// Leave this mount out, for example bpffs
    #[arg(long, requires = "one", value_name = "NAME")]
    nomount: Vec<String>,
    /// One more kernel parameter
    #[arg(long = "param", value_name = "WORD")]
    params: Vec<String>,
    /// Memory in MiB
    #[arg(long, requires = "one", default_value_t = 1536)]
    memory: u32,
    /// Processors
    #[arg(long, requires = "one", default_value_t = 2)]
    smp: u32,
    /// Let the guest's clock count instructions instead of time
    #[arg(long, requires = "one")]
    counted: bool,
    /// Run only these rows: 6.12/lsm, or all of a kernel (6.12), or all of a kind (lsm)
    #[arg(long = "row", conflicts_with = "one", value_name = "NAME")]
    rows: Vec<String>,
    /// Run only the checks whose id begins with this
    #[arg(long = "check", conflicts_with = "one", value_name = "PREFIX")]
    checks: Vec<String>,
    /// VMs at a time
    #[arg(long, conflicts_with = "one", value_name = "N")]
    jobs: Option<usize>,
    /// Print each check and not only each row
    #[arg(long, short, conflicts_with = "one")]
    verbose: bool,
    /// Record what became of the ways to a file, in docs/surface.json, of the checks that provoke a failure, in
    /// docs/failures.json, of taking away privileges, in docs/capabilities.json, of the drill of a taken-over agent, in
    /// docs/drill.json, what doctor reports, in docs/reports/, what the metrics say in the states that alerts are
    /// about, in docs/metrics.json, and what the commands of the README print, in docs/transcripts.json; `./dev docs` then
    /// makes the documents of it. With --check alerts. the metrics, with --check doctor. the reports, with --check readme.
    /// the README's alone
    #[arg(long, conflicts_with_all = ["one", "params"])]
    record: bool,
    /// List rows and kernels
    #[arg(long, conflicts_with = "one")]
    list: bool,
    /// Take this binary as the agent instead of building it
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Take this accelerator instead of finding out which one works
    #[arg(long)]
    accel: Option<Accel>,
    /// Time limit of a VM in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT)]
    timeout: u64,
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let limit = Duration::from_secs(args.timeout);
    if args.run.is_some() || args.shell {
        return single(args, limit);
    }
    let jobs = args.jobs.unwrap_or_else(default_jobs);
    let verbose = args.verbose || !args.rows.is_empty();
    let ready = fleet::prepare(&Store::open()?, matrix::rows_of(&args.checks, &args.params), &args.rows)?;
    let mut rig = Rig::new(args.binary.as_deref(), args.accel)?;
    let options = Options { jobs, limit, verbose, record: args.record, ceilings: true };
    Ok(fleet::run(&mut rig, &ready, &options)?.finish())
}

/// Every row, with the options of a plain `./dev vm`.
pub(crate) fn whole_matrix(agent: &Path) -> Result<Count> {
    let ready = fleet::prepare(&Store::open()?, matrix::rows(), &[])?;
    let limit = Duration::from_secs(LIMIT);
    let options = Options { jobs: default_jobs(), limit, verbose: false, record: false, ceilings: true };
    fleet::run(&mut Rig::new(Some(agent), None)?, &ready, &options)
}

/// An emulated VM keeps one processor busy.
fn default_jobs() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

fn list() {
    println!("rows:");
    for row in matrix::rows() {
        println!("  {:16} checks: {:22} lsm={}", row.setup.name, row.checks, row.setup.lsm);
    }
    println!("kernels:");
    for selector in kernels::all().into_iter().chain(kernels::on_arm64()) {
        println!("  {:16} Debian {}", selector.name(), selector.suite());
    }
}

fn single(args: &Args, limit: Duration) -> Result<ExitCode> {
    let selector = Selector::parse(&args.kernel)?;
    let kernel = Store::open()?.get(&selector)?;
    let mut rig = Rig::new(args.binary.as_deref(), args.accel)?;
    rig.settle_accel(&kernel)?;
    rig.build_for(kernel.release.arch())?;
    let (machine, _media) = rig.machine(&kernel, &setup(args))?;
    if args.shell {
        eprintln!("{} with lsm={}; Ctrl-A x ends it", kernel.release.uname(), args.lsm);
        let status = machine.interactive()?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let code = single::run(&machine, limit, &mut std::io::stdout())?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn setup(args: &Args) -> Setup {
    let mut params = args.params.clone();
    if args.shell {
        let size = tcgetwinsize(std::io::stdin()).map_or((24, 80), |size| (size.ws_row, size.ws_col));
        params.push(format!("{PARAM_SHELL}={}x{}", size.0, size.1));
    }
    if !args.nomount.is_empty() {
        params.push(format!("{PARAM_NOMOUNT}={}", args.nomount.join(",")));
    }
    Setup {
        name: if args.shell { "shell" } else { "run" }.to_owned(),
        lsm: args.lsm.clone(),
        params,
        modules: args.modules.clone(),
        disks: args.disks,
        memory_mib: args.memory,
        smp: args.smp,
        counted: args.counted,
        image: args.image,
        profile: args.profile,
        run: args.run.clone(),
        ..Setup::default()
    }
}
