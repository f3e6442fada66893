//! One file a subcommand.

mod advice;
mod audit;
mod break_glass;
mod canary;
mod cgroup;
mod completions;
mod contract;
mod demo;
mod detach;
mod doctor;
mod event;
mod explain;
mod guard;
mod install;
mod keys;
mod man;
mod metrics;
mod policy;
mod probe;
mod recorded;
mod remedy;
mod reset;
mod run;
mod schema;
mod stats;
mod status;
mod version;

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
};

use serde::Serialize;

use crate::{
    agent::{AgentError, Dirs, Journal},
    audit::{AuditError, Deed},
    cli::{Cli, Command},
    enforce::{self, EnforceError},
    exit::{self, Exit, Failure},
    kernel::{self, Capabilities, LsmList, Surroundings, memory_is_limited},
    plan::RulesError,
    store::StoreError,
};

/// Runs the command.
pub fn run(cli: &Cli) -> Result<Exit, Failure> {
    let places = &cli.places;
    match &cli.command {
        Command::Run(args) => run::run(args, places),
        Command::Demo => demo::run(places),
        Command::Canary(args) => canary::run(args, places),
        Command::Doctor(args) => doctor::run(args, places),
        Command::Explain(args) => explain::run(args, places),
        Command::Probe(args) => probe::run(*args, places),
        Command::Contract(args) => contract::run(*args),
        Command::Status(args) => status::status(*args, places),
        Command::Health(args) => status::health(*args, places),
        Command::Stats(args) => stats::run(args, places),
        Command::Metrics(args) => metrics::run(args, places),
        Command::Policy(command) => policy::run(command, places),
        Command::Keys(command) => keys::run(command, places),
        Command::Detach(args) => detach::run(*args, places),
        Command::Guard(command) => guard::run(command, places),
        Command::Event(command) => event::run(command),
        Command::BreakGlass(command) => break_glass::run(command, places),
        Command::Reset(args) => reset::run(*args, places),
        Command::Audit(command) => audit::run(*command, places),
        Command::Install(args) => install::install(args, places),
        Command::Uninstall(args) => install::uninstall(args, places),
        Command::Completions(args) => completions::run(*args),
        Command::Man(args) => man::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Version(args) => version::run(*args),
    }
}

/// Hands a result on, and puts it on record when it is a refusal.
fn recorded<T>(dirs: &Dirs, deed: Deed, result: Result<T, AgentError>) -> Result<T, AgentError> {
    if let Err(why) = &result
        && let Err(unrecorded) = Journal::refused(dirs, deed, why)
    {
        exit::note(&format!("the refusal is not on record: {}", unrecorded.chain()));
    }
    result
}

pub use self::doctor::{
    About,
    page::{ReportError, render},
};
pub use crate::kernel::Cause;

/// Doctor's checks, as they describe themselves.
pub fn described() -> &'static [About] {
    doctor::CHECKS
}

/// The ids of doctor's checks.
pub fn checks() -> impl Iterator<Item = &'static str> {
    doctor::CHECKS.iter().map(|about| about.id)
}

/// Their groups.
pub fn groups() -> impl Iterator<Item = &'static str> {
    doctor::GROUPS.iter().copied()
}

/// Writes data to standard output.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes data that need not be text.
fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    match written {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::new(Exit::Io, error)),
    }
}

/// Writes a value as JSON.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&json_text(value)?)
}

/// A value as the text of a JSON file.
fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Bug, error))?;
    Ok(text + "\n")
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Enforce(error) => error.into(),
            AgentError::Refused(refusal) => refused(&refusal),
            other => {
                let (exit, hint) = judge(&other);
                let failure = Self::new(exit, other);
                if hint.is_empty() { failure } else { failure.hint(hint) }
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        AgentError::from(error).into()
    }
}

fn judge(error: &AgentError) -> (Exit, &'static str) {
    match error {
        AgentError::NotProven(_) => {
            (Exit::Unavailable, "`aegisbpf doctor` says what this host can do; `--tier` pins another tier")
        }
        AgentError::Partial { .. } => {
            (Exit::Unavailable, "without --strict the agent runs and reports what is uncovered")
        }
        AgentError::PinnedEnforcement { .. } => {
            (Exit::Incompatible, "`aegisbpf detach` ends that enforcement first")
        }
        AgentError::Rules(RulesError::Critical { .. }) => {
            (Exit::Input, "drop the rule, deny only `write`, or insist with --allow-critical")
        }
        AgentError::Rules(RulesError::Missing { .. }) | AgentError::NoCgroup { .. } => {
            (Exit::Input, "correct the path, or accept what is missing with --allow-missing")
        }
        AgentError::Rules(_) => (Exit::Input, "correct the rule; the active policy is untouched"),
        AgentError::NoPrevious => (Exit::Input, "`aegisbpf policy history` lists the generations"),
        AgentError::Store(error) => judge_store(error),
        AgentError::Unrecorded(error) if error.is_of_privilege() => (
            Exit::Privilege,
            "run it as root, or name directories of your own with --state-dir and --run-dir",
        ),
        AgentError::Unrecorded(AuditError::Locked { .. }) => (Exit::Busy, "try again in a moment"),
        AgentError::Unrecorded(_) => {
            (Exit::Io, "the state and the runtime directory need to be writable by root and have room")
        }
        AgentError::Changing => (Exit::Busy, "try again in a moment; nothing was changed"),
        AgentError::Unconfirmed { .. } => {
            (Exit::Busy, "`aegisbpf policy confirm` keeps it, `aegisbpf policy rollback` takes it back")
        }
        AgentError::NothingPending => {
            (Exit::Input, "`aegisbpf policy show` says what is in force; a trial that is over has gone back")
        }
        AgentError::NothingInForce => (Exit::Unavailable, "`aegisbpf run` puts a policy into force"),
        AgentError::Unreadable { .. } => (Exit::Io, "name a readable file with --policy"),
        AgentError::TooLarge { .. } => (Exit::Input, "deny whole files by fewer rules"),
        AgentError::Invalid { .. } => {
            (Exit::Input, "correct the lines shown; the active policy is untouched")
        }
        AgentError::Hash { .. } => {
            (Exit::Trust, "the file is not the one that was meant, or --sha256 is wrong")
        }
        AgentError::NotForUs { .. } => {
            (Exit::Trust, "`host=`, `not_before=` and `expires=` in [settings] say where and when it holds")
        }
        AgentError::Replay { .. } => (
            Exit::Trust,
            "raise `policy_version=` and sign it; `policy rollback` goes back to an earlier generation",
        ),
        AgentError::Unsigned { .. } => {
            (Exit::Trust, "--allow-unsigned-policy enforces it all the same, and every status says so")
        }
        AgentError::Distrusted { .. } => (
            Exit::Trust,
            "`aegisbpf keys list` shows who is trusted; `policy verify` tries it without applying",
        ),
        AgentError::BreakGlass { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            (Exit::Privilege, "run it as root")
        }
        AgentError::BreakGlass { .. } => {
            (Exit::Io, "the configuration directory needs to be writable by root")
        }
        AgentError::NotArmed => (Exit::Unavailable, "`aegisbpf run --guard` arms it"),
        AgentError::NotAdmitted { .. } => (Exit::Input, "name an executable file"),
        AgentError::Busy => (Exit::Busy, "`aegisbpf status` shows it; stop it first"),
        AgentError::Directory { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => (
            Exit::Privilege,
            "it has to belong to the user that the agent runs as, who gives up CAP_DAC_OVERRIDE before anything is \
             watched; or name another directory with --run-dir, --state-dir or --config-dir",
        ),
        AgentError::Directory { .. } => {
            (Exit::Io, "name another directory with --run-dir, --state-dir or --config-dir")
        }
        AgentError::LogFile { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => (
            Exit::Privilege,
            "the directory has to belong to the user that the agent runs as, who gives up every capability before \
             anything is watched; a group that this process is no member of takes CAP_SETGID at the start",
        ),
        AgentError::LogFile { .. } => {
            (Exit::Io, "name a regular file, or a name for one, in a directory that is there")
        }
        AgentError::NoJournal(_) => (
            Exit::Io,
            "start systemd-journald.socket, or leave out --log-to: events then go to standard output",
        ),
        AgentError::Confine(_) => {
            (Exit::Unavailable, "this is a fault of the kernel's sandbox, not of the policy")
        }
        AgentError::Loop { .. } | AgentError::Enforce(_) | AgentError::Refused(_) => (Exit::Io, ""),
    }
}

fn judge_store(error: &StoreError) -> (Exit, &'static str) {
    match error {
        StoreError::Unknown(_) => (Exit::Input, "`aegisbpf policy history` lists the generations"),
        StoreError::Changed { .. } => {
            (Exit::Trust, "somebody changed the file; `aegisbpf policy apply FILE` applies a policy anew")
        }
        StoreError::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            (Exit::Privilege, "run it as root, or name a directory of your own with --state-dir")
        }
        _ => (Exit::Io, "the state directory needs to be writable by root and have room"),
    }
}

/// Why no tier runs, tier by tier; with the privilege as the exit code where only that is missing.
fn refused(refusal: &crate::plan::Refusal) -> Failure {
    use crate::{
        kernel::{Answer, Why},
        plan::Reason,
    };
    let mut lines = Vec::new();
    let mut privilege = None;
    let around = Surroundings::current(LsmList::current().as_ref());
    // Each once: what refuses one way to attach refuses the other for the same reason.
    let mut causes: BTreeSet<String> = BTreeSet::new();
    for passed in &refusal.passed_over {
        for reason in &passed.reasons {
            lines.push(format!("{}: {reason}", passed.tier.name));
            if let Reason::Probe(probe, answer) = reason {
                causes.extend(kernel::causes_of(*probe, answer, &around).iter().map(cause_hint));
            }
            if let Reason::Probe(_, Answer::Unknown(Why::Unprivileged { capability })) = reason {
                privilege = privilege.or(Some(*capability));
            }
        }
    }
    let explained = format!("{refusal}\n  {}", lines.join("\n  "));
    match privilege {
        Some(capability) => {
            Failure::new(Exit::Privilege, explained).hint(format!("run it as root, or with {capability}"))
        }
        None => causes
            .into_iter()
            .fold(Failure::new(Exit::Unavailable, explained), Failure::hint)
            .hint("`aegisbpf doctor` says what would mend it")
            .hint("`--on-degraded audit` observes instead where enforcement cannot be had"),
    }
}

/// The causes of a refusal by the kernel, and what mends each; at last where to find out more.
fn cause_hints(step: kernel::Step, source: &io::Error) -> Vec<String> {
    let around = Surroundings::current(LsmList::current().as_ref());
    let causes = source.raw_os_error().map(|errno| kernel::causes(step, errno, &around)).unwrap_or_default();
    let mut hints: Vec<String> = causes.iter().map(cause_hint).collect();
    hints.push("`aegisbpf doctor` says what this host can do".to_owned());
    hints
}

fn cause_hint(finding: &kernel::Finding) -> String {
    let kernel::Finding { cause, found, .. } = finding;
    let word = if *found { "because" } else { "perhaps" };
    format!("{word} {}: {}; {}", cause.code(), cause.text(), cause.mend())
}

fn is_too_much(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error() == Some(libc::E2BIG)
}

/// What a refusal lacks, as a hint; `None`: it is not a privilege. EPERM is the answer of `bpf(2)`, EACCES that of a file
/// system.
fn lacked(error: &EnforceError) -> Option<String> {
    let with = |what: &str| Some(format!("run it as root, or {what}"));
    match error {
        EnforceError::Pin { source, .. } if source.raw_os_error() == Some(libc::EACCES) => {
            with("as the user to whom the pins belong, or with CAP_DAC_OVERRIDE")
        }
        EnforceError::Path { source, .. } if source.raw_os_error() == Some(libc::EACCES) => {
            with("with CAP_DAC_READ_SEARCH, to look where only the owner may")
        }
        EnforceError::Map { source, action, .. }
            if source.raw_os_error() == Some(libc::EPERM) && *action == enforce::BY_ID =>
        {
            with("with CAP_SYS_ADMIN")
        }
        EnforceError::Pin { source, .. }
        | EnforceError::Map { source, .. }
        | EnforceError::Proof { source, .. }
            if source.raw_os_error() == Some(libc::EPERM) =>
        {
            let missing = Capabilities::current().missing_for_programs();
            match missing {
                Some(capability) => with(&format!("with {capability}")),
                None if memory_is_limited() => {
                    with("with CAP_SYS_RESOURCE, or raise the limit on locked memory (LimitMEMLOCK=infinity)")
                }
                None => None,
            }
        }
        _ => None,
    }
}

impl From<EnforceError> for Failure {
    fn from(error: EnforceError) -> Self {
        if let Some(hint) = lacked(&error) {
            return Self::new(Exit::Privilege, error).hint(hint);
        }
        match &error {
            EnforceError::Incompatible { .. } => Self::new(Exit::Incompatible, error)
                .hint("`aegisbpf detach` ends that enforcement and removes the pins"),
            EnforceError::Guarded { .. } => Self::new(Exit::Incompatible, error)
                .hint("use the enrolled binary: where its file was replaced, that is /proc/PID/exe of the running agent")
                .hint("`/proc/PID/exe guard admit FILE` lets in the next one")
                .hint("without it: boot with aegisbpf.off on the kernel command line"),
            EnforceError::Foreign { .. } => Self::new(Exit::Incompatible, error)
                .hint("nothing of others is removed: move it away; `aegisbpf detach` removes what is ours"),
            EnforceError::Pin { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Self::new(Exit::Unavailable, error).hint("mount -o remount,rw /sys/fs/bpf")
            }
            EnforceError::Pin { source, .. } | EnforceError::Map { source, .. }
                if source.raw_os_error() == Some(libc::EPERM) =>
            {
                let hint =
                    "this host refuses bpf(2) also to root: a system call filter, or a security module";
                Self::new(Exit::Unavailable, error).hint(hint)
            }
            EnforceError::Map { source, .. } if is_too_much(source) => {
                let hint = "the kernel has no memory for so many rules: use fewer, deny trees instead of files, or raise the memory limit of the cgroup that this runs in";
                Self::new(Exit::Unavailable, error).hint(hint)
            }
            EnforceError::HookNotLoaded { source, .. } => {
                let hints = cause_hints(kernel::Step::Load, &source.source);
                hints.into_iter().fold(Self::new(Exit::Unavailable, error), Self::hint)
            }
            EnforceError::HookRefused { source, .. } => {
                let hints = cause_hints(kernel::Step::Attach, source);
                hints.into_iter().fold(Self::new(Exit::Unavailable, error), Self::hint)
            }
            EnforceError::Pin { .. } | EnforceError::Path { .. } => Self::new(Exit::Io, error),
            EnforceError::NoCgroup2 => {
                Self::new(Exit::Unavailable, error).hint("mount -t cgroup2 cgroup2 /sys/fs/cgroup")
            }
            _ => Self::new(Exit::Unavailable, error).hint("`aegisbpf doctor` says what this host can do"),
        }
    }
}
