//! `guest labelled LABEL COMMAND…`: becomes the command under another label, which is written to what the next exec is
//! labelled by.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Returns only when the command could not be started.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [label, program, args @ ..] = args else {
        eprintln!("usage: guest labelled LABEL COMMAND…");
        return ExitCode::from(64);
    };
    let error = match fs::write("/proc/self/attr/exec", label) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    };
    eprintln!("guest labelled {label} {program}: {error}");
    ExitCode::from(126)
}
