//! What a taken-over agent is made to try, as data: each attempt is a few system calls, and what has to keep it back.

mod files;
mod host;
mod kernel;
mod memory;
mod processes;
mod sockets;

use Arg::{Bytes, N, Text};

/// What keeps an attempt back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The filter of system calls, which kills.
    Filter,
    /// The filter; without it Landlock would, from this ABI on.
    Both(u32),
    /// Landlock alone, from this ABI on. On an older kernel the attempt succeeds.
    Landlock(u32),
    /// That it has no capability, on every kernel.
    Privilege,
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// A number.
    N(u64),
    /// The address of a text.
    Text(&'static str),
    /// The address of some bytes.
    Bytes(&'static [u8]),
    /// The address of so many zeros.
    Room(usize),
    /// What the call before answered.
    Last,
}

/// A call: its number on `x86_64`, and its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Step(pub i64, pub &'static [Arg]);

/// An attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Unique, and the id of its check.
    pub id: &'static str,
    /// What is tried.
    pub text: &'static str,
    /// What keeps it back.
    pub by: By,
    /// The calls, of which the last is the one that counts.
    pub steps: &'static [Step],
    /// How that may fail in a process that is not held back: it has got through to where arguments are looked at.
    pub through: &'static [i32],
}

/// The check of each attempt.
pub fn attempt_checks() -> Vec<String> {
    ATTEMPTS.iter().flat_map(|(_, attempts)| attempts.iter()).map(|attempt| attempt.id.to_owned()).collect()
}

/// The Landlock ABI that a kernel has, by its version.
pub fn landlock_abi(series: &str) -> u32 {
    /// Kernel versions that brought one, from the first on.
    const SINCE: [(u32, u32); 11] =
        [(5, 13), (5, 19), (6, 2), (6, 7), (6, 10), (6, 12), (6, 15), (7, 0), (7, 1), (7, 2), (7, 3)];
    let mut numbers = series.split('.').map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    u32::try_from(SINCE.iter().filter(|since| **since <= version).count()).unwrap_or(0)
}

const HERE: Arg = N((-100_i64).cast_unsigned());
const INIT: Arg = N(1);
const NONE: Arg = N(0);
const FILE: Arg = Text("/tmp/drill/file");
const DIR: Arg = Text("/tmp/drill/dir");
const WRITE: u64 = 1;
const READ_WRITE: u64 = 2;
const CREATE: u64 = 0o101;
const PRIVATE: Arg = N(0x22);
/// Any address, port 10000.
const ADDRESS: Arg = Bytes(&[2, 0, 0x27, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

const fn attempt(id: &'static str, text: &'static str, by: By, steps: &'static [Step]) -> Attempt {
    Attempt { id, text, by, steps, through: &[] }
}

const fn failing(mut attempt: Attempt, through: &'static [i32]) -> Attempt {
    attempt.through = through;
    attempt
}

/// All of them, by what they are after.
pub const ATTEMPTS: [(&str, &[Attempt]); 6] = [
    ("Other programs, other processes", processes::PROCESSES),
    ("Files beyond the state and runtime directories", files::FILES),
    ("The network, and descriptors from elsewhere", sockets::SOCKETS),
    ("The kernel, and the programs in it", kernel::KERNEL),
    ("Code of its own", memory::MEMORY),
    ("Privileges, and the host", host::HOST),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_many_and_each_is_another() {
        let all = ATTEMPTS.iter().flat_map(|(_, attempts)| attempts.iter());
        let ids: BTreeSet<&str> = all.clone().map(|attempt| attempt.id).collect();
        assert_eq!(ids.len(), all.count());
        assert!(ids.len() >= 40, "{}", ids.len());
    }

    #[test]
    fn kernels_have_the_abi_of_their_time() {
        let known = [("5.10", 0), ("5.13", 1), ("6.1", 2), ("6.12", 6), ("7.2", 10), ("7.3", 11)];
        assert_eq!(known.map(|(series, _)| landlock_abi(series)), known.map(|(_, abi)| abi));
    }
}
