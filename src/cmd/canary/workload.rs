//! What does the work that the policy is about.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use super::evidence::Evidence;
use crate::{
    cli::CanaryArgs,
    cmd::cgroup::OwnCgroup,
    exit::{Exit, Failure},
};

/// A workload that is told to end does so within this time.
const GONE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// A workload that was started.
#[derive(Debug)]
pub(super) struct Workload<'a> {
    child: Child,
    cgroup: Option<&'a OwnCgroup>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ended {
    /// Whether it ended by itself, before the phase did.
    pub(super) by_itself: bool,
    /// Its exit code; `null`: it was ended.
    pub(super) code: Option<i32>,
}

impl<'a> Workload<'a> {
    /// Starts the command in the cgroup, if there is one and it is one that processes can go to. `None`: there is no command.
    pub(super) fn start(
        args: &CanaryArgs,
        dir: &Evidence,
        cgroup: Option<&'a OwnCgroup>,
    ) -> Result<Option<Self>, Failure> {
        let Some((program, rest)) = args.workload.split_first() else { return Ok(None) };
        let (out, err) = (dir.create("workload.out")?, dir.create("workload.err")?);
        let mut command = Command::new(program);
        command.args(rest).stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let refused = |error: io::Error| {
            Failure::new(Exit::Input, format!("{}: {error}", program.display()))
                .hint("name a command that can be executed behind `--`")
        };
        let inside = cgroup.and_then(|cgroup| Some((cgroup, cgroup.inside(|| command.spawn())?)));
        let child = match inside {
            Some((cgroup, inside)) => inside.map_err(|error| {
                cgroup.kill();
                Failure::new(Exit::Io, format!("no way back out of {}: {error}", cgroup.path().display()))
            })?,
            None => command.spawn(),
        };
        Ok(Some(Self { child: child.map_err(refused)?, cgroup }))
    }

    /// Ends it, if it has not ended.
    pub(super) fn finish(mut self) -> Ended {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Ended { by_itself: true, code: status.code() };
        }
        Ended { by_itself: false, code: self.end() }
    }

    fn end(&mut self) -> Option<i32> {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let end = Instant::now() + GONE;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code(),
                _ => thread::sleep(PAUSE),
            }
        }
        let _ = kill_process_group(group, Signal::KILL);
        self.child.wait().ok().and_then(|status| status.code())
    }
}

impl Drop for Workload<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.end();
        }
        if let Some(cgroup) = self.cgroup {
            cgroup.kill();
        }
    }
}
