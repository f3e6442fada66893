//! The numbers of the system calls that the lists name, on `x86_64`.

use nix::libc;

/// The number of a call.
pub(crate) fn number(name: &str) -> Option<i64> {
    NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

const NUMBERS: &[(&str, i64)] = &[
    ("access", libc::SYS_access),
    ("bpf", libc::SYS_bpf),
    ("brk", libc::SYS_brk),
    ("chmod", libc::SYS_chmod),
    ("clock_gettime", libc::SYS_clock_gettime),
    ("clock_nanosleep", libc::SYS_clock_nanosleep),
    ("close", libc::SYS_close),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("epoll_pwait", libc::SYS_epoll_pwait),
    ("execve", libc::SYS_execve),
    ("exit_group", libc::SYS_exit_group),
    ("fchmod", libc::SYS_fchmod),
    ("fchown", libc::SYS_fchown),
    ("fcntl", libc::SYS_fcntl),
    ("flock", libc::SYS_flock),
    ("fstat", libc::SYS_fstat),
    ("fsync", libc::SYS_fsync),
    ("ftruncate", libc::SYS_ftruncate),
    ("futex", libc::SYS_futex),
    ("getdents64", libc::SYS_getdents64),
    ("getpid", libc::SYS_getpid),
    ("gettid", libc::SYS_gettid),
    ("ioctl", libc::SYS_ioctl),
    ("linkat", libc::SYS_linkat),
    ("lstat", libc::SYS_lstat),
    ("madvise", libc::SYS_madvise),
    ("mkdir", libc::SYS_mkdir),
    ("mknodat", libc::SYS_mknodat),
    ("mmap", libc::SYS_mmap),
    ("mprotect", libc::SYS_mprotect),
    ("mremap", libc::SYS_mremap),
    ("munmap", libc::SYS_munmap),
    ("open", libc::SYS_open),
    ("openat", libc::SYS_openat),
    ("prctl", libc::SYS_prctl),
    ("read", libc::SYS_read),
    ("recvfrom", libc::SYS_recvfrom),
    ("recvmsg", libc::SYS_recvmsg),
    ("removexattr", libc::SYS_removexattr),
    ("rename", libc::SYS_rename),
    ("restart_syscall", libc::SYS_restart_syscall),
    ("rmdir", libc::SYS_rmdir),
    ("rt_sigaction", libc::SYS_rt_sigaction),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("rt_sigreturn", libc::SYS_rt_sigreturn),
    ("sched_yield", libc::SYS_sched_yield),
    ("sendmsg", libc::SYS_sendmsg),
    ("sendto", libc::SYS_sendto),
    ("setxattr", libc::SYS_setxattr),
    ("shutdown", libc::SYS_shutdown),
    ("sigaltstack", libc::SYS_sigaltstack),
    ("stat", libc::SYS_stat),
    ("symlink", libc::SYS_symlink),
    ("timerfd_settime", libc::SYS_timerfd_settime),
    ("tkill", libc::SYS_tkill),
    ("unlink", libc::SYS_unlink),
    ("unlinkat", libc::SYS_unlinkat),
    ("wait4", libc::SYS_wait4),
    ("write", libc::SYS_write),
];

#[cfg(test)]
mod tests {
    use super::*;
    use guest::List;

    #[test]
    fn each_call_of_the_lists_has_a_number() {
        for list in List::ALL {
            for rule in list.rules().expect("the list").iter().filter(|rule| rule.is_here()) {
                assert!(number(&rule.call).is_some(), "{}", rule.call);
            }
        }
    }
}
