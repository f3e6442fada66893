//! `guest enter CGROUP UID COMMAND…`: joins a cgroup, takes a uid, and becomes the command. A process that joined the
//! cgroup before its first instruction cannot be seen outside of it, as one moved after its start could.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Returns only when the command could not be started.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [cgroup, uid, program, args @ ..] = args else {
        eprintln!("usage: guest enter CGROUP UID COMMAND…");
        return ExitCode::from(64);
    };
    let error = become_command(cgroup, uid, program, args);
    eprintln!("guest enter {cgroup} {uid} {program}: {error}");
    // As a shell does for a command that it cannot start.
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

fn become_command(cgroup: &str, uid: &str, program: &str, args: &[&str]) -> io::Error {
    let Ok(uid) = uid.parse() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    if let Err(error) = fs::write(Path::new(cgroup).join("cgroup.procs"), "0") {
        return error;
    }
    Command::new(program).args(args).uid(uid).gid(uid).exec()
}
