//! What neither the standard library nor rustix asks a file system for.

#![expect(unsafe_code, reason = "ioctls without a wrapper")]

use rustix::ioctl::{Getter, Setter, ioctl, opcode};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;

/// `struct btrfs_ioctl_vol_args`, include/uapi/linux/btrfs.h
#[repr(C)]
struct VolArgs {
    fd: i64,
    name: [u8; 4088],
}

const SUBVOL_CREATE: rustix::ioctl::Opcode = opcode::write::<VolArgs>(0x94, 14);
const SNAP_CREATE: rustix::ioctl::Opcode = opcode::write::<VolArgs>(0x94, 1);
/// `FS_IOC_GETVERSION`: declared with a long, answered with an int.
const GETVERSION: rustix::ioctl::Opcode = opcode::read::<std::ffi::c_long>(b'v', 1);

/// The generation of an inode, as the file system counts it.
pub(crate) fn generation(path: &Path) -> io::Result<u32> {
    let file = File::open(path)?;
    // SAFETY: the kernel writes an int whatever the opcode says (put_user to an int pointer in ext4, xfs and btrfs).
    let version = unsafe { ioctl(&file, Getter::<GETVERSION, u32>::new()) };
    Ok(version?)
}

/// Makes a btrfs subvolume.
pub(crate) fn make_subvolume(path: &Path) -> io::Result<()> {
    let (parent, args) = split(path, -1)?;
    // SAFETY: the argument has the layout that the opcode stands for.
    unsafe { ioctl(&parent, Setter::<SUBVOL_CREATE, VolArgs>::new(args)) }?;
    Ok(())
}

/// Makes a snapshot of a btrfs subvolume.
pub(crate) fn make_snapshot(of: &Path, path: &Path) -> io::Result<()> {
    let source = File::open(of)?;
    let (parent, args) = split(path, source.as_raw_fd().into())?;
    // SAFETY: the argument has the layout that the opcode stands for; the descriptor in it is open until the end.
    unsafe { ioctl(&parent, Setter::<SNAP_CREATE, VolArgs>::new(args)) }?;
    Ok(())
}

fn split(path: &Path, fd: i64) -> io::Result<(File, VolArgs)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut args = VolArgs { fd, name: [0; 4088] };
    // The last byte stays NUL.
    let room = args.name.get_mut(..name.len()).filter(|room| room.len() < 4088);
    room.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(name.as_bytes());
    Ok((File::open(parent)?, args))
}

/// Exchanges two files, as a program of its own: no tool in the guest does.
pub(crate) fn exchange(one: &str, other: &str) -> ExitCode {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            eprintln!("exchange {one} {other}: {errno}");
            ExitCode::FAILURE
        }
    }
}
