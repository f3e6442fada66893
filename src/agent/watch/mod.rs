//! The main loop: hand on events, prove again, look at break-glass, keep the state file true, until a signal comes.

mod picture;

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use async_signal::{Signal, Signals};
use smol::{Async, Timer, future::FutureExt as _, stream::StreamExt as _};

use super::{
    AgentError, Guard, Journal, Lines, Moment, Options, break_glass,
    change::moved_cgroups,
    figures::Figures,
    guard::describe,
    hot::Hot,
    notify::Notify,
    repeat::{Repeats, Told},
    sinks::{Opened, Sinks},
};
use crate::{
    audit::{self, Deed, What},
    enforce::{Bank, Counters, Held, InForce, Outcome, Reader, Seals},
    event::{Clock, Event, Lost, POLICY, PolicyChange, ProofResult, StateChange, decode},
    plan::Decision,
    state::{AgentState, BEAT, Health, RunDir, Status, uptime},
    store::{Record, Store},
};

/// How often break-glass and counters are looked at: half of the second within which break-glass has to work.
const TICK: Duration = Duration::from_millis(500);

/// At most so many events before the timers get their turn.
const BATCH: usize = 1024;

/// The next record is being written, by a process that may have lost its processor meanwhile: waiting for it in a busy loop
/// would keep it from getting one.
const PAUSE: Duration = Duration::from_millis(1);

/// At the end, no more than a full ring buffer holds: those that still come belong to the next run.
const LAST_BATCH: usize = 16 * 1024;

/// Everything the loop needs.
#[derive(Debug)]
pub(super) struct Watch {
    guard: Guard,
    reader: Reader,
    ready: Async<OwnedFd>,
    output: Sinks,
    journal: Journal,
    /// Why the last entry could not be written.
    unrecorded: Option<String>,
    /// What is to be said of the run before.
    lost_run: Option<String>,
    /// What is to be said of a clock that was set back.
    set_back: Option<String>,
    run_dir: RunDir,
    notify: Notify,
    options: Options,
    decision: Decision,
    /// What decides, and what is on record of it.
    policy: (InForce, Option<Record>),
    /// Cgroups of the policy that are others by now.
    moved: Vec<String>,
    sandbox: String,
    /// How many events were told as lost, by what had no room for them.
    told_lost: BTreeMap<&'static str, u64>,
    repeats: Repeats,
    figures: Figures,
    proof_failed: Option<String>,
    /// When hooks and policies were last looked at.
    proof_at: Instant,
    /// What the kernel held of each policy.
    seals: Seals,
    last: Option<Status>,
    /// When the state file was last written, since the boot.
    beat: Duration,
    /// Why the state file could not be written.
    unwritten: Option<String>,
    signals: Signals,
    /// Whether a hangup ends the run: the terminal that the events go to is gone then. A daemon has none to lose.
    hangup_ends: bool,
    ticks: Timer,
    proofs: Timer,
}

/// What is made before the sandbox closes, because it takes more of the file system than that leaves.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) lines: Lines,
    /// Where events are to go.
    pub(super) opened: Opened,
    pub(super) journal: Journal,
    pub(super) notify: Notify,
    /// The first look at the counters reads how many processors there can be, and keeps that.
    pub(super) counters: Counters,
    /// What is to be said of the run before.
    pub(super) lost_run: Option<String>,
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
        record: Record,
        decision: Decision,
        guard: Guard,
        run_dir: RunDir,
        sandbox: String,
        made: Made,
    ) -> Result<Self, AgentError> {
        let reader = Reader::new(&guard.loaded)?;
        let ready = reader.as_fd().try_clone_to_owned().and_then(Async::new_nonblocking);
        let ready = ready.map_err(|source| AgentError::Loop { action: "watch the ring buffer", source })?;
        let policy = (guard.loaded.bank.in_force(), Some(record));
        let mut seals = Seals::default();
        seals.note(&guard.loaded.bank)?;
        let repeats = &guard.loaded.bank.control.repeats;
        // What dies with the agent before is said by this one.
        let forgotten = repeats.forgotten.load(Ordering::Acquire);
        let told_lost = BTreeMap::from([("kernel", made.counters.lost), ("agent", forgotten)]);
        Hot::begin(repeats);
        let output = Sinks::start(made.opened, made.lines)
            .map_err(|source| AgentError::Loop { action: "start to write", source })?;
        Ok(Self {
            hangup_ends: output.is_to_terminal(),
            output,
            journal: made.journal,
            unrecorded: None,
            lost_run: made.lost_run,
            set_back: None,
            guard,
            reader,
            ready,
            run_dir,
            notify: made.notify,
            options: options.clone(),
            decision,
            policy,
            moved: Vec::new(),
            sandbox,
            told_lost,
            repeats: Repeats::new(options.repeat_window),
            figures: Figures::new(),
            proof_failed: None,
            proof_at: Instant::now(),
            seals,
            last: None,
            beat: Duration::ZERO,
            unwritten: None,
            signals: Signals::new([Signal::Term, Signal::Int, Signal::Hup, Signal::Usr1])
                .map_err(|source| AgentError::Loop { action: "watch for signals", source })?,
            ticks: Timer::interval(TICK),
            proofs: Timer::interval(options.proof_interval),
        })
    }

    /// Runs until SIGTERM, SIGINT, or the SIGHUP of the terminal that it writes to: that is no reason to leave without a
    /// word.
    pub(super) async fn run(mut self) -> Result<(), AgentError> {
        self.follow_break_glass();
        self.report_proofs()?;
        self.refresh()?;
        // Whether the ring buffer was readable, and there was nothing to read.
        let mut unfinished = false;
        loop {
            let events = async {
                if self.output.has_room() {
                    if unfinished {
                        Timer::after(PAUSE).await;
                    }
                    drop(self.ready.readable().await);
                } else {
                    self.output.wrote().await;
                }
                Wake::Events
            };
            let tick = async { self.ticks.next().await.map_or(Wake::Stop, |_| Wake::Tick) };
            let proof = async { self.proofs.next().await.map_or(Wake::Stop, |_| Wake::Proof) };
            let stop = async {
                loop {
                    match self.signals.next().await {
                        Some(Ok(Signal::Hup)) if !self.hangup_ends => {}
                        Some(Ok(Signal::Usr1)) => self.output.reopen(),
                        _ => return Wake::Stop,
                    }
                }
            };
            // The timers and signals first: a flood of events must not starve them.
            match stop.or(tick).or(proof).or(events).await {
                Wake::Events => unfinished = self.drain(BATCH)? == 0,
                Wake::Tick => self.tick()?,
                Wake::Proof => self.prove()?,
                Wake::Stop => return self.stop().await,
            }
        }
    }

    fn write(&mut self, event: &Event) -> Result<(), AgentError> {
        self.figures.count(event);
        self.output.tell(event)
    }

    /// Hands on what the kernel has, as far as there is room for it. Returns how much that was.
    fn drain(&mut self, limit: usize) -> Result<usize, AgentError> {
        let (clock, now) = (Clock::now(), uptime());
        for count in 0..limit {
            let mut event = None;
            let (bank, repeats) = (&self.guard.loaded.bank, &mut self.repeats);
            let take = |record: &[u8]| {
                if !repeats.holds(&bank.control.repeats, record, now) {
                    event = decoded(record, clock, bank);
                }
            };
            if !self.output.has_room() || !self.reader.next(take)? {
                return Ok(count);
            }
            if let Some(event) = event {
                self.write(&event)?;
            }
        }
        Ok(limit)
    }

    /// Tells what repeated itself; all of it, when nothing comes any more.
    fn tell_repeats(&mut self, all: bool) -> Result<(), AgentError> {
        let clock = Clock::now();
        for Told { record, count, first_ns } in
            self.repeats.due(&self.guard.loaded.bank.control.repeats, uptime(), all)
        {
            if let Some(event) = decoded(&record, clock, &self.guard.loaded.bank) {
                self.write(&event.standing_for(count, clock.wall(first_ns)))?;
            }
        }
        Ok(())
    }

    /// Hands on what is left, for as long as somebody reads.
    async fn drain_last(&mut self) -> Result<(), AgentError> {
        let mut left = LAST_BATCH;
        while left > 0 {
            let count = self.drain(left)?;
            left -= count;
            let goes_on = if self.output.has_room() { count > 0 } else { self.output.wrote_soon().await };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Follows a policy that was changed from outside, or that ended because nobody confirmed it.
    fn follow_policy(&mut self) -> Result<(), AgentError> {
        self.guard.loaded.bank.settle();
        self.seals.note(&self.guard.loaded.bank)?;
        let now = self.guard.loaded.bank.in_force();
        let (then, record) = &self.policy;
        let generation = |held: Option<Held>| held.map(|held| held.generation);
        let confirmed = then.pending.is_some() && now.pending.is_none();
        if now.held != then.held || confirmed {
            let change = PolicyChange {
                generation: generation(now.held),
                sha256: now.held.map(|held| held.sha256),
                rules: now.held.map_or(0, |held| held.rules),
                before: generation(then.held),
                provisional: now.pending.is_some(),
            };
            let record = match record {
                Some(record) if Some(record.generation) == generation(now.held) => Some(record.clone()),
                _ => self.record(now.held),
            };
            self.policy = (now, record);
            self.moved.clear();
            let sha256 = now.held.map(|held| held.sha256);
            self.recorded(self.journal.follow(generation(now.held), sha256));
            self.write(&Event::PolicyChange(change))?;
        } else {
            self.policy.0 = now;
        }
        Ok(())
    }

    /// What could not be recorded is no reason to stop watching, and is told for as long as that is so.
    fn recorded(&mut self, result: Result<(), AgentError>) {
        self.unrecorded = result.err().map(|error| error.chain());
    }

    /// Follows the break-glass file. Who uses the command has switched already, and has said so.
    fn follow_break_glass(&mut self) {
        let on = break_glass(&self.options.dirs.config);
        if self.guard.set_break_glass(on) {
            let (what, why) = if on {
                (What::BreakGlassOn, "the break-glass file is there")
            } else {
                (What::BreakGlassOff, "the break-glass file is gone")
            };
            self.recorded(self.journal.record(Deed::new(what, audit::Outcome::Done).because(why)));
        }
    }

    /// Keeps the latest time that was seen, and says when the clock is far behind it.
    fn follow_clock(&mut self) {
        match self.journal.raise(0) {
            Ok(floor) => self.set_back = Moment::after(floor.last_seen).remark(),
            Err(error) => self.unrecorded = Some(error.chain()),
        }
    }

    /// What is on record of a policy. A record that is not of that text is none of it.
    fn record(&self, held: Option<Held>) -> Option<Record> {
        let record = Store::at(&self.options.dirs.state).record(held?.generation).ok()?;
        (record.sha256 == held?.sha256).then_some(record)
    }

    fn tick(&mut self) -> Result<(), AgentError> {
        self.follow_policy()?;
        self.follow_break_glass();
        self.follow_clock();
        self.output.look()?;
        self.tell_lost()?;
        self.drain(BATCH)?;
        self.tell_repeats(false)?;
        self.refresh()?;
        if self.progressed() {
            self.notify.alive();
        }
        Ok(())
    }

    /// Events that were never told, by what had no room for them.
    fn lost(&self, in_kernel: u64) -> impl Iterator<Item = (&'static str, u64)> {
        let forgotten = self.guard.loaded.bank.control.repeats.forgotten.load(Ordering::Acquire);
        [("kernel", in_kernel), ("agent", forgotten)].into_iter().chain(self.output.lost())
    }

    /// Tells how many events found no room since that was last told, and where.
    fn tell_lost(&mut self) -> Result<(), AgentError> {
        let totals: Vec<_> = self.lost(self.guard.counters()?.lost).collect();
        for (reason, total) in totals {
            let told = self.told_lost.entry(reason).or_default();
            let events = total.saturating_sub(*told);
            *told = total;
            if events > 0 {
                self.write(&Event::Lost(Lost { events, total, reason: reason.into() }))?;
            }
        }
        Ok(())
    }

    /// Whether all that the loop is for was done of late. A turn of it that came to its end is not enough: proofs can
    /// have stopped, and one that failed may be mended by the start that the service manager then makes.
    fn progressed(&self) -> bool {
        self.proof_failed.is_none() && self.proof_at.elapsed() < self.options.proof_interval.saturating_mul(2)
    }

    fn prove(&mut self) -> Result<(), AgentError> {
        self.follow_policy()?;
        let unproven = self.guard.prove().err().map(|error| error.to_string());
        let broken = self.seals.broken(&self.guard.loaded.bank)?;
        let failed: Vec<String> = unproven.into_iter().chain(broken.iter().cloned()).collect();
        let failed = (!failed.is_empty()).then(|| failed.join("; "));
        let changed = failed != self.proof_failed;
        self.proof_failed = failed;
        self.proof_at = Instant::now();
        self.policy.1 = self.record(self.policy.0.held).or_else(|| self.policy.1.take());
        self.moved = self.policy.1.as_ref().map(moved_cgroups).unwrap_or_default();
        if changed {
            self.report_proofs()?;
            self.report_policy(&broken)?;
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
            self.write(&Event::Proof(ProofResult {
                hook: proof.hook.into(),
                proven,
                detail: describe(&proof),
            }))?;
        }
        Ok(())
    }

    /// Says whether the kernel still holds the policies as they were put there.
    fn report_policy(&mut self, broken: &[String]) -> Result<(), AgentError> {
        let proven = broken.is_empty();
        let detail =
            if proven { "the kernel holds it as it was applied".to_owned() } else { broken.join("; ") };
        self.write(&Event::Proof(ProofResult { hook: POLICY.into(), proven, detail }))
    }

    /// Brings the state file up to date and reports a change of status. That the file cannot be written does not end the
    /// agent, which goes on to prove and to report; whoever reads the file finds it old.
    fn refresh(&mut self) -> Result<(), AgentError> {
        let now = uptime();
        self.figures.keep(&self.run_dir, now);
        let mut status = self.status()?;
        if self.last.as_ref() == Some(&status) && now < self.beat + BEAT {
            return Ok(());
        }
        let mut written = status.clone();
        written.agent.beat = Some(now.as_secs());
        self.unwritten = self.run_dir.write(&written).err().map(|error| {
            format!("{}: the state file could not be written: {error}", self.run_dir.path().display())
        });
        self.beat = now;
        if self.unwritten.is_some() {
            status = self.status()?;
        }
        self.notify.status(&status);
        let picture =
            |status: &Status| (status.status, status.enforcing, status.mode, status.reasons.clone());
        if self.last.as_ref().map(picture) != Some(picture(&status)) {
            self.write(&Event::StateChange(StateChange {
                status: status.status.word().into(),
                enforcing: status.enforcing,
                mode: self.decision.mode,
                attach_state: status.attach_state.word().into(),
                uncovered: status.uncovered.clone(),
                reasons: status.reasons.clone(),
            }))?;
        }
        self.last = Some(status);
        Ok(())
    }

    /// Hands on what is left and says goodbye. Pinned enforcement stays.
    async fn stop(mut self) -> Result<(), AgentError> {
        self.drain_last().await?;
        self.tell_repeats(true)?;
        self.figures.end(&self.run_dir, uptime());
        let generation = self.policy.0.held.map(|held| held.generation);
        let deed =
            Deed { from: generation, to: generation, ..Deed::new(What::RunStop, audit::Outcome::Done) };
        self.recorded(self.journal.record(deed));
        let mut status = self.status()?;
        status.agent = AgentState::NONE;
        if !self.guard.tier.fail_closed {
            status.enforcing = false;
        }
        let stays = if self.guard.tier.fail_closed {
            "the agent stopped; the pinned programs stay in force"
        } else {
            "the agent stopped; observation ended"
        };
        status.reasons = std::iter::once(stays.to_owned()).chain(self.unrecorded.clone()).collect();
        status.status = if self.guard.tier.fail_closed { Health::Degraded } else { Health::Unhealthy };
        // Without it the old one stays, and the lock tells that nobody is behind that any more.
        drop(self.run_dir.write(&status));
        self.notify.stopping(&status);
        let (enforcing, mode) = (status.enforcing, self.decision.mode);
        self.write(&Event::StateChange(StateChange {
            status: "stopped".into(),
            enforcing,
            mode,
            attach_state: status.attach_state.word().into(),
            uncovered: status.uncovered,
            reasons: status.reasons,
        }))?;
        self.output.finish().await
    }
}

/// A record as an event, with the policy that its generation names.
fn decoded(record: &[u8], clock: Clock, bank: &Bank) -> Option<Event> {
    decode(record, clock, |generation| bank.sha256_of(generation).map(|sha256| sha256.to_string()))
}
