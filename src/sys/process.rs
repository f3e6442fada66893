//! The helper that does to canaries what the agent itself may not do; and a question that libc does not ask.

use std::{
    ffi::CString,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// A child that does one of a few things whenever it is asked for it by number, and answers with an error number. It can
/// be asked for nothing else: what it works on was settled before the fork.
#[derive(Debug)]
pub struct Helper {
    channel: UnixStream,
    pid: u32,
    global_pid: u32,
}

/// What the child does, by number; 0, or an error number.
pub type Work = Box<dyn FnMut(u8) -> i32>;

impl Helper {
    /// Forks the child. Call it while this process has one thread. `identity` is a raw tracepoint program that returns
    /// the thread id: the child runs it to learn its id in the first pid namespace. `prepare` runs in the child, with
    /// no descriptor open but the channel: it closes the child's own sandbox and opens what the work needs.
    pub fn start(identity: BorrowedFd<'_>, prepare: impl FnOnce() -> io::Result<Work>) -> io::Result<Self> {
        let (parent, child) = UnixStream::pair()?;
        let before = rustix::process::getpid();
        // SAFETY: there is one thread, so nothing that the child uses was left half done.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(parent);
                // What unwinds must not get back into the code of the parent.
                let _ended = catch_unwind(AssertUnwindSafe(|| {
                    serve(OwnedFd::from(child), identity, before.as_raw_nonzero().get(), prepare)
                }));
                // SAFETY: ends the process, and nothing else of it.
                unsafe { libc::_exit(0) }
            }
            pid => {
                drop(child);
                let mut helper = Self { channel: parent, pid: pid.cast_unsigned(), global_pid: 0 };
                helper.global_pid = helper.receive()?.cast_unsigned();
                match helper.receive()? {
                    0 => Ok(helper),
                    errno => Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
    }

    /// Process id of the child, as this process numbers it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Process id of the child in the first pid namespace.
    pub fn global_pid(&self) -> u32 {
        self.global_pid
    }

    /// Lets the child do one thing and returns its error number. Blocks for as long as that takes.
    pub fn ask(&mut self, what: u8) -> io::Result<i32> {
        self.channel.write_all(&[what])?;
        self.receive()
    }

    fn receive(&mut self) -> io::Result<i32> {
        let mut answer = [0; 4];
        self.channel.read_exact(&mut answer)?;
        Ok(i32::from_ne_bytes(answer))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The child exits when its end of the channel closes; reap it so that no zombie stays.
        if self.channel.shutdown(std::net::Shutdown::Both).is_ok() {
            // SAFETY: waits for our own child; a null status is allowed.
            unsafe { libc::waitpid(self.pid.cast_signed(), std::ptr::null_mut(), 0) };
        }
    }
}

/// The child's whole life.
fn serve(
    channel: OwnedFd,
    identity: BorrowedFd<'_>,
    parent: i32,
    prepare: impl FnOnce() -> io::Result<Work>,
) -> io::Result<()> {
    // SAFETY: plain system calls, of which only those on the channel matter from then on.
    let mut channel = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        // Signals of a terminal, and of who moves logs away, are for the agent: this one lives and dies with it.
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        libc::signal(libc::SIGUSR1, libc::SIG_IGN);
        if libc::getppid() != parent {
            libc::_exit(0);
        }
        let me = super::bpf::raw_tracepoint_run(identity, &[]).unwrap_or(0);
        // Only the channel is kept: an inherited lock would outlive the agent, an inherited terminal is not ours.
        let fd = libc::dup2(channel.as_raw_fd(), 0);
        libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0);
        // It is closed already.
        std::mem::forget(channel);
        let mut channel = std::fs::File::from(<OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd));
        channel.write_all(&me.to_ne_bytes())?;
        channel
    };
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    let mut work = match prepare() {
        Ok(work) => work,
        Err(error) => return channel.write_all(&errno(error).to_ne_bytes()),
    };
    channel.write_all(&0_i32.to_ne_bytes())?;
    let mut request = [0];
    while channel.read_exact(&mut request).is_ok() {
        channel.write_all(&work(request[0]).to_ne_bytes())?;
    }
    Ok(())
}

/// Tries to become the program at a path; comes back with the reason why not.
pub fn become_program(path: &Path) -> io::Error {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    let (argv, envp) = ([path.as_ptr(), std::ptr::null()], [std::ptr::null()]);
    // SAFETY: the strings and the lists, each ended by a null pointer, live until the call returns.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Makes another file the one that this process is said to execute; `None` names no descriptor, and one argument is too
/// much, so that the kernel refuses it in any case.
pub fn set_executable(file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    /// `include/uapi/linux/prctl.h`
    const PR_SET_MM_EXE_FILE: libc::c_ulong = 13;
    let fd = file.map_or(libc::c_ulong::MAX, |file| libc::c_ulong::try_from(file.as_raw_fd()).unwrap_or(0));
    let none: libc::c_ulong = 0;
    let surplus = libc::c_ulong::from(file.is_none());
    // SAFETY: numbers alone; the kernel looks at no memory of ours.
    match unsafe { libc::prctl(libc::PR_SET_MM, PR_SET_MM_EXE_FILE, fd, none, surplus) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
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
