//! Ways to change a file.

use super::Way;
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

pub(super) const WAYS: [Way; 9] = [
    Way { id: "write.open-wronly", go: |dir| into(dir, OFlags::WRONLY) },
    Way { id: "write.open-rdwr", go: |dir| into(dir, OFlags::RDWR) },
    Way { id: "write.append", go: |dir| into(dir, OFlags::WRONLY | OFlags::APPEND) },
    Way { id: "write.truncate-on-open", go: |dir| into(dir, OFlags::WRONLY | OFlags::TRUNC) },
    Way { id: "write.read-only-truncate", go: |dir| opened(dir, OFlags::RDONLY | OFlags::TRUNC).map(drop) },
    Way { id: "write.creat", go: |dir| into(dir, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC) },
    Way { id: "write.for-ioctl-alone", go: |dir| opened(dir, OFlags::from_bits_retain(3)).map(drop) },
    Way { id: "write.o-path-reopened", go: o_path },
    Way { id: "write.set-length", go: |dir| File::from(opened(dir, OFlags::RDWR)?).set_len(1) },
];

fn opened(dir: &Path, flags: OFlags) -> io::Result<std::os::fd::OwnedFd> {
    Ok(openat(CWD, dir.join("secret"), flags, Mode::from(0o600))?)
}

fn into(dir: &Path, flags: OFlags) -> io::Result<()> {
    File::from(opened(dir, flags)?).write_all(b"more\n")
}

fn o_path(dir: &Path) -> io::Result<()> {
    let held = opened(dir, OFlags::PATH)?;
    File::options().append(true).open(format!("/proc/self/fd/{}", held.as_raw_fd()))?.write_all(b"more\n")
}
