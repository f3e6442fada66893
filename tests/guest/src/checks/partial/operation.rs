//! The operation of each optional hook, done by this process: on files that a rule names, and on their like.

use super::super::CheckError;
use super::super::agent::{Place, ends};
use crate::run::Cmd;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};

/// `include/uapi/linux/posix_acl_xattr.h`: version 2; owner, group and others may what mode 0600 says.
const ACL: [u8; 28] = [
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 0, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255,
    255,
];

/// What is operated on.
pub(super) struct Files {
    file: String,
    tree: String,
    /// Opened before there was a rule.
    open: File,
}

/// Files with a rule, and their like without one.
pub(super) struct Held {
    pub(super) denied: Files,
    pub(super) free: Files,
}

/// Makes a place whose policy denies the secret and a tree.
pub(super) fn prepare(id: &str) -> Result<(Place, Held), CheckError> {
    ends(&Cmd::sh(&format!("rm -rf /tmp/{id}")), 0)?;
    let place = Place::new(id)?;
    let [denied, free] = [("secret", "denied"), ("neighbour", "free")]
        .map(|(file, tree)| (format!("{}/{file}", place.dir), format!("{}/{tree}", place.dir)));
    ends(&Cmd::sh(&format!("mkdir -p {0}/full {1}/full", denied.1, free.1)), 0)?;
    place.write(&format!("version=2\n[deny_path]\n{}\n[deny_tree]\n{}\n", denied.0, denied.1))?;
    let files = |(file, tree): (String, String)| {
        let open =
            File::open(&file).map_err(|source| CheckError::File { path: file.clone().into(), source })?;
        Ok::<_, CheckError>(Files { file, tree, open })
    };
    let held = Held { denied: files(denied)?, free: files(free)? };
    Ok((place, held))
}

impl Files {
    /// Whether the operation that this hook is asked about ends in EPERM.
    pub(super) fn refuses(&self, hook: &str) -> bool {
        self.operate(hook).is_err_and(|error| error.raw_os_error() == Some(1))
    }

    fn operate(&self, hook: &str) -> io::Result<()> {
        let (file, new) = (&self.file, format!("{}/new", self.tree));
        match hook {
            "file_receive" => {
                let me = pidfd_open(getpid(), PidfdFlags::empty())?;
                Ok(pidfd_getfd(me, self.open.as_raw_fd(), PidfdGetfdFlags::empty()).map(drop)?)
            }
            "inode_setattr" => fs::set_permissions(file, fs::Permissions::from_mode(0o644)),
            // Where the file system has no flags the kernel asks the hooks all the same.
            "file_ioctl" | "inode_file_setattr" => {
                Ok(rustix::fs::ioctl_setflags(&self.open, rustix::fs::IFlags::empty())?)
            }
            "inode_setxattr" => Ok(rustix::fs::setxattr(file, "trusted.a", b"1", XattrFlags::empty())?),
            "inode_removexattr" => Ok(rustix::fs::removexattr(file, "trusted.a")?),
            "inode_set_acl" => {
                Ok(rustix::fs::setxattr(file, "system.posix_acl_access", &ACL, XattrFlags::empty())?)
            }
            "inode_remove_acl" => Ok(rustix::fs::removexattr(file, "system.posix_acl_access")?),
            "inode_unlink" => fs::remove_file(file),
            "inode_rmdir" => fs::remove_dir(format!("{}/full", self.tree)),
            "inode_rename" => {
                let away = format!("{file}-away");
                fs::rename(file, &away)?;
                fs::rename(&away, file)
            }
            "inode_link" => fs::hard_link(file, format!("{file}-link")),
            "inode_create" => File::create_new(new).map(drop),
            "inode_mkdir" => fs::create_dir(format!("{new}-dir")),
            "inode_mknod" => {
                Ok(rustix::fs::mknodat(CWD, format!("{new}-fifo"), FileType::Fifo, Mode::RUSR, 0)?)
            }
            "inode_symlink" => symlink("full", format!("{new}-link")),
            "inode_permission" => Ok(rustix::fs::access(file, rustix::fs::Access::READ_OK)?),
            _ => File::open(file).map(drop),
        }
    }
}
