//! More denials than anybody reads: each is refused, and each is told or counted as lost.

use super::agent::{Agent, Place, SOON, at, json, want};
use super::{Check, CheckError, Ctx, load};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line, PARAM_SECONDS};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "flood.fifty-thousand-a-second", run: fast },
    Check { id: "flood.overflow", run: |_| overflow() },
];

/// Denials a second, by so many threads.
const RATE: u64 = 50_000;
const THREADS: u64 = 4;

/// How often a thread makes its share of them.
const SLOTS_A_SECOND: u64 = 250;
const SLOT: Duration = Duration::from_millis(1000 / SLOTS_A_SECOND);
const SHARE: u64 = RATE / SLOTS_A_SECOND / THREADS;

/// The agent as it is by default, its events in a file.
struct Flooded {
    place: Place,
    agent: Agent,
    events: String,
}

impl Flooded {
    fn start(id: &str) -> Result<Self, CheckError> {
        let place = Place::new(id)?;
        place.deny("")?;
        let events = format!("{}/events", place.dir);
        let run = format!(
            "exec {AGENT} run --enforce --allow-unsigned-policy --log-format json --policy {} >{events}",
            place.policy
        );
        let agent = load::unheard(&run)?;
        // Enforcement begins before the agent watches, and signals find it ready only then.
        let watches = || fs::read_to_string(&events).is_ok_and(|text| text.contains("\"state_change\""));
        let end = Instant::now() + SOON;
        while !watches() {
            want("the agent watching in time", Instant::now() < end, true)?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { place, agent, events })
    }

    /// Stops the agent; how many denials its events stand for, how many it counts as lost, and how many lines that took.
    fn told(mut self) -> Result<(u64, u64, usize), CheckError> {
        self.agent.process()?.signal(Signal::TERM)?;
        if let Some(process) = self.agent.0.take() {
            process.wait(SOON)?;
        }
        let status = json(&Cmd::new(AGENT).args(["status", "--json"]).run()?.stdout)?;
        let lost = status.pointer("/events/lost").and_then(Value::as_u64).unwrap_or(0);
        let text = fs::read_to_string(&self.events)
            .map_err(|source| CheckError::File { path: self.events.clone().into(), source })?;
        let (mut told, mut lines) = (0, 0);
        for line in text.lines().filter(|line| line.contains("\"type\":\"deny\"")) {
            let event = json(line)?;
            at(&event, "/path", &json!(self.place.secret))?;
            told += event.pointer("/count").and_then(Value::as_u64).unwrap_or(0);
            lines += 1;
        }
        Ok((told, lost, lines))
    }
}

/// What the threads met.
#[derive(Default)]
struct Met {
    denied: AtomicU64,
    wrong: AtomicU64,
    /// The longest time that a slot's share took, microseconds.
    longest: AtomicU64,
}

/// One thread's share: its opens of the secret, slot by slot, and one of the file beside it in each.
fn share(place: &Place, met: &Met, slots: u64) {
    let mut due = Instant::now();
    for _ in 0..slots {
        let start = Instant::now();
        let denied = (0..SHARE).filter(|_| load::opens(&place.secret) == Some(false)).count() as u64;
        let right = denied == SHARE && load::opens(&place.neighbour) == Some(true);
        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        met.denied.fetch_add(denied, Ordering::Relaxed);
        met.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
        met.longest.fetch_max(took, Ordering::Relaxed);
        due += SLOT;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn fast(ctx: &Ctx) -> Result<(), CheckError> {
    let seconds = ctx.boot.value(PARAM_SECONDS).and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut flooded = Flooded::start("flood")?;
    let met = Met::default();
    let pid = flooded.agent.process()?.pid();
    let before = rss(pid)?;
    let (mut most, start) = (before, Instant::now());
    thread::scope(|scope| -> Result<(), CheckError> {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| share(&flooded.place, &met, seconds * SLOTS_A_SECOND)))
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(500));
            most = most.max(rss(pid)?);
        }
        Ok(())
    })?;
    let took = start.elapsed();
    let (denied, wrong) = (met.denied.into_inner(), met.wrong.into_inner());
    let rate = denied * 1000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let (told, lost, lines) = flooded.told()?;
    report::send(&Line::Note(format!(
        "{denied} denials in {took:?}, {rate}/s by {THREADS} threads; told {told} in {lines} events, lost {lost}; \
         RSS {before} KiB before, at most {most} KiB; the longest {} opens in a row {} us; wrong answers {wrong}",
        SHARE + 1,
        met.longest.into_inner(),
    )));
    want("wrong answers", wrong > 0, false)?;
    accounted(denied, told, lost)?;
    want("lost at most one in a thousand", lost * 1000 <= denied, true)?;
    want("memory within 2 MiB of what it was", most <= before + 2048, true)
}

/// Each denial is told or counted as lost, and none twice.
fn accounted(denied: u64, told: u64, lost: u64) -> Result<(), CheckError> {
    if told + lost == denied {
        return Ok(());
    }
    let got = format!("told {told} and lost {lost}");
    Err(CheckError::Differs { what: "denials accounted for", want: denied.to_string(), got })
}

/// Resident memory, KiB.
fn rss(pid: u32) -> Result<u64, CheckError> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|source| CheckError::File { path: path.into(), source })?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse().unwrap_or(0))
}

/// While the agent stands still, more is denied than the ring buffer holds.
fn overflow() -> Result<(), CheckError> {
    const DENIALS: u64 = 30_000;
    let mut flooded = Flooded::start("overflow")?;
    flooded.agent.process()?.signal(Signal::STOP)?;
    let denied = (0..DENIALS).filter(|_| load::opens(&flooded.place.secret) == Some(false)).count() as u64;
    let beside = load::opens(&flooded.place.neighbour);
    flooded.agent.process()?.signal(Signal::CONT)?;
    want("every one denied", denied == DENIALS, true)?;
    want("the file beside it", beside == Some(true), true)?;
    let (told, lost, lines) = flooded.told()?;
    report::send(&Line::Note(format!(
        "{DENIALS} denials unread: told {told} in {lines} events, lost {lost}"
    )));
    want("more than it holds", lost > 0, true)?;
    accounted(DENIALS, told, lost)
}
