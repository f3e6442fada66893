//! `aegisbpf run`

use crate::{
    agent::{self, AgentError, Destination, LogFile, Moment, Options, Output, Source, Talk},
    audit::{Deed, Outcome, What},
    cli::{EnforceSignal, EventFormat, LogArgs, LogFormat, LogTo, Places, RunArgs},
    cmd,
    confine::{
        ConfineError,
        privileges::{self, PrivilegeError},
    },
    exit::{self, Exit, Failure},
    kernel::BootSwitches,
    state::RunDir,
    tier::Requested,
};

/// Runs the agent.
pub(super) fn run(args: &RunArgs, places: &Places) -> Result<Exit, Failure> {
    refuse_signals(args)?;
    let output = output(&args.log)?;
    privileges::begin(args.no_sandbox).map_err(unconfined)?;
    let boot = BootSwitches::current();
    if boot.off {
        // Who booted so wants the host to come up, and no supervisor to try again.
        exit::note(
            "aegisbpf.off stands on the kernel command line: NOTHING is started, and nothing is denied",
        );
        return Ok(Exit::Done);
    }
    let default = places.config_dir.join(agent::POLICY);
    let path = args.policy.as_ref().unwrap_or(&default);
    let mut deed = Deed::new(What::RunStart, Outcome::Refused);
    let moment = Moment::of(&places.dirs())?;
    let admitted = Source::read(path, args.policy.is_none()).and_then(|mut source| {
        deed.sha256 = Some(source.sha256);
        deed.policy_version = source.policy.settings.policy_version;
        // An empty policy denies nothing, so nobody has to vouch for it.
        let harmless = source.policy.rules() == 0;
        let keys = places.config_dir.join(agent::KEYS);
        source.admit(args.mode(), args.sha256, args.allow_unsigned_policy || harmless, &keys, moment)?;
        Ok(source)
    });
    let source = cmd::recorded(&places.dirs(), deed, admitted)?;
    for remark in source.remarks.iter().chain(&moment.remark()) {
        exit::note(remark);
    }
    let run_dir = RunDir::at(&places.run_dir);
    if !run_dir.agent_alive()
        && let Some(lost) = agent::lost_run(&run_dir)
    {
        exit::note(&lost);
    }
    // The policy may have come through one of them.
    privileges::close_descriptors().map_err(unconfined)?;
    agent::run(&options(args, places, boot), source, &output)?;
    Ok(Exit::Done)
}

fn options(args: &RunArgs, places: &Places, boot: BootSwitches) -> Options {
    Options {
        mode: args.mode(),
        tier: args.tier,
        on_degraded: args.on_degraded,
        accept: args.accept.accept(),
        allow_unsigned: args.allow_unsigned_policy,
        strict: args.strict,
        requested: Requested { permission: args.lsm_hook.with_permission(), guard: args.guard },
        proof_interval: args.proof_interval,
        repeat_window: args.repeat_window,
        sandbox: !args.no_sandbox,
        boot,
        dirs: places.dirs(),
    }
}

/// Where events go, and as what.
fn output(args: &LogArgs) -> Result<Output, Failure> {
    let usage = |what: &str, hint: &str| Err(Failure::new(Exit::Usage, what.to_owned()).hint(hint));
    let talk = match (args.log_format, args.event_format) {
        (LogFormat::Text, EventFormat::Native) => Talk::Text,
        (LogFormat::Text, _) => {
            return usage("events of that format are no text", "say --log-format json as well");
        }
        (LogFormat::Json, EventFormat::Native) => Talk::Json,
        (LogFormat::Json, EventFormat::Ocsf) => Talk::Ocsf,
        (LogFormat::Json, EventFormat::Ecs) => Talk::Ecs,
    };
    let lines = match (args.log_to, &args.log_file) {
        (LogTo::Journal, Some(_)) => {
            return usage(
                "a file stands for standard output",
                "say --log-to both for the file and the journal",
            );
        }
        (LogTo::Journal, None) if args.event_format != EventFormat::Native => {
            return usage(
                "the journal has fields, and no format",
                "leave out --event-format, or say --log-to both",
            );
        }
        (LogTo::Journal, None) => None,
        (_, Some(path)) => Some(Destination::File(LogFile {
            path: path.clone(),
            mode: args.log_file_mode,
            group: args.log_file_group.as_deref().map(group).transpose()?,
        })),
        (_, None) => Some(Destination::Stdout),
    };
    Ok(Output { talk, lines, journal: args.log_to != LogTo::Stdout })
}

fn group(name: &str) -> Result<u32, Failure> {
    let number = agent::group(name).map_err(|error| Failure::new(Exit::Io, error))?;
    number.ok_or_else(|| {
        let failure = Failure::new(Exit::Usage, format!("there is no group {}", name.escape_debug()));
        failure.hint("`groupadd --system NAME` makes one; a number needs none")
    })
}

fn unconfined(error: PrivilegeError) -> Failure {
    AgentError::from(ConfineError::from(error)).into()
}

/// A signal comes after the operation was refused, and hits what may be in the middle of something else: it would add harm,
/// and no protection.
fn refuse_signals(args: &RunArgs) -> Result<(), Failure> {
    if args.enforce_signal == EnforceSignal::None {
        return Ok(());
    }
    let failure = Failure::new(Exit::Usage, "denied processes get no signal");
    Err(failure.hint(
        "a denied operation answers EPERM before it has any effect, and its process lives to handle that: leave out \
         --enforce-signal, or say `none`",
    ))
}
