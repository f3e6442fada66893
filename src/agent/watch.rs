//! The main loop: hand on events, prove again, look at break-glass, keep the state file true, until a signal comes.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use async_signal::{Signal, Signals};
use smol::{Async, Timer, future::FutureExt as _, stream::StreamExt as _};

use super::{AgentError, Guard, Options, Output, Source, Talk, break_glass, guard::describe};
use crate::{
    enforce::{Outcome, Reader},
    event::{Clock, Event, Lost, ProofResult, StateChange, decode, rfc3339},
    plan::Decision,
    state::{
        AgentState, AttachState, EventState, Health, HookState, PolicyState, RunDir, SCHEMA_VERSION, Status,
    },
};

/// How often break-glass and counters are looked at: half of the second within which break-glass has to work.
const TICK: Duration = Duration::from_millis(500);

/// At most so many events before the timers get their turn.
const BATCH: usize = 1024;

/// At the end, no more than a full ring buffer holds: those that still come belong to the next run.
const LAST_BATCH: usize = 16 * 1024;

/// Everything the loop needs.
#[derive(Debug)]
pub(super) struct Watch {
    guard: Guard,
    reader: Reader,
    ready: Async<OwnedFd>,
    output: Output,
    run_dir: RunDir,
    options: Options,
    decision: Decision,
    policy: PolicyState,
    sandbox: String,
    remarks: Vec<String>,
    lost: u64,
    proof_failed: Option<String>,
    last: Option<Status>,
    signals: Signals,
    ticks: Timer,
    proofs: Timer,
}

/// What woke the loop.
enum Wake {
    Events,
    Tick,
    Proof,
    Stop,
}

impl Watch {
    /// Opens all that the loop waits for; the system call filter comes after this.
    pub(super) fn new(
        options: &Options,
        source: &Source,
        decision: Decision,
        guard: Guard,
        run_dir: RunDir,
        sandbox: String,
        talk: Talk,
    ) -> Result<Self, AgentError> {
        let reader = Reader::new(&guard.loaded)?;
        let ready = reader.as_fd().try_clone_to_owned().and_then(Async::new_nonblocking);
        let ready = ready.map_err(|source| AgentError::Loop { action: "watch the ring buffer", source })?;
        let policy = PolicyState {
            sha256: source.sha256.clone(),
            generation: guard.generation,
            policy_version: source.policy.settings.policy_version,
            signed_by: source.signed_by.clone(),
            rules: source.policy.rules(),
        };
        let mut remarks = source.remarks.clone();
        if guard.absent > 0 {
            remarks
                .push(format!("{} paths of the policy do not exist; their places are bound", guard.absent));
        }
        let lost = guard.counters()?.lost;
        Ok(Self {
            output: Output::new(talk, guard.tier.name),
            guard,
            reader,
            ready,
            run_dir,
            options: options.clone(),
            decision,
            policy,
            sandbox,
            remarks,
            lost,
            proof_failed: None,
            last: None,
            signals: Signals::new([Signal::Term, Signal::Int])
                .map_err(|source| AgentError::Loop { action: "watch for signals", source })?,
            ticks: Timer::interval(TICK),
            proofs: Timer::interval(options.proof_interval),
        })
    }

    /// Runs until SIGTERM or SIGINT.
    pub(super) async fn run(mut self) -> Result<(), AgentError> {
        self.guard.set_break_glass(break_glass(&self.options.config_dir));
        self.report_proofs()?;
        self.refresh()?;
        loop {
            let events = async {
                drop(self.ready.readable().await);
                Wake::Events
            };
            let tick = async { self.ticks.next().await.map_or(Wake::Stop, |_| Wake::Tick) };
            let proof = async { self.proofs.next().await.map_or(Wake::Stop, |_| Wake::Proof) };
            let stop = async {
                self.signals.next().await;
                Wake::Stop
            };
            // The timers and signals first: a flood of events must not starve them.
            match stop.or(tick).or(proof).or(events).await {
                Wake::Events => self.drain(BATCH)?,
                Wake::Tick => self.tick()?,
                Wake::Proof => self.prove()?,
                Wake::Stop => return self.stop(),
            }
        }
    }

    fn write(&mut self, event: &Event) -> Result<(), AgentError> {
        self.output
            .write(event)
            .map_err(|source| AgentError::Loop { action: "write to standard output", source })
    }

    fn drain(&mut self, limit: usize) -> Result<(), AgentError> {
        let clock = Clock::now();
        for _ in 0..limit {
            let mut event = None;
            let policy = &self.policy;
            let sha256 = |generation| (generation == policy.generation).then(|| policy.sha256.clone());
            if !self.reader.next(|record| event = decode(record, clock, sha256)) {
                break;
            }
            if let Some(event) = event {
                self.write(&event)?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), AgentError> {
        self.guard.set_break_glass(break_glass(&self.options.config_dir));
        let total = self.guard.counters()?.lost;
        if total > self.lost {
            let events = total - self.lost;
            self.lost = total;
            self.write(&Event::Lost(Lost { events, total }))?;
        }
        self.refresh()
    }

    fn prove(&mut self) -> Result<(), AgentError> {
        let failed = self.guard.prove().err().map(|error| error.to_string());
        let changed = failed != self.proof_failed;
        self.proof_failed = failed;
        if changed {
            self.report_proofs()?;
        }
        self.refresh()?;
        match &self.proof_failed {
            Some(failed) if self.options.strict => Err(AgentError::NotProven(vec![failed.clone()])),
            _ => Ok(()),
        }
    }

    fn report_proofs(&mut self) -> Result<(), AgentError> {
        for proof in self.guard.proofs.clone() {
            let proven = proof.outcome == Outcome::Refused;
            self.write(&Event::Proof(ProofResult { hook: proof.hook, proven, detail: describe(&proof) }))?;
        }
        Ok(())
    }

    /// Brings the state file up to date and reports a change of status.
    fn refresh(&mut self) -> Result<(), AgentError> {
        let status = self.status()?;
        if self.last.as_ref() == Some(&status) {
            return Ok(());
        }
        self.run_dir
            .write(&status)
            .map_err(|source| AgentError::Directory { path: self.options.run_dir.clone(), source })?;
        let picture =
            |status: &Status| (status.status, status.enforcing, status.mode, status.reasons.clone());
        if self.last.as_ref().map(picture) != Some(picture(&status)) {
            self.write(&Event::StateChange(StateChange {
                status: status.status.word(),
                enforcing: status.enforcing,
                mode: self.decision.mode,
                reasons: status.reasons.clone(),
            }))?;
        }
        self.last = Some(status);
        Ok(())
    }

    fn status(&self) -> Result<Status, AgentError> {
        let counters = self.guard.counters()?;
        let broken = break_glass(&self.options.config_dir);
        let mut reasons = Vec::new();
        if self.options.mode != self.decision.mode {
            for passed in &self.decision.passed_over {
                reasons.extend(passed.reasons.iter().map(|reason| format!("{}: {reason}", passed.tier.name)));
            }
        }
        if broken {
            reasons.push("break-glass is on: nothing is denied".to_owned());
        }
        for hook in &self.guard.missing {
            reasons.push(format!("the optional hook {} did not attach", hook.name));
        }
        let degraded = !reasons.is_empty();
        reasons.extend(self.proof_failed.clone());
        let status = match (&self.proof_failed, degraded) {
            (Some(_), _) => Health::Unhealthy,
            (None, true) => Health::Degraded,
            (None, false) => Health::Healthy,
        };
        reasons.extend(self.remarks.iter().cloned());
        Ok(Status {
            schema_version: SCHEMA_VERSION,
            status,
            enforcing: self.guard.enforcing(),
            mode: Some(self.decision.mode),
            tier: Some(self.guard.tier.name.to_owned()),
            attach_state: if self.guard.missing.is_empty() {
                AttachState::Full
            } else {
                AttachState::Partial
            },
            hooks: self.hooks(),
            uncovered: self
                .guard
                .missing
                .iter()
                .flat_map(|hook| hook.carries)
                .map(|claim| (*claim).to_owned())
                .collect(),
            policy: Some(self.policy.clone()),
            events: EventState { submitted: counters.submitted, lost: counters.lost },
            break_glass: broken,
            agent: AgentState { running: true, pid: Some(std::process::id()) },
            sandbox: Some(self.sandbox.clone()),
            reasons,
        })
    }

    fn hooks(&self) -> Vec<HookState> {
        let proven = |name| {
            let proof = self.guard.proofs.iter().find(|proof| proof.hook == name)?;
            (proof.outcome == Outcome::Refused).then(|| rfc3339(proof.at))
        };
        let hooks = self.guard.tier.hooks.iter().map(|hook| HookState {
            name: hook.name.to_owned(),
            required: hook.required,
            attached: self.guard.attached.iter().any(|one| one.hook.name == hook.name),
            proven_at: proven(hook.name),
        });
        hooks.collect()
    }

    /// Hands on what is left and says goodbye. Pinned enforcement stays.
    fn stop(mut self) -> Result<(), AgentError> {
        self.drain(LAST_BATCH)?;
        let mut status = self.status()?;
        status.agent = AgentState { running: false, pid: None };
        if !self.guard.tier.fail_closed {
            status.enforcing = false;
        }
        let stays = if self.guard.tier.fail_closed {
            "the agent stopped; the pinned programs stay in force"
        } else {
            "the agent stopped; observation ended"
        };
        status.reasons = vec![stays.to_owned()];
        status.status = if self.guard.tier.fail_closed { Health::Degraded } else { Health::Unhealthy };
        self.run_dir
            .write(&status)
            .map_err(|source| AgentError::Directory { path: self.options.run_dir.clone(), source })?;
        let (enforcing, mode) = (status.enforcing, self.decision.mode);
        self.write(&Event::StateChange(StateChange {
            status: "stopped",
            enforcing,
            mode,
            reasons: status.reasons,
        }))
    }
}
