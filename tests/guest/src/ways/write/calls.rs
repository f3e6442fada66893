//! System calls that no library makes.

#![expect(unsafe_code, reason = "system calls without a wrapper")]

use super::super::raw::{self, text};
use super::super::setup;
use io_uring::{IoUring, opcode, squeue, types};
use nix::libc;
use rustix::fs::Mode;
use std::ffi::{CString, c_long};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

fn last<T: PartialEq + From<i8>>(result: T) -> io::Result<()> {
    raw::last(result).map(drop)
}

/// Changes the first byte through a mapping.
pub(super) fn write_by_map(file: &File) -> io::Result<()> {
    let (access, fd) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
    // SAFETY: the kernel chooses a place where nothing is.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), 1, access, libc::MAP_SHARED, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: one byte was mapped for writing, and the file has more than that.
    unsafe { start.cast::<u8>().write_volatile(b'T') };
    // SAFETY: this mapping is ours, and nothing has borrowed from it.
    last(unsafe { libc::munmap(start, 1) })
}

fn by_ring(entry: &squeue::Entry) -> io::Result<i32> {
    raw::done(&mut setup(IoUring::new(2))?, entry)
}

const HERE: types::Fd = types::Fd(libc::AT_FDCWD);

/// v5.11; v5.10 got it and the next one later (5.10.162).
pub(super) fn unlink_by_ring(path: &Path) -> io::Result<()> {
    let path = text(path)?;
    by_ring(&opcode::UnlinkAt::new(HERE, path.as_ptr()).build()).map(drop)
}

pub(super) fn rename_by_ring(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (text(from)?, text(to)?);
    by_ring(&opcode::RenameAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build()).map(drop)
}

/// v5.19.
pub(super) fn set_attribute_by_ring(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let (path, name) = (text(path)?, CString::new(name)?);
    let length = u32::try_from(value.len()).map_err(io::Error::other)?;
    let set = opcode::SetXattr::new(name.as_ptr(), value.as_ptr().cast(), path.as_ptr(), length);
    by_ring(&set.build()).map(drop)
}

pub(super) fn open_by_ring(path: &Path) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let open = opcode::OpenAt::new(HERE, path.as_ptr()).flags(libc::O_WRONLY).build();
    let fd = by_ring(&open)?;
    // SAFETY: the kernel has just made it, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn fchmodat2(path: &Path, mode: Mode) -> io::Result<()> {
    /// The number on every architecture; not every C library knows it.
    const NUMBER: c_long = 452;
    let (path, flags) = (text(path)?, libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: the path ends with a zero.
    last(unsafe { libc::syscall(NUMBER, libc::AT_FDCWD, path.as_ptr(), mode.as_raw_mode(), flags) })
}

pub(super) fn setxattrat(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    const NUMBER: c_long = 463;
    /// `struct xattr_args` of `linux/xattr.h`.
    #[repr(C)]
    struct Args {
        value: *const u8,
        size: u32,
        flags: u32,
    }
    let size = u32::try_from(value.len()).map_err(io::Error::other)?;
    let (path, name) = (text(path)?, CString::new(name)?);
    let args = Args { value: value.as_ptr(), size, flags: 0 };
    let length = size_of_val(&args);
    // SAFETY: the lengths are right, and the names end with a zero.
    last(unsafe {
        libc::syscall(NUMBER, libc::AT_FDCWD, path.as_ptr(), 0, name.as_ptr(), &raw const args, length)
    })
}

/// The flag in `fsx_xflags` and in `fa_xflags`.
const FS_XFLAG_NOATIME: u32 = 0x40;

/// By `FS_IOC_FSSETXATTR`.
pub(super) fn set_fsxattr(file: &File) -> io::Result<()> {
    const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
    const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
    // `struct fsxattr`: the flags, then six words.
    let mut words = [0_u32; 7];
    setup(raw::ioctl_with(file, FS_IOC_FSGETXATTR, &mut words))?;
    words[0] |= FS_XFLAG_NOATIME;
    raw::ioctl_with(file, FS_IOC_FSSETXATTR, &mut words).map(drop)
}

/// By the system call that does the same by path.
pub(super) fn file_setattr(path: &Path) -> io::Result<()> {
    const NUMBER: c_long = 469;
    let path = text(path)?;
    // `struct file_attr`: a word of 64 bits with the flags, then four of 32.
    let attr = [u64::from(FS_XFLAG_NOATIME), 0, 0];
    // SAFETY: the length is right, and the path ends with a zero.
    last(unsafe {
        libc::syscall(NUMBER, libc::AT_FDCWD, path.as_ptr(), attr.as_ptr(), size_of_val(&attr), 0)
    })
}

pub(super) fn swapon(path: &Path) -> io::Result<()> {
    // SAFETY: the path ends with a zero.
    last(unsafe { libc::swapon(text(path)?.as_ptr(), 0) })
}

pub(super) fn swapoff(path: &Path) -> io::Result<()> {
    // SAFETY: the path ends with a zero.
    last(unsafe { libc::swapoff(text(path)?.as_ptr()) })
}
