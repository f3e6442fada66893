//! Ways to a file. Each is tried in a process of its own, `guest way ID DIRECTORY`, in a directory that holds a `secret`, a
//! `true` that can be executed, and what the way itself prepares. What the process tells by its exit code is how far it got.

mod exec;
mod read;
mod write;

use std::io;
use std::path::Path;
use std::process::ExitCode;

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
    read::WAYS.iter().chain(&write::WAYS).chain(&exec::WAYS)
}

/// The process that goes a way: 0, or the error number.
pub(crate) fn main(id: &str, dir: &str) -> ExitCode {
    let Some(way) = all().find(|way| way.id == id) else { return ExitCode::from(u8::MAX) };
    match (way.go)(Path::new(dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ExitCode::from(error.raw_os_error().and_then(|errno| u8::try_from(errno).ok()).unwrap_or(u8::MAX))
        }
    }
}

/// Whether this is the secret's content: a way that opens something else has not reached it.
fn is_secret(content: &[u8]) -> io::Result<()> {
    if content == CONTENT.as_bytes() { Ok(()) } else { Err(io::Error::from_raw_os_error(74)) }
}
