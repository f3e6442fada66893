//! The rollback drill: a policy is applied, another one refused, and the first taken back; each is shown by its effect.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::evidence::Evidence;
use crate::{
    agent::{AgentError, ApplyOptions, Change, Changed, Source},
    cli::{CanaryArgs, Places},
    cmd::{cgroup::OwnCgroup, status},
    exit::Failure,
    policy::{self, CgroupEntry, CgroupRef, Ops, PathRule, Policy},
    state::Health,
    store::KEEP,
};

/// How long it waits for somebody else who is changing the policy.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file over which it is fought.
const PROBE: &str = "probe";

/// What came of the drill.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Drill {
    schema_version: u32,
    /// Whether everything was as it should be.
    pub(super) pass: bool,
    /// What was not.
    pub(super) faults: Vec<String>,
    /// How long applying took.
    pub(super) apply_ms: f64,
    /// How long going back took.
    pub(super) rollback_ms: f64,
    /// The generation before.
    generation_before: Option<u64>,
    /// The one that was tried.
    generation_tried: Option<u64>,
    /// The one after.
    generation_after: Option<u64>,
    /// Answers of an open of the probe: before, while it is denied, after the refused policy, after the rollback.
    opens: Vec<String>,
    /// Why the faulty policy was refused.
    refusal: Option<String>,
}

/// What the drill works with.
struct Scene<'a> {
    args: &'a CanaryArgs,
    places: &'a Places,
    probe: PathBuf,
    cgroup: Option<&'a OwnCgroup>,
    source: &'a Source,
}

/// Does the drill, with the policy in force and one rule more.
pub(super) fn drill(
    args: &CanaryArgs,
    places: &Places,
    dir: &Evidence,
    cgroup: Option<&OwnCgroup>,
    source: &Source,
) -> Result<Drill, Failure> {
    dir.write(PROBE, b"The rollback drill denies this file for a moment.\n")?;
    let scene = Scene { args, places, probe: dir.path().join(PROBE), cgroup, source };
    let mut drill = Drill { schema_version: 1, ..Drill::default() };
    if let Err(error) = scene.play(&mut drill) {
        drill.faults.push(error.chain());
    }
    drill.pass = drill.faults.is_empty();
    dir.write_json("drill.json", &drill)?;
    Ok(drill)
}

impl Scene<'_> {
    fn play(&self, drill: &mut Drill) -> Result<(), AgentError> {
        self.expect(drill, "before", None);
        let candidate = self.with_rules(&[&self.probe])?;
        let start = Instant::now();
        let changed = self.apply(&candidate, self.args.accept.allow_missing)?;
        drill.apply_ms = milliseconds(start);
        (drill.generation_before, drill.generation_tried) = (changed.before, Some(changed.generation));
        self.expect(drill, "under the candidate", Some(libc::EPERM));
        self.fail_on_purpose(drill)?;
        self.expect(drill, "after the refused policy", Some(libc::EPERM));
        let start = Instant::now();
        let back = Change::begin(&self.places.dirs(), PATIENCE)?.rollback(None)?;
        drill.rollback_ms = milliseconds(start);
        drill.generation_after = Some(back.generation);
        self.expect(drill, "after the rollback", None);
        if drill.generation_after != drill.generation_before || back.sha256 != self.source.sha256 {
            drill.faults.push(format!("generation {} is in force after the rollback", back.generation));
        }
        let health = status::look(self.places).status;
        if health.status == Health::Unhealthy {
            drill.faults.push(format!("unhealthy after the rollback: {}", health.reasons.join("; ")));
        }
        Ok(())
    }

    fn apply(&self, source: &Source, missing: bool) -> Result<Changed, AgentError> {
        let mut accept = self.args.accept.accept();
        accept.missing = missing;
        let options = ApplyOptions { accept, confirm_within: None, keep: KEEP };
        Change::begin(&self.places.dirs(), PATIENCE)?.apply(source, &options)
    }

    /// A policy that names what does not exist has to be refused, and to change nothing.
    fn fail_on_purpose(&self, drill: &mut Drill) -> Result<(), AgentError> {
        let faulty = self.with_rules(&[&self.probe, &self.probe.with_file_name("does-not-exist")])?;
        match self.apply(&faulty, false) {
            Ok(changed) => {
                drill
                    .faults
                    .push(format!("the faulty policy was applied as generation {}", changed.generation));
            }
            Err(why) => drill.refusal = Some(why.chain()),
        }
        Ok(())
    }

    /// The policy with rules on these files, which bind the canary's cgroup as well.
    fn with_rules(&self, paths: &[&Path]) -> Result<Source, AgentError> {
        let mut policy = self.source.policy.clone();
        for path in paths {
            let id = u32::try_from(policy.rules()).unwrap_or(u32::MAX).saturating_add(1);
            policy.paths.push(PathRule { id, path: (*path).to_owned(), ops: Ops::READ, line: 0 });
        }
        if let Some(cgroup) = self.cgroup.filter(|_| !policy.scope.is_empty()) {
            let cgroup = CgroupRef::Path(cgroup.path().to_owned());
            policy.scope.push(CgroupEntry { cgroup, line: 0 });
        }
        Source::parse(Path::new("the policy of the rollback drill"), text_of(policy).as_bytes())
    }

    /// Opens the probe, and notes what came of it.
    fn expect(&self, drill: &mut Drill, when: &str, wanted: Option<i32>) {
        let open = || File::open(&self.probe).map(drop);
        let answer = match self.cgroup.and_then(|cgroup| cgroup.inside(open)) {
            Some(inside) => inside.and_then(|answer| answer),
            None => open(),
        };
        let errno = answer.as_ref().err().and_then(io::Error::raw_os_error);
        let word = answer.err().map_or_else(|| "opened".to_owned(), |error| error.to_string());
        if errno != wanted {
            drill.faults.push(format!("{when}: an open of the probe answers: {word}"));
        }
        drill.opens.push(word);
    }
}

/// As a file. It follows on the one in force, and is no replay of it.
fn text_of(mut policy: Policy) -> String {
    policy.settings.policy_version = policy.settings.policy_version.map(|version| version.saturating_add(1));
    policy.version = 2;
    policy::print(&policy)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
