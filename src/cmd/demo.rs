//! `aegisbpf demo`: real operations on a scratch file, before and after, and everything put back.
//!
//! Nothing is pinned: whatever ends this process, the kernel drops the programs with it. The scratch directory and
//! cgroup go when the demo ends, also when it is interrupted.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use async_signal::{Signal, Signals};
use smol::{future::poll_once, stream::StreamExt as _};

use super::{
    cgroup::OwnCgroup,
    doctor::{self, Verdict},
};
use crate::{
    agent::{Guard, Lines, Setup, Source},
    cli::Places,
    enforce::{Held, Reader},
    event::{Clock, decode, text_line},
    exit::{Exit, Failure},
    kernel::{Host, Kernel, LsmList, errno_name},
    plan::{self, Accept, OnDegraded, RuleSet},
    policy::Digest,
    tier::{Mode, Requested},
};

/// Events come through within microseconds; this is for a machine that is busy with something else.
const EVENT_WAIT: Duration = Duration::from_secs(2);

/// Runs the demo.
pub(super) fn run(places: &Places) -> Result<Exit, Failure> {
    let mut signals =
        Signals::new([Signal::Int, Signal::Term]).map_err(|error| Failure::new(Exit::Io, error))?;
    let kernel = Kernel::open();
    let answers = kernel.probe(&places.bpffs);
    let lsm = LsmList::current();
    let host = Host::current();
    let assessment = doctor::assess(&answers, lsm.as_ref(), false);
    say(&format!(
        "aegisbpf {} on {}, Linux {} {}",
        env!("CARGO_PKG_VERSION"),
        host.os,
        host.kernel,
        host.arch
    ))?;
    say(&doctor::headline(assessment.verdict, &assessment.reasons))?;
    for reason in &assessment.reasons {
        say(&format!("  {reason}"))?;
    }
    if assessment.verdict == Verdict::CannotRun {
        return Ok(Exit::CannotRun);
    }
    let request = plan::Request { on_degraded: OnDegraded::Audit, ..plan::Request::of(Mode::Enforce) };
    let decision =
        plan::select(&answers, &request).map_err(|refusal| Failure::new(Exit::Unavailable, refusal))?;
    let scratch = Scratch::new()?;
    let source = scratch.policy()?;
    let steps = Steps { scratch: &scratch, signals: &mut signals };
    steps.play(&kernel, &decision, &source)
}

fn say(line: &str) -> Result<(), Failure> {
    super::print(&format!("{line}\n"))
}

/// The demo's own directory and cgroup; both go with it.
struct Scratch {
    dir: PathBuf,
    cgroup: Option<OwnCgroup>,
}

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let failed = |error| {
            Failure::new(Exit::Io, error).hint("TMPDIR names another place for the scratch directory")
        };
        let dir = std::env::temp_dir().join(format!("aegisbpf-demo-{}", std::process::id()));
        fs::create_dir(&dir).map_err(failed)?;
        // From here on dropping cleans up.
        let mut scratch = Self { dir, cgroup: None };
        fs::set_permissions(&scratch.dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        fs::write(scratch.secret(), "the secret\n").map_err(failed)?;
        fs::write(scratch.neighbour(), "not secret\n").map_err(failed)?;
        fs::copy("/proc/self/exe", scratch.tool()).map_err(failed)?;
        fs::set_permissions(scratch.tool(), fs::Permissions::from_mode(0o700)).map_err(failed)?;
        scratch.cgroup = OwnCgroup::make("aegisbpf-demo");
        Ok(scratch)
    }

    fn secret(&self) -> PathBuf {
        self.dir.join("secret")
    }

    fn neighbour(&self) -> PathBuf {
        self.dir.join("neighbour")
    }

    fn tool(&self) -> PathBuf {
        self.dir.join("tool")
    }

    fn policy(&self) -> Result<Source, Failure> {
        let mut text =
            format!("version=1\n[deny_path]\n{}\n{}\n", self.secret().display(), self.tool().display());
        if let Some(cgroup) = &self.cgroup {
            text = format!("{text}[allow_cgroup]\n{}\n", cgroup.path().display());
        }
        Ok(Source::parse(Path::new("the demo's policy"), text.as_bytes())?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

struct Steps<'a> {
    scratch: &'a Scratch,
    signals: &'a mut Signals,
}

impl Steps<'_> {
    fn play(mut self, kernel: &Kernel, decision: &plan::Decision, source: &Source) -> Result<Exit, Failure> {
        say("\nbefore")?;
        self.operations()?;
        self.go_on()?;
        let setup = Setup {
            tier: decision.tier,
            mode: decision.mode,
            policy: Held { generation: 1, sha256: source.sha256, rules: 2 },
            accept: Accept::default(),
            strict: false,
            requested: Requested::default(),
            break_glass: false,
            pins: None,
            canary_dirs: &[&self.scratch.dir],
        };
        let guard = Guard::start(kernel, &setup, source)?;
        if guard.enforcing() {
            say(&format!(
                "\nENFORCING in tier {}: each of {} hooks refused a canary with EPERM",
                guard.tier.name,
                guard.proofs.len()
            ))?;
        } else {
            say(&format!(
                "\nauditing in tier {}: nothing is denied, what would be is reported",
                guard.tier.name
            ))?;
        }
        let mut reader = Reader::new(&guard.loaded).map_err(Failure::from)?;
        self.operations()?;
        self.allow_listed()?;
        self.go_on()?;
        say("\nevents")?;
        let shown = show_events(&mut reader, &guard, source)?;
        if shown == 0 {
            return Err(Failure::new(Exit::Unavailable, "no event arrived, although a rule matched"));
        }
        say(if guard.enforcing() {
            "  rule 1 denies the secret, rule 2 the tool: by their inodes, so that no other name leads past"
        } else {
            "  rule 1 means the secret, rule 2 the tool: by the paths that processes pass, so that other names do"
        })?;
        self.go_on()?;
        let empty = Held { generation: 2, sha256: Digest::of(b""), rules: 0 };
        let bank = &guard.loaded.bank;
        let staged = bank.stage(&empty, &RuleSet::default()).map_err(Failure::from)?;
        bank.activate(&staged, None);
        say("\nrolled back to the empty policy")?;
        self.operations()?;
        drop(guard);
        say("\nput back: nothing of the demo is left in the kernel or on disk")?;
        Ok(Exit::Done)
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        match smol::block_on(poll_once(self.signals.next())) {
            None => Ok(()),
            Some(_) => Err(Failure::new(Exit::Negative, "interrupted; everything is put back")),
        }
    }

    fn operations(&self) -> Result<(), Failure> {
        say(&format!("  read {:<34} {}", self.scratch.secret().display(), read(&self.scratch.secret())))?;
        say(&format!(
            "  read {:<34} {}",
            self.scratch.neighbour().display(),
            read(&self.scratch.neighbour())
        ))?;
        let ran = match Command::new(self.scratch.tool()).arg("version").output() {
            Ok(output) => format!("ran, exit {}", output.status.code().unwrap_or(-1)),
            Err(error) => errno_name(error.raw_os_error().unwrap_or_default()),
        };
        say(&format!("  exec {:<34} {ran}", self.scratch.tool().display()))
    }

    /// The same read by this process as a member of the allow-listed cgroup.
    fn allow_listed(&self) -> Result<(), Failure> {
        let Some(cgroup) = &self.scratch.cgroup else { return Ok(()) };
        let Some(answer) = cgroup.inside(|| read(&self.scratch.secret())) else { return Ok(()) };
        let answer = answer.map_err(|error| Failure::new(Exit::Io, error))?;
        say(&format!("  read {:<34} {answer}", "the same, allow-listed cgroup"))
    }
}

fn read(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => format!("\"{}\"", text.trim()),
        Err(error) => errno_name(error.raw_os_error().unwrap_or_default()),
    }
}

/// Prints the events of this process and its children until each rule has been seen, or time is up.
fn show_events(reader: &mut Reader, guard: &Guard, source: &Source) -> Result<usize, Failure> {
    let mut lines = Lines::new(guard.tier.name);
    let start = Instant::now();
    let mut rules = Vec::new();
    while rules.len() < source.policy.rules() && start.elapsed() < EVENT_WAIT {
        let mut event = None;
        let take = |record: &[u8]| {
            event = decode(record, Clock::now(), |_| Some(source.sha256.to_string()));
        };
        if !reader.next(take).map_err(Failure::from)? {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        }
        if let Some(event) = event
            && let Some(rule) = event.decision().map(|decision| decision.rule)
            && !rules.contains(&rule)
        {
            rules.push(rule);
            say(&format!("  {}", text_line(&lines.next(&event))))?;
        }
    }
    Ok(rules.len())
}
