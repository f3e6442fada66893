//! Follows the agent, all its threads and its helper, and holds each system call that they make behind their filters
//! against the lists: `guest follow FILE PROGRAM ARGS…` writes to FILE which rules were used and what none allows.

use guest::{CallRule, List};
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::{Command, ExitCode};

/// What was seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Rules that allowed a call, by who made it and where they stand in the list.
    pub(crate) used: BTreeMap<String, BTreeSet<usize>>,
    /// Calls that no rule allows.
    pub(crate) missing: BTreeSet<String>,
    /// How many calls were made behind a filter.
    pub(crate) calls: BTreeMap<String, usize>,
    /// How many threads made them.
    pub(crate) threads: usize,
}

/// Follows the command to its end, and ends as it does.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [file, command @ ..] = args else { return ExitCode::from(64) };
    let followed = Follower::start(command).and_then(Follower::run).and_then(|(seen, code)| {
        std::fs::write(file, serde_json::to_vec(&seen)?)?;
        Ok(code)
    });
    match followed {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        Err(error) => {
            eprintln!("follow: {error}");
            ExitCode::from(255)
        }
    }
}

struct Follower {
    main: Pid,
    /// The process of each thread.
    threads: BTreeMap<Pid, Pid>,
    /// Threads that are in a call. A new one is in none: of the call that made it, its maker returns alone.
    inside: BTreeSet<Pid>,
    /// Processes that have a filter.
    filtered: BTreeSet<Pid>,
    makers: BTreeSet<Pid>,
    seen: Seen,
}

impl Follower {
    fn start(command: &[&str]) -> io::Result<Self> {
        let me = std::env::current_exe()?;
        let child = Command::new(me).arg("traced").args(command).spawn()?;
        let main = Pid::from_raw(child.id().cast_signed());
        // The exec stops it.
        if !matches!(waitpid(main, None)?, WaitStatus::Stopped(..)) {
            return Err(io::Error::other("the command did not start"));
        }
        ptrace::setoptions(
            main,
            Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_EXITKILL,
        )?;
        ptrace::syscall(main, None)?;
        Ok(Self {
            main,
            threads: BTreeMap::new(),
            inside: BTreeSet::new(),
            filtered: BTreeSet::new(),
            makers: BTreeSet::new(),
            seen: Seen::default(),
        })
    }

    fn run(mut self) -> io::Result<(Seen, i32)> {
        let mut ended = None;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => break,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(pid) = status.pid() else { continue };
            let signal = match status {
                WaitStatus::PtraceSyscall(_) => {
                    self.step(pid)?;
                    None
                }
                // A new thread begins with one.
                WaitStatus::Stopped(_, Signal::SIGSTOP) => None,
                WaitStatus::Stopped(_, other) => Some(other),
                WaitStatus::Exited(_, code) => {
                    ended = if pid == self.main { Some(code) } else { ended };
                    continue;
                }
                WaitStatus::Signaled(_, signal, _) => {
                    ended = if pid == self.main { Some(128 + signal as i32) } else { ended };
                    continue;
                }
                _ => None,
            };
            match ptrace::syscall(pid, signal) {
                // Killed meanwhile.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.seen.threads = self.makers.len();
        Ok((self.seen, ended.unwrap_or(-1)))
    }

    /// A call begins or ends.
    fn step(&mut self, pid: Pid) -> io::Result<()> {
        let process = self.process(pid)?;
        let begins = self.inside.insert(pid);
        let registers = ptrace::getregs(pid)?;
        let call = registers.orig_rax.cast_signed();
        if !begins {
            self.inside.remove(&pid);
            if call == libc::SYS_seccomp && registers.rax == 0 {
                self.filtered.insert(process);
            }
        } else if self.filtered.contains(&process) {
            let r = registers;
            self.note(pid, process, call, &[r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9])?;
        }
        Ok(())
    }

    fn process(&mut self, pid: Pid) -> io::Result<Pid> {
        if let Some(process) = self.threads.get(&pid) {
            return Ok(*process);
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
        let process = process.map(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        self.threads.insert(pid, process);
        Ok(process)
    }

    fn note(&mut self, pid: Pid, process: Pid, call: i64, arguments: &[u64; 6]) -> io::Result<()> {
        self.makers.insert(pid);
        let list = if process == self.main { List::Agent } else { List::Helper };
        let rules = list.rules().map_err(io::Error::other)?;
        *self.seen.calls.entry(list.word().to_owned()).or_default() += 1;
        let is_it =
            |rule: &CallRule| crate::calls::number(&rule.call) == Some(call) && rule.allows(arguments);
        match rules.iter().position(is_it) {
            Some(index) => {
                self.seen.used.entry(list.word().to_owned()).or_default().insert(index);
            }
            None => {
                self.seen.missing.insert(format!("{}: call {call} with {arguments:x?}", list.word()));
            }
        }
        Ok(())
    }
}
