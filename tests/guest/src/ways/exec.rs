//! Ways to execute a file. The program ends with 0.

mod copies;
mod mapped;
mod processes;

use super::{Way, errno, private_mounts, raw, setup, write};
use nix::fcntl::AtFlags;
use nix::unistd::{execv, execveat, fexecve};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with};
use rustix::mount::mount_bind;
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const WAYS: &[Way] = &[
    Way { id: "exec.execve", go: |dir| become_it(&dir.join("true")) },
    Way {
        id: "exec.relative",
        go: |dir| std::env::set_current_dir(dir).and_then(|()| become_it(Path::new("./true"))),
    },
    Way { id: "exec.symlink", go: |dir| linked(dir, 1) },
    Way { id: "exec.symlink-chain", go: |dir| linked(dir, 20) },
    Way {
        id: "exec.hard-link",
        go: |dir| {
            fs::hard_link(dir.join("true"), dir.join("hard")).and_then(|()| become_it(&dir.join("hard")))
        },
    },
    Way { id: "exec.hard-link-before", go: |dir| become_it(&dir.join("hard-true")) },
    Way {
        id: "exec.renamed",
        go: |dir| {
            fs::rename(dir.join("true"), dir.join("other")).and_then(|()| become_it(&dir.join("other")))
        },
    },
    Way { id: "exec.exchanged", go: exchanged },
    Way { id: "exec.bind-mounted", go: bound },
    Way {
        id: "exec.mount-namespace",
        go: |dir| private_mounts().and_then(|()| become_it(&dir.join("true"))),
    },
    Way { id: "exec.user-namespace", go: processes::user_namespace },
    Way { id: "exec.pid-namespace", go: processes::pid_namespace },
    Way { id: "exec.chroot", go: processes::chrooted },
    Way { id: "exec.execveat-directory", go: at_directory },
    Way { id: "exec.execveat-empty-path", go: |dir| empty_path(dir, OFlags::PATH) },
    Way { id: "exec.execveat-read-only", go: |dir| empty_path(dir, OFlags::RDONLY) },
    Way { id: "exec.fexecve", go: |dir| by_descriptor(&opened(&dir.join("true"), OFlags::RDONLY)?) },
    Way { id: "exec.proc-self-fd", go: proc_self_fd },
    Way { id: "exec.open-by-handle", go: by_handle },
    Way { id: "exec.spawned", go: |dir| ran(&mut Command::new(dir.join("true"))) },
    Way { id: "exec.forked", go: processes::forked },
    Way { id: "exec.vfork", go: processes::vforked },
    Way { id: "exec.posix-spawn", go: processes::spawned },
    Way { id: "exec.thread", go: processes::thread },
    Way { id: "exec.other-uid", go: processes::other_uid },
    Way { id: "exec.set-uid-bit", go: processes::set_uid },
    Way { id: "exec.interpreter", go: |dir| become_it(&script(dir, "script", &dir.join("true"))?) },
    Way { id: "exec.nested-interpreter", go: nested },
    Way { id: "exec.script", go: copies::script },
    Way { id: "exec.script-read-by-interpreter", go: copies::read_by_interpreter },
    Way { id: "exec.elf-interpreter", go: copies::elf_interpreter },
    Way { id: "exec.dynamic", go: |dir| become_it(&dir.join("dynamic-true")) },
    Way { id: "exec.dynamic-loader", go: mapped::loader },
    Way { id: "exec.mmap-exec", go: |dir| mapped::run(&dir.join("true"), mapped::PRIVATE) },
    Way { id: "exec.mmap-shared-exec", go: |dir| mapped::run(&dir.join("true"), mapped::SHARED) },
    Way { id: "exec.mprotect-exec", go: |dir| mapped::run(&dir.join("true"), mapped::LATER) },
    Way { id: "exec.mprotect-after-close", go: |dir| mapped::run(&dir.join("true"), mapped::AFTER_CLOSE) },
    Way { id: "exec.pkey-mprotect", go: |dir| mapped::run(&dir.join("true"), mapped::BY_KEY) },
    Way { id: "exec.read-implies-exec", go: |dir| mapped::run(&dir.join("true"), mapped::IMPLIED) },
    Way {
        id: "exec.mprotect-read-implies-exec",
        go: |dir| mapped::run(&dir.join("true"), mapped::IMPLIED_LATER),
    },
    // Then the rule would know the program no more.
    Way { id: "exec.set-version", go: |dir| write::set_version(&dir.join("true")) },
    Way { id: "exec.memfd-copy", go: |dir| copies::memory(&dir.join("true")) },
    Way { id: "exec.memfd-copy-of-unreadable", go: copies::unreadable },
    Way { id: "exec.copied-file", go: copies::file },
];

const ARGV: [&CStr; 1] = [c"true"];

/// What replaces the process comes back with an error only.
fn never(result: nix::Result<Infallible>) -> io::Result<()> {
    match result {
        Ok(never) => match never {},
        Err(errno) => Err(errno.into()),
    }
}

/// Comes back only if it is refused.
fn become_it(path: &Path) -> io::Result<()> {
    never(execv(&raw::text(path)?, &ARGV))
}

fn opened(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

const NO_ENVIRONMENT: [&CStr; 0] = [];

fn linked(dir: &Path, links: usize) -> io::Result<()> {
    let mut target = dir.join("true");
    for number in 0..links {
        let link = dir.join(format!("link-{number}"));
        symlink(&target, &link)?;
        target = link;
    }
    become_it(&target)
}

fn exchanged(dir: &Path) -> io::Result<()> {
    renameat_with(CWD, dir.join("true"), CWD, dir.join("other"), RenameFlags::EXCHANGE)?;
    become_it(&dir.join("other"))
}

fn bound(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    fs::write(dir.join("bound"), "")?;
    setup(mount_bind(dir.join("true"), dir.join("bound")))?;
    become_it(&dir.join("bound"))
}

fn at_directory(dir: &Path) -> io::Result<()> {
    let dir = opened(dir, OFlags::DIRECTORY)?;
    never(execveat(dir.as_fd(), c"true", &ARGV, &NO_ENVIRONMENT, AtFlags::empty()))
}

fn empty_path(dir: &Path, flags: OFlags) -> io::Result<()> {
    let file = opened(&dir.join("true"), flags)?;
    never(execveat(file.as_fd(), c"", &ARGV, &NO_ENVIRONMENT, AtFlags::AT_EMPTY_PATH))
}

fn by_descriptor(file: &OwnedFd) -> io::Result<()> {
    never(fexecve(file.as_fd(), &ARGV, &NO_ENVIRONMENT))
}

fn proc_self_fd(dir: &Path) -> io::Result<()> {
    let file = opened(&dir.join("true"), OFlags::PATH)?;
    become_it(&PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}

fn by_handle(dir: &Path) -> io::Result<()> {
    by_descriptor(&raw::open_by_handle(opened(dir, OFlags::DIRECTORY)?, &dir.join("true"))?)
}

fn ran(command: &mut Command) -> io::Result<()> {
    match command.status()?.code() {
        Some(0) => Ok(()),
        code => Err(errno(code.unwrap_or(255))),
    }
}

/// A script that is free, by an interpreter that is not.
fn script(dir: &Path, name: &str, interpreter: &Path) -> io::Result<PathBuf> {
    let script = dir.join(name);
    fs::write(&script, format!("#!{}\n", interpreter.display()))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// A script whose interpreter is a script whose interpreter is not free.
fn nested(dir: &Path) -> io::Result<()> {
    let inner = script(dir, "inner", &dir.join("true"))?;
    become_it(&script(dir, "outer", &inner)?)
}
