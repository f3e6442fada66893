//! The kernel, and the programs in it.

use super::{
    Arg::{Bytes, N, Room, Text},
    Attempt, By, NONE, Step, attempt, failing,
};
use nix::libc;

/// `union bpf_attr`: an array with one entry of eight bytes.
const MAP: [u8; 16] = [2, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0];

/// `struct perf_event_attr`: a counter of software.
const PERF: [u8; 112] = {
    let mut bytes = [0; 112];
    bytes[0] = 1;
    bytes[4] = 112;
    bytes
};

pub(super) const KERNEL: &[Attempt] = &[
    failing(
        attempt(
            "drill.bpf-program",
            "loading a program",
            By::Filter,
            &[Step(libc::SYS_bpf, &[N(5), Room(128), N(128)])],
        ),
        &[libc::EINVAL, libc::E2BIG, libc::EFAULT],
    ),
    attempt("drill.bpf-map", "making a map", By::Filter, &[Step(libc::SYS_bpf, &[N(0), Bytes(&MAP), N(16)])]),
    failing(
        attempt(
            "drill.bpf-update",
            "writing into a map",
            By::Filter,
            &[Step(libc::SYS_bpf, &[N(2), Room(32), N(32)])],
        ),
        &[libc::EINVAL, libc::EBADF],
    ),
    failing(
        attempt(
            "drill.bpf-delete",
            "deleting from a map",
            By::Filter,
            &[Step(libc::SYS_bpf, &[N(3), Room(32), N(32)])],
        ),
        &[libc::EINVAL, libc::EBADF],
    ),
    failing(
        attempt(
            "drill.bpf-pin",
            "opening a pinned object",
            By::Filter,
            &[Step(libc::SYS_bpf, &[N(7), Room(16), N(16)])],
        ),
        &[libc::EFAULT, libc::EINVAL],
    ),
    failing(
        attempt(
            "drill.bpf-by-id",
            "opening a map by its number",
            By::Filter,
            &[Step(libc::SYS_bpf, &[N(14), Bytes(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), N(12)])],
        ),
        &[libc::ENOENT],
    ),
    failing(
        attempt(
            "drill.bpf-detach",
            "detaching a link",
            By::Filter,
            &[Step(libc::SYS_bpf, &[N(34), Room(4), N(4)])],
        ),
        &[libc::EINVAL, libc::EBADF],
    ),
    failing(
        attempt(
            "drill.perf-event",
            "a performance counter",
            By::Filter,
            &[Step(libc::SYS_perf_event_open, &[Bytes(&PERF), NONE, N(u64::MAX), N(u64::MAX), NONE])],
        ),
        &[libc::ENOENT],
    ),
    failing(
        attempt(
            "drill.module-load",
            "loading a module",
            By::Filter,
            &[Step(libc::SYS_init_module, &[Room(8), N(8), Text("")])],
        ),
        &[libc::ENOEXEC, libc::EINVAL],
    ),
    failing(
        attempt(
            "drill.module-load-file",
            "loading a module from a file",
            By::Filter,
            &[Step(libc::SYS_finit_module, &[NONE, Text(""), NONE])],
        ),
        &[libc::ENOEXEC, libc::EINVAL, libc::EBADF],
    ),
    failing(
        attempt(
            "drill.module-unload",
            "unloading a module",
            By::Filter,
            &[Step(libc::SYS_delete_module, &[Text("nothing"), N(0o4000)])],
        ),
        &[libc::ENOENT],
    ),
    attempt(
        "drill.kexec",
        "putting another kernel in place",
        By::Filter,
        &[Step(libc::SYS_kexec_load, &[NONE, NONE, NONE, NONE])],
    ),
    attempt(
        "drill.keyctl",
        "looking at keyrings",
        By::Filter,
        &[Step(libc::SYS_keyctl, &[NONE, N((-3_i64).cast_unsigned()), N(1)])],
    ),
    attempt(
        "drill.add-key",
        "adding a key",
        By::Filter,
        &[Step(
            libc::SYS_add_key,
            &[Text("user"), Text("drill"), Text("x"), N(1), N((-4_i64).cast_unsigned())],
        )],
    ),
    attempt(
        "drill.io-uring",
        "a ring of requests, which no filter sees",
        By::Filter,
        &[Step(libc::SYS_io_uring_setup, &[N(4), Room(120)])],
    ),
    attempt(
        "drill.userfaultfd",
        "handling its own page faults",
        By::Filter,
        &[Step(libc::SYS_userfaultfd, &[NONE])],
    ),
    attempt(
        "drill.seccomp",
        "asking for another filter",
        By::Filter,
        &[Step(libc::SYS_seccomp, &[N(2), NONE, Bytes(&[0, 0, 0xff, 0x7f])])],
    ),
];
