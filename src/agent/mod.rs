//! The story: probe, select, load, attach, prove, apply, confine, watch.

mod begin;
mod change;
mod error;
mod figures;
mod glass;
mod guard;
mod hot;
mod journal;
mod live;
mod lost;
mod moment;
mod notify;
mod repeat;
mod replay;
mod reset;
mod resolve;
mod self_guard;
mod simulate;
mod sinks;
mod source;
mod watch;

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path, time::Duration};

use self::{
    begin::Begin,
    change::{accepted, held},
    notify::Notify,
    watch::{Made, Watch},
};
pub use self::{
    change::{ApplyOptions, Change, Changed, policy_state},
    error::AgentError,
    figures::{FiguresError, Stats, Table, Tables},
    glass::{Glass, break_glass},
    guard::{Guard, Setup},
    journal::Journal,
    live::{Dirs, Live},
    lost::lost_run,
    moment::Moment,
    reset::{Ended, detach, reset},
    self_guard::{admit, guard_state},
    simulate::Question,
    sinks::{Destination, Lines, LogFile, Output, Talk, group},
    source::{AgentDistrust, Source, beside, objection, read_bounded, read_signature},
};
use crate::{
    audit::{Deed, Outcome, What},
    confine::{self, ConfineError, privileges},
    enforce::Pins,
    kernel::{Answers, BootSwitches, Kernel},
    plan::{self, Accept, Decision, OnDegraded, Refusal, Request},
    state::RunDir,
    sys::files,
    tier::{Attach, Mode, Requested, TIERS},
};

/// The directory of who is trusted to sign policies.
pub const KEYS: &str = "keys";

/// The policy that a run takes when none is named.
pub const POLICY: &str = "policy.conf";

/// How long a run waits for somebody who is changing the policy.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a run was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Audit or enforce.
    pub mode: Mode,
    /// One tier and no other.
    pub tier: Option<&'static str>,
    /// What to do where enforcement cannot be had.
    pub on_degraded: OnDegraded,
    /// What is accepted on purpose.
    pub accept: Accept,
    /// Whether a policy that nobody signed may be enforced.
    pub allow_unsigned: bool,
    /// Whether a missing optional hook or a failed proof ends the run.
    pub strict: bool,
    /// What is attached on request alone; with the self-guard's hooks, that is armed.
    pub requested: Requested,
    /// How often to prove.
    pub proof_interval: Duration,
    /// How long decisions that repeat one another are counted before they are told.
    pub repeat_window: Duration,
    /// Whether the agent locks itself down.
    pub sandbox: bool,
    /// What the kernel command line says.
    pub boot: BootSwitches,
    /// Where things are.
    pub dirs: Dirs,
}

/// Runs until a signal ends it. Enforcement stays; observation ends.
pub fn run(options: &Options, file: Source, output: &Output) -> Result<(), AgentError> {
    let dirs = &options.dirs;
    let run_dir = RunDir::at(&dirs.run);
    let unusable = |source| AgentError::Directory { path: dirs.run.clone(), source };
    let _lock = run_dir.lock().map_err(unusable)?.ok_or(AgentError::Busy)?;
    run_dir.try_write().map_err(unusable)?;
    make_state_dir(&dirs.state)?;
    reach_without_privilege(dirs, &run_dir)?;
    let opened = output.open()?;
    let mut change = Change::begin_run(dirs, PATIENCE)?;
    let lost_run = lost_run(&run_dir);
    if let Some(lost) = &lost_run {
        change.journal.record(Deed::new(What::RunLost, Outcome::Done).because(lost))?;
    }
    let mut begin = change.chosen(&file, options)?;
    let deed = change.begins(&begin)?;
    let mut notify = Notify::connect()
        .map_err(|source| AgentError::Loop { action: "reach the service manager", source })?;
    notify.starting("asking the kernel what it allows");
    let kernel = Kernel::open();
    let started = start(options, &begin, &kernel, &mut notify).and_then(|(decision, mut guard)| {
        change.begun(&mut begin, &file, guard.resolved.take().as_ref())?;
        Ok((decision, guard))
    });
    // What was read of it takes more memory than all the rest; a policy can be large as well, and decides in the kernel.
    drop((kernel, file, begin.source));
    // What is pinned by now is to know the end of the log from its first entry on.
    change.journal.look(&dirs.bpffs);
    let (decision, guard) = change.told(deed, started)?;
    drop(change);
    let made = Made {
        lines: Lines::new(decision.tier.name),
        opened,
        journal: Journal::of(dirs),
        notify,
        counters: guard.counters()?,
        lost_run,
    };
    let sandbox = if options.sandbox {
        let logs = output.file().map(LogFile::directory);
        confine::lock_down(&[&dirs.run, &dirs.state], logs, &|| guard.counters().is_ok())?
    } else {
        confine::NONE.to_owned()
    };
    let watch = Watch::new(options, begin.record, decision, guard, run_dir, sandbox, made)?;
    if options.sandbox {
        confine::filter_calls()?;
    }
    smol::block_on(watch.run())
}

fn make_state_dir(path: &Path) -> Result<(), AgentError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| AgentError::Directory { path: path.to_owned(), source })
}

/// What the agent reads and writes while it watches it has to reach without a capability, for then it has none: its own
/// directories, and the place of the break-glass file. That something else is wrong with them is found out elsewhere.
fn reach_without_privilege(dirs: &Dirs, run_dir: &RunDir) -> Result<(), AgentError> {
    let tried = privileges::without(|| {
        let glass = dirs.config.join(glass::FILE).symlink_metadata().map(drop);
        [
            (&dirs.run, run_dir.try_write()),
            (&dirs.state, files::try_create(&dirs.state)),
            (&dirs.config, glass),
        ]
    });
    for (path, tried) in tried.map_err(ConfineError::from)? {
        if let Err(source) = tried
            && source.kind() == io::ErrorKind::PermissionDenied
        {
            return Err(AgentError::Directory { path: path.clone(), source });
        }
    }
    Ok(())
}

/// Chooses a tier. The kernel takes its time over trials, so those of weaker tiers are left out where a stronger one is
/// all that was asked for.
fn choose(
    kernel: &Kernel,
    bpffs: &Path,
    answers: &mut Answers,
    request: &Request,
) -> Result<Decision, Refusal> {
    for tier in TIERS {
        kernel.ask(tier.needs, bpffs, answers);
        match plan::select(answers, request) {
            Ok(decision) if !decision.degraded => return Ok(decision),
            _ => {}
        }
    }
    plan::select(answers, request)
}

/// Sets up the strongest tier that stands up to its proof. A tier that fails in earnest is passed over like one whose
/// probes failed, with what happened as the reason.
fn start(
    options: &Options,
    begin: &Begin,
    kernel: &Kernel,
    notify: &mut Notify,
) -> Result<(Decision, Guard), AgentError> {
    let mut request = Request {
        mode: options.mode,
        tier: options.tier,
        on_degraded: options.on_degraded,
        break_glass: break_glass(&options.dirs.config),
        audit_boot: options.boot.audit,
        failed: Vec::new(),
    };
    let mut answers = Answers::new();
    loop {
        let decision = choose(kernel, &options.dirs.bpffs, &mut answers, &request)?;
        notify.starting(&format!("setting up the tier {} and proving it", decision.tier.name));
        let pins = Pins::below(&options.dirs.bpffs);
        let pinned = decision.tier.attach != Attach::RawTracepoint;
        // Who may not look there may not take over what is there either.
        if !pinned && pins.in_force().unwrap_or(false) {
            return Err(AgentError::PinnedEnforcement { dir: pins.dir().to_owned() });
        }
        let setup = Setup {
            tier: decision.tier,
            mode: decision.mode,
            policy: held(&begin.record),
            accept: if begin.known { accepted(&begin.record) } else { options.accept },
            strict: options.strict,
            requested: options.requested,
            break_glass: request.break_glass,
            pins: pinned.then_some(&pins),
            canary_dirs: &[&options.dirs.run, &options.dirs.state],
        };
        match Guard::start(kernel, &setup, &begin.source) {
            Ok(guard) => return Ok((decision, guard)),
            Err(error) if error.is_of_tier() => request.failed.push((decision.tier.name, error.chain())),
            Err(error) => return Err(error),
        }
    }
}
