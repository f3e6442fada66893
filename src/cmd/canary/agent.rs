//! The agent that is watched: a child of the canary's, or one that runs already.

use std::{
    fs::File,
    io::Read as _,
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    evidence::{Evidence, failed, ourselves},
    stop::Stop,
};
use crate::{
    agent,
    cli::{CanaryArgs, Places},
    cmd::status,
    exit::{self, Failure},
    tier::Mode,
};

/// A slow host proves within this time, or does not.
const READY: Duration = Duration::from_secs(120);
/// An agent that is told to end does so within this time.
const GONE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// As much as is read of what it said on standard error.
const WORDS: u64 = 64 * 1024;

/// The names of what it writes.
pub(super) const EVENTS: &str = "events.jsonl";
const LOG: &str = "agent.log";

/// An agent that is watched.
#[derive(Debug)]
pub(super) struct Agent<'a> {
    /// The one that the canary started; `None`: one that ran before.
    child: Option<Child>,
    places: &'a Places,
}

/// What came of starting it.
#[derive(Debug)]
pub(super) enum Started<'a> {
    /// It is at work.
    Ready(Agent<'a>),
    /// It ended before, with that exit code where it has one, and said so.
    Ended(Option<i32>, Vec<String>),
    /// Somebody ended the canary.
    Interrupted,
}

impl<'a> Agent<'a> {
    /// The one that runs.
    pub(super) fn running(places: &'a Places) -> Self {
        Self { child: None, places }
    }

    /// Starts one, and waits until it is at work.
    pub(super) fn start(
        args: &CanaryArgs,
        mode: Mode,
        policy: &Evidence,
        dir: &Evidence,
        places: &'a Places,
        stop: &mut Stop,
    ) -> Result<Started<'a>, Failure> {
        let mut command = ourselves(places, &["run", "--log-format", "json"]);
        command.arg(if mode == Mode::Enforce { "--enforce" } else { "--audit" });
        command.arg("--policy").arg(policy.path().join(super::POLICY));
        for (flag, given) in [
            ("--allow-unsigned-policy", args.allow_unsigned_policy),
            ("--allow-missing", args.accept.allow_missing),
            ("--allow-critical", args.accept.allow_critical),
        ] {
            if given {
                command.arg(flag);
            }
        }
        // A group of its own: the Ctrl-C of a terminal is for the canary, which then ends it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (events, log) = (dir.create(EVENTS)?, dir.create(LOG)?);
        let child = command.stdin(Stdio::null()).stdout(events).stderr(log).spawn();
        let child = child.map_err(failed(dir.path()))?;
        // From here on dropping it cleans up.
        let mut agent = Self { child: Some(child), places };
        let end = Instant::now() + READY;
        while !agent.is_at_work() {
            if let Some(status) = agent.ended() {
                return Ok(Started::Ended(status.code(), words(dir)));
            }
            if stop.within(PAUSE) {
                return Ok(Started::Interrupted);
            }
            if Instant::now() > end {
                let why = format!("the agent is not at work after {} s", READY.as_secs());
                return Ok(Started::Ended(None, vec![why]));
            }
        }
        Ok(Started::Ready(agent))
    }

    /// It has proven what it can, and says so.
    fn is_at_work(&self) -> bool {
        let pid = self.child.as_ref().map(Child::id);
        let said = status::look(self.places).status;
        said.agent.running && said.agent.pid == pid
    }

    /// How it ended, when it is a child and has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Whether what it is started for goes with it.
    pub(super) fn is_ours(&self) -> bool {
        self.child.is_some()
    }

    /// Ends a child and everything that it attached. Its exit code.
    pub(super) fn finish(mut self) -> Result<Option<i32>, Failure> {
        let Some(child) = self.child.take() else { return Ok(None) };
        let status = end(child);
        agent::detach(&self.places.dirs())?;
        Ok(status.and_then(|status| status.code()))
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        end(child);
        if let Err(error) = agent::detach(&self.places.dirs()) {
            let why = error.chain();
            exit::note(&format!(
                "what the canary attached could not be removed: {why}; `aegisbpf detach` does that"
            ));
        }
    }
}

/// Ends it as a service manager does.
fn end(mut child: Child) -> Option<ExitStatus> {
    // Who has ended needs no signal.
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    let end = Instant::now() + GONE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            _ => thread::sleep(PAUSE),
        }
    }
    exit::note("the agent did not end in time, and is killed");
    drop(child.kill());
    child.wait().ok()
}

/// What it said.
fn words(dir: &Evidence) -> Vec<String> {
    let mut text = String::new();
    let read = File::open(dir.path().join(LOG)).and_then(|file| file.take(WORDS).read_to_string(&mut text));
    match read {
        Ok(_) => text.lines().map(str::to_owned).collect(),
        Err(error) => vec![format!("{LOG}: {error}")],
    }
}
