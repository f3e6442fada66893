//! Ways to a file through a descriptor that another process opened, or that was open before the rule.

use super::outside::Outside;
use super::raw::{self, Map};
use super::{Way, effect, errno, is_secret, read, setup};
use nix::libc::MAP_SHARED;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(super) const WAYS: &[Way] = &[
    Way { id: "fd.scm-rights-read", go: |dir| read(passed(dir, "read")?) },
    Way { id: "fd.scm-rights-write", go: |dir| write(dir, passed(dir, "write")?) },
    Way { id: "fd.scm-rights-o-path-reopened", go: |dir| read(reopened(&passed(dir, "path")?)?) },
    Way { id: "fd.scm-rights-many", go: between },
    Way { id: "fd.pidfd-getfd", go: of_process },
    Way { id: "fd.seccomp-addfd", go: by_supervisor },
    Way { id: "fd.held-read", go: |dir| after_the_rule(secret(dir)?, read) },
    Way { id: "fd.held-mapping", go: held_mapping },
    Way { id: "fd.held-inherited", go: |dir| after_the_rule(secret(dir)?, inherited) },
    Way { id: "fd.held-working-directory", go: held_directory },
];

fn secret(dir: &Path) -> io::Result<File> {
    setup(File::open(dir.join("secret")))
}

/// The descriptor that the server passes. The kernel delivers the message without one that is refused, and says so in a
/// flag only.
fn passed(dir: &Path, how: &str) -> io::Result<OwnedFd> {
    let answer = Outside::connect()?.ask(&format!("pass {how} {}/secret", dir.display()))?;
    answer.files.into_iter().next().ok_or_else(|| errno(1))
}

fn write(dir: &Path, file: OwnedFd) -> io::Result<()> {
    File::from(file).write_all(b"more\n")?;
    effect(fs::read(dir.join("secret"))?.ends_with(b"more\n"))
}

fn reopened(file: &OwnedFd) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Among others that are free.
fn between(dir: &Path) -> io::Result<()> {
    let answer = Outside::connect()?.ask(&format!("pass-between {0}/secret {0}/other", dir.display()))?;
    read(answer.files.into_iter().nth(1).ok_or_else(|| errno(1))?)
}

fn of_process(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let answer = server.ask(&format!("hold {}/secret", dir.display()))?;
    let process = setup(pidfd_open(pid(answer.number(0)?)?, PidfdFlags::empty()))?;
    read(pidfd_getfd(process, answer.number(1)?, PidfdGetfdFlags::empty())?)
}

fn pid(number: i32) -> io::Result<Pid> {
    Pid::from_raw(number).ok_or_else(|| errno(super::NOT_READY))
}

/// A supervisor outside of the scope puts it into this process.
fn by_supervisor(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let listener = raw::listener()?;
    server.ask_with(&format!("add {}/secret", dir.display()), &[listener.as_fd()])?;
    read(raw::asked()?)
}

/// Says that it is ready, waits for the rule, and goes on.
pub(super) fn after_the_rule<T>(held: T, go: fn(T) -> io::Result<()>) -> io::Result<()> {
    io::stdout().write_all(b"ready\n")?;
    // Next to the directory, see `checks/surface/play.rs`.
    let id = std::env::args().nth(2).unwrap_or_default();
    let sign = Path::new("/srv/surface").join(id).join("go");
    while !sign.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    go(held)
}

fn held_mapping(dir: &Path) -> io::Result<()> {
    let map = Map::new(secret(dir)?, super::CONTENT.len(), MAP_SHARED)?;
    after_the_rule(map, |map| is_secret(map.bytes()))
}

/// By a program that is started after the rule, as its standard input.
fn inherited(file: File) -> io::Result<()> {
    is_secret(&Command::new("/bin/cat").stdin(file).output()?.stdout)
}

/// What was open is the directory: the file itself is opened after the rule.
fn held_directory(dir: &Path) -> io::Result<()> {
    setup(std::env::set_current_dir(dir))?;
    after_the_rule((), |()| read(File::open("secret")?))
}
