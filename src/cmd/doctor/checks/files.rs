//! File systems, and directories of ours.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statvfs};

use super::{super::Facts, Finding};
use crate::enforce;

/// What a policy and its record take, with a margin.
const ROOM: u64 = 16 * 1024 * 1024;

pub(super) fn cgroup(_: &Facts<'_>) -> Finding {
    match enforce::cgroup_root() {
        Ok(path) => Finding::ok(format!("mounted at {}", path.display())),
        Err(error) => Finding::warn(error.to_string()).fix("mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
    }
}

pub(super) fn bpffs_owner(facts: &Facts<'_>) -> Finding {
    let dir = &facts.places.bpffs;
    let Some(mount) = facts.mounts.iter().rev().find(|mount| mount.mount_point == *dir) else {
        return Finding::skip(format!("nothing is mounted at {} (F001)", dir.display()));
    };
    if mount.fs_type != "bpf" {
        return Finding::skip(format!("{} is {} (F001)", dir.display(), mount.fs_type));
    }
    owned(dir)
}

/// A directory or file that nobody but root may write. What is not there is no fault.
pub(super) fn owned(path: &Path) -> Finding {
    let shown = path.display();
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::skip(format!("{shown} does not exist"));
        }
        Err(error) => return Finding::unknown(format!("{shown}: {error}")),
        Ok(metadata) => metadata,
    };
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let evidence = format!("{shown} belongs to user {owner}, mode {mode:o}");
    // A sticky directory lets others make files and takes nobody's away.
    let shared = mode & 0o022 != 0 && (mode & 0o1000 == 0 || !metadata.is_dir());
    if metadata.is_symlink() || owner != 0 || shared {
        return Finding::fail(evidence).fix(format!("chown root:root {shown} && chmod go-w {shown}"));
    }
    Finding::ok(evidence)
}

pub(super) fn cgroup_layout(facts: &Facts<'_>) -> Finding {
    let of = |kind: &str| facts.mounts.iter().filter(|mount| mount.fs_type == kind).count();
    match (of("cgroup2"), of("cgroup")) {
        (0, 0) => Finding::skip("no cgroup file system is mounted"),
        (0, first) => {
            Finding::warn(format!("{first} hierarchies of v1, and none of v2 (/proc/self/mountinfo)"))
                .fix("systemd.unified_cgroup_hierarchy=1 on the boot line")
        }
        (_, 0) => Finding::ok("v2 alone (/proc/self/mountinfo)"),
        (_, first) => Finding::ok(format!("hybrid: v2 and {first} hierarchies of v1 (/proc/self/mountinfo)")),
    }
}

pub(super) fn securityfs(facts: &Facts<'_>) -> Finding {
    match facts.mounts.iter().find(|mount| mount.fs_type == "securityfs") {
        Some(mount) => Finding::ok(format!("mounted at {}", mount.mount_point.display())),
        None => Finding::warn("not mounted (/proc/self/mountinfo)")
            .fix("mount -t securityfs securityfs /sys/kernel/security"),
    }
}

pub(super) fn config_dir(facts: &Facts<'_>) -> Finding {
    owned(&facts.places.config_dir)
}

pub(super) fn state_dir(facts: &Facts<'_>) -> Finding {
    writable(facts, &facts.places.state_dir, ROOM)
}

pub(super) fn run_dir(facts: &Facts<'_>) -> Finding {
    writable(facts, &facts.places.run_dir, 1024 * 1024)
}

/// A directory that is writable and has room, or can be made. Asked, not tried: doctor writes nothing.
fn writable(facts: &Facts<'_>, dir: &Path, room: u64) -> Finding {
    let there: PathBuf =
        dir.ancestors().find(|path| path.exists()).map_or_else(|| "/".into(), Path::to_owned);
    let shown = if there == dir {
        dir.display().to_string()
    } else {
        format!("{} does not exist yet, {}", dir.display(), there.display())
    };
    let space = match statvfs(&there) {
        Err(errno) => return Finding::unknown(format!("{shown}: {errno}")),
        Ok(space) => space,
    };
    if let Err(errno) = access(&there, Access::WRITE_OK) {
        let evidence = format!("{shown} cannot be written: {errno}");
        return match errno {
            rustix::io::Errno::ROFS => {
                Finding::fail(evidence).fix(format!("mount a writable file system at {}", dir.display()))
            }
            _ if facts.around.missing.is_some() => Finding::unknown(evidence).fix("sudo aegisbpf doctor"),
            _ => {
                Finding::fail(evidence).fix(format!("chown root:root {0} && chmod u+w {0}", there.display()))
            }
        };
    }
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < room {
        return Finding::warn(format!("{shown} has {free} bytes free")).fix(format!("make room in {shown}"));
    }
    Finding::ok(format!("{shown} is writable and has room"))
}
