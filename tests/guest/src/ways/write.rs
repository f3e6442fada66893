//! Ways to change a file: what is in it, its attributes, and its names.

mod attributes;
mod calls;
mod content;
mod names;

pub(super) use attributes::value;
pub(super) use content::make_swap_space;

use self::attributes::{acl, attribute, flags, mode, owner, removed, times};
use self::content::{by_descriptor, by_path, from_other, into, opened};
use super::{Way, effect, raw, setup};
use crate::files;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags, Uid, XattrFlags, chownat, copy_file_range,
    fallocate, fchmod, fsetxattr, futimens, ioctl_getflags, ioctl_setflags, linkat, lsetxattr, sendfile,
    utimensat,
};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{fchown, lchown};
use std::path::Path;

pub(super) const WAYS: &[Way] = &[
    Way { id: "write.open-wronly", go: |dir| into(dir, OFlags::WRONLY) },
    Way { id: "write.open-rdwr", go: |dir| into(dir, OFlags::RDWR) },
    Way { id: "write.append", go: content::append },
    Way { id: "write.truncate-on-open", go: content::truncate_on_open },
    Way {
        id: "write.read-only-truncate",
        go: |dir| by_path(dir, |_| opened(dir, OFlags::RDONLY | OFlags::TRUNC).map(drop)),
    },
    Way { id: "write.creat", go: |dir| into(dir, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC) },
    // Nothing can be written to what comes of it.
    Way { id: "write.for-ioctl-alone", go: |dir| opened(dir, OFlags::from_bits_retain(3)).map(drop) },
    Way { id: "write.o-path-reopened", go: content::o_path },
    Way { id: "write.set-length", go: |dir| by_descriptor(dir, OFlags::RDWR, |file| file.set_len(1)) },
    Way { id: "write.truncate", go: |dir| content::truncate(dir, 4) },
    Way { id: "write.truncate-to-zero", go: |dir| content::truncate(dir, 0) },
    Way { id: "write.fallocate", go: |dir| allocated(dir, FallocateFlags::empty()) },
    Way {
        id: "write.punch-hole",
        go: |dir| allocated(dir, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE),
    },
    Way { id: "write.mmap-shared", go: |dir| by_descriptor(dir, OFlags::RDWR, calls::write_by_map) },
    Way {
        id: "write.copy-file-range-into",
        go: |dir| from_other(dir, |from, to| Ok(copy_file_range(from, None, to, None, 100)?)),
    },
    Way {
        id: "write.sendfile-into",
        go: |dir| from_other(dir, |from, to| Ok(sendfile(to, from, None, 100)?)),
    },
    Way { id: "write.splice-into", go: content::spliced },
    Way { id: "write.io-uring", go: content::by_ring },
    Way { id: "write.swapon", go: content::swap_space },
    Way { id: "write.loop-device", go: content::loop_device },
    Way { id: "write.acct", go: content::accounting },
    Way { id: "write.unlink", go: names::unlink },
    Way { id: "write.unlinkat-at-directory", go: names::unlinked_at },
    Way { id: "write.unlink-hard-link", go: |dir| names::gone(dir, "hard-before", fs::remove_file) },
    Way { id: "write.rename-away", go: names::rename },
    Way { id: "write.rename-into-directory", go: |dir| names::moved(dir, "sub/secret") },
    Way { id: "write.rename-over", go: |dir| names::over(dir, RenameFlags::empty()) },
    Way { id: "write.rename-exchange", go: |dir| names::over(dir, RenameFlags::EXCHANGE) },
    Way { id: "write.link-out", go: |dir| names::linked(dir, |secret, to| fs::hard_link(secret, to)) },
    Way { id: "write.linkat-from-descriptor", go: |dir| names::linked(dir, names::of_descriptor) },
    Way {
        id: "write.linkat-empty-path",
        go: |dir| {
            names::linked(dir, |_, to| {
                Ok(linkat(opened(dir, OFlags::PATH)?, "", CWD, to, AtFlags::EMPTY_PATH)?)
            })
        },
    },
    Way {
        id: "write.io-uring-unlink",
        go: |dir| names::gone(dir, "secret", |path| calls::unlink_by_ring(&path)),
    },
    Way {
        id: "write.io-uring-rename",
        go: |dir| names::gone(dir, "secret", |path| calls::rename_by_ring(&path, &dir.join("renamed"))),
    },
    Way { id: "write.io-uring-setxattr", go: |dir| attribute(dir, calls::set_attribute_by_ring) },
    Way { id: "write.rename-hard-link", go: names::other_name_moved },
    Way { id: "write.rename-over-hard-link", go: names::over_other_name },
    Way { id: "write.rename-exchange-reversed", go: names::exchanged },
    Way {
        id: "write.link-hard-link",
        go: |dir| names::linked(dir, |_, to| fs::hard_link(dir.join("hard-before"), to)),
    },
    Way { id: "write.set-capabilities", go: attributes::capabilities },
    Way { id: "write.chmod", go: attributes::chmod },
    Way { id: "write.fchmod", go: |dir| mode(dir, |secret| Ok(fchmod(File::open(secret)?, MODE)?)) },
    Way { id: "write.fchmodat2", go: |dir| mode(dir, |secret| calls::fchmodat2(secret, MODE)) },
    Way { id: "write.chmod-proc-self-fd", go: attributes::mode_by_proc },
    Way { id: "write.chown", go: attributes::chown },
    Way { id: "write.fchown", go: |dir| owner(dir, |secret| fchown(File::open(secret)?, OWNER, None)) },
    Way { id: "write.lchown", go: |dir| owner(dir, |secret| lchown(secret, OWNER, None)) },
    Way {
        id: "write.chown-empty-path",
        go: |dir| {
            let uid = OWNER.map(Uid::from_raw);
            owner(dir, |_| Ok(chownat(opened(dir, OFlags::PATH)?, "", uid, None, AtFlags::EMPTY_PATH)?))
        },
    },
    Way { id: "write.utimensat", go: attributes::utimes },
    Way {
        id: "write.futimens",
        go: |dir| times(dir, |secret| Ok(futimens(File::open(secret)?, &attributes::LONG_AGO)?)),
    },
    Way {
        id: "write.utimes-one",
        go: |dir| {
            times(dir, |secret| Ok(utimensat(CWD, secret, &attributes::ACCESS_ALONE, AtFlags::empty())?))
        },
    },
    Way { id: "write.utimes-now", go: attributes::touched },
    Way { id: "write.setxattr", go: attributes::setxattr },
    Way {
        id: "write.fsetxattr",
        go: |dir| attribute(dir, |secret, name, value| Ok(fsetxattr(File::open(secret)?, name, value, ANY)?)),
    },
    Way {
        id: "write.lsetxattr",
        go: |dir| attribute(dir, |secret, name, value| Ok(lsetxattr(secret, name, value, ANY)?)),
    },
    Way { id: "write.setxattrat", go: |dir| attribute(dir, calls::setxattrat) },
    Way { id: "write.removexattr", go: |dir| removed(dir, attributes::NAME) },
    Way { id: "write.set-acl", go: acl },
    Way { id: "write.remove-acl", go: |dir| removed(dir, attributes::ACL) },
    Way { id: "write.set-version", go: |dir| set_version(&dir.join("secret")) },
    Way {
        id: "write.set-flags",
        go: |dir| flags(dir, |_, file, flag| Ok(ioctl_setflags(file, ioctl_getflags(file)? | flag)?)),
    },
    Way { id: "write.set-fsxattr", go: |dir| flags(dir, |_, file, _| calls::set_fsxattr(file)) },
    Way { id: "write.file-setattr", go: |dir| flags(dir, |secret, _, _| calls::file_setattr(secret)) },
    Way { id: "write.mount-over", go: mounted_over },
];

/// What the ways set: a mode, an owner, and an attribute whether it is there or not.
const MODE: Mode = Mode::from_raw_mode(0o600);
const OWNER: Option<u32> = Some(65534);
const ANY: XattrFlags = XattrFlags::empty();

/// With a block more, or with one of zeros.
fn allocated(dir: &Path, how: FallocateFlags) -> io::Result<()> {
    by_descriptor(dir, OFlags::WRONLY, |file| Ok(fallocate(file, how, 0, 8192)?))
}

/// Changes nothing of the file: whoever is in the mount namespace finds another one at its path.
fn mounted_over(dir: &Path) -> io::Result<()> {
    super::private_mounts()?;
    rustix::mount::mount_bind(dir.join("other"), dir.join("secret"))?;
    effect(fs::read(dir.join("secret"))? == b"other\n")
}

/// Another version is another generation, by which rules know a file.
pub(super) fn set_version(path: &Path) -> io::Result<()> {
    const FS_IOC_SETVERSION: u32 = 0x4008_7602;
    let file = setup(File::open(path))?;
    let mut version = setup(files::generation(path))? ^ 1;
    raw::ioctl_with(&file, FS_IOC_SETVERSION, &mut version)?;
    effect(files::generation(path)? == version)
}
