//! `guest hostile LABEL ID PID`: one thing that a taken-over agent would try, after `LABEL` was written to the process's own
//! label (`-`: nothing). Ends with 0 when it could be done, with [`REFUSED`] when it was refused, with 1 for any other end.

use nix::sys::ptrace;
use nix::unistd::{Uid, chroot, setuid};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use rustix::process::{Pid, Signal, kill_process};
use rustix::system::finit_module;
use rustix::time::{ClockId, clock_gettime, clock_settime};
use std::fs::{self, File};
use std::io;
use std::process::{Command, ExitCode};

/// The exit code of what answered EACCES or EPERM.
pub(crate) const REFUSED: u8 = 2;

/// A module that is loaded at boot: who may load modules is told that it is there already.
pub(crate) const MODULE: &str = "/modules/loop.ko";

/// What is tried, and how. A function is handed the pid of somebody else's process.
type Try = fn(i32) -> io::Result<()>;

/// What every profile has to refuse.
pub(crate) const COMMON: [(&str, Try); 15] = [
    ("read-shadow", |_| File::open("/etc/shadow").map(drop)),
    ("write-passwd", |_| change("/etc/passwd")),
    ("write-policy", |_| change("/etc/aegisbpf/policy.conf")),
    ("write-program", |_| change(guest::AGENT)),
    ("write-sysctl", |_| change("/proc/sys/kernel/core_pattern")),
    ("make-program", |_| File::create("/tmp/program").map(drop)),
    ("make-device", |_| make_device()),
    ("exec-shell", |_| Command::new("/bin/sh").args(["-c", "true"]).status().map(drop)),
    ("trace", trace),
    ("read-memory", |pid| File::open(format!("/proc/{pid}/mem")).map(drop)),
    ("signal", |pid| Ok(kill_process(process(pid)?, Signal::CONT)?)),
    ("mount", |_| mount_something()),
    ("raw-socket", |_| open_socket(SocketType::RAW)),
    ("tcp-socket", |_| open_socket(SocketType::STREAM)),
    ("set-clock", |_| set_clock()),
];

/// What one profile alone can refuse, or is asked in its own words.
pub(crate) const APPARMOR: [(&str, Try); 7] = [
    ("chroot", |_| Ok(chroot("/tmp")?)),
    ("become-another-user", |_| Ok(setuid(Uid::from_raw(65534))?)),
    ("leave", |_| fs::write("/proc/self/attr/current", "changeprofile unconfined")),
    ("unload-profiles", |_| change("/sys/kernel/security/apparmor/.remove")),
    ("read-key", |_| File::open("/root/.ssh/id_ed25519").map(drop)),
    ("load-module", |_| load_module()),
    // SELinux knows bpffs by the type of the file system alone.
    ("pin-elsewhere", |_| {
        fs::create_dir("/sys/fs/bpf/other").and_then(|()| fs::remove_dir("/sys/fs/bpf/other"))
    }),
];

pub(crate) const SELINUX: [(&str, Try); 3] = [
    ("chroot", APPARMOR[0].1),
    ("become-another-user", APPARMOR[1].1),
    ("end-enforcement", |_| fs::write("/sys/fs/selinux/enforce", "1")),
];

pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [label, id, pid] = args else {
        eprintln!("usage: guest hostile LABEL ID PID");
        return ExitCode::from(64);
    };
    let all = COMMON.iter().chain(&APPARMOR).chain(&SELINUX);
    let Some((_, attempt)) = all.clone().find(|(name, _)| name == id) else {
        eprintln!("guest hostile: nothing is called {id}");
        return ExitCode::from(64);
    };
    if *label != "-"
        && let Err(error) = fs::write("/proc/self/attr/current", label)
    {
        eprintln!("guest hostile: {label}: {error}");
        return ExitCode::from(65);
    }
    match attempt(pid.parse().unwrap_or(0)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{id}: {error}");
            ExitCode::from(if error.kind() == io::ErrorKind::PermissionDenied { REFUSED } else { 1 })
        }
    }
}

fn change(path: &str) -> io::Result<()> {
    File::options().append(true).open(path).map(drop)
}

fn process(pid: i32) -> io::Result<Pid> {
    Pid::from_raw(pid).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn make_device() -> io::Result<()> {
    mknodat(CWD, "/tmp/disk", FileType::BlockDevice, Mode::RUSR, makedev(254, 0))?;
    fs::remove_file("/tmp/disk")
}

fn trace(pid: i32) -> io::Result<()> {
    let pid = nix::unistd::Pid::from_raw(pid);
    ptrace::seize(pid, ptrace::Options::empty())?;
    Ok(())
}

fn mount_something() -> io::Result<()> {
    mount("tmpfs", "/mnt", "tmpfs", MountFlags::empty(), c"")?;
    Ok(unmount("/mnt", UnmountFlags::empty())?)
}

fn load_module() -> io::Result<()> {
    match finit_module(File::open(MODULE)?, c"", 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn open_socket(kind: SocketType) -> io::Result<()> {
    let protocol = (kind == SocketType::RAW).then_some(ipproto::ICMP);
    socket(AddressFamily::INET, kind, protocol)?;
    Ok(())
}

fn set_clock() -> io::Result<()> {
    Ok(clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime))?)
}
