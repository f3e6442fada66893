//! A host in each state that an alert of `dist/prometheus/aegisbpf.rules.yml` is about. What `aegisbpf metrics` says there
//! goes to whoever runs the matrix, who holds the rules against it.

use super::agent::{Agent, SOON, TELLING, ends, readable, want};
use super::ledger::Own;
use super::load::opens;
use super::{Check, CheckError};
use crate::report;
use crate::run::Cmd;
use guest::Line;
use rustix::process::Signal;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

pub(super) const CHECKS: [Check; 4] = [
    Check { id: "alerts.of-a-life", run: |_| life() },
    Check { id: "alerts.of-its-end", run: |_| end() },
    Check { id: "alerts.partial", run: |_| partial() },
    Check { id: "alerts.degraded", run: |_| degraded() },
];

/// Between the two looks at a state: what grows is seen to grow.
const BETWEEN: Duration = Duration::from_secs(3);

const PROOF: &str = "aegisbpf_selftest_last_success_timestamp_seconds";
const LOST: &str = "aegisbpf_events_lost_total{reason=\"kernel\"}";

/// What `metrics` said once.
#[derive(Clone, Debug)]
struct Look {
    /// Milliseconds since 1970.
    at: u64,
    lines: Vec<String>,
}

impl Look {
    fn at(own: &Own) -> Result<Self, CheckError> {
        let text = own.ends(&["metrics"], 0)?.stdout;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        Ok(Self { at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), lines })
    }

    /// The value of a sample, by its name with labels; negative where there is none.
    fn value(&self, name: &str) -> f64 {
        let named = |line: &String| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.lines.iter().find_map(named).unwrap_or(-1.0)
    }

    /// All that was denied.
    fn denied(&self) -> f64 {
        let denied = self.lines.iter().filter(|line| line.contains("verdict=\"deny\""));
        denied.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Wants these lines.
    fn says(&self, lines: &[&str]) -> Result<(), CheckError> {
        let missing = lines.iter().find(|line| !self.lines.iter().any(|said| said == *line));
        missing.map_or(Ok(()), |line| {
            let got = self.lines.join("\n");
            Err(CheckError::Differs { what: "metrics", want: (*line).to_owned(), got })
        })
    }
}

/// Looks again until it is so.
fn until(own: &Own, so: impl Fn(&Look) -> bool) -> Result<Look, CheckError> {
    let end = Instant::now() + SOON;
    loop {
        let look = Look::at(own)?;
        if so(&look) {
            return Ok(look);
        }
        if Instant::now() > end {
            let got = look.lines.join("\n");
            return Err(CheckError::Differs { what: "metrics", want: "another state".into(), got });
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Hands on two looks at one state.
fn tell(state: &str, looks: [&Look; 2]) {
    for look in looks {
        let (state, at, text) = (state.to_owned(), look.at, look.lines.join("\n"));
        report::send(&Line::Metrics { state, at, text });
    }
}

/// Looks twice at a state that says these lines, and hands both on.
fn state(own: &Own, name: &str, lines: &[&str]) -> Result<[Look; 2], CheckError> {
    let first = until(own, |look| look.says(lines).is_ok())?;
    thread::sleep(BETWEEN);
    let second = Look::at(own)?;
    second.says(lines)?;
    tell(name, [&first, &second]);
    Ok([first, second])
}

const HEALTHY: [&str; 7] = [
    "aegisbpf_enforcing 1",
    "aegisbpf_status_info{status=\"healthy\"} 1",
    "aegisbpf_attach_state_info{state=\"full\"} 1",
    "aegisbpf_misreporting 0",
    "aegisbpf_break_glass 0",
    "aegisbpf_agent_running 1",
    "aegisbpf_policy_signed 1",
];

/// An agent with a signed policy, which proves every second.
fn start(own: &Own, behind: &[&str], args: &[&str]) -> Result<Agent, CheckError> {
    let file = format!("{}/v1.conf", own.place.dir);
    let run =
        [TELLING.as_slice(), &["--enforce", "--proof-interval", "1s", "--policy", &file], args].concat();
    let mut process = own.command(&run).behind(behind.iter().copied()).spawn()?;
    process.wait_for("\"type\":\"state_change\"", SOON)?;
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    Ok(Agent(Some(process)))
}

fn life() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = start(&own, &[], &[])?;
    let [first, second] = state(&own, "healthy", &HEALTHY)?;
    want("a proof in between", second.value(PROOF) > first.value(PROOF), true)?;
    denials(&own)?;
    own.ends(&["break-glass", "on", "--reason", "a check"], 0)?;
    state(&own, "break-glass", &["aegisbpf_break_glass 1", "aegisbpf_enforcing 0"])?;
    own.ends(&["break-glass", "off", "--reason", "a check"], 0)?;
    until(&own, |look| look.says(&HEALTHY).is_ok())?;
    policies(&own)?;
    losses(&own, &mut agent)
}

fn denials(own: &Own) -> Result<(), CheckError> {
    const DENIALS: u32 = 600;
    let first = Look::at(own)?;
    let denied = (0..DENIALS).filter(|_| opens(&own.place.secret) == Some(false)).count();
    want("each denied", denied == DENIALS as usize, true)?;
    want("the neighbour", opens(&own.place.neighbour) == Some(true), true)?;
    thread::sleep(BETWEEN);
    let second = Look::at(own)?;
    let counted = second.denied() - first.denied();
    if (counted - f64::from(DENIALS)).abs() > 0.5 {
        let want = DENIALS.to_string();
        return Err(CheckError::Differs { what: "denials counted", want, got: counted.to_string() });
    }
    tell("denials", [&first, &second]);
    Ok(())
}

/// One that is refused, one that is not, and one that nobody signed.
fn policies(own: &Own) -> Result<(), CheckError> {
    let file = |name: &str| format!("{}/{name}.conf", own.place.dir);
    own.ends(&["policy", "apply", &file("v2"), "--sha256", &"0".repeat(64)], 78)?;
    let [_, refused] = state(own, "refused", &["aegisbpf_policy_apply_total{result=\"refused\"} 1"])?;
    let (done, last) =
        ("aegisbpf_policy_last_apply_timestamp_seconds", "aegisbpf_policy_last_refusal_timestamp_seconds");
    want("refused last", refused.value(last) > refused.value(done), true)?;
    own.ends(&["policy", "apply", &file("v2")], 0)?;
    let lines = [
        "aegisbpf_policy_apply_total{result=\"done\"} 1",
        "aegisbpf_policy_signed 1",
        "aegisbpf_map_entries{map=\"names\"} 1",
    ];
    let [_, mended] = state(own, "mended", &lines)?;
    want("done last", mended.value(done) > mended.value(last), true)?;
    want("memory", mended.value("aegisbpf_kernel_memory_bytes{map=\"events\"}") > 4096.0, true)?;
    want("memory of the agent", mended.value("aegisbpf_process_resident_memory_bytes") > 65536.0, true)?;
    let rules = format!("version=2\n[settings]\npolicy_version=3\n[deny_path]\n{} read\n", own.place.secret);
    own.write("unsigned.conf", &rules)?;
    own.ends(&["policy", "apply", &file("unsigned"), "--allow-unsigned-policy"], 0)?;
    state(own, "unsigned", &["aegisbpf_policy_signed 0", "aegisbpf_enforcing 1"]).map(drop)
}

/// The agent stands still, and meanwhile more is denied than the ring buffer holds.
fn losses(own: &Own, agent: &mut Agent) -> Result<(), CheckError> {
    const DENIALS: usize = 30_000;
    agent.process()?.signal(Signal::STOP)?;
    let [first, still] = state(own, "still", &["aegisbpf_agent_running 1"])?;
    want("no proof in between", (still.value(PROOF) - first.value(PROOF)).abs() < 0.001, true)?;
    want("nothing lost", still.value(LOST).abs() < 0.5, true)?;
    let denied = (0..DENIALS).filter(|_| opens(&own.place.secret) == Some(false)).count();
    agent.process()?.signal(Signal::CONT)?;
    want("each denied", denied == DENIALS, true)?;
    let lost = until(own, |look| look.value(LOST) > 0.0 && look.value(PROOF) > still.value(PROOF))?;
    tell("lost", [&still, &lost]);
    Ok(())
}

fn end() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = start(&own, &[], &[])?;
    ends(&Cmd::sh("rm /sys/fs/bpf/aegisbpf/*/links/*"), 0)?;
    state(&own, "misreporting", &["aegisbpf_misreporting 1", "aegisbpf_enforcing 0"])?;
    agent.process()?.signal(Signal::KILL)?;
    drop(agent);
    let mut agent = start(&own, &[], &[])?;
    agent.process()?.signal(Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    let lines = ["aegisbpf_agent_running 0", "aegisbpf_enforcing 1"];
    state(&own, "gone", &lines)?;
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    own.ends(&["detach"], 0)?;
    state(&own, "detached", &["aegisbpf_agent_running 0", "aegisbpf_enforcing 0"])?;
    want("secret readable", readable(&own.place.secret, 0)?, true)
}

/// A hook that does not load.
fn partial() -> Result<(), CheckError> {
    let own = Own::new()?;
    let _agent =
        start(&own, &["/proc/self/exe", "inject", "load", "file_receive,file_receive_bare", "22"], &[])?;
    let lines = [
        "aegisbpf_attach_state_info{state=\"partial\"} 1",
        "aegisbpf_hook_attached{hook=\"file_receive\"} 0",
        "aegisbpf_enforcing 1",
    ];
    state(&own, "partial", &lines).map(drop)
}

fn degraded() -> Result<(), CheckError> {
    let own = Own::new()?;
    let _agent = start(&own, &[], &["--no-sandbox"])?;
    let lines = ["aegisbpf_status_info{status=\"degraded\"} 1", "aegisbpf_enforcing 1"];
    state(&own, "degraded", &lines)?;
    // The same is said in the file for the collector, which is there as a whole.
    let file = format!("{}/aegisbpf.prom", own.place.dir);
    own.ends(&["metrics", "--textfile", &file], 0)?;
    let text = fs::read_to_string(&file).map_err(|source| CheckError::File { path: file.into(), source })?;
    want("as a whole", text.ends_with('\n') && lines.iter().all(|line| text.contains(line)), true)
}
