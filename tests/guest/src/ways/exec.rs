//! Ways to execute a file. The program ends with 0.

use super::Way;
use nix::fcntl::AtFlags;
use nix::unistd::{execv, execveat, fexecve};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const WAYS: [Way; 12] = [
    Way { id: "exec.execve", go: |dir| become_it(&dir.join("true")) },
    Way {
        id: "exec.relative",
        go: |dir| std::env::set_current_dir(dir).and_then(|()| become_it(Path::new("./true"))),
    },
    Way {
        id: "exec.symlink",
        go: |dir| symlink(dir.join("true"), dir.join("link")).and_then(|()| become_it(&dir.join("link"))),
    },
    Way {
        id: "exec.hard-link",
        go: |dir| {
            fs::hard_link(dir.join("true"), dir.join("hard")).and_then(|()| become_it(&dir.join("hard")))
        },
    },
    Way {
        id: "exec.renamed",
        go: |dir| {
            fs::rename(dir.join("true"), dir.join("other")).and_then(|()| become_it(&dir.join("other")))
        },
    },
    Way { id: "exec.execveat-directory", go: at_directory },
    Way { id: "exec.execveat-empty-path", go: |dir| empty_path(dir, OFlags::PATH) },
    Way { id: "exec.execveat-read-only", go: |dir| empty_path(dir, OFlags::RDONLY) },
    Way { id: "exec.fexecve", go: by_descriptor },
    Way { id: "exec.proc-self-fd", go: proc_self_fd },
    Way { id: "exec.spawned", go: |dir| ran(&mut Command::new(dir.join("true"))) },
    Way { id: "exec.interpreter", go: interpreter },
];

const ARGV: [&CStr; 1] = [c"true"];

/// What replaces the process comes back with an error only.
fn never(result: nix::Result<Infallible>) -> io::Result<()> {
    match result {
        Ok(never) => match never {},
        Err(errno) => Err(errno.into()),
    }
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn become_it(path: &Path) -> io::Result<()> {
    never(execv(&text(path)?, &ARGV))
}

fn opened(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

const NO_ENVIRONMENT: [&CStr; 0] = [];

fn at_directory(dir: &Path) -> io::Result<()> {
    let dir = opened(dir, OFlags::DIRECTORY)?;
    never(execveat(dir.as_fd(), c"true", &ARGV, &NO_ENVIRONMENT, AtFlags::empty()))
}

fn empty_path(dir: &Path, flags: OFlags) -> io::Result<()> {
    let file = opened(&dir.join("true"), flags)?;
    never(execveat(file.as_fd(), c"", &ARGV, &NO_ENVIRONMENT, AtFlags::AT_EMPTY_PATH))
}

fn by_descriptor(dir: &Path) -> io::Result<()> {
    let file = opened(&dir.join("true"), OFlags::RDONLY)?;
    never(fexecve(file.as_fd(), &ARGV, &NO_ENVIRONMENT))
}

fn proc_self_fd(dir: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let file = opened(&dir.join("true"), OFlags::PATH)?;
    become_it(&PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}

fn ran(command: &mut Command) -> io::Result<()> {
    match command.status()?.code() {
        Some(0) => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.unwrap_or(255))),
    }
}

/// A script that is free, by an interpreter that is not.
fn interpreter(dir: &Path) -> io::Result<()> {
    let script = dir.join("script");
    fs::write(&script, format!("#!{}\n", dir.join("true").display()))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    become_it(&script)
}
