//! Files beyond the state and runtime directories.

use super::{
    Arg::{N, Room, Text},
    Attempt, By, CREATE, DIR, FILE, HERE, NONE, READ_WRITE, Step, WRITE, attempt, failing,
};
use nix::libc;

pub(super) const FILES: &[Attempt] = &[
    attempt(
        "drill.read-shadow",
        "opening `/etc/shadow`",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/etc/shadow"), NONE])],
    ),
    attempt(
        "drill.read-directory",
        "listing `/etc`",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/etc"), N(0o200_000)])],
    ),
    attempt(
        "drill.read-environment",
        "opening the environment of init",
        By::Privilege,
        &[Step(libc::SYS_openat, &[HERE, Text("/proc/1/environ"), NONE])],
    ),
    attempt(
        "drill.process-memory",
        "opening the memory of init",
        By::Privilege,
        &[Step(libc::SYS_openat, &[HERE, Text("/proc/1/mem"), N(READ_WRITE)])],
    ),
    attempt(
        "drill.create-outside",
        "creating a file elsewhere",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/tmp/drill/new"), N(CREATE), N(0o600)])],
    ),
    attempt(
        "drill.write-outside",
        "opening a file elsewhere for writing",
        By::Landlock(1),
        &[Step(libc::SYS_openat, &[HERE, FILE, N(WRITE)])],
    ),
    attempt(
        "drill.truncate-open",
        "truncating a file elsewhere as it is opened",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[FILE, N(0o1001)])],
    ),
    attempt(
        "drill.truncate",
        "truncating a file elsewhere by name",
        By::Both(3),
        &[Step(libc::SYS_truncate, &[FILE, NONE])],
    ),
    attempt(
        "drill.unlink-outside",
        "removing a file elsewhere",
        By::Landlock(1),
        &[Step(libc::SYS_unlink, &[FILE])],
    ),
    attempt(
        "drill.rmdir-outside",
        "removing a directory elsewhere",
        By::Both(1),
        &[Step(libc::SYS_rmdir, &[DIR])],
    ),
    attempt(
        "drill.rename-outside",
        "renaming a file elsewhere",
        By::Landlock(1),
        &[Step(libc::SYS_rename, &[FILE, Text("/tmp/drill/other")])],
    ),
    failing(
        attempt(
            "drill.remove-pins",
            "removing the pins of enforcement",
            By::Landlock(1),
            &[Step(libc::SYS_unlinkat, &[HERE, Text("/sys/fs/bpf/aegisbpf"), N(0x200)])],
        ),
        &[libc::ENOTEMPTY],
    ),
    attempt(
        "drill.device",
        "opening a device",
        By::Privilege,
        &[Step(libc::SYS_open, &[Text("/dev/mem"), NONE])],
    ),
    attempt(
        "drill.kernel-log",
        "writing to the kernel log",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/dev/kmsg"), N(WRITE)])],
    ),
    attempt(
        "drill.modprobe-path",
        "replacing the program that loads modules",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/proc/sys/kernel/modprobe"), N(WRITE)])],
    ),
    attempt(
        "drill.sysrq",
        "`/proc/sysrq-trigger`",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/proc/sysrq-trigger"), N(WRITE)])],
    ),
    attempt(
        "drill.leave-cgroup",
        "moving itself into another cgroup",
        By::Landlock(1),
        &[Step(libc::SYS_open, &[Text("/sys/fs/cgroup/cgroup.procs"), N(WRITE)])],
    ),
    attempt(
        "drill.chmod",
        "changing the mode of a file",
        By::Filter,
        &[Step(libc::SYS_chmod, &[FILE, N(0o666)])],
    ),
    attempt(
        "drill.chown",
        "giving a file away",
        By::Filter,
        &[Step(libc::SYS_chown, &[FILE, N(1000), N(1000)])],
    ),
    attempt(
        "drill.mkdir",
        "making a directory",
        By::Both(1),
        &[Step(libc::SYS_mkdir, &[Text("/tmp/drill/new"), N(0o700)])],
    ),
    attempt(
        "drill.mknod",
        "making a device",
        By::Both(1),
        &[Step(libc::SYS_mknod, &[Text("/tmp/drill/new"), N(0o20_600), N(0x103)])],
    ),
    attempt(
        "drill.symlink",
        "making a link",
        By::Both(1),
        &[Step(libc::SYS_symlink, &[FILE, Text("/tmp/drill/new")])],
    ),
    attempt(
        "drill.hard-link",
        "linking a file",
        By::Both(1),
        &[Step(libc::SYS_link, &[FILE, Text("/tmp/drill/new")])],
    ),
    failing(
        attempt(
            "drill.file-handle",
            "taking a handle of a file",
            By::Filter,
            &[Step(libc::SYS_name_to_handle_at, &[HERE, FILE, Room(128), Room(8), NONE])],
        ),
        &[libc::EOVERFLOW],
    ),
    failing(
        attempt(
            "drill.open-by-handle",
            "opening a file by its handle",
            By::Filter,
            &[Step(libc::SYS_open_by_handle_at, &[HERE, Room(128), NONE])],
        ),
        &[libc::EINVAL, libc::ESTALE],
    ),
    attempt(
        "drill.fanotify",
        "watching files by `fanotify`",
        By::Filter,
        &[Step(libc::SYS_fanotify_init, &[NONE, NONE])],
    ),
    attempt(
        "drill.inotify",
        "watching files by `inotify`",
        By::Filter,
        &[Step(libc::SYS_inotify_init1, &[NONE])],
    ),
];
