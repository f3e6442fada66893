//! What init does early on a system with `SELinux`: loads the policy, labels the files, takes its own domain.

use guest::{SELINUX_LABELS, SELINUX_POLICY};
use rustix::fs::{XattrFlags, lsetxattr};
use rustix::mount::{MountFlags, mount, mount_bind};
use std::fs;
use std::io;
use std::path::Path;

/// The label of init, of which everything is that it starts.
pub(crate) const INIT: &str = "system_u:system_r:init_t:s0";
/// This program once more, with the label that the agent's has: what runs of it is bound as the agent is.
pub(crate) const HOSTILE: &str = "/sbin/hostile";

/// Files that are labelled and that other guests do without.
const DIRECTORIES: [&str; 4] = ["/etc/aegisbpf", "/var/lib", "/root/.ssh", "/mnt"];
const SHADOW: &str = "/etc/shadow";

/// A file system that keeps labels. Types of files may be on it; few may be on the one that a guest boots from.
const DISK: (&str, &str) = ("/dev/vda", "/mnt/disk");
const ON_DISK: [(&str, &str); 2] = [("/mnt/disk/etc", "/etc/aegisbpf"), ("/mnt/disk/lib", "/var/lib")];

/// Does nothing where no policy was taken along; otherwise one text when it failed.
pub(crate) fn begin() -> Option<String> {
    if !Path::new(SELINUX_POLICY).exists() {
        return None;
    }
    load()
        .and_then(|()| from_disk())
        .and_then(|()| label())
        .and_then(|()| enforce())
        .err()
        .map(|error| format!("SELinux: {error}"))
}

fn load() -> io::Result<()> {
    mount("selinuxfs", "/sys/fs/selinux", "selinuxfs", MountFlags::empty(), c"")?;
    fs::write("/sys/fs/selinux/load", fs::read(SELINUX_POLICY)?)
}

fn from_disk() -> io::Result<()> {
    for directory in DIRECTORIES.into_iter().chain([DISK.1]) {
        fs::create_dir_all(directory)?;
    }
    mount(DISK.0, DISK.1, "ext4", MountFlags::empty(), c"")?;
    for (from, to) in ON_DISK {
        fs::create_dir_all(from)?;
        mount_bind(from, to)?;
    }
    Ok(())
}

fn label() -> io::Result<()> {
    fs::write(SHADOW, "root:*:1:::::\n")?;
    fs::copy("/init", HOSTILE)?;
    let labels = fs::read_to_string(SELINUX_LABELS)?;
    for (path, label) in labels.lines().filter_map(|line| line.split_once('\t')) {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{label} on {path}: {error}"));
        lsetxattr(path, "security.selinux", format!("{label}\0").as_bytes(), XattrFlags::empty())
            .map_err(|errno| named(errno.into()))?;
    }
    Ok(())
}

/// Until here everything could be relabelled.
fn enforce() -> io::Result<()> {
    fs::write("/sys/fs/selinux/enforce", "1")?;
    fs::write("/proc/self/attr/current", INIT)
}
