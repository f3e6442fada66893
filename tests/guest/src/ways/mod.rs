//! Ways to a file. Each is tried in a process of its own, `guest way ID DIRECTORY`, in a directory that holds a `secret`, a
//! `true` that can be executed, what its entry in `tests/surface` asks for (see `checks/surface/prepare.rs`), and what the way
//! itself prepares. What the process tells by its exit code is how far it got.

mod exec;
mod fd;
mod outside;
mod overlay;
mod place;
mod raw;
mod read;
mod scope;
mod tree;
mod write;

pub(crate) use outside::serve;

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What is in the secret before.
pub(crate) const CONTENT: &str = "the secret\n";

/// One way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Its name, unique.
    pub(crate) id: &'static str,
    /// Goes it. `Ok`: the file was read, changed or run.
    pub(crate) go: fn(&Path) -> io::Result<()>,
}

/// How far a way led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// To the file.
    Reached,
    /// To this error number.
    Errno(i32),
}

/// Every way.
pub(crate) fn all() -> impl Iterator<Item = &'static Way> {
    let read_write_exec = read::WAYS.iter().chain(write::WAYS).chain(exec::WAYS);
    let more = fd::WAYS.iter().chain(scope::WAYS).chain(tree::WAYS).chain(place::WAYS).chain(overlay::WAYS);
    read_write_exec.chain(more)
}

/// The process that goes a way: 0, or the error number.
pub(crate) fn main(id: &str, dir: &str) -> ExitCode {
    let Some(way) = all().find(|way| way.id == id) else { return ExitCode::from(u8::MAX) };
    match (way.go)(Path::new(dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{id}: {error}");
            ExitCode::from(error.raw_os_error().and_then(|errno| u8::try_from(errno).ok()).unwrap_or(u8::MAX))
        }
    }
}

/// EBADMSG: what was done had not the effect that it should have, so that nothing was reached.
const NO_EFFECT: i32 = 74;
/// EPROTO: what comes before the operation failed in a way that would look like a verdict.
const NOT_READY: i32 = 71;

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// A way that was let through has to show that something came of it.
fn effect(seen: bool) -> io::Result<()> {
    if seen { Ok(()) } else { Err(errno(NO_EFFECT)) }
}

/// For what is done before the operation: EPERM there is no verdict.
fn setup<T>(result: Result<T, impl Into<io::Error>>) -> io::Result<T> {
    result.map_err(Into::into).map_err(|error| match error.raw_os_error() {
        Some(1) => errno(NOT_READY),
        _ => error,
    })
}

/// Whether this is the secret's content: a way that opens something else has not reached it.
fn is_secret(content: &[u8]) -> io::Result<()> {
    effect(content == CONTENT.as_bytes())
}

/// Reads the secret from a descriptor.
fn read(file: impl Into<OwnedFd>) -> io::Result<()> {
    let mut content = Vec::new();
    File::from(file.into()).take(100).read_to_end(&mut content)?;
    is_secret(&content)
}

/// A mount namespace of its own, so that what is mounted goes with the process.
fn private_mounts() -> io::Result<()> {
    setup(unshare(CloneFlags::CLONE_NEWNS))?;
    setup(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC))
}

/// Goes another way in a child.
fn go_on(id: &str, dir: &Path, uid: Option<u32>) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["way", id]).arg(dir);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    match command.status()?.code() {
        Some(0) => Ok(()),
        code => Err(errno(code.unwrap_or(255))),
    }
}
