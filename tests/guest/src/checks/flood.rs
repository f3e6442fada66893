//! More denials than anybody reads: each is refused, and each is told or counted as lost.

use super::agent::{Agent, NOBODY, Place, SOON, at, json, want};
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

/// What the kernel counts, and what becomes of it.
pub(super) const KINDS: [Check; 2] = [
    Check { id: "flood.kinds-stay-apart", run: |_| kinds() },
    Check { id: "flood.agent-killed", run: |_| killed() },
];

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "flood.fifty-thousand-a-second", run: fast },
    Check { id: "flood.past-the-end", run: |_| past_the_end() },
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
        Self::over(place, "")
    }

    /// The events of an agent before are gone.
    fn over(place: Place, more: &str) -> Result<Self, CheckError> {
        let events = format!("{}/events", place.dir);
        let run = format!(
            "exec {AGENT} run --enforce --allow-unsigned-policy --log-format json --policy {} {more} >{events}",
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

    /// Ends the agent.
    fn end(&mut self, signal: Signal) -> Result<(), CheckError> {
        self.agent.process()?.signal(signal)?;
        if let Some(process) = self.agent.0.take() {
            process.wait(SOON)?;
        }
        Ok(())
    }

    /// The denials that were told.
    fn denials(&self) -> Result<Vec<Value>, CheckError> {
        let text = fs::read_to_string(&self.events)
            .map_err(|source| CheckError::File { path: self.events.clone().into(), source })?;
        text.lines().filter(|line| line.contains("\"type\":\"deny\"")).map(json).collect()
    }

    /// Stops the agent; how many denials its events stand for, how many it counts as lost, and how many lines that took.
    fn told(mut self) -> Result<(u64, u64, usize), CheckError> {
        self.end(Signal::TERM)?;
        let status = json(&Cmd::new(AGENT).args(["status", "--json"]).run()?.stdout)?;
        let lost = status.pointer("/events/lost").and_then(Value::as_u64).unwrap_or(0);
        let denials = self.denials()?;
        for event in &denials {
            at(event, "/path", &json!(self.place.secret))?;
        }
        Ok((denials.iter().map(number).sum(), lost, denials.len()))
    }
}

/// How many decisions an event stands for.
fn number(event: &Value) -> u64 {
    event.pointer("/count").and_then(Value::as_u64).unwrap_or(0)
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

/// More than the ring buffer holds twice over, each told for itself, by an agent that keeps up: what lies across its end
/// is put together as what lies elsewhere.
fn past_the_end() -> Result<(), CheckError> {
    const ROUNDS: u64 = 40;
    const EACH: u64 = 500;
    let place = Place::new("end")?;
    place.deny("")?;
    let flooded = Flooded::over(place, "--repeat-window 0s")?;
    for _ in 0..ROUNDS {
        many(&flooded.place.secret, EACH)?;
        thread::sleep(Duration::from_millis(300));
    }
    let (told, lost, lines) = flooded.told()?;
    report::send(&Line::Note(format!("{} denials told for themselves: {told}, lost {lost}", ROUNDS * EACH)));
    want("each for itself", told == lines as u64, true)?;
    // A record takes half a KiB at least.
    want("twice what it holds told", told > 17_000, true)?;
    accounted(ROUNDS * EACH, told, lost)
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

/// Denials of a file by this very process, all of one kind.
fn many(path: &str, number: u64) -> Result<(), CheckError> {
    want("each denied", (0..number).all(|_| load::opens(path) == Some(false)), true)
}

/// While one kind is counted in the kernel, each other is told as what it is: another program, user, file or operation.
fn kinds() -> Result<(), CheckError> {
    const MANY: u64 = 3000;
    let place = Place::new("kinds")?;
    let link = format!("{}/other-name", place.dir);
    fs::hard_link(&place.secret, &link)
        .map_err(|source| CheckError::File { path: link.clone().into(), source })?;
    place.deny("")?;
    let mut flooded = Flooded::over(place, "")?;
    let secret = flooded.place.secret.clone();
    many(&secret, MANY)?;
    // By now it has seen enough of them, if only it was given the time to look.
    thread::sleep(Duration::from_secs(1));
    many(&secret, MANY)?;
    let cat = Cmd::new("/bin/busybox").args(["cat", &secret]);
    for uid in [0, 0, NOBODY] {
        want("another program is denied", cat.clone().uid(uid).run()?.code() == 0, false)?;
    }
    many(&link, 1)?;
    want("to write is denied", fs::OpenOptions::new().append(true).open(&secret).is_err(), true)?;
    many(&secret, MANY)?;
    flooded.end(Signal::TERM)?;
    let denials = flooded.denials()?;
    let of = |program: &str, uid: u32, path: &str, operation: &str| -> u64 {
        let same = |event: &&Value| {
            let is = |key: &str, value: Value| event.pointer(key) == Some(&value);
            let exe = event.pointer("/exe").and_then(Value::as_str).unwrap_or_default();
            exe.ends_with(program)
                && is("/uid", json!(uid))
                && is("/path", json!(path))
                && is("/operation", json!(operation))
        };
        denials.iter().filter(same).map(number).sum()
    };
    let me = std::env::current_exe().unwrap_or_default().display().to_string();
    want("told of this process", of(&me, 0, &secret, "read") == 3 * MANY, true)?;
    want("told of the other program", of("/busybox", 0, &secret, "read") == 2, true)?;
    want("told of the other user", of("/busybox", NOBODY, &secret, "read") == 1, true)?;
    want("told of the other name", of(&me, 0, &link, "read") == 1, true)?;
    want("told of the other operation", of(&me, 0, &secret, "write") == 1, true)?;
    want("few lines", denials.len() < 500, true)
}

/// An agent that is killed takes with it what it had counted. The next one says how many that were; what happened while
/// nobody ran waits for it.
fn killed() -> Result<(), CheckError> {
    let mut flooded = Flooded::start("killed")?;
    many(&flooded.place.secret, 3000)?;
    thread::sleep(Duration::from_secs(1));
    many(&flooded.place.secret, 3000)?;
    flooded.end(Signal::KILL)?;
    let before: u64 = flooded.denials()?.iter().map(number).sum();
    many(&flooded.place.secret, 500)?;
    // The kernel no longer counts for it.
    thread::sleep(Duration::from_secs(3));
    many(&flooded.place.secret, 500)?;
    let (told, lost, _) = Flooded::over(flooded.place, "")?.told()?;
    want("some were lost with it", lost > 0, true)?;
    want("what came later was told", told >= 500, true)?;
    accounted(7000, before + told, lost)
}
