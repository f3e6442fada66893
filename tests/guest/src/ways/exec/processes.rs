//! Processes that execute a file, other than one that simply does.

#![expect(unsafe_code, reason = "a process that shares memory")]

use super::super::raw;
use super::super::{NO_EFFECT, errno, setup};
use super::{ARGV, NO_ENVIRONMENT, become_it};
use nix::libc::SIGCHLD;
use nix::sched::{CloneFlags, clone, unshare};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, execv, setresgid, setresuid};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

pub(super) fn forked(dir: &Path) -> io::Result<()> {
    raw::forked(None, || become_it(&dir.join("true")))
}

pub(super) fn spawned(dir: &Path) -> io::Result<()> {
    let (actions, attributes) = (setup(PosixSpawnFileActions::init())?, setup(PosixSpawnAttr::init())?);
    let process = posix_spawn(&dir.join("true"), &actions, &attributes, &ARGV, &NO_ENVIRONMENT)?;
    ended(process)
}

/// The codes of those that this program starts are error numbers.
fn ended(process: Pid) -> io::Result<()> {
    match setup(waitpid(process, None))? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, code) => Err(errno(code)),
        _ => Err(errno(NO_EFFECT)),
    }
}

/// By a child that has the memory of this process until it is another program.
pub(super) fn vforked(dir: &Path) -> io::Result<()> {
    let (path, mut stack) = (raw::text(&dir.join("true"))?, vec![0; 256 << 10]);
    let child = Box::new(|| match execv(&path, &ARGV) {
        Err(error) => error as isize,
        Ok(never) => match never {},
    });
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    // SAFETY: the only thread of this process stands still for as long as the child is in its memory.
    let process = unsafe { clone(child, &mut stack, flags, Some(SIGCHLD)) };
    ended(setup(process)?)
}

/// The thread becomes the process.
pub(super) fn thread(dir: &Path) -> io::Result<()> {
    std::thread::scope(|scope| scope.spawn(|| become_it(&dir.join("true"))).join())
        .unwrap_or_else(|_| Err(errno(NO_EFFECT)))
}

pub(super) fn other_uid(dir: &Path) -> io::Result<()> {
    let (uid, gid) = (65534.into(), 65534.into());
    setup(setresgid(gid, gid, gid))?;
    setup(setresuid(uid, uid, uid))?;
    become_it(&dir.join("true"))
}

/// With more rights than it had before.
pub(super) fn set_uid(dir: &Path) -> io::Result<()> {
    setup(fs::set_permissions(dir.join("true"), Permissions::from_mode(0o4755)))?;
    other_uid(dir)
}

pub(super) fn user_namespace(dir: &Path) -> io::Result<()> {
    setup(unshare(CloneFlags::CLONE_NEWUSER))?;
    become_it(&dir.join("true"))
}

pub(super) fn pid_namespace(dir: &Path) -> io::Result<()> {
    setup(unshare(CloneFlags::CLONE_NEWPID))?;
    forked(dir)
}

pub(super) fn chrooted(dir: &Path) -> io::Result<()> {
    setup(nix::unistd::chroot(dir))?;
    setup(std::env::set_current_dir("/"))?;
    become_it(Path::new("/true"))
}
