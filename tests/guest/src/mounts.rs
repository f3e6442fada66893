//! The file systems of the guest, as data.

use crate::boot::Boot;
use guest::PARAM_NOMOUNT;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs;

/// One mount. `name` is what `aegis.nomount=` calls it.
struct Mount {
    name: &'static str,
    fstype: &'static str,
    target: &'static str,
    data: &'static str,
}

const fn entry(name: &'static str, fstype: &'static str, target: &'static str, data: &'static str) -> Mount {
    Mount { name, fstype, target, data }
}

/// In this order: a mount point inside a mount comes after it.
const MOUNTS: [Mount; 11] = [
    entry("proc", "proc", "/proc", ""),
    entry("sysfs", "sysfs", "/sys", ""),
    entry("devtmpfs", "devtmpfs", "/dev", ""),
    entry("devpts", "devpts", "/dev/pts", "ptmxmode=0666"),
    entry("shm", "tmpfs", "/dev/shm", "mode=1777"),
    entry("securityfs", "securityfs", "/sys/kernel/security", ""),
    entry("tracefs", "tracefs", "/sys/kernel/tracing", ""),
    entry("bpffs", "bpf", "/sys/fs/bpf", "mode=0700"),
    entry("cgroup2", "cgroup2", "/sys/fs/cgroup", ""),
    entry("tmp", "tmpfs", "/tmp", "mode=1777"),
    entry("run", "tmpfs", "/run", "mode=0755"),
];

/// Mounts proc alone, which the command line is read from.
pub(crate) fn proc() -> Vec<String> {
    MOUNTS.iter().filter(|m| m.name == "proc").filter_map(make).collect()
}

/// Mounts the rest but for what `aegis.nomount=` leaves out; returns one text for each mount that failed.
pub(crate) fn rest(boot: &Boot) -> Vec<String> {
    let out = boot.list(PARAM_NOMOUNT);
    MOUNTS.iter().filter(|m| m.name != "proc" && !out.contains(&m.name)).filter_map(make).collect()
}

/// The names `aegis.nomount=` has that no mount is called by: a slip there must not pass for a tested absence.
pub(crate) fn unknown(boot: &Boot) -> Vec<String> {
    let known = |name: &&str| MOUNTS.iter().any(|m| m.name == *name);
    boot.list(PARAM_NOMOUNT).into_iter().filter(|name| !known(name)).map(str::to_owned).collect()
}

fn make(entry: &Mount) -> Option<String> {
    // The kernel makes the mount points in sysfs itself, and refuses a mkdir there.
    if !entry.target.starts_with("/sys/") {
        let _ = fs::create_dir_all(entry.target);
    }
    let data = CString::new(entry.data).unwrap_or_default();
    match mount(entry.name, entry.target, entry.fstype, MountFlags::empty(), data.as_c_str()) {
        // EBUSY: some kernels mount devtmpfs or a sysfs child themselves.
        Ok(()) | Err(Errno::BUSY) => None,
        Err(source) => Some(format!("{} on {}: {source}", entry.fstype, entry.target)),
    }
}
