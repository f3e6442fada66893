//! System calls that no library makes.

#![expect(unsafe_code, reason = "system calls without a wrapper")]

use super::errno;
use io_uring::{IoUring, squeue, types};
use nix::libc;
use std::ffi::{CString, c_int, c_ulong, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub(super) fn last<T: PartialEq + From<i8>>(result: T) -> io::Result<T> {
    if result == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(super) fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn owned(fd: i64) -> io::Result<OwnedFd> {
    let fd = c_int::try_from(fd).map_err(|_| errno(super::NO_EFFECT))?;
    // SAFETY: the kernel has just made it, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A file in memory, read-only.
pub(super) struct Map {
    start: *mut c_void,
    length: usize,
}

impl Map {
    pub(super) fn new(file: impl AsFd, length: usize, flags: c_int) -> io::Result<Self> {
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: the kernel chooses a place where nothing is.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, fd, 0) };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { start, length }) }
    }

    pub(super) fn start(&self) -> usize {
        self.start.addr()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as this lives; the ways do not make the file shorter.
        unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), self.length) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this mapping is ours, and nothing that borrowed from it is left.
        let _ = unsafe { libc::munmap(self.start, self.length) };
    }
}

/// An ioctl whose argument is a number. As a plain system call: C libraries differ in the type of the request.
pub(super) fn ioctl(file: impl AsFd, request: u32, argument: c_int) -> io::Result<c_int> {
    // SAFETY: the callers' requests take no pointer.
    let result =
        unsafe { libc::syscall(libc::SYS_ioctl, file.as_fd().as_raw_fd(), c_ulong::from(request), argument) };
    last(c_int::try_from(result).unwrap_or(-1))
}

/// An ioctl whose argument is read and written.
pub(super) fn ioctl_with<T>(file: impl AsFd, request: u32, argument: &mut T) -> io::Result<c_int> {
    let (fd, argument) = (file.as_fd().as_raw_fd(), std::ptr::from_mut(argument));
    // SAFETY: the callers pass the type that the request stands for.
    let result = unsafe { libc::syscall(libc::SYS_ioctl, fd, c_ulong::from(request), argument) };
    last(c_int::try_from(result).unwrap_or(-1))
}

/// Where on its device the first byte of a file is.
pub(super) fn first_block(file: &File) -> io::Result<u64> {
    const FIBMAP: u32 = 1;
    const FIGETBSZ: u32 = 2;
    let (mut block, mut size) = (0, 0);
    ioctl_with(file, FIGETBSZ, &mut size)?;
    ioctl_with(file, FIBMAP, &mut block)?;
    Ok(u64::from(c_int::cast_unsigned(block)) * u64::from(c_int::cast_unsigned(size)))
}

/// Runs something in a child, which is in the cgroup that is given from its first instruction on.
pub(super) fn forked(into: Option<BorrowedFd<'_>>, what: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let args = libc::clone_args {
        flags: if into.is_some() { CLONE_INTO_CGROUP } else { 0 },
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: into.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    // SAFETY: a copy of a process that has one thread; it shares nothing and ends in `_exit`.
    let pid = last(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) })?;
    if pid == 0 {
        let code = what().err().map_or(0, |error| error.raw_os_error().unwrap_or(255));
        // SAFETY: ends the child without what the parent wants done at its own end.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    let pid = c_int::try_from(pid).unwrap_or(-1);
    // SAFETY: the kernel writes an int.
    last(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    match libc::WEXITSTATUS(status) {
        0 if libc::WIFEXITED(status) => Ok(()),
        code => Err(errno(code)),
    }
}

/// What a file is known by without a name.
#[repr(C)]
pub(super) struct Handle {
    bytes: u32,
    kind: c_int,
    data: [u8; 128],
}

pub(super) fn handle_of(path: &Path) -> io::Result<Handle> {
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let (path, mut mount, place) = (text(path)?, 0, &raw mut handle);
    // SAFETY: `bytes` says how much room there is.
    last(unsafe { libc::name_to_handle_at(libc::AT_FDCWD, path.as_ptr(), place.cast(), &raw mut mount, 0) })?;
    Ok(handle)
}

/// Opens a file by its handle and not by a name.
pub(super) fn open_handle(directory: impl AsFd, handle: &mut Handle) -> io::Result<OwnedFd> {
    let (directory, handle) = (directory.as_fd().as_raw_fd(), std::ptr::from_mut(handle));
    // SAFETY: the kernel has filled the handle.
    owned(last(unsafe { libc::open_by_handle_at(directory, handle.cast(), libc::O_RDONLY) })?.into())
}

pub(super) fn open_by_handle(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    open_handle(directory, &mut super::setup(handle_of(path))?)
}

/// Opens and reads by `io_uring`; `flags` say whether by a thread of the kernel.
pub(super) fn by_ring(path: &Path, content: &mut [u8], flags: squeue::Flags) -> io::Result<usize> {
    let mut ring = super::setup(IoUring::new(2))?;
    let path = text(path)?;
    let open =
        io_uring::opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY).build();
    let file = owned(done(&mut ring, &open.flags(flags))?.into())?;
    let length = u32::try_from(content.len()).unwrap_or(0);
    let read = io_uring::opcode::Read::new(types::Fd(file.as_raw_fd()), content.as_mut_ptr(), length).build();
    usize::try_from(done(&mut ring, &read)?).map_err(io::Error::other)
}

pub(super) fn done(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<i32> {
    // SAFETY: what the entry points to outlives this function, which waits for the end of the operation.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
    super::setup(ring.submit_and_wait(1))?;
    let result = ring.completion().next().map_or(-super::NO_EFFECT, |entry| entry.result());
    if result < 0 { Err(errno(-result)) } else { Ok(result) }
}

/// The system call that is answered by another process.
const ASKED: u16 = 163; // acct(2)

/// From now on acct(2) is answered by who has the descriptor that comes back.
pub(super) fn listener() -> io::Result<OwnedFd> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, ASKED.into()),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: the kernel copies the program, whose length is right.
    super::setup(
        last(unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) }).and_then(owned),
    )
}

/// Makes the call that [`listener`] is about: a descriptor comes back.
pub(super) fn asked() -> io::Result<OwnedFd> {
    // SAFETY: without a path the call itself would do nothing but to end accounting.
    last(unsafe { libc::syscall(ASKED.into(), 0) }).and_then(owned)
}

/// include/uapi/linux/seccomp.h
const NOTIF_RECV: u32 = 0xc050_2100;
const NOTIF_SEND: u32 = 0xc018_2101;
const NOTIF_ADDFD: u32 = 0x4018_2103;

/// Answers one call with a descriptor, which is put into the process that made it.
pub(super) fn answer(listener: &OwnedFd, file: &File) -> io::Result<()> {
    // SAFETY: zeros are a value of each, and the kernel wants them.
    let (mut asked, mut reply) = unsafe {
        (std::mem::zeroed::<libc::seccomp_notif>(), std::mem::zeroed::<libc::seccomp_notif_resp>())
    };
    ioctl_with(listener, NOTIF_RECV, &mut asked)?;
    let mut added = libc::seccomp_notif_addfd {
        id: asked.id,
        flags: 0,
        srcfd: file.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: 0,
    };
    reply.id = asked.id;
    match ioctl_with(listener, NOTIF_ADDFD, &mut added) {
        Ok(number) => reply.val = number.into(),
        Err(error) => reply.error = -error.raw_os_error().unwrap_or(super::NO_EFFECT),
    }
    ioctl_with(listener, NOTIF_SEND, &mut reply).map(drop)
}
