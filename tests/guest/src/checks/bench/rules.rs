//! Policies of every size and kind. None of their rules binds what is measured, unless it says so.

use super::operations::{BESIDE, DENIED_PATH, DIR, FILE_PATH, TREE};
use super::{CheckError, fault};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// A cgroup that the one who measures can enter.
pub(super) const CGROUP: &str = "/sys/fs/cgroup/bench";
/// How many path rules.
pub(super) const PATHS: usize = 10_000;
/// Above every number that the file system has given away.
const FIRST_INODE: usize = 1_000_000_000;

/// On the device of all that is opened, so that the device alone does not tell them apart.
pub(super) fn inodes(count: usize) -> Result<String, CheckError> {
    let device = fault(DIR, fs::metadata(DIR))?.dev();
    let (major, minor) = (nix::libc::major(device), nix::libc::minor(device));
    let mut text = "version=1\n[deny_inode]\n".to_owned();
    for number in FIRST_INODE..FIRST_INODE + count {
        let _ = writeln!(text, "{major}:{minor}:{number}");
    }
    kept(&format!("inodes-{count}"), &text)
}

/// The same and a file that is denied.
pub(super) fn with_denied(count: usize) -> Result<String, CheckError> {
    let inodes = inodes(count)?;
    let rules = fault(&inodes, fs::read_to_string(&inodes))?;
    kept("denied", &format!("{rules}[deny_path]\n{DENIED_PATH}\n"))
}

/// Files that are there, each denied.
pub(super) fn paths() -> Result<String, CheckError> {
    let mut text = "version=1\n[deny_path]\n".to_owned();
    for number in 0..PATHS {
        let dir = format!("{DIR}/paths/{}", number / 100);
        let path = format!("{dir}/{number}");
        fault(&path, fs::create_dir_all(&dir).and_then(|()| fs::write(&path, "x")))?;
        let _ = writeln!(text, "{path}");
    }
    kept("paths", &text)
}

/// A file in the directory of what is opened: the names there are looked at.
pub(super) fn beside() -> Result<String, CheckError> {
    kept("beside", &format!("version=1\n[deny_path]\n{BESIDE}\n"))
}

/// What is opened is named, but the rules bind another cgroup.
pub(super) fn scope() -> Result<String, CheckError> {
    kept("scope", &format!("version=2\n[deny_path]\n{FILE_PATH}\n[scope_cgroup]\n{CGROUP}\n"))
}

/// What is opened is named, but those in this cgroup may.
pub(super) fn allow() -> Result<String, CheckError> {
    kept("allow", &format!("version=1\n[deny_path]\n{FILE_PATH}\n[allow_cgroup]\n{CGROUP}\n"))
}

/// A directory and all below it, beside what is opened.
pub(super) fn tree() -> Result<String, CheckError> {
    kept("tree", &format!("version=2\n[deny_tree]\n{TREE}\n"))
}

fn kept(name: &str, text: &str) -> Result<String, CheckError> {
    let path = format!("/tmp/bench-{name}.conf");
    fault(&path, fs::write(&path, text))?;
    Ok(path)
}
