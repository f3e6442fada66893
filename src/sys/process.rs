//! The helper that proves exec hooks, a child that never returns into our code; and a question that libc does not ask.

use std::{
    ffi::CString,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

/// A child that tries to execute one file whenever it is asked, and answers with the error number it got.
///
/// The file is no program in any format the kernel knows, so the child outlives each attempt: it sees `EPERM` when a
/// hook refused, `ENOEXEC` when none did.
#[derive(Debug)]
pub struct ExecProver {
    channel: UnixStream,
    pid: u32,
    global_pid: u32,
}

impl ExecProver {
    /// Forks the child. Call it while this process has one thread. `identity` is a raw tracepoint program that returns
    /// the thread id: the child runs it to learn its id in the first pid namespace.
    pub fn start(canary: &Path, identity: BorrowedFd<'_>) -> io::Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        let path = CString::new(canary.as_os_str().as_bytes())?;
        let (parent, child) = UnixStream::pair()?;
        let before = rustix::process::getpid();
        // SAFETY: there is one thread, and the child only makes system calls until it exits.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(parent);
                serve(&OwnedFd::from(child), &path, identity, before.as_raw_nonzero().get())
            }
            pid => {
                drop(child);
                let mut prover = Self { channel: parent, pid: pid.cast_unsigned(), global_pid: 0 };
                prover.global_pid = prover.receive()?.cast_unsigned();
                Ok(prover)
            }
        }
    }

    /// Process id of the child in the first pid namespace.
    pub fn global_pid(&self) -> u32 {
        self.global_pid
    }

    /// Lets the child try once and returns its error number. Blocks for as long as an exec takes.
    pub fn attempt(&mut self) -> io::Result<i32> {
        self.channel.write_all(&[1])?;
        self.receive()
    }

    fn receive(&mut self) -> io::Result<i32> {
        let mut answer = [0; 4];
        self.channel.read_exact(&mut answer)?;
        Ok(i32::from_ne_bytes(answer))
    }
}

impl Drop for ExecProver {
    fn drop(&mut self) {
        // The child exits when its end of the channel closes; reap it so that no zombie stays.
        if self.channel.shutdown(std::net::Shutdown::Both).is_ok() {
            // SAFETY: waits for our own child; a null status is allowed.
            unsafe { libc::waitpid(self.pid.cast_signed(), std::ptr::null_mut(), 0) };
        }
    }
}

/// The child's whole life: no allocation, no lock, nothing that fork could have left half done.
fn serve(channel: &OwnedFd, canary: &CString, identity: BorrowedFd<'_>, parent: i32) -> ! {
    // SAFETY: plain system calls on a descriptor and a string that live until the process ends.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        // Terminal signals are for the agent: this one lives and dies with it.
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        if libc::getppid() != parent {
            libc::_exit(0);
        }
        let me = super::bpf::raw_tracepoint_run(identity).unwrap_or(0);
        // Only the channel is kept: an inherited lock would outlive the agent, an inherited terminal is not ours.
        let fd = libc::dup2(channel.as_raw_fd(), 0);
        libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0);
        libc::write(fd, (&raw const me).cast(), size_of::<u32>());
        let argv = [canary.as_ptr(), std::ptr::null()];
        let envp = [std::ptr::null()];
        let mut request = 0_u8;
        while libc::read(fd, (&raw mut request).cast(), 1) == 1 {
            libc::execve(canary.as_ptr(), argv.as_ptr(), envp.as_ptr());
            let error = *libc::__errno_location();
            if libc::write(fd, (&raw const error).cast(), size_of::<i32>()) != 4 {
                break;
            }
        }
        libc::_exit(0);
    }
}

/// Ids of the active LSMs (`lsm_list_modules(2)`, kernel v6.8, `ad4aff9ec25f`).
pub fn lsm_list_modules() -> io::Result<Vec<u64>> {
    /// `include/uapi/asm-generic/unistd.h`; one number on all architectures.
    const NUMBER: libc::c_long = 461;
    let mut ids = vec![0_u64; 64];
    let mut bytes = u32::try_from(size_of_val(ids.as_slice())).unwrap_or(0);
    // SAFETY: the buffer is as long as `bytes` says, and the kernel writes no more than that.
    let count = unsafe { libc::syscall(NUMBER, ids.as_mut_ptr(), &raw mut bytes, 0) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    ids.truncate(usize::try_from(count).unwrap_or(0));
    Ok(ids)
}
