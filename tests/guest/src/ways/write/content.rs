//! Ways to change what is in a file.

use super::super::outside::Outside;
use super::super::raw;
use super::super::{CONTENT, effect, setup};
use super::calls;
use nix::fcntl::{SpliceFFlags, splice};
use nix::unistd::acct;
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

pub(super) fn opened(dir: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(CWD, dir.join("secret"), flags, Mode::from(0o600))?)
}

fn changed(dir: &Path) -> io::Result<()> {
    effect(fs::read(dir.join("secret"))? != CONTENT.as_bytes())
}

pub(super) fn by_path(dir: &Path, change: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    change(&dir.join("secret"))?;
    changed(dir)
}

pub(super) fn by_descriptor(
    dir: &Path,
    flags: OFlags,
    change: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    change(&File::from(opened(dir, flags)?))?;
    changed(dir)
}

pub(super) fn into(dir: &Path, flags: OFlags) -> io::Result<()> {
    by_descriptor(dir, flags, |mut file| file.write_all(b"more\n"))
}

pub(super) fn append(dir: &Path) -> io::Result<()> {
    into(dir, OFlags::WRONLY | OFlags::APPEND)
}

pub(super) fn truncate_on_open(dir: &Path) -> io::Result<()> {
    into(dir, OFlags::WRONLY | OFlags::TRUNC)
}

pub(super) fn truncate(dir: &Path, length: i64) -> io::Result<()> {
    by_path(dir, |secret| Ok(nix::unistd::truncate(secret, length)?))
}

/// A descriptor that opens nothing, made into one that does.
pub(super) fn o_path(dir: &Path) -> io::Result<()> {
    let held = opened(dir, OFlags::PATH)?;
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    by_path(dir, |_| File::options().append(true).open(path)?.write_all(b"more\n"))
}

/// What is in another file, brought over by the kernel.
pub(super) fn from_other(dir: &Path, copy: impl FnOnce(&File, &File) -> io::Result<usize>) -> io::Result<()> {
    let other = File::open(dir.join("other"))?;
    by_descriptor(dir, OFlags::WRONLY, |file| copy(&other, file).map(drop))
}

pub(super) fn spliced(dir: &Path) -> io::Result<()> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(b"more\n")?;
    by_descriptor(dir, OFlags::WRONLY, |file| {
        splice(reader.as_fd(), None, file.as_fd(), None, 5, SpliceFFlags::empty())?;
        Ok(())
    })
}

pub(super) fn by_ring(dir: &Path) -> io::Result<()> {
    by_path(dir, |secret| File::from(calls::open_by_ring(secret)?).write_all(b"more\n"))
}

/// For the server outside: makes a file into swap space, which has whole pages and no holes.
pub(in crate::ways) fn make_swap_space(path: &str) -> io::Result<()> {
    const PAGE: usize = 4096;
    const PAGES: u32 = 16;
    let mut space = vec![0; 1024];
    // union swap_header: the version, the last page, the number of bad pages; at the end of the page the magic.
    for number in [1, PAGES - 1, 0] {
        space.extend(u32::to_le_bytes(number));
    }
    space.resize(PAGE - 10, 0);
    space.extend(b"SWAPSPACE2");
    space.resize(PAGE * PAGES as usize, 0);
    let mut file = File::create(path)?;
    file.write_all(&space)?;
    file.sync_all()
}

fn swap_space_at(dir: &Path) -> io::Result<()> {
    Outside::connect()?.ask(&format!("swap-space {}/secret", dir.display())).map(drop)
}

/// The kernel writes there what has no room in memory.
pub(super) fn swap_space(dir: &Path) -> io::Result<()> {
    swap_space_at(dir)?;
    let secret = dir.join("secret");
    calls::swapon(&secret)?;
    let swaps = fs::read_to_string("/proc/swaps")?;
    setup(calls::swapoff(&secret))?;
    effect(swaps.contains(&secret.display().to_string()))
}

/// A loop device has no part of a sector, so the file is made longer first, by somebody who may.
pub(super) fn loop_device(dir: &Path) -> io::Result<()> {
    const LOOP_SET_FD: u32 = 0x4c00;
    const LOOP_CLR_FD: u32 = 0x4c01;
    const LOOP_CTL_GET_FREE: u32 = 0x4c82;
    swap_space_at(dir)?;
    let file = opened(dir, OFlags::RDWR)?;
    let number = setup(raw::ioctl(setup(File::open("/dev/loop-control"))?, LOOP_CTL_GET_FREE, 0))?;
    let device = setup(File::options().read(true).write(true).open(format!("/dev/loop{number}")))?;
    raw::ioctl(&device, LOOP_SET_FD, file.as_raw_fd())?;
    let written = device.write_all_at(b"more\n", 0).and_then(|()| device.sync_all());
    setup(raw::ioctl(&device, LOOP_CLR_FD, 0))?;
    written?;
    effect(fs::read(dir.join("secret"))?.starts_with(b"more\n"))
}

/// The kernel writes there what it knows of each process that ends.
pub(super) fn accounting(dir: &Path) -> io::Result<()> {
    by_path(dir, |secret| {
        acct::enable(secret)?;
        let ended = raw::forked(None, || Ok(()));
        setup(acct::disable())?;
        ended
    })
}
