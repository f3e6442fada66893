//! `guest lacking WHAT PROGRAM ARGS…`: becomes a program that lacks something: `cap:NUMBER`, a capability, `but:NUMBERS`,
//! all others, `as:NUMBERS`, root, and all capabilities but these, `pod:DIRECTORY`, what a container lacks whose root that
//! is, or `bpf:ERRNO`, the system call of that name, which a filter answers with that number; `bpf:kill` ends whoever makes it.

#![expect(unsafe_code, reason = "prctl(2) has no wrapper for either")]

use guest::CONTAINER;
use nix::libc;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use rustix::process::chroot;
use rustix::thread::{
    CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The uid that checks use beside root.
const NOBODY: u32 = 65534;

/// Returns only when the program could not be started.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [what, program, args @ ..] = args else {
        eprintln!(
            "usage: guest lacking cap:NUMBER|but:NUMBER,…|as:NUMBER,…|pod:DIRECTORY|bpf:ERRNO|bpf:kill PROGRAM ARGS…"
        );
        return ExitCode::from(64);
    };
    let taken = match what.split_once(':') {
        Some(("cap", number)) => number.parse().map_err(io::Error::other).and_then(drop_capability),
        Some(("but", kept)) => drop_others(kept),
        Some(("as", kept)) => become_user(kept),
        Some(("pod", root)) => enter_pod(root),
        Some(("bpf", "kill")) => forbid_bpf(libc::SECCOMP_RET_KILL_PROCESS),
        Some(("bpf", errno)) => errno
            .parse::<u32>()
            .map_err(io::Error::other)
            .and_then(|n| forbid_bpf(libc::SECCOMP_RET_ERRNO | n)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    let error = taken.err().unwrap_or_else(|| Command::new(program).args(args).exec());
    eprintln!("guest lacking {what} {program}: {error}");
    ExitCode::from(126)
}

/// Out of the bounding set: root gets it back at no exec.
fn drop_capability(number: libc::c_ulong) -> io::Result<()> {
    // SAFETY: passes integers alone.
    match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The last one is that which it takes to drop any.
fn drop_others(kept: &str) -> io::Result<()> {
    const CAP_SETPCAP: libc::c_ulong = 8;
    let kept: Vec<libc::c_ulong> = kept.split(',').filter_map(|number| number.parse().ok()).collect();
    let last =
        std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse().map_err(io::Error::other)?;
    let others = (0..=last).filter(|number| *number != CAP_SETPCAP).chain([CAP_SETPCAP]);
    others.filter(|number| !kept.contains(number)).try_for_each(drop_capability)
}

/// As a container runtime does before it starts the program: the program gets these capabilities by its start.
fn enter_pod(root: &str) -> io::Result<()> {
    let kept: Vec<String> = CONTAINER.iter().map(|capability| capability.number.to_string()).collect();
    drop_others(&kept.join(","))?;
    set_no_new_privs(true)?;
    chroot(root)?;
    std::env::set_current_dir("/")
}

/// A user with ambient capabilities, as `User=` and `AmbientCapabilities=` of a unit make one.
fn become_user(kept: &str) -> io::Result<()> {
    let flags = kept.split(',').filter_map(|number| number.parse().ok());
    let kept: CapabilitySet = flags.map(|number: u32| CapabilitySet::from_bits_retain(1 << number)).collect();
    set_keep_capabilities(true)?;
    setgroups(&[])?;
    setgid(Gid::from_raw(NOBODY))?;
    setuid(Uid::from_raw(NOBODY))?;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    for flag in kept.iter() {
        configure_capability_in_ambient_set(flag, true)?;
    }
    Ok(())
}

fn forbid_bpf(answer: u32) -> io::Result<()> {
    let step =
        |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k };
    let bpf = u32::try_from(libc::SYS_bpf).unwrap_or(u32::MAX);
    let mut steps = [
        // The number of the call is the first field of `struct seccomp_data`.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, bpf),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, answer),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel reads as many instructions as `len` says, and copies them.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
