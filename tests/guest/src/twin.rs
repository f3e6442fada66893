//! Twins of a process: forked off it from outside, with all that holds it back, to make the calls that somebody would who
//! has taken it over. The process itself goes on unharmed.
//!
//! A tracer lets a stopped thread make calls by its registers. The fork needs the filter to look away once
//! (`PTRACE_O_SUSPEND_SECCOMP`, kernel v4.3, `13c4a90119d2`); the twin has the filter again, unless it is to be seen what is
//! behind that.

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// `include/uapi/linux/ptrace.h`; in the kernel's build with checkpoint and restore.
const SUSPEND_SECCOMP: libc::c_int = 1 << 21;

/// The instruction that makes a call.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// The calls in which a thread waits for something. It is woken from them with EINTR when it goes on, as by a signal; from
/// any other that would be an error that the kernel never answers, and an end of the agent.
const WAITS: [libc::c_long; 10] = [
    libc::SYS_futex,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
];

/// No call of the drill waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// So far below the stack of a twin its texts are put; it never goes back to what it was doing.
const BELOW: u64 = 8192;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It worked.
    Result(i64),
    /// It failed with this error number.
    Errno(i32),
    /// It ended the process by a signal.
    Killed(Signal),
    /// It ended the process.
    Ended(i32),
    /// It did not come back.
    Hangs,
}

/// A stopped thread.
#[derive(Debug)]
pub(crate) struct Original {
    thread: Pid,
    registers: user_regs_struct,
}

/// A copy of its process.
#[derive(Debug)]
pub(crate) struct Twin {
    pid: Pid,
    registers: user_regs_struct,
    memory: File,
    ended: bool,
}

impl Original {
    /// Stops a thread while it waits in a call.
    pub(crate) fn stop(thread: u32) -> io::Result<Self> {
        let thread = Pid::from_raw(thread.cast_signed());
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            ptrace::attach(thread)?;
            waitpid(thread, Some(WaitPidFlag::__WALL))?;
            let registers = ptrace::getregs(thread)?;
            // Not so where an exec has just put another program there.
            let mut instruction = [0; 2];
            let memory = File::open(format!("/proc/{thread}/mem"))?;
            let is_read = memory.read_exact_at(&mut instruction, registers.rip.wrapping_sub(2)).is_ok();
            if is_read && instruction == SYSCALL && WAITS.contains(&registers.orig_rax.cast_signed()) {
                return Ok(Self { thread, registers });
            }
            ptrace::detach(thread, None)?;
            // An exec stops it once more, and then the other stop waits still.
            kill(thread, Signal::SIGCONT)?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(format!("{thread} waits in no system call")))
    }

    /// Lets the thread itself make a call, as one that is taken over would.
    pub(crate) fn call(&self, call: i64, arguments: &[u64; 6]) -> io::Result<Answer> {
        step(self.thread, &prepared(&self.registers, call, arguments), &mut Vec::new())
    }

    /// Forks a twin off.
    pub(crate) fn twin(&self, filtered: bool) -> io::Result<Twin> {
        let suspended = Options::PTRACE_O_TRACEFORK | Options::from_bits_retain(SUSPEND_SECCOMP);
        ptrace::setoptions(self.thread, suspended)?;
        let arguments = [(libc::CLONE_PARENT | libc::SIGCHLD).unsigned_abs().into(), 0, 0, 0, 0, 0];
        let mut children = Vec::new();
        let answer =
            step(self.thread, &prepared(&self.registers, libc::SYS_clone, &arguments), &mut children)?;
        let [pid] = children[..] else {
            return Err(io::Error::other(format!("the fork answers {answer:?}")));
        };
        waitpid(pid, Some(WaitPidFlag::__WALL))?;
        let mut options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE;
        if !filtered {
            options |= Options::from_bits_retain(SUSPEND_SECCOMP);
        }
        ptrace::setoptions(pid, options)?;
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
        Ok(Twin { pid, registers: ptrace::getregs(pid)?, memory, ended: false })
    }
}

impl Drop for Original {
    /// It goes on as if a signal had woken it.
    fn drop(&mut self) {
        let mut after = self.registers;
        after.rax = (-i64::from(libc::EINTR)).cast_unsigned();
        after.orig_rax = u64::MAX;
        let _ = ptrace::setregs(self.thread, after);
        let _ = ptrace::detach(self.thread, None);
    }
}

impl Twin {
    /// Makes a call.
    pub(crate) fn call(&mut self, call: i64, arguments: &[u64; 6]) -> io::Result<Answer> {
        let registers = prepared(&self.registers, call, arguments);
        self.run(&registers)
    }

    /// Makes a call as programs of 32 bits do, by whose numbers a call is another one.
    pub(crate) fn legacy_call(&mut self, call: u32) -> io::Result<Answer> {
        let mut registers = prepared(&self.registers, i64::from(call), &[0; 6]);
        // `int 0x80` is as long as `syscall`.
        self.memory.write_all_at(&[0xcd, 0x80], registers.rip)?;
        registers.orig_rax = u64::MAX;
        self.run(&registers)
    }

    fn run(&mut self, registers: &user_regs_struct) -> io::Result<Answer> {
        let mut children = Vec::new();
        let answer = step(self.pid, registers, &mut children)?;
        for child in children {
            end(child);
        }
        self.ended = matches!(answer, Answer::Killed(_) | Answer::Ended(_));
        Ok(answer)
    }

    /// Puts bytes where a call can be pointed to.
    pub(crate) fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        let address = ((self.registers.rsp - BELOW) & !0xff) + offset;
        self.memory.write_all_at(bytes, address)?;
        Ok(address)
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        if !self.ended {
            end(self.pid);
        }
    }
}

fn end(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
    while let Ok(status) = waitpid(pid, Some(WaitPidFlag::__WALL)) {
        if matches!(status, WaitStatus::Signaled(..) | WaitStatus::Exited(..)) {
            break;
        }
    }
}

fn prepared(before: &user_regs_struct, call: i64, arguments: &[u64; 6]) -> user_regs_struct {
    let [rdi, rsi, rdx, r10, r8, r9] = *arguments;
    // `syscall` is two bytes long, and stands before where the thread goes on.
    let (rip, rax) = (before.rip - 2, call.cast_unsigned());
    user_regs_struct { rip, rax, orig_rax: u64::MAX, rdi, rsi, rdx, r10, r8, r9, ..*before }
}

/// Lets a stopped thread make one call.
fn step(pid: Pid, registers: &user_regs_struct, children: &mut Vec<Pid>) -> io::Result<Answer> {
    ptrace::setregs(pid, *registers)?;
    let mut signal = None;
    loop {
        ptrace::step(pid, signal.take())?;
        match wait(pid)? {
            None => return Ok(Answer::Hangs),
            Some(WaitStatus::PtraceEvent(..)) => {
                let child = i32::try_from(ptrace::getevent(pid)?).map_err(io::Error::other)?;
                children.push(Pid::from_raw(child));
            }
            Some(WaitStatus::Stopped(_, Signal::SIGTRAP)) => break,
            Some(WaitStatus::Stopped(_, other)) => signal = Some(other),
            Some(WaitStatus::Signaled(_, signal, _)) => return Ok(Answer::Killed(signal)),
            Some(WaitStatus::Exited(_, code)) => return Ok(Answer::Ended(code)),
            Some(_) => {}
        }
    }
    let result = ptrace::getregs(pid)?.rax.cast_signed();
    Ok(match i32::try_from(-result) {
        Ok(errno @ 1..4096) => Answer::Errno(errno),
        _ => Answer::Result(result),
    })
}

fn wait(pid: Pid) -> io::Result<Option<WaitStatus>> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match waitpid(pid, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive => std::thread::sleep(Duration::from_micros(200)),
            status => return Ok(Some(status)),
        }
    }
    Ok(None)
}
