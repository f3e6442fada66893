//! `aegisbpf run`

use crate::{
    agent::{self, Moment, Options, Source, Talk},
    audit::{Deed, Outcome, What},
    cli::{LogFormat, Places, RunArgs},
    cmd,
    exit::{self, Exit, Failure},
    kernel::BootSwitches,
    state::RunDir,
    tier::Requested,
};

/// Runs the agent.
pub(super) fn run(args: &RunArgs, places: &Places) -> Result<Exit, Failure> {
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
    let options = Options {
        mode: args.mode(),
        tier: args.tier,
        on_degraded: args.on_degraded,
        accept: args.accept.accept(),
        allow_unsigned: args.allow_unsigned_policy,
        strict: args.strict,
        requested: Requested { permission: args.lsm_hook.with_permission(), guard: args.guard },
        proof_interval: args.proof_interval,
        boot,
        dirs: places.dirs(),
    };
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
    agent::run(&options, &source, talk)?;
    Ok(Exit::Done)
}
