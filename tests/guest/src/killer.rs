//! Kills a command at a step that is counted, so that each of its steps can be the last.
//!
//! A step is the entry or the exit of a system call that changes something: what happens between two of these is seen
//! by nobody else, but for stores to shared memory, and these are before one step and after another.

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Killed at the step.
    Killed,
    /// It ended before with this exit code.
    Exited(i32),
}

/// The system calls that change something.
const CHANGES: [libc::c_long; 13] = [
    libc::SYS_bpf,
    libc::SYS_write,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_mkdir,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_ftruncate,
    libc::SYS_exit_group,
];

/// The tracee: `guest traced PROGRAM ARGS…`.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    if let ([program, args @ ..], Ok(())) = (args, ptrace::traceme()) {
        // Comes back on failure only.
        let _ = Command::new(program).args(args).exec();
    }
    ExitCode::FAILURE
}

/// Runs a command and kills it at step `last`, counted from 1.
pub(crate) fn run(program: &str, args: &[&str], last: usize) -> io::Result<End> {
    let me = std::env::current_exe()?;
    let child = Command::new(me)
        .args(["traced", program])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // The exec stops it.
    if let WaitStatus::Exited(_, code) = waitpid(pid, None)? {
        return Ok(End::Exited(code));
    }
    ptrace::setoptions(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL)?;
    let (mut steps, mut signal) = (0, None);
    loop {
        ptrace::syscall(pid, signal.take())?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) if changes(pid)? => steps += 1,
            WaitStatus::Stopped(_, other) => signal = Some(other),
            WaitStatus::Exited(_, code) => return Ok(End::Exited(code)),
            WaitStatus::Signaled(_, signal, _) => return Ok(End::Exited(128 + signal as i32)),
            _ => {}
        }
        if steps == last {
            nix::sys::signal::kill(pid, Signal::SIGKILL)?;
            while !matches!(waitpid(pid, None)?, WaitStatus::Signaled(..) | WaitStatus::Exited(..)) {}
            return Ok(End::Killed);
        }
    }
}

fn changes(pid: Pid) -> io::Result<bool> {
    let registers = ptrace::getregs(pid)?;
    let call = registers.orig_rax.cast_signed();
    let creates = |flags: u64| flags & u64::from(libc::O_CREAT.unsigned_abs()) != 0;
    Ok(match call {
        libc::SYS_open => creates(registers.rsi),
        libc::SYS_openat => creates(registers.rdx),
        call => CHANGES.contains(&call),
    })
}

/// How long a process may be busy with something else than a system call.
const BUSY: Duration = Duration::from_secs(10);

/// Lets a process close one of its descriptors, while it waits in a system call: that goes on afterwards.
pub(crate) fn close(pid: u32, fd: i32) -> io::Result<()> {
    let pid = Pid::from_raw(pid.cast_signed());
    let before = stop_in_call(pid)?;
    let mut call = before;
    // `syscall` is two bytes long, and stands before where it goes on.
    call.rip -= 2;
    call.rax = libc::SYS_close.cast_unsigned();
    call.orig_rax = u64::MAX;
    call.rdi = u64::from(fd.cast_unsigned());
    ptrace::setregs(pid, call)?;
    ptrace::step(pid, None)?;
    waitpid(pid, None)?;
    let answer = ptrace::getregs(pid)?.rax;
    // As it was, with the number of the call: the kernel starts one again that was interrupted, and one that had come to
    // its end keeps its answer.
    ptrace::setregs(pid, before)?;
    ptrace::detach(pid, None)?;
    if answer == 0 { Ok(()) } else { Err(io::Error::other(format!("close answers {answer:#x}"))) }
}

/// Stops a process at a system call. One that was stopped on its own way has no number of a call.
fn stop_in_call(pid: Pid) -> io::Result<libc::user_regs_struct> {
    let end = Instant::now() + BUSY;
    loop {
        ptrace::attach(pid)?;
        waitpid(pid, None)?;
        let registers = ptrace::getregs(pid)?;
        if registers.orig_rax.cast_signed() >= 0 {
            return Ok(registers);
        }
        ptrace::detach(pid, None)?;
        if Instant::now() > end {
            return Err(io::Error::other("it is not in a system call"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
