//! `aegisbpf policy apply|confirm|rollback|reload`

use std::{fs::File, io::Read as _, path::Path, sync::atomic::Ordering, time::Duration};

use serde::Serialize;

use crate::{
    abi,
    agent::{self, AgentError, ApplyOptions, Change, Changed, Dirs, Live, Moment, Source},
    audit::{Deed, Outcome, What},
    cli::{ApplyArgs, JsonArgs, Places, RollbackArgs},
    cmd::{self, print, print_json},
    exit::{self, Exit, Failure},
    policy::Digest,
    tier::Mode,
};

/// Whoever else changes the policy takes milliseconds; a person or a script waits as long.
const PATIENCE: Duration = Duration::ZERO;

/// The longest time to confirm in: what is longer is no trial.
const LONGEST_TRIAL: Duration = Duration::from_hours(7 * 24);

/// A file that `sha256sum` wrote is one line.
const SHA256_FILE_BYTES: u64 = 8 * 1024;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    generation: u64,
    before: Option<u64>,
    sha256: Digest,
    in_force: bool,
    reverts_in_seconds: Option<u64>,
    absent: Vec<String>,
}

/// Applies a policy.
pub(super) fn apply(args: &ApplyArgs, places: &Places) -> Result<Exit, Failure> {
    if args.confirm_within.is_some_and(|time| time.is_zero() || time > LONGEST_TRIAL) {
        return Err(Failure::new(
            Exit::Usage,
            "a policy is on trial for more than no time and at most 7 days",
        ));
    }
    let dirs = places.dirs();
    let wanted = match &args.sha256_file {
        Some(file) => Some(sha256_in(file)?),
        None => args.sha256,
    };
    let source = admitted(args, wanted, places)?;
    for remark in &source.remarks {
        exit::note(remark);
    }
    let options =
        ApplyOptions { accept: args.accept.accept(), confirm_within: args.confirm_within, keep: args.keep };
    let changed = Change::begin(&dirs, PATIENCE)?.apply(&source, &options).map_err(unchanged)?;
    let what = match (changed.in_force, changed.reverts_in) {
        (true, None) => "in force".to_owned(),
        (true, Some(time)) => {
            let time = humantime::format_duration(time);
            format!("in force for {time}, unless `aegisbpf policy confirm` comes first")
        }
        (false, _) => "kept for the next run: nothing is in force now".to_owned(),
    };
    report(&changed, &what, args.json)
}

/// The policy, if it may be applied; what is refused is on record.
fn admitted(args: &ApplyArgs, wanted: Option<Digest>, places: &Places) -> Result<Source, Failure> {
    let dirs = places.dirs();
    let mut deed = Deed::new(What::Apply, Outcome::Refused);
    let mode = mode_in_force(&dirs)?;
    let moment = Moment::of(&dirs)?;
    moment.remark().iter().for_each(|remark| exit::note(remark));
    let admitted = Source::read(&args.file, false).and_then(|mut source| {
        deed.sha256 = Some(source.sha256);
        deed.policy_version = source.policy.settings.policy_version;
        let harmless = source.policy.rules() == 0;
        let keys = places.config_dir.join(agent::KEYS);
        source.admit(mode, wanted, args.allow_unsigned_policy || harmless, &keys, moment)?;
        Ok(source)
    });
    Ok(cmd::recorded(&dirs, deed, admitted)?)
}

/// Where denials happen a signature is needed; where nothing is in force yet, `run` asks for it.
fn mode_in_force(dirs: &Dirs) -> Result<Mode, Failure> {
    let live = Live::find(dirs)?;
    let enforces =
        live.is_some_and(|live| live.bank.control.mode.load(Ordering::Acquire) == abi::MODE_ENFORCE);
    Ok(if enforces { Mode::Enforce } else { Mode::Audit })
}

fn unchanged(error: AgentError) -> Failure {
    Failure::from(error).hint("nothing was changed: the policy that was in force still is")
}

fn sha256_in(file: &Path) -> Result<Digest, Failure> {
    let failed = |error| Failure::new(Exit::Io, format!("{}: {error}", file.display()));
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(SHA256_FILE_BYTES).read_to_string(&mut text))
        .map_err(failed)?;
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    word.parse().map_err(|error| {
        Failure::new(Exit::Trust, format!("{}: {error}", file.display()))
            .hint("`sha256sum policy.conf >policy.conf.sha256` writes such a file")
    })
}

/// Keeps a policy that was on trial.
pub(super) fn confirm(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let changed = Change::begin(&places.dirs(), PATIENCE)?.confirm()?;
    report(&changed, "confirmed: it stays", args.json)
}

/// Goes back.
pub(super) fn rollback(args: RollbackArgs, places: &Places) -> Result<Exit, Failure> {
    let changed = Change::begin(&places.dirs(), PATIENCE)?.rollback(args.to).map_err(unchanged)?;
    let what = if changed.in_force { "in force again" } else { "what the next run takes" };
    report(&changed, what, args.json)
}

/// Looks anew.
pub(super) fn reload(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let changed = Change::begin(&places.dirs(), PATIENCE)?.reload().map_err(unchanged)?;
    report(&changed, "in force, with the files and cgroups of now", args.json)
}

fn report(changed: &Changed, what: &str, json: bool) -> Result<Exit, Failure> {
    for path in changed.absent.iter().take(10) {
        exit::note(&format!("{} does not exist", path.display()));
    }
    if let Some(more) = changed.absent.len().checked_sub(11) {
        exit::note(&format!("and {} more paths do not exist", more + 1));
    }
    if json {
        print_json(&Report {
            schema_version: 1,
            generation: changed.generation,
            before: changed.before,
            sha256: changed.sha256,
            in_force: changed.in_force,
            reverts_in_seconds: changed.reverts_in.map(|time| time.as_secs()),
            absent: changed.absent.iter().map(|path| path.display().to_string()).collect(),
        })?;
    } else {
        let before = changed.before.map(|before| format!(" (before: {before})")).unwrap_or_default();
        print(&format!(
            "generation {}{before} is {what}\n  sha256 {}\n",
            changed.generation, changed.sha256
        ))?;
    }
    Ok(Exit::Done)
}
