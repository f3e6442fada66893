//! `guest filtered ERRNO COMMAND…`: becomes a command behind a seccomp filter that answers every bpf(2) with an error, as a
//! container runtime or a unit may have one.

#![expect(unsafe_code, reason = "a filter is installed by prctl(2) alone")]

use nix::libc;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Returns only when the command could not be started.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [errno, program, args @ ..] = args else {
        eprintln!("usage: guest filtered ERRNO COMMAND…");
        return ExitCode::from(64);
    };
    let filtered = errno.parse().map_err(|_| io::ErrorKind::InvalidInput.into()).and_then(refuse_bpf);
    let error = match filtered {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    };
    eprintln!("guest filtered {errno} {program}: {error}");
    ExitCode::from(126)
}

/// The number of a call is the first field of `struct seccomp_data`.
fn refuse_bpf(errno: u32) -> io::Result<()> {
    let statement =
        |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
    let number = u32::try_from(libc::SYS_bpf).map_err(io::Error::other)?;
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its four statements live until the call returns; the kernel copies them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
