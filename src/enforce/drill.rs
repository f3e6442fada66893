//! The self-guard's hooks put to the test, once, by the agent itself before it locks itself down: the helper may do none
//! of what they are asked about, and the agent not any more. Each operation fails by itself where the hook lets it pass,
//! or changes nothing.

use std::{io, os::fd::AsFd as _, path::Path};

use rustix::{
    fs::CWD,
    mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open, test_kill_process},
};

use crate::{
    abi,
    sys::{
        bpf::{self, MapSpec, kind},
        process::set_executable,
    },
};

/// Whether the hook is put to the test here.
pub(super) fn is_drilled(number: u32) -> bool {
    (abi::HOOK_BPF_MAP..=abi::HOOK_TASK_PRCTL).contains(&(number & !abi::HOOK_AGAIN))
}

/// No process has so many descriptors.
const NO_DESCRIPTOR: i32 = i32::MAX;

/// Does what the hook is asked about. `helper` is a child of this process, `dir` a directory where nothing is mounted.
/// Returns the error number.
pub(super) fn operate(number: u32, helper: u32, dir: &Path) -> i32 {
    let done = match number & !abi::HOOK_AGAIN {
        abi::HOOK_BPF_MAP => make_map(),
        abi::HOOK_BPF_PROG => crate::kernel::Identity::load().map(drop),
        // A directory where nothing is mounted is no mount.
        abi::HOOK_SB_MOUNT => mount_change(dir, MountPropagationFlags::PRIVATE).map_err(Into::into),
        abi::HOOK_MOVE_MOUNT => move_mount(CWD, dir, CWD, dir, MoveMountFlags::empty()).map_err(Into::into),
        // Nothing can both expire and be detached, which the kernel looks at behind the hook (do_umount, fs/namespace.c).
        abi::HOOK_SB_UMOUNT => {
            unmount("/proc", UnmountFlags::EXPIRE | UnmountFlags::DETACH).map_err(Into::into)
        }
        abi::HOOK_PTRACE_ACCESS_CHECK => take_descriptor(helper),
        abi::HOOK_TASK_KILL => test_kill_process(getpid()).map_err(Into::into),
        abi::HOOK_TASK_PRCTL => set_executable(None),
        _ => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
    };
    done.map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |()| 0)
}

fn make_map() -> io::Result<()> {
    let spec = MapSpec {
        name: "aegis_drill",
        kind: kind::ARRAY,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        flags: 0,
        inner: None,
    };
    bpf::map_create(&spec).map(drop)
}

fn take_descriptor(process: u32) -> io::Result<()> {
    let pid = Pid::from_raw(process.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(pidfd_getfd(pidfd.as_fd(), NO_DESCRIPTOR, PidfdGetfdFlags::empty()).map(drop)?)
}
