//! `aegisbpf canary`: a policy in stages, audit then enforce, against thresholds; everything that was seen is kept.
//!
//! The agents that it starts have a state directory of their own, in the evidence, and go with all that they attached,
//! however the canary ends. Where anything is in force already, it starts none.

mod agent;
mod drill;
mod evidence;
mod index;
mod limits;
mod review;
mod sample;
mod stop;
mod verdict;
mod workload;

use std::{
    io::Write as _,
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use self::{
    agent::{Agent, Started},
    drill::Drill,
    evidence::{Evidence, failed},
    limits::{Drilled, Limits},
    sample::Sample,
    stop::Stop,
    verdict::{Phase, Verdict, Word},
    workload::Workload,
};
use crate::{
    abi,
    agent::{POLICY, Source},
    cli::{CanaryArgs, EnforceSignal, Phase as Asked, Places},
    cmd::{cgroup::OwnCgroup, print, print_json, status},
    enforce::Pins,
    event::rfc3339,
    exit::{self, Exit, Failure},
    kernel::{self, Host, LsmList},
    state::RunDir,
    tier::Mode,
};

/// Runs it.
pub(super) fn run(args: &CanaryArgs, places: &Places) -> Result<Exit, Failure> {
    heed_signal(args)?;
    let mut stop = Stop::watch()?;
    let modes = modes(args, places)?;
    let source = if args.attach { None } else { Some(candidate(args, places)?) };
    let evidence = Evidence::make(args.out.as_deref())?;
    let state_dir = if args.attach { places.state_dir.clone() } else { evidence.path().join("state") };
    let places = Places { state_dir, ..places.clone() };
    let started = rfc3339(SystemTime::now());
    begin(&evidence, &places, source.as_ref())?;
    let canary = Canary {
        args,
        places: &places,
        evidence: &evidence,
        source: source.as_ref(),
        cgroup: OwnCgroup::make("aegisbpf-canary"),
    };
    let (phases, not_begun) = canary.phases(&modes, &mut stop)?;
    let verdict = Verdict {
        schema_version: 1,
        version: env!("CARGO_PKG_VERSION"),
        word: Verdict::worst(&phases, &not_begun),
        started,
        ended: rfc3339(SystemTime::now()),
        attached: args.attach,
        policy_sha256: canary.sha256(),
        enforce_signal: signal_name(args.enforce_signal),
        phases,
        not_begun,
    };
    evidence.write_json("verdict.json", &verdict)?;
    index::write(&evidence, &verdict)?;
    for reason in verdict.phases.iter().flat_map(|phase| &phase.reasons) {
        exit::note(reason);
    }
    if args.json {
        print_json(&verdict)?;
    } else {
        print(&verdict.line(&evidence.path().display().to_string()))?;
    }
    Ok(verdict.exit())
}

/// Runbooks ask for a signal. None is sent, which is said; the one that nobody could handle is asked for on purpose or not
/// at all.
fn heed_signal(args: &CanaryArgs) -> Result<(), Failure> {
    if args.enforce_signal == EnforceSignal::Kill && !args.allow_sigkill {
        return Err(Failure::new(Exit::Usage, "a canary with SIGKILL was not asked for on purpose").hint(
            "leave out --enforce-signal kill (ENFORCE_SIGNAL=kill), or add --allow-sigkill (ALLOW_SIGKILL_CANARY=1)",
        ));
    }
    if args.enforce_signal != EnforceSignal::None {
        exit::note(
            "denied processes get no signal: a denied operation answers EPERM before it has any effect",
        );
    }
    Ok(())
}

fn signal_name(signal: EnforceSignal) -> &'static str {
    match signal {
        EnforceSignal::None => "none",
        EnforceSignal::Term => "term",
        EnforceSignal::Int => "int",
        EnforceSignal::Kill => "kill",
    }
}

/// The phases to go through: those asked for, or that of the agent that runs. Where anything is in force, an agent of
/// the canary's would take it over, and its end would end that.
fn modes(args: &CanaryArgs, places: &Places) -> Result<Vec<Mode>, Failure> {
    let alive = RunDir::at(&places.run_dir).agent_alive();
    if args.attach {
        let status = status::look(places).status;
        let runs = status.mode.filter(|_| alive).ok_or_else(|| {
            Failure::new(Exit::Unavailable, "no agent is running")
                .hint("without --attach the canary starts one of its own")
        })?;
        return match args.phase {
            Asked::Both => Ok(vec![runs]),
            asked if asked.modes() == [runs] => Ok(vec![runs]),
            _ => Err(Failure::new(
                Exit::Unavailable,
                format!("the agent that runs is in {} mode", runs.name()),
            )
            .hint("name that phase, or none")),
        };
    }
    let hint = "--attach watches what runs";
    if alive {
        return Err(Failure::new(Exit::Busy, "an agent is running already").hint(hint));
    }
    if Pins::below(&places.bpffs).in_force()? {
        return Err(Failure::new(Exit::Busy, "something is enforced already, without an agent")
            .hint("`aegisbpf detach` ends it; `aegisbpf run` brings an agent back, which --attach watches"));
    }
    Ok(args.phase.modes().to_vec())
}

fn candidate(args: &CanaryArgs, places: &Places) -> Result<Source, Failure> {
    let default = places.config_dir.join(POLICY);
    Ok(Source::read(args.policy.as_ref().unwrap_or(&default), false)?)
}

/// The host and its kernel.
#[derive(Serialize)]
struct Facts {
    schema_version: u32,
    version: &'static str,
    abi: u32,
    host: Host,
    lsm: Option<LsmList>,
    cmdline: String,
    processors: usize,
    memory: String,
}

/// What is known before anything is tried.
fn begin(evidence: &Evidence, places: &Places, source: Option<&Source>) -> Result<(), Failure> {
    if let Some(source) = source {
        evidence.write(POLICY, &source.text)?;
        if let Some(signature) = &source.signature {
            evidence.write("policy.conf.sig", signature)?;
        }
    } else {
        evidence.capture(places, &["policy", "export"], POLICY)?;
    }
    if let Some(sha256) = source.map(|source| source.sha256.to_string()).or_else(|| in_force(places)) {
        evidence.write("policy.conf.sha256", format!("{sha256}  {POLICY}\n").as_bytes())?;
    }
    let read = |path: &str| kernel::read(path).unwrap_or_default();
    evidence.write_json(
        "facts.json",
        &Facts {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION"),
            abi: abi::ABI_VERSION,
            host: Host::current(),
            lsm: LsmList::current(),
            cmdline: read("/proc/cmdline").trim().to_owned(),
            processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory: read("/proc/meminfo").lines().next().unwrap_or_default().to_owned(),
        },
    )?;
    evidence.capture(places, &["doctor", "--json"], "doctor.json")
}

fn in_force(places: &Places) -> Option<String> {
    status::look(places).status.policy.map(|policy| policy.sha256.to_string())
}

/// What all phases share.
struct Canary<'a> {
    args: &'a CanaryArgs,
    places: &'a Places,
    evidence: &'a Evidence,
    source: Option<&'a Source>,
    cgroup: Option<OwnCgroup>,
}

/// What was seen while a phase went on.
struct Watched {
    samples: Vec<Sample>,
    took: Duration,
    /// Whether the agent was there to the end.
    stayed: bool,
}

impl Canary<'_> {
    fn sha256(&self) -> Option<String> {
        self.source.map(|source| source.sha256.to_string()).or_else(|| in_force(self.places))
    }

    /// One after the other, as long as they pass; and those that were not begun.
    fn phases(&self, modes: &[Mode], stop: &mut Stop) -> Result<(Vec<Phase>, Vec<Mode>), Failure> {
        let mut done = Vec::new();
        let mut left = modes.iter().copied();
        while !stop.is_asked()
            && done.iter().all(|phase: &Phase| phase.verdict == Word::Pass)
            && let Some(mode) = left.next()
        {
            self.say(&format!("{} for {}", mode.name(), humantime::format_duration(self.args.duration)));
            let phase = self.phase(mode, stop)?;
            self.say(&format!("{}: {}", mode.name(), phase.verdict.shown()));
            done.push(phase);
        }
        Ok((done, left.collect()))
    }

    fn say(&self, text: &str) {
        if !self.args.quiet {
            exit::note(text);
        }
    }

    fn phase(&self, mode: Mode, stop: &mut Stop) -> Result<Phase, Failure> {
        let dir = self.evidence.below(mode.name())?;
        let phase = Phase::new(mode);
        let mut agent = if self.args.attach {
            Agent::running(self.places)
        } else {
            match Agent::start(self.args, mode, self.evidence, &dir, self.places, stop)? {
                Started::Ready(agent) => agent,
                Started::Ended(code, words) => {
                    return Ok(Phase { agent_exit: code, ..phase.unavailable(words) });
                }
                Started::Interrupted => return Ok(phase),
            }
        };
        let status = status::look(self.places).status;
        let phase = Phase { tier: status.tier, ..phase };
        if mode == Mode::Enforce && !status.enforcing {
            let mut reasons = vec!["the agent runs, and enforces nothing".to_owned()];
            reasons.extend(status.reasons);
            agent.finish()?;
            return Ok(phase.unavailable(reasons));
        }
        self.snapshot(&dir, "before")?;
        let workload = Workload::start(self.args, &dir, self.cgroup.as_ref())?;
        let (mut watched, drill) = self.watch(mode, &dir, &mut agent, stop)?;
        let workload = workload.map(Workload::finish);
        self.snapshot(&dir, "after")?;
        self.evidence_of_health(&dir)?;
        watched.stayed &= agent.ended().is_none();
        let agent_exit = agent.finish()?;
        let phase = Phase { drill, workload, agent_exit, ..phase };
        Ok(self.judge(phase, &watched, stop.is_asked()))
    }

    fn judge(&self, phase: Phase, watched: &Watched, interrupted: bool) -> Phase {
        let drilled = match (&phase.drill, phase.mode, self.args.attach) {
            (Some(drill), ..) => Drilled::Took(drill.pass.then_some(drill.rollback_ms)),
            // It was to be, and was not.
            (None, Mode::Enforce, false) => Drilled::Took(None),
            (None, ..) => Drilled::No,
        };
        let limits = Limits::of(self.args);
        let thresholds = limits::judge(&limits, phase.mode, &watched.samples, watched.stayed, drilled);
        let (seconds, samples) = (watched.took.as_secs_f64(), watched.samples.len());
        let phase = Phase { seconds, samples, thresholds, ..phase };
        if interrupted {
            let reasons = vec![format!("interrupted after {seconds:.0} s")];
            return Phase { verdict: Word::Interrupted, reasons, ..phase };
        }
        phase.judged()
    }

    fn snapshot(&self, dir: &Evidence, when: &str) -> Result<(), Failure> {
        dir.capture(self.places, &["status", "--json"], &format!("status-{when}.json"))?;
        dir.capture(self.places, &["metrics"], &format!("metrics-{when}.prom"))
    }

    fn evidence_of_health(&self, dir: &Evidence) -> Result<(), Failure> {
        dir.capture(self.places, &["health", "--json"], "health-after.json")
    }

    /// Samples until the time is over; then the drill, and a last sample.
    fn watch(
        &self,
        mode: Mode,
        dir: &Evidence,
        agent: &mut Agent<'_>,
        stop: &mut Stop,
    ) -> Result<(Watched, Option<Drill>), Failure> {
        let mut file = dir.create("samples.jsonl")?;
        let (start, mut samples) = (Instant::now(), Vec::new());
        let mut sample = || -> Result<bool, Failure> {
            let sample = Sample::take(self.places, start.elapsed());
            let mut line = serde_json::to_vec(&sample).map_err(|error| Failure::new(Exit::Bug, error))?;
            line.push(b'\n');
            file.write_all(&line).map_err(failed(dir.path()))?;
            self.say(&sample.line());
            let is_there = sample.pid.is_some();
            samples.push(sample);
            Ok(is_there)
        };
        let mut stayed = true;
        loop {
            stayed &= sample()? && agent.ended().is_none();
            let left = self.args.duration.saturating_sub(start.elapsed());
            if !stayed || left.is_zero() || stop.within(left.min(self.args.interval)) {
                break;
            }
        }
        let mut drilled = None;
        if let Some(source) = self.source
            && mode == Mode::Enforce
            && agent.is_ours()
            && stayed
            && !stop.is_asked()
        {
            drilled = Some(drill::drill(self.args, self.places, dir, self.cgroup.as_ref(), source)?);
        }
        stayed &= sample()?;
        Ok((Watched { took: start.elapsed(), samples, stayed }, drilled))
    }
}
