//! Ways to have the code of a file executed that is not executed as a program.

#![expect(unsafe_code, reason = "memory is mapped and jumped to")]

use super::super::raw;
use super::super::{NO_EFFECT, errno, setup};
use nix::libc::{self, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_NONE, PROT_READ};
use nix::sys::personality::{self, Persona};
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

/// How a file becomes memory that can be executed.
#[derive(Clone, Copy)]
pub(super) struct How {
    flags: c_int,
    prot: c_int,
    /// Whether the descriptor is closed before what comes next.
    closes: bool,
    /// The system call that makes the memory executable afterwards, and with what.
    then: Option<(libc::c_long, c_int)>,
    implied: bool,
}

pub(super) const PRIVATE: How =
    How { flags: MAP_PRIVATE, prot: PROT_READ | PROT_EXEC, closes: false, then: None, implied: false };
pub(super) const SHARED: How = How { flags: MAP_SHARED, ..PRIVATE };
pub(super) const LATER: How =
    How { prot: PROT_READ, then: Some((libc::SYS_mprotect, PROT_READ | PROT_EXEC)), ..PRIVATE };
pub(super) const AFTER_CLOSE: How = How { closes: true, ..LATER };
/// A protection key of -1 stands for none, and needs no processor that knows keys.
pub(super) const BY_KEY: How = How { then: Some((libc::SYS_pkey_mprotect, PROT_READ | PROT_EXEC)), ..LATER };
/// Of a process for which what can be read can be executed.
pub(super) const IMPLIED: How = How { prot: PROT_READ, implied: true, ..PRIVATE };
pub(super) const IMPLIED_LATER: How =
    How { prot: PROT_NONE, then: Some((libc::SYS_mprotect, PROT_READ)), ..IMPLIED };

/// Where the code begins in the program of `checks/surface/prepare.rs`. It ends the process with success.
const ENTRY: usize = 0x78;
const LENGTH: usize = 4096;

pub(super) fn run(path: &Path, how: How) -> io::Result<()> {
    if how.implied {
        setup(personality::set(setup(personality::get())? | Persona::READ_IMPLIES_EXEC))?;
    }
    let file = setup(File::open(path))?;
    // SAFETY: the kernel chooses a place where nothing is.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, how.prot, how.flags, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if how.closes {
        drop(file);
    }
    if let Some((call, prot)) = how.then {
        // SAFETY: changes nothing but this mapping, which nothing else uses.
        raw::last(unsafe { libc::syscall(call, start, LENGTH, prot, -1) })?;
    }
    enter(start)
}

/// Comes back only if the code is not what it should be.
fn enter(start: *mut c_void) -> io::Result<()> {
    let code = start.wrapping_byte_add(ENTRY);
    // SAFETY: that is where the code of the program begins; it needs neither a stack nor arguments.
    let code = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn()>(code) };
    code();
    Err(errno(NO_EFFECT))
}

/// The loader, which is free, is told what to load. It does not say what error kept it from that: whether it was the rule,
/// the event tells.
pub(super) fn loader(dir: &Path) -> io::Result<()> {
    let output =
        Command::new(guest::loader(std::env::consts::ARCH)).arg(dir.join("dynamic-true")).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(()),
        _ if said.contains("failed to map segment") => Err(errno(1)),
        _ => Err(io::Error::other(said.into_owned())),
    }
}
