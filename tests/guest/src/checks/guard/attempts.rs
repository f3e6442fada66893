//! What somebody else does to the agent, as root. Each undoes itself where it was not refused.

use crate::bpf;
use crate::killer::{self, End};
use guest::AGENT;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::wait::waitpid;
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_change, mount_remount,
    move_mount, unmount,
};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open, test_kill_process,
};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

pub(super) const BPFFS: &str = "/sys/fs/bpf";
pub(super) const PINS: &str = "/sys/fs/bpf/aegisbpf";

/// Whom it is done to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The agent.
    pub(super) pid: u32,
    /// The process that handles its canaries.
    pub(super) helper: u32,
    /// The directory of its version among the pins.
    pub(super) pins: String,
}

impl Target {
    fn process(&self) -> io::Result<Pid> {
        Pid::from_raw(self.pid.cast_signed()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// One of them, and the hook that refuses it.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) name: &'static str,
    pub(super) hook: &'static str,
    pub(super) run: fn(&Target) -> io::Result<()>,
}

pub(super) const BPF: [Attempt; 4] = [
    Attempt { name: "open the pin of a map", hook: "bpf_map", run: |it| opened(it, "maps/control") },
    Attempt { name: "open maps by id", hook: "bpf_map", run: |_| bpf::every(bpf::Kind::Map) },
    Attempt {
        name: "open the pin of a program",
        hook: "bpf_prog",
        run: |it| opened(it, "programs/file_open"),
    },
    Attempt { name: "open programs by id", hook: "bpf_prog", run: |_| bpf::every(bpf::Kind::Program) },
];

pub(super) const NAMES: [Attempt; 7] = [
    Attempt {
        name: "remove a pin",
        hook: "inode_unlink",
        run: |it| fs::remove_file(format!("{}/programs/inode_symlink", it.pins)),
    },
    Attempt {
        name: "move a pin",
        hook: "inode_rename",
        run: |it| {
            let (pin, away) = (format!("{}/links/inode_mknod", it.pins), format!("{BPFFS}/away"));
            fs::rename(&pin, &away)?;
            fs::rename(&away, &pin)
        },
    },
    Attempt {
        name: "remove a directory of pins",
        hook: "inode_rmdir",
        run: |it| fs::remove_dir(format!("{}/maps", it.pins)),
    },
    Attempt {
        name: "pin something among the pins",
        hook: "inode_create",
        run: |it| {
            let pin = format!("{}/maps/stranger", it.pins);
            bpf::pin(&bpf::hash(4, 4)?, &pin)?;
            fs::remove_file(pin)
        },
    },
    Attempt {
        name: "make a directory among the pins",
        hook: "inode_mkdir",
        run: |_| {
            let dir = format!("{PINS}/1");
            fs::create_dir(&dir)?;
            fs::remove_dir(dir)
        },
    },
    Attempt {
        name: "make a link among the pins",
        hook: "inode_symlink",
        run: |it| {
            let link = format!("{}/elsewhere", it.pins);
            symlink("/tmp", &link)?;
            fs::remove_file(link)
        },
    },
    Attempt {
        name: "open the pins to others",
        hook: "inode_setattr",
        run: |_| fs::set_permissions(PINS, Permissions::from_mode(0o700)),
    },
];

pub(super) const MOUNTS: [Attempt; 5] = [
    Attempt { name: "mount over the pins", hook: "sb_mount", run: |_| over(PINS) },
    Attempt { name: "mount over the directory above all", hook: "sb_mount", run: |_| over("/sys") },
    Attempt {
        name: "make the pins read-only",
        hook: "sb_mount",
        run: |_| {
            mount_remount(BPFFS, MountFlags::RDONLY, c"")?;
            Ok(mount_remount(BPFFS, MountFlags::empty(), c"")?)
        },
    },
    Attempt {
        name: "move a mount over the pins",
        hook: "move_mount",
        run: |_| {
            let from = "/tmp/guard-mount";
            fs::create_dir_all(from)?;
            mount("none", from, c"tmpfs", MountFlags::empty(), None)?;
            let moved = move_mount(CWD, from, CWD, PINS, MoveMountFlags::empty());
            unmount(if moved.is_ok() { PINS } else { from }, UnmountFlags::empty())?;
            Ok(moved?)
        },
    },
    Attempt {
        name: "mount over the pins from another mount namespace",
        hook: "sb_mount",
        run: |_| elsewhere("mount -t tmpfs none /sys/fs/bpf"),
    },
];

/// With these the pins are gone.
pub(super) const UNMOUNTS: [Attempt; 3] = [
    Attempt {
        name: "unmount the pins",
        hook: "sb_umount",
        run: |_| {
            unmount(BPFFS, UnmountFlags::DETACH)?;
            Ok(mount("bpf", BPFFS, c"bpf", MountFlags::empty(), None)?)
        },
    },
    Attempt {
        name: "unmount what the pins are mounted in",
        hook: "sb_umount",
        run: |_| {
            unmount("/sys", UnmountFlags::DETACH)?;
            mount("sysfs", "/sys", c"sysfs", MountFlags::empty(), None)?;
            mount("cgroup2", "/sys/fs/cgroup", c"cgroup2", MountFlags::empty(), None)?;
            mount("securityfs", "/sys/kernel/security", c"securityfs", MountFlags::empty(), None)?;
            Ok(mount("bpf", BPFFS, c"bpf", MountFlags::empty(), None)?)
        },
    },
    Attempt {
        name: "unmount the pins in another mount namespace",
        hook: "sb_umount",
        run: |_| elsewhere("umount -l /sys/fs/bpf"),
    },
];

pub(super) const TRACE: [Attempt; 5] = [
    Attempt {
        name: "trace",
        hook: "ptrace_access_check",
        run: |it| {
            let pid = nix::unistd::Pid::from_raw(it.pid.cast_signed());
            ptrace::attach(pid)?;
            waitpid(pid, None)?;
            Ok(ptrace::detach(pid, None)?)
        },
    },
    Attempt {
        name: "write the memory",
        hook: "ptrace_access_check",
        run: |it| {
            let opened = File::options().write(true).open(format!("/proc/{}/mem", it.pid));
            // The kernel has a word of its own for it (mm_access, kernel/fork.c).
            opened.map(drop).map_err(|error| match error.raw_os_error() {
                Some(libc::EACCES) => io::Error::from_raw_os_error(libc::EPERM),
                _ => error,
            })
        },
    },
    Attempt {
        name: "take a descriptor",
        hook: "ptrace_access_check",
        run: |it| {
            let process = pidfd_open(it.process()?, PidfdFlags::empty())?;
            Ok(pidfd_getfd(process, 0, PidfdGetfdFlags::empty()).map(drop)?)
        },
    },
    Attempt {
        name: "execute the binary under a tracer",
        hook: "guard_open",
        run: |_| match killer::run(AGENT, &["version"], usize::MAX)? {
            End::Exited(0) => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc::EPERM)),
        },
    },
    Attempt {
        name: "pass for the binary",
        hook: "task_prctl",
        // Not refused by the guard, it is by the kernel: this program is still mapped.
        run: |_| bpf::set_executable(&File::open(AGENT)?),
    },
];

pub(super) const SIGNALS: [Attempt; 2] = [
    Attempt {
        name: "signal the agent",
        hook: "task_kill",
        run: |it| Ok(kill_process(it.process()?, Signal::URG)?),
    },
    Attempt {
        name: "signal the helper",
        hook: "task_kill",
        run: |it| {
            let helper = Target { pid: it.helper, ..it.clone() }.process()?;
            Ok(kill_process(helper, Signal::URG)?)
        },
    },
];

/// While it runs, the kernel lets nobody write to it.
pub(super) const BINARY: [Attempt; 3] = [
    Attempt {
        name: "open the binary for writing",
        hook: "guard_open",
        run: |_| File::options().write(true).open(AGENT).map(drop),
    },
    Attempt {
        name: "truncate the binary",
        hook: "inode_setattr",
        run: |_| {
            let length = fs::metadata(AGENT)?.len();
            Ok(nix::unistd::truncate(AGENT, length.cast_signed())?)
        },
    },
    Attempt {
        name: "change the mode of the binary",
        hook: "inode_setattr",
        run: |_| fs::set_permissions(AGENT, Permissions::from_mode(0o755)),
    },
];

/// What the guard lets pass, armed or not.
pub(super) fn harmless(it: &Target) -> io::Result<()> {
    test_kill_process(it.process()?)?;
    fs::read_link(format!("/proc/{}/exe", it.pid))?;
    fs::read_to_string(format!("/proc/{}/maps", it.pid))?;
    // Maps, names, mounts and traces of others.
    let pin = format!("{BPFFS}/mine");
    bpf::pin(&bpf::hash(4, 4)?, &pin)?;
    drop(bpf::open(&pin)?);
    fs::remove_file(&pin)?;
    let mine = "/tmp/guard-mine";
    fs::create_dir_all(mine)?;
    over(mine)?;
    // A copy of the mount that goes its own way.
    let copy = "/tmp/guard-copy";
    fs::create_dir_all(copy)?;
    rustix::mount::mount_bind(BPFFS, copy)?;
    mount_change(copy, MountPropagationFlags::PRIVATE)?;
    unmount(copy, UnmountFlags::empty())?;
    nix::sys::prctl::set_name(c"guest")?;
    match killer::run("/bin/busybox", &["true"], usize::MAX)? {
        End::Exited(0) => File::open(AGENT).map(drop),
        other => Err(io::Error::other(format!("busybox under a tracer: {other:?}"))),
    }
}

fn opened(it: &Target, pin: &str) -> io::Result<()> {
    bpf::open(&format!("{}/{pin}", it.pins)).map(drop)
}

fn over(path: &str) -> io::Result<()> {
    mount("none", path, c"tmpfs", MountFlags::empty(), None)?;
    Ok(unmount(path, UnmountFlags::empty())?)
}

/// In a mount namespace that shares what happens with this one; here it is undone.
fn elsewhere(command: &str) -> io::Result<()> {
    let flags = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/sys", flags)?;
    let script = format!("unshare -m --propagation shared {command} 2>&1");
    let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let refused = text.contains("Operation not permitted") || text.contains("permission denied");
        return Err(if refused { io::Error::from_raw_os_error(libc::EPERM) } else { io::Error::other(text) });
    }
    if command.starts_with("umount") {
        return Ok(mount("bpf", BPFFS, c"bpf", MountFlags::empty(), None)?);
    }
    Ok(unmount(BPFFS, UnmountFlags::empty())?)
}
