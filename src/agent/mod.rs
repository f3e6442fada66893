//! The story: probe, select, load, attach, prove, apply, confine, watch.

mod error;
mod guard;
mod output;
mod source;
mod watch;

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    error::AgentError,
    guard::{Guard, Setup},
    output::{Output, Talk},
    source::{Source, read_bounded},
};
use crate::{
    enforce::Pins,
    kernel::{Answers, Kernel},
    plan::{self, Decision, OnDegraded, Request},
    state::RunDir,
    tier::{Attach, Mode},
};

/// The file whose presence turns enforcement into audit.
pub const BREAK_GLASS: &str = "break_glass";

/// What a run was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Audit or enforce.
    pub mode: Mode,
    /// One tier and no other.
    pub tier: Option<&'static str>,
    /// What to do where enforcement cannot be had.
    pub on_degraded: OnDegraded,
    /// Whether paths that do not exist are accepted.
    pub allow_missing: bool,
    /// Whether a missing optional hook or a failed proof ends the run.
    pub strict: bool,
    /// How often to prove.
    pub proof_interval: Duration,
    /// Configuration directory.
    pub config_dir: PathBuf,
    /// State directory.
    pub state_dir: PathBuf,
    /// Runtime directory.
    pub run_dir: PathBuf,
    /// BPF file system.
    pub bpffs: PathBuf,
}

/// Runs until a signal ends it. Enforcement stays; observation ends.
pub fn run(options: &Options, policy: &Source, talk: Talk) -> Result<(), AgentError> {
    let run_dir = RunDir::at(&options.run_dir);
    let lock =
        run_dir.lock().map_err(|source| AgentError::Directory { path: options.run_dir.clone(), source })?;
    let _lock = lock.ok_or(AgentError::Busy)?;
    make_state_dir(&options.state_dir)?;
    let kernel = Kernel::default();
    let answers = kernel.probe(&options.bpffs);
    let (decision, guard) = start(options, policy, &kernel, &answers)?;
    let sandbox = crate::confine::lock_down(&[&options.run_dir, &options.state_dir])?;
    let watch = watch::Watch::new(options, policy, decision, guard, run_dir, sandbox, talk)?;
    crate::confine::filter_calls()?;
    smol::block_on(watch.run())
}

fn make_state_dir(path: &Path) -> Result<(), AgentError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| AgentError::Directory { path: path.to_owned(), source })
}

/// Sets up the strongest tier that stands up to its proof. A tier that fails in earnest is passed over like one whose
/// probes failed, with what happened as the reason.
fn start(
    options: &Options,
    policy: &Source,
    kernel: &Kernel,
    answers: &Answers,
) -> Result<(Decision, Guard), AgentError> {
    let mut request = Request {
        mode: options.mode,
        tier: options.tier,
        on_degraded: options.on_degraded,
        break_glass: break_glass(&options.config_dir),
        failed: Vec::new(),
    };
    loop {
        let decision = plan::select(answers, &request)?;
        let pins = Pins::below(&options.bpffs);
        let pinned = decision.tier.attach != Attach::RawTracepoint;
        // Who may not look there may not take over what is there either.
        if !pinned && pins.in_force().unwrap_or(false) {
            return Err(AgentError::PinnedEnforcement { dir: pins.dir().to_owned() });
        }
        let setup = Setup {
            tier: decision.tier,
            mode: decision.mode,
            allow_missing: options.allow_missing,
            strict: options.strict,
            break_glass: request.break_glass,
            pins: pinned.then_some(&pins),
            canary_dirs: &[&options.run_dir, &options.state_dir],
        };
        match Guard::start(kernel, &setup, policy) {
            Ok(guard) => return Ok((decision, guard)),
            Err(error) if error.is_of_tier() => request.failed.push((decision.tier.name, error.chain())),
            Err(error) => return Err(error),
        }
    }
}

/// Whether the break-glass file is there. Where that cannot be told, it is not: enforcement must not end by accident.
pub fn break_glass(config_dir: &Path) -> bool {
    config_dir.join(BREAK_GLASS).symlink_metadata().is_ok()
}
