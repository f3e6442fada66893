//! What is done again and again, and the files it is done to.

use super::{CheckError, fault};
use crate::report;
use guest::{Figure, Line, Unit};
use rustix::fs::{Mode, OFlags, open, rename, stat};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Below it lies everything.
pub(super) const DIR: &str = "/tmp/bench";
/// What is opened, four directories deep.
pub(super) const FILE: &CStr = c"/tmp/bench/a/b/file";
pub(super) const FILE_PATH: &str = "/tmp/bench/a/b/file";
/// What a policy denies, when it denies anything.
pub(super) const DENIED: &CStr = c"/tmp/bench/a/c/denied";
pub(super) const DENIED_PATH: &str = "/tmp/bench/a/c/denied";
/// In the directory of what is opened.
pub(super) const BESIDE: &str = "/tmp/bench/a/b/beside";
/// A tree that a policy denies, beside all that is opened.
pub(super) const TREE: &str = "/tmp/bench/tree";

/// Where a program lies in its memory decides how many page tables it takes.
const PLACES: &str = "/proc/sys/kernel/randomize_va_space";

/// Bytes of each file.
const SIZE: usize = 100;

const WALKED: &str = "/tmp/bench/walked";
const TOOL: &str = "/tmp/bench/a/b/tool";
const SCRIPT: &str = "i=0; while [ $i -lt 20 ]; do cat /tmp/bench/a/b/file >/dev/null; i=$((i+1)); done";

/// An operation and how often it is measured.
pub(super) struct Operation {
    name: &'static str,
    times: usize,
    run: fn() -> io::Result<()>,
}

const OPEN: Operation = Operation { name: "open, close", times: 2000, run: || opened(FILE).map(drop) };
const READ: Operation = Operation { name: "open, read, close", times: 2000, run: read };
const STAT: Operation = Operation { name: "stat", times: 2000, run: || Ok(stat(FILE).map(drop)?) };
const EXEC: Operation = Operation { name: "exec", times: 200, run: exec };
const RENAME: Operation = Operation { name: "rename", times: 1000, run: renamed };
const WALK: Operation = Operation { name: "walk of 2,000 files", times: 5, run: walk };
const SHELL: Operation = Operation { name: "shell loop", times: 5, run: shell };
const DENY: Operation = Operation { name: "denied open", times: 2000, run: denied };
const WOULD_DENY: Operation =
    Operation { name: "open that would be denied", times: 2000, run: || opened(DENIED).map(drop) };

/// All that people do, and what is enough for an ordinary day.
pub(super) const ALL: &[Operation] = &[OPEN, READ, STAT, EXEC, RENAME, WALK, SHELL];
pub(super) const FEW: &[Operation] = &[OPEN, READ, STAT, EXEC];
/// Where a rule names the file, and does not bind this process.
pub(super) const NAMED: &[Operation] = &[OPEN, READ];
pub(super) const DENYING: &[Operation] = &[DENY];
pub(super) const OBSERVING: &[Operation] = &[WOULD_DENY];

/// The smallest program: `mov edi, 0; mov eax, 60 (exit); syscall`, in one page that the kernel maps as it is.
fn tool() -> Vec<u8> {
    const CODE: [u8; 12] = [0xbf, 0, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    const HEADERS: u64 = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let length = HEADERS + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    // An executable for x86-64, version 1; its entry, its program headers, no sections; sizes and counts.
    for (value, size) in [(2, 2), (62, 2), (1, 4), (BASE + HEADERS, 8), (64, 8), (0, 8), (0, 4)] {
        put(&mut elf, value, size);
    }
    for value in [64, 56, 1, 0, 0, 0] {
        put(&mut elf, value, 2);
    }
    // To load, readable and executable: from the start of the file to its end.
    for (value, size) in [(1, 4), (5, 4), (0, 8), (BASE, 8), (BASE, 8), (length, 8), (length, 8), (4096, 8)] {
        put(&mut elf, value, size);
    }
    elf.extend(CODE);
    elf
}

fn put(elf: &mut Vec<u8>, value: u64, size: usize) {
    elf.extend(value.to_le_bytes().iter().take(size));
}

/// Makes the files, once for all checks of a row.
pub(super) fn prepare() -> Result<(), CheckError> {
    if fs::exists(DIR).is_ok_and(|there| there) {
        return Ok(());
    }
    fault(PLACES, fs::write(PLACES, "0"))?;
    fault(DIR, make())
}

/// Lets the kernel finish what it does later: after booting for some seconds, and whenever something large was freed. Nobody
/// waits for it: while nothing happens, the clock of this machine leaps.
const SETTLED: Duration = Duration::from_secs(20);

fn make() -> io::Result<()> {
    for dir in ["/tmp/bench/a/b", "/tmp/bench/a/c", TREE, WALKED] {
        fs::create_dir_all(dir)?;
    }
    for path in [FILE_PATH, DENIED_PATH, BESIDE, "/tmp/bench/a/b/one", "/tmp/bench/tree/file"] {
        fs::write(path, [b'x'; SIZE])?;
    }
    fs::write(TOOL, tool())?;
    fs::set_permissions(TOOL, fs::Permissions::from_mode(0o755))?;
    for number in 0..2000 {
        let dir = format!("{WALKED}/{}", number / 100);
        fs::create_dir_all(&dir)?;
        fs::write(format!("{dir}/{number}"), [b'x'; SIZE])?;
    }
    Ok(())
}

/// Measures each operation, and tells the figures.
pub(super) fn measure(condition: &str, operations: &[Operation]) -> Result<(), CheckError> {
    thread::sleep(SETTLED);
    for operation in operations {
        let values = fault(operation.name, repeat(operation))?;
        report::send(&Line::Figure(Figure::of(Unit::Instructions, condition, operation.name, values)));
    }
    Ok(())
}

/// In guest time, which counts instructions. The first ones fill the caches of the kernel and are not measured.
fn repeat(operation: &Operation) -> io::Result<Vec<u64>> {
    let run = operation.run;
    for _ in 0..operation.times.div_ceil(20) {
        run()?;
    }
    let mut values = Vec::with_capacity(operation.times);
    for _ in 0..operation.times {
        let start = Instant::now();
        run()?;
        values.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(values)
}

fn opened(path: &CStr) -> io::Result<File> {
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

fn read() -> io::Result<()> {
    let mut bytes = [0; SIZE];
    opened(FILE)?.read_exact(&mut bytes)
}

fn denied() -> io::Result<()> {
    match open(DENIED, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => Ok(()),
        Err(other) => Err(other.into()),
        Ok(_) => Err(io::Error::other("it was opened")),
    }
}

fn exec() -> io::Result<()> {
    ended(Command::new(TOOL).status())
}

fn shell() -> io::Result<()> {
    ended(Command::new("/bin/sh").args(["-c", SCRIPT]).status())
}

fn ended(status: io::Result<std::process::ExitStatus>) -> io::Result<()> {
    let status = status?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

/// There and back: one operation is two renames.
fn renamed() -> io::Result<()> {
    let (one, two) = (c"/tmp/bench/a/b/one", c"/tmp/bench/a/b/two");
    rename(one, two)?;
    Ok(rename(two, one)?)
}

fn walk() -> io::Result<()> {
    let mut bytes = [0; SIZE];
    for dir in fs::read_dir(WALKED)? {
        for file in fs::read_dir(dir?.path())? {
            File::open(file?.path())?.read_exact(&mut bytes)?;
        }
    }
    Ok(())
}
