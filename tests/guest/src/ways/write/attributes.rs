//! Ways to change the attributes of a file. Each shows what it is to be after the change.

use super::super::outside::Outside;
use super::super::{effect, setup};
use super::content::opened;
use super::{ANY, MODE, OWNER};
use rustix::fs::{
    AtFlags, CWD, IFlags, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, getxattr, ioctl_getflags,
    removexattr, utimensat,
};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// An attribute that anybody may give a file.
pub(super) const NAME: &str = "user.one";
/// The attribute in which the access control list is.
pub(super) const ACL: &str = "system.posix_acl_access";

const SECONDS: i64 = 1000;
const AT: Timespec = Timespec { tv_sec: SECONDS, tv_nsec: 0 };
pub(super) const LONG_AGO: Timestamps = Timestamps { last_access: AT, last_modification: AT };
pub(super) const ACCESS_ALONE: Timestamps =
    Timestamps { last_access: AT, last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT } };
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };

pub(super) fn mode(dir: &Path, change: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let secret = dir.join("secret");
    change(&secret)?;
    effect(fs::metadata(secret)?.mode() & 0o7777 == MODE.as_raw_mode())
}

pub(super) fn chmod(dir: &Path) -> io::Result<()> {
    mode(dir, |secret| Ok(rustix::fs::chmod(secret, MODE)?))
}

/// By a descriptor that opens nothing.
pub(super) fn mode_by_proc(dir: &Path) -> io::Result<()> {
    let held = opened(dir, OFlags::PATH)?;
    mode(dir, |_| Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), MODE)?))
}

pub(super) fn owner(dir: &Path, change: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let secret = dir.join("secret");
    change(&secret)?;
    effect(Some(fs::metadata(secret)?.uid()) == OWNER)
}

pub(super) fn chown(dir: &Path) -> io::Result<()> {
    owner(dir, |secret| std::os::unix::fs::chown(secret, OWNER, None))
}

pub(super) fn times(dir: &Path, change: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let secret = dir.join("secret");
    change(&secret)?;
    effect(fs::metadata(secret)?.atime() == SECONDS)
}

pub(super) fn utimes(dir: &Path) -> io::Result<()> {
    times(dir, |secret| Ok(utimensat(CWD, secret, &LONG_AGO, AtFlags::empty())?))
}

/// What the kernel lets those do who may write, and not the owner alone.
pub(super) fn touched(dir: &Path) -> io::Result<()> {
    let secret = dir.join("secret");
    let before = fs::metadata(&secret)?.modified()?;
    let now = Timestamps { last_access: NOW, last_modification: NOW };
    utimensat(CWD, &secret, &now, AtFlags::empty())?;
    effect(fs::metadata(secret)?.modified()? != before)
}

/// What an attribute is set to, here and by the server outside.
pub(in crate::ways) fn value(name: &str) -> Vec<u8> {
    if name != ACL {
        return b"value".to_vec();
    }
    // include/uapi/linux/posix_acl_xattr.h: the version, then for each entry whom it is about, what they may, and who.
    let nobody = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, nobody), (2, 6, 65534), (4, 4, nobody), (16, 6, nobody), (32, 4, nobody)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, may, who) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(may.to_le_bytes());
        list.extend(who.to_le_bytes());
    }
    list
}

fn has(path: &Path, name: &str) -> io::Result<bool> {
    match getxattr(path, name, [0; 100].as_mut_slice()) {
        Ok(length) => Ok(length > 0),
        Err(Errno::NODATA) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn attribute(
    dir: &Path,
    set: impl FnOnce(&Path, &str, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let secret = dir.join("secret");
    set(&secret, NAME, &value(NAME))?;
    effect(has(&secret, NAME)?)
}

pub(super) fn setxattr(dir: &Path) -> io::Result<()> {
    attribute(dir, |secret, name, value| Ok(rustix::fs::setxattr(secret, name, value, ANY)?))
}

pub(super) fn acl(dir: &Path) -> io::Result<()> {
    let secret = dir.join("secret");
    rustix::fs::setxattr(&secret, ACL, &value(ACL), ANY)?;
    effect(has(&secret, ACL)?)
}

/// An attribute that the kernel itself goes by: as a program, the file may then bind to low ports.
pub(super) fn capabilities(dir: &Path) -> io::Result<()> {
    const NAME: &str = "security.capability";
    // VFS_CAP_REVISION_2, then what is permitted and inherited, twice.
    let value: Vec<u8> = [0x0200_0000_u32, 1 << 10, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    let secret = dir.join("secret");
    rustix::fs::setxattr(&secret, NAME, &value, ANY)?;
    effect(has(&secret, NAME)?)
}

/// One that somebody who may has set before.
pub(super) fn removed(dir: &Path, name: &str) -> io::Result<()> {
    let secret = dir.join("secret");
    Outside::connect()?.ask(&format!("attribute {} {name}", secret.display()))?;
    setup(has(&secret, name).and_then(effect))?;
    removexattr(&secret, name)?;
    effect(!has(&secret, name)?)
}

/// By a descriptor that is open for reading, or by path.
pub(super) fn flags(dir: &Path, set: impl FnOnce(&Path, &File, IFlags) -> io::Result<()>) -> io::Result<()> {
    let secret = dir.join("secret");
    let file = File::open(&secret)?;
    set(&secret, &file, IFlags::NOATIME)?;
    effect(ioctl_getflags(&file)?.contains(IFlags::NOATIME))
}
