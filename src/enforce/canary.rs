//! The canaries, and what is done to them to put a hook to the test: the real operation for each, by the helper.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, XattrFlags},
    io::ioctl_fionread,
};

use crate::{
    abi,
    sys::{
        canary::{Loopback, Page},
        process::{Work, become_program},
    },
};

/// The second half of what `file_open` is put to: an exec. Stands beside the numbers of hooks.
pub(super) const EXEC: u8 = 0xff;
/// A bit beside such a number: get ready for the operation, or clear up behind it.
pub(super) const PREPARE: u8 = 0x40;
pub(super) const TIDY: u8 = 0x80;

/// What a canary rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bird {
    /// A file.
    File,
    /// A program.
    Program,
    /// The directory, for hooks that are asked about names in it.
    Directory,
}

/// What the rule for a test names.
pub(super) fn bird(test: u8) -> Bird {
    match u32::from(test) {
        _ if test == EXEC => Bird::Program,
        abi::HOOK_INODE_UNLINK
        | abi::HOOK_INODE_RMDIR
        | abi::HOOK_INODE_RENAME
        | abi::HOOK_INODE_LINK
        | abi::HOOK_INODE_CREATE
        | abi::HOOK_INODE_MKDIR
        | abi::HOOK_INODE_MKNOD
        | abi::HOOK_INODE_SYMLINK => Bird::Directory,
        _ => Bird::File,
    }
}

/// A file and a program in a directory of ours.
#[derive(Clone, Debug)]
pub(super) struct Canaries {
    pub(super) dir: PathBuf,
    file: PathBuf,
    program: PathBuf,
}

impl Canaries {
    /// Makes them below `parent`.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        let dir = parent.join("canary");
        fs::create_dir_all(&dir)?;
        let (file, program) = (dir.join("file"), dir.join("program"));
        // Neither ELF nor `#!`: the kernel asks its hooks and then answers ENOEXEC.
        for path in [&file, &program] {
            fs::write(path, "aegisbpf canary: made to be refused\n")?;
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
        Ok(Self { dir, file, program })
    }

    pub(super) fn path(&self, bird: Bird) -> &Path {
        match bird {
            Bird::File => &self.file,
            Bird::Program => &self.program,
            Bird::Directory => &self.dir,
        }
    }

    /// Removes them. A failure leaves two small files in a directory of ours, which the next run overwrites.
    pub(super) fn remove(&self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// An extended attribute of the canary; where its file system takes none, the kernel asks its hooks all the same.
const ATTRIBUTE: &str = "user.aegisbpf.canary";
const ACL: &str = "system.posix_acl_access";

/// An access control list that says what mode 0600 says: version 2, then owner, group and others (tag, permissions, no
/// id), as `include/uapi/linux/posix_acl_xattr.h` lays it out.
const OWNER_ONLY: [u8; 28] = [
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 0, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255,
    255,
];

/// What the helper has of the canaries, and does to them. Nothing of it needs a privilege.
#[derive(Debug)]
struct Perch {
    canaries: Canaries,
    /// Made and removed by the operations on names.
    entry: PathBuf,
    moved: PathBuf,
    open: File,
    page: Page,
    loopback: Loopback,
}

/// In the helper: opens what the operations need.
pub(super) fn work(canaries: Canaries) -> io::Result<Work> {
    let open = File::open(&canaries.file)?;
    let perch = Perch {
        entry: canaries.dir.join("entry"),
        moved: canaries.dir.join("moved"),
        page: Page::map(&open)?,
        loopback: Loopback::new()?,
        canaries,
        open,
    };
    perch.tidy();
    Ok(Box::new(move |request| {
        let done = match request {
            EXEC => Err(become_program(&perch.canaries.program)),
            _ if request & PREPARE != 0 => perch.prepare(u32::from(request & !PREPARE)),
            TIDY => {
                perch.tidy();
                Ok(())
            }
            hook => perch.operate(u32::from(hook)),
        };
        done.map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |()| 0)
    }))
}

impl Perch {
    /// What stands ready before the operation on `hook` begins.
    fn prepare(&self, hook: u32) -> io::Result<()> {
        match hook {
            abi::HOOK_INODE_UNLINK | abi::HOOK_INODE_RENAME => File::create(&self.entry).map(drop),
            abi::HOOK_INODE_RMDIR => fs::create_dir(&self.entry),
            _ => Ok(()),
        }
    }

    /// Does what `hook` is asked about.
    fn operate(&self, hook: u32) -> io::Result<()> {
        let (file, entry) = (&self.canaries.file, &self.entry);
        match hook {
            abi::HOOK_FILE_OPEN | abi::HOOK_GUARD_OPEN => File::open(file).map(drop),
            abi::HOOK_FILE_RECEIVE => self.loopback.pass(&self.open),
            abi::HOOK_MMAP_FILE => Page::map(&self.open).map(drop),
            abi::HOOK_FILE_MPROTECT => self.page.protect(),
            abi::HOOK_FILE_IOCTL => Ok(ioctl_fionread(&self.open).map(drop)?),
            abi::HOOK_INODE_SETATTR => fs::set_permissions(file, fs::Permissions::from_mode(0o600)),
            abi::HOOK_INODE_FILE_SETATTR => {
                let flags = rustix::fs::ioctl_getflags(&self.open)?;
                Ok(rustix::fs::ioctl_setflags(&self.open, flags)?)
            }
            abi::HOOK_INODE_SETXATTR => Ok(rustix::fs::setxattr(file, ATTRIBUTE, b"1", XattrFlags::empty())?),
            abi::HOOK_INODE_REMOVEXATTR => Ok(rustix::fs::removexattr(file, ATTRIBUTE)?),
            abi::HOOK_INODE_SET_ACL => Ok(rustix::fs::setxattr(file, ACL, &OWNER_ONLY, XattrFlags::empty())?),
            abi::HOOK_INODE_REMOVE_ACL => Ok(rustix::fs::removexattr(file, ACL)?),
            abi::HOOK_INODE_UNLINK => fs::remove_file(entry),
            abi::HOOK_INODE_RMDIR => fs::remove_dir(entry),
            abi::HOOK_INODE_RENAME => fs::rename(entry, &self.moved),
            abi::HOOK_INODE_LINK => fs::hard_link(file, entry),
            abi::HOOK_INODE_CREATE => File::create_new(entry).map(drop),
            abi::HOOK_INODE_MKDIR => fs::create_dir(entry),
            abi::HOOK_INODE_MKNOD => {
                Ok(rustix::fs::mknodat(CWD, entry, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
            }
            abi::HOOK_INODE_SYMLINK => symlink("file", entry),
            abi::HOOK_INODE_PERMISSION => Ok(rustix::fs::access(file, rustix::fs::Access::READ_OK)?),
            _ => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        }
    }

    /// Removes what the operations on names left.
    fn tidy(&self) {
        for name in [&self.entry, &self.moved] {
            // Most of it is not there, and what stays for another reason makes the next operation fail.
            drop(fs::remove_file(name).or_else(|_| fs::remove_dir(name)));
        }
    }
}
