//! Ways to take a file's names from it, and to give it more.

use super::super::{CONTENT, effect, setup};
use super::content::opened;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat_with, unlinkat};
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub(super) fn gone(dir: &Path, name: &str, remove: impl FnOnce(PathBuf) -> io::Result<()>) -> io::Result<()> {
    remove(dir.join(name))?;
    effect(!fs::exists(dir.join(name))?)
}

pub(super) fn unlink(dir: &Path) -> io::Result<()> {
    gone(dir, "secret", fs::remove_file)
}

pub(super) fn unlinked_at(dir: &Path) -> io::Result<()> {
    let directory = openat(CWD, dir, OFlags::DIRECTORY, Mode::empty())?;
    gone(dir, "secret", |_| Ok(unlinkat(&directory, "secret", AtFlags::empty())?))
}

pub(super) fn moved(dir: &Path, to: &str) -> io::Result<()> {
    let to = dir.join(to);
    setup(to.parent().map_or(Ok(()), fs::create_dir_all))?;
    gone(dir, "secret", |secret| fs::rename(secret, &to))?;
    effect(fs::read(to)? == CONTENT.as_bytes())
}

pub(super) fn rename(dir: &Path) -> io::Result<()> {
    moved(dir, "renamed")
}

/// Renamed by another name, which it has from before.
pub(super) fn other_name_moved(dir: &Path) -> io::Result<()> {
    gone(dir, "hard-before", |path| fs::rename(path, dir.join("renamed")))
}

/// One of its names is another file's then.
pub(super) fn over_other_name(dir: &Path) -> io::Result<()> {
    fs::rename(dir.join("other"), dir.join("hard-before"))?;
    effect(fs::read(dir.join("hard-before"))? == b"other\n")
}

/// Exchanged as `over` does it, but asked for from its own side.
pub(super) fn exchanged(dir: &Path) -> io::Result<()> {
    renameat_with(CWD, dir.join("secret"), CWD, dir.join("other"), RenameFlags::EXCHANGE)?;
    effect(fs::read(dir.join("secret"))? == b"other\n")
}

/// Another file has its name then.
pub(super) fn over(dir: &Path, how: RenameFlags) -> io::Result<()> {
    renameat_with(CWD, dir.join("other"), CWD, dir.join("secret"), how)?;
    effect(fs::read(dir.join("secret"))? == b"other\n")
}

/// One more name, in another directory.
pub(super) fn linked(dir: &Path, link: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let (secret, sub) = (dir.join("secret"), dir.join("sub"));
    setup(fs::create_dir(&sub))?;
    link(&secret, &sub.join("linked"))?;
    effect(fs::metadata(sub.join("linked"))?.ino() == fs::metadata(&secret)?.ino())
}

pub(super) fn of_descriptor(secret: &Path, to: &Path) -> io::Result<()> {
    let held = opened(secret.parent().unwrap_or(secret), OFlags::PATH)?;
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    Ok(linkat(CWD, path, CWD, to, AtFlags::SYMLINK_FOLLOW)?)
}
