//! A command in the background: its output so far, its end, its signals.

use super::{CmdError, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Child;
use std::time::{Duration, Instant};

/// A command in the background. Dropping it kills its whole process group.
#[derive(Debug)]
pub(crate) struct Background {
    pub(super) name: String,
    pub(super) child: Child,
    pub(super) stdout: File,
    pub(super) stderr: File,
}

impl Background {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        contents(&self.stdout)
    }

    /// What it has complained about so far.
    pub(crate) fn stderr(&self) -> String {
        contents(&self.stderr)
    }

    /// Sends a signal to the process itself.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), CmdError> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|e| self.call("kill", e.into()))
    }

    /// Waits until its standard output or standard error contains `needle`.
    pub(crate) fn wait_for(&mut self, needle: &str, limit: Duration) -> Result<(), CmdError> {
        let end = Instant::now() + limit;
        loop {
            // Asked before the output is read: what it printed before it ended is still seen.
            let ended = self.child.try_wait().map_err(|e| self.call("wait", e))?.is_some();
            if self.stdout().contains(needle) || self.stderr().contains(needle) {
                return Ok(());
            }
            if ended || Instant::now() >= end {
                let (stdout, stderr) = (self.stdout(), self.stderr());
                let (command, needle) = (self.name.clone(), needle.to_owned());
                return Err(CmdError::Silent { command, needle, limit, stdout, stderr });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end; kills it when that does not come in time.
    pub(crate) fn wait(mut self, limit: Duration) -> Result<Outcome, CmdError> {
        // Whoever waited for its words may have waited for its end as well.
        let ended = self.child.try_wait().map_err(|e| self.call("wait", e))?.is_some();
        if !ended && !self.ends_within(limit)? {
            let (command, stdout, stderr) = (self.name.clone(), self.stdout(), self.stderr());
            return Err(CmdError::Timeout { command, limit, stdout, stderr });
        }
        let status = self.child.wait().map_err(|e| self.call("wait", e))?;
        Ok(Outcome { command: self.name.clone(), status, stdout: self.stdout(), stderr: self.stderr() })
    }

    fn ends_within(&self, limit: Duration) -> Result<bool, CmdError> {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .map_err(|e| self.call("pidfd_open", e.into()))?;
        let timeout = Timespec::try_from(limit).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        let ready = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
        ready.map(|count| count > 0).map_err(|e| self.call("poll", e.into()))
    }

    fn call(&self, call: &'static str, source: io::Error) -> CmdError {
        CmdError::Call { call, command: self.name.clone(), source }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Reads from the start without moving the file's offset, which the command writes at.
fn contents(file: &File) -> String {
    let length = file.metadata().map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(0));
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    String::from_utf8_lossy(&bytes).into_owned()
}
