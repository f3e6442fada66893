//! Other programs, other processes.

use super::{
    Arg::{Bytes, Last, N, Text},
    Attempt, By, HERE, INIT, NONE, Step, attempt, failing,
};
use nix::libc;

/// `struct clone_args` of 64 bytes: SIGCHLD at the end, and nothing else.
const CLONE: [u8; 64] = {
    let mut bytes = [0; 64];
    bytes[32] = 17;
    bytes
};

pub(super) const PROCESSES: &[Attempt] = &[
    attempt(
        "drill.exec-shell",
        "executing a shell",
        By::Both(1),
        &[Step(libc::SYS_execve, &[Text("/bin/busybox"), NONE, NONE])],
    ),
    attempt(
        "drill.exec-at",
        "executing a file by `execveat`",
        By::Both(1),
        &[Step(libc::SYS_execveat, &[HERE, Text("/bin/busybox"), NONE, NONE, NONE])],
    ),
    attempt(
        "drill.memfd",
        "a file in memory, to execute it",
        By::Filter,
        &[Step(libc::SYS_memfd_create, &[Text("x"), NONE])],
    ),
    attempt(
        "drill.fork",
        "another process by `clone`",
        By::Filter,
        &[Step(libc::SYS_clone, &[N(17), NONE, NONE, NONE, NONE])],
    ),
    attempt("drill.fork-vfork", "another process by `fork`", By::Filter, &[Step(libc::SYS_fork, &[])]),
    attempt(
        "drill.clone3",
        "another process by `clone3`",
        By::Filter,
        &[Step(libc::SYS_clone3, &[Bytes(&CLONE), N(64)])],
    ),
    attempt(
        "drill.ptrace",
        "tracing init",
        By::Both(1),
        &[Step(libc::SYS_ptrace, &[N(0x4206), INIT, NONE, NONE])],
    ),
    attempt(
        "drill.read-memory",
        "reading the memory of another process",
        By::Filter,
        &[Step(libc::SYS_process_vm_readv, &[INIT, NONE, NONE, NONE, NONE, NONE])],
    ),
    attempt(
        "drill.write-memory",
        "writing the memory of another process",
        By::Filter,
        &[Step(libc::SYS_process_vm_writev, &[INIT, NONE, NONE, NONE, NONE, NONE])],
    ),
    attempt("drill.kill", "signalling init", By::Both(6), &[Step(libc::SYS_kill, &[INIT, NONE])]),
    attempt(
        "drill.tgkill",
        "signalling a thread of init by `tgkill`",
        By::Both(6),
        &[Step(libc::SYS_tgkill, &[INIT, INIT, NONE])],
    ),
    attempt(
        "drill.tkill",
        "signalling a thread of init by `tkill`, which an abort uses",
        By::Both(6),
        &[Step(libc::SYS_tkill, &[INIT, NONE])],
    ),
    attempt("drill.pidfd", "a descriptor of init", By::Filter, &[Step(libc::SYS_pidfd_open, &[INIT, NONE])]),
    attempt(
        "drill.pidfd-steal",
        "taking a descriptor out of init",
        By::Filter,
        &[Step(libc::SYS_pidfd_open, &[INIT, NONE]), Step(libc::SYS_pidfd_getfd, &[Last, NONE, NONE])],
    ),
    attempt(
        "drill.kcmp",
        "comparing itself with init",
        By::Filter,
        &[Step(libc::SYS_kcmp, &[INIT, INIT, NONE, NONE, NONE])],
    ),
    failing(
        attempt("drill.setns", "joining a namespace", By::Filter, &[Step(libc::SYS_setns, &[NONE, NONE])]),
        &[libc::EINVAL, libc::EBADF],
    ),
    attempt(
        "drill.unshare-mount",
        "a mount namespace of its own",
        By::Filter,
        &[Step(libc::SYS_unshare, &[N(0x2_0000)])],
    ),
    attempt(
        "drill.unshare-user",
        "a user namespace, to be root in it",
        By::Filter,
        &[Step(libc::SYS_unshare, &[N(0x1000_0000)])],
    ),
    attempt(
        "drill.priority",
        "changing the priority of init",
        By::Filter,
        &[Step(libc::SYS_setpriority, &[NONE, INIT, NONE])],
    ),
];
