//! The network, and descriptors from elsewhere.

use super::{
    ADDRESS,
    Arg::{Last, N, Room},
    Attempt, By, NONE, Step, attempt, failing,
};
use nix::libc;

pub(super) const SOCKETS: &[Attempt] = &[
    attempt(
        "drill.tcp",
        "a TCP socket, bound to a port",
        By::Both(4),
        &[Step(libc::SYS_socket, &[N(2), N(1), NONE]), Step(libc::SYS_bind, &[Last, ADDRESS, N(16)])],
    ),
    attempt(
        "drill.udp",
        "a UDP socket, bound to a port",
        By::Both(10),
        &[Step(libc::SYS_socket, &[N(2), N(2), NONE]), Step(libc::SYS_bind, &[Last, ADDRESS, N(16)])],
    ),
    failing(
        attempt("drill.ipv6", "an IPv6 socket", By::Filter, &[Step(libc::SYS_socket, &[N(10), N(1), NONE])]),
        &[libc::EAFNOSUPPORT],
    ),
    attempt("drill.netlink", "a netlink socket", By::Filter, &[Step(libc::SYS_socket, &[N(16), N(3), NONE])]),
    attempt(
        "drill.packet",
        "a packet socket",
        By::Filter,
        &[Step(libc::SYS_socket, &[N(17), N(3), N(0x300)])],
    ),
    attempt(
        "drill.unix-socket",
        "a local socket",
        By::Filter,
        &[Step(libc::SYS_socket, &[N(1), N(1), NONE])],
    ),
    attempt(
        "drill.socket-pair",
        "a pair of local sockets",
        By::Filter,
        &[Step(libc::SYS_socketpair, &[N(1), N(1), NONE, Room(8)])],
    ),
    failing(
        attempt(
            "drill.send-descriptor",
            "sending a message, as with descriptors",
            By::Filter,
            &[Step(libc::SYS_sendmsg, &[NONE, NONE, NONE])],
        ),
        &[libc::ENOTSOCK, libc::EFAULT],
    ),
    failing(
        attempt(
            "drill.send-to",
            "sending to an address",
            By::Filter,
            &[Step(libc::SYS_sendto, &[NONE, NONE, NONE, NONE, ADDRESS, N(16)])],
        ),
        &[libc::ENOTSOCK],
    ),
    attempt(
        "drill.duplicate",
        "duplicating a descriptor",
        By::Filter,
        &[Step(libc::SYS_fcntl, &[NONE, NONE, NONE])],
    ),
    failing(
        attempt("drill.ioctl", "an ioctl", By::Filter, &[Step(libc::SYS_ioctl, &[NONE, N(0x541b), Room(8)])]),
        &[libc::ENOTTY],
    ),
];
