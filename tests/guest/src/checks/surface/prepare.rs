//! What is there before a way is gone: its directory on a disk, its cgroup, its lines in the policy.

use super::super::filesystems::mount_disk;
use super::CheckError;
use crate::ways::CONTENT;
use guest::{DYNAMIC_TRUE, Operation, Rule, Scenario};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where the disk is mounted.
pub(super) const TOP: &str = "/srv/surface";
/// The cgroup that the policy binds; each way has one below.
pub(super) const SCOPE: &str = "/sys/fs/cgroup/surface";

/// The least program that ends with success: each way has copies of its own, on a disk that is small.
#[cfg(target_arch = "x86_64")]
const PROGRAM: [u8; 129] = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\
    \x02\0\x3e\0\x01\0\0\0\x78\0\x40\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0\
    \x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x40\0\0\0\0\0\x81\0\0\0\0\0\0\0\x81\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\
    \xb8\x3c\0\0\0\x31\xff\x0f\x05";
#[cfg(target_arch = "aarch64")]
const PROGRAM: [u8; 132] = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\
    \x02\0\xb7\0\x01\0\0\0\x78\0\x40\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0\
    \x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x40\0\0\0\0\0\x84\0\0\0\0\0\0\0\x84\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\
    \xa8\x0b\x80\xd2\0\0\x80\xd2\x01\0\0\xd4";

/// The disk, for as long as this lives.
pub(super) struct Disk(());

impl Disk {
    pub(super) fn mount() -> Result<Self, CheckError> {
        mount_disk("ext4", TOP)?;
        Ok(Self(()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for entry in fs::read_dir(TOP).into_iter().flatten().flatten() {
            // A name of a way has a dot in it; what else is on the disk is of other checks.
            if entry.file_name().to_string_lossy().contains('.') {
                let _ = clear(&entry.path());
            }
        }
        let _ = unmount(TOP, UnmountFlags::DETACH);
    }
}

/// The directory of a way; the ways know its name.
pub(super) fn dir(id: &str) -> PathBuf {
    Path::new(TOP).join(id).join("way")
}

pub(super) fn cgroup(id: &str) -> PathBuf {
    Path::new(SCOPE).join(id)
}

/// Makes everything anew: a way that was gone may have changed all of it.
pub(super) fn prepare(scenario: &Scenario) -> io::Result<()> {
    let dir = dir(&scenario.id);
    clear(&Path::new(TOP).join(&scenario.id))?;
    clear_cgroups(&cgroup(&scenario.id));
    fs::create_dir_all(cgroup(&scenario.id))?;
    files(&dir)?;
    fs::write(dir.join("other"), "other\n")?;
    fs::hard_link(dir.join("secret"), dir.join("hard-before"))?;
    fs::hard_link(dir.join("true"), dir.join("hard-true"))?;
    match scenario.rule {
        Rule::Path if scenario.op == Operation::Exec => {
            fs::copy(DYNAMIC_TRUE, dir.join("dynamic-true")).map(drop)
        }
        Rule::Path | Rule::Place => Ok(()),
        Rule::Tree => {
            files(&dir.join("tree"))?;
            files(&dir.join("tree/sub/deep"))?;
            fs::create_dir(dir.join("tree/empty"))?;
            fs::hard_link(dir.join("tree/secret"), dir.join("out-before"))
        }
        Rule::Layer | Rule::Merged => {
            files(&dir.join("lower"))?;
            ["upper", "work", "merged"].iter().try_for_each(|name| fs::create_dir(dir.join(name)))?;
            if scenario.rule == Rule::Merged { overlay(&dir) } else { Ok(()) }
        }
    }
}

fn files(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, content, mode) in [("secret", CONTENT.as_bytes(), 0o644), ("true", &PROGRAM, 0o755)] {
        fs::write(dir.join(name), content)?;
        fs::set_permissions(dir.join(name), Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn overlay(dir: &Path) -> io::Result<()> {
    let part = |name| dir.join(name).display().to_string();
    let data = format!("lowerdir={},upperdir={},workdir={}", part("lower"), part("upper"), part("work"));
    Ok(mount("overlay", dir.join("merged"), "overlay", MountFlags::empty(), CString::new(data)?.as_c_str())?)
}

fn clear(top: &Path) -> io::Result<()> {
    let _ = unmount(top.join("way/merged"), UnmountFlags::DETACH);
    match fs::remove_dir_all(top) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the cgroups that a way has made. One with a process in it stays.
fn clear_cgroups(top: &Path) {
    for below in cgroups(top).into_iter().rev() {
        let _ = fs::remove_dir(below);
    }
}

/// A cgroup and those below it, from the top.
pub(super) fn cgroups(top: &Path) -> Vec<PathBuf> {
    let mut all = vec![top.to_owned()];
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(cgroups(&entry.path()));
        }
    }
    all
}

/// Denies what each way is after. `each`: name the cgroup of each as well, for a kernel that cannot look above.
pub(super) fn policy(scenarios: &[&Scenario], each: bool) -> String {
    let (mut paths, mut trees, mut scope) = (String::new(), String::new(), format!("{SCOPE}\n"));
    for one in scenarios {
        let (dir, op) = (dir(&one.id).display().to_string(), one.op.name());
        let file = if one.op == Operation::Exec { "true" } else { "secret" };
        let _ = match one.rule {
            Rule::Path if one.op == Operation::Exec => {
                writeln!(paths, "{dir}/true exec\n{dir}/dynamic-true exec")
            }
            Rule::Path => writeln!(paths, "{dir}/secret {op}"),
            Rule::Place => writeln!(paths, "{dir}/missing {op}"),
            Rule::Tree => writeln!(trees, "{dir}/tree {op}"),
            Rule::Layer => writeln!(paths, "{dir}/lower/{file} {op}"),
            Rule::Merged => writeln!(paths, "{dir}/merged/{file} {op}"),
        };
        if each {
            let _ = writeln!(scope, "{}", cgroup(&one.id).display());
        }
    }
    format!("version=2\n[deny_path]\n{paths}[deny_tree]\n{trees}[scope_cgroup]\n{scope}")
}
