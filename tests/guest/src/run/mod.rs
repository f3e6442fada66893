//! Runs commands for checks: with a time limit, as another uid, in a cgroup, in the background.
//!
//! Output goes to memory files and not to pipes: a process that outlives the command and keeps its output open
//! cannot make a check wait, and the output of a background command can be read at any time.

mod background;

pub(crate) use background::Background;

use rustix::fs::{MemfdFlags, memfd_create};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use thiserror::Error;

/// Long enough for an emulated machine on a busy host, which can stand still for half a minute; short enough to be told
/// which command hung.
const TIMEOUT: Duration = Duration::from_secs(100);

/// Why a command has no outcome. A command that ran and failed has one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum CmdError {
    /// It could not be started.
    #[error("cannot start `{command}`")]
    Start { command: String, source: io::Error },
    /// It did not end in time, and was killed.
    #[error("`{command}` did not end within {limit:?}; stdout: {stdout:?}; stderr: {stderr:?}")]
    Timeout { command: String, limit: Duration, stdout: String, stderr: String },
    /// It did not print in time what the check waits for.
    #[error("`{command}` did not print {needle:?} within {limit:?}; stdout: {stdout:?}; stderr: {stderr:?}")]
    Silent { command: String, needle: String, limit: Duration, stdout: String, stderr: String },
    /// A system call of this helper itself failed.
    #[error("{call} for `{command}`")]
    Call { call: &'static str, command: String, source: io::Error },
}

/// A command to run.
#[derive(Clone, Debug)]
pub(crate) struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    uid: Option<u32>,
    cgroup: Option<PathBuf>,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl Cmd {
    /// A command without arguments, with empty input, as root, in the caller's cgroup.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            envs: Vec::new(),
            cwd: None,
            uid: None,
            cgroup: None,
            stdin: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// The same, begun by these words: a program that becomes what its last arguments name.
    pub(crate) fn behind<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = words.into_iter().map(OsString::from);
        if let Some(first) = words.next() {
            let program = std::mem::replace(&mut self.program, first);
            let args = std::mem::take(&mut self.args);
            self.args = words.chain([program]).chain(args).collect();
        }
        self
    }

    /// A script for busybox's shell.
    pub(crate) fn sh(script: &str) -> Self {
        Self::new("/bin/sh").args(["-c", script])
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
        self.cwd = Some(directory.as_ref().to_owned());
        self
    }

    /// Runs as this uid and the gid of the same number, without supplementary groups.
    pub(crate) fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Starts inside this cgroup (a directory of the cgroup file system).
    pub(crate) fn cgroup(mut self, directory: impl AsRef<Path>) -> Self {
        self.cgroup = Some(directory.as_ref().to_owned());
        self
    }

    pub(crate) fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = input.into();
        self
    }

    pub(crate) fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Runs to the end.
    pub(crate) fn run(self) -> Result<Outcome, CmdError> {
        let limit = self.timeout;
        self.spawn()?.wait(limit)
    }

    /// Starts in the background, as leader of a process group of its own.
    pub(crate) fn spawn(self) -> Result<Background, CmdError> {
        let name = self.display();
        let call = |call| {
            let command = name.clone();
            move |source| CmdError::Call { call, command, source }
        };
        let stdout = memory_file().map_err(call("memfd_create"))?;
        let stderr = memory_file().map_err(call("memfd_create"))?;
        let mut stdin = memory_file().map_err(call("memfd_create"))?;
        stdin.write_all(&self.stdin).and_then(|()| stdin.rewind()).map_err(call("write to stdin"))?;
        let (out, err) = (stdout.try_clone().map_err(call("dup"))?, stderr.try_clone().map_err(call("dup"))?);
        let mut command = self.command();
        command.stdin(stdin).stdout(Stdio::from(out)).stderr(Stdio::from(err)).process_group(0);
        let child = command.spawn().map_err(|source| CmdError::Start { command: name.clone(), source })?;
        Ok(Background { name, child, stdout, stderr })
    }

    fn command(&self) -> Command {
        let mut command;
        if let Some(cgroup) = &self.cgroup {
            command = Command::new("/init");
            command.arg("enter").arg(cgroup).arg(self.uid.unwrap_or(0).to_string()).arg(&self.program);
        } else {
            command = Command::new(&self.program);
            if let Some(uid) = self.uid {
                command.uid(uid).gid(uid);
            }
        }
        command.args(&self.args).envs(self.envs.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
    }

    fn display(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// What a command left behind.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The command line, for messages.
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The exit code; 128 + the signal for a process that was killed, as shells count.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }
}

fn memory_file() -> io::Result<File> {
    Ok(File::from(memfd_create("output", MemfdFlags::CLOEXEC)?))
}
