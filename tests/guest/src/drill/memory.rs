//! Code of its own.

use super::{
    Arg::{Last, N},
    Attempt, By, NONE, PRIVATE, Step, attempt,
};
use nix::libc;

pub(super) const MEMORY: &[Attempt] = &[
    attempt(
        "drill.map-executable",
        "executable memory",
        By::Filter,
        &[Step(libc::SYS_mmap, &[NONE, N(4096), N(5), PRIVATE, N(u64::MAX), NONE])],
    ),
    attempt(
        "drill.protect-executable",
        "making memory executable",
        By::Filter,
        &[
            Step(libc::SYS_mmap, &[NONE, N(4096), N(3), PRIVATE, N(u64::MAX), NONE]),
            Step(libc::SYS_mprotect, &[Last, N(4096), N(5)]),
        ],
    ),
    attempt(
        "drill.protect-executable-key",
        "making memory executable by `pkey_mprotect`",
        By::Filter,
        &[
            Step(libc::SYS_mmap, &[NONE, N(4096), N(3), PRIVATE, N(u64::MAX), NONE]),
            Step(libc::SYS_pkey_mprotect, &[Last, N(4096), N(5), N(u64::MAX)]),
        ],
    ),
    attempt(
        "drill.map-shared",
        "memory that is shared",
        By::Filter,
        &[Step(libc::SYS_mmap, &[NONE, N(4096), N(3), N(0x21), N(u64::MAX), NONE])],
    ),
    attempt(
        "drill.personality",
        "a personality in which reading is executing",
        By::Filter,
        &[Step(libc::SYS_personality, &[N(0xffff_ffff)])],
    ),
];
