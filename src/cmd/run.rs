//! `aegisbpf run`

use crate::{
    agent::{self, AgentError, Moment, Options, Source, Talk},
    audit::{Deed, Outcome, What},
    cli::{EnforceSignal, LogFormat, Places, RunArgs},
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
    let talk = match args.log_format {
        LogFormat::Text => Talk::Text,
        LogFormat::Json => Talk::Json,
    };
    let run_dir = RunDir::at(&places.run_dir);
    if !run_dir.agent_alive()
        && let Some(lost) = agent::lost_run(&run_dir)
    {
        exit::note(&lost);
    }
    // The policy may have come through one of them.
    privileges::close_descriptors().map_err(unconfined)?;
    agent::run(&options(args, places, boot), &source, talk)?;
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
