//! Privileges, and the host.

use super::{
    Arg::{N, Room, Text},
    Attempt, By, DIR, HERE, NONE, Step, attempt, failing,
};
use nix::libc;

pub(super) const HOST: &[Attempt] = &[
    attempt(
        "drill.mount",
        "mounting a file system",
        By::Both(1),
        &[Step(libc::SYS_mount, &[Text("none"), DIR, Text("tmpfs"), NONE, NONE])],
    ),
    attempt(
        "drill.open-tree",
        "copying a mount",
        By::Filter,
        &[Step(libc::SYS_open_tree, &[HERE, Text("/tmp"), N(1)])],
    ),
    attempt(
        "drill.fsopen",
        "making a file system",
        By::Filter,
        &[Step(libc::SYS_fsopen, &[Text("tmpfs"), NONE])],
    ),
    attempt("drill.chroot", "another root directory", By::Filter, &[Step(libc::SYS_chroot, &[Text("/tmp")])]),
    attempt("drill.setuid", "becoming another user", By::Filter, &[Step(libc::SYS_setuid, &[N(1000)])]),
    failing(
        attempt(
            "drill.capset",
            "changing its capabilities",
            By::Filter,
            &[Step(libc::SYS_capset, &[NONE, NONE])],
        ),
        &[libc::EFAULT],
    ),
    attempt(
        "drill.dumpable",
        "letting itself be dumped",
        By::Filter,
        &[Step(libc::SYS_prctl, &[N(4), N(1)])],
    ),
    attempt(
        "drill.limits",
        "raising its limits",
        By::Filter,
        &[Step(libc::SYS_prlimit64, &[NONE, N(7), NONE, Room(16)])],
    ),
    attempt(
        "drill.set-clock",
        "setting the clock",
        By::Filter,
        &[Step(libc::SYS_settimeofday, &[NONE, NONE])],
    ),
    attempt(
        "drill.set-hostname",
        "naming the host",
        By::Filter,
        &[Step(libc::SYS_sethostname, &[Text("drill"), N(5)])],
    ),
    attempt(
        "drill.reboot",
        "whether Ctrl-Alt-Del reboots",
        By::Filter,
        &[Step(libc::SYS_reboot, &[N(0xfee1_dead), N(0x2812_1969), NONE])],
    ),
    failing(
        attempt(
            "drill.swap",
            "swapping to a file",
            By::Filter,
            &[Step(libc::SYS_swapon, &[Text("/nonexistent"), NONE])],
        ),
        &[libc::ENOENT],
    ),
    failing(
        attempt(
            "drill.accounting",
            "accounting of processes into a file",
            By::Filter,
            &[Step(libc::SYS_acct, &[Text("/nonexistent")])],
        ),
        &[libc::ENOENT],
    ),
    attempt("drill.io-ports", "reaching the ports of devices", By::Filter, &[Step(libc::SYS_iopl, &[N(3)])]),
];
