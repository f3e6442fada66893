//! What else a program or a script can be made of.

use super::super::{effect, setup};
use super::{ARGV, NO_ENVIRONMENT, become_it, never};
use guest::DYNAMIC_TRUE;
use nix::unistd::fexecve;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The denied file is a script. That it becomes one, a rule on executing does not refuse.
pub(super) fn script(dir: &Path) -> io::Result<()> {
    setup(fs::write(dir.join("true"), "#!/bin/true\n"))?;
    become_it(&dir.join("true"))
}

/// Its interpreter, which is free, reads the script.
pub(super) fn read_by_interpreter(dir: &Path) -> io::Result<()> {
    setup(fs::write(dir.join("true"), "echo ran\n"))?;
    let output = Command::new("/bin/sh").arg(dir.join("true")).output()?;
    effect(output.stdout == b"ran\n")
}

/// A program that is free, and that names as its loader the file that is not: a copy of the loader, so that it can be one.
pub(super) fn elf_interpreter(dir: &Path) -> io::Result<()> {
    let loader = guest::loader(std::env::consts::ARCH);
    setup(fs::copy(loader, dir.join("true")))?;
    let mut program = setup(fs::read(DYNAMIC_TRUE))?;
    let named = format!("{loader}\0").into_bytes();
    let at = program.windows(named.len()).position(|part| part == named);
    let place = at.and_then(|at| program.get_mut(at..at + named.len()));
    let place = place.ok_or(io::ErrorKind::InvalidData)?;
    // Relative: there is no room for a long path.
    place.fill(0);
    place.iter_mut().zip(b"true").for_each(|(to, from)| *to = *from);
    setup(fs::write(dir.join("loaded"), program))?;
    setup(fs::set_permissions(dir.join("loaded"), Permissions::from_mode(0o755)))?;
    setup(std::env::set_current_dir(dir))?;
    become_it(&dir.join("loaded"))
}

pub(super) fn file(dir: &Path) -> io::Result<()> {
    fs::copy(dir.join("true"), dir.join("copy"))?;
    become_it(&dir.join("copy"))
}

/// The same program, but not the same file.
pub(super) fn memory(path: &Path) -> io::Result<()> {
    let mut copy = File::from(memfd_create("copy", MemfdFlags::CLOEXEC)?);
    copy.write_all(&fs::read(path)?)?;
    never(fexecve(copy.as_fd(), &ARGV, &NO_ENVIRONMENT))
}

/// The program is where it may not be read, so that no copy can be made.
pub(super) fn unreadable(dir: &Path) -> io::Result<()> {
    setup(fs::copy(dir.join("true"), dir.join("secret")))?;
    memory(&dir.join("secret"))
}
