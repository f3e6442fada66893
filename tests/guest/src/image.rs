//! Hands a boot over to the whole system that the initramfs holds, whose init then starts this program again.

use guest::IMAGE;
use rustix::fs::{Mode, mkdir};
use rustix::mount::{UnmountFlags, mount_bind, mount_move, unmount};
use rustix::process::{chdir, chroot};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// What its init mounts over, and expects to be there.
const MOUNT_POINTS: [&str; 5] = ["proc", "sys", "dev", "run", "tmp"];

/// Whether this boot is to be handed over.
pub(crate) fn is_there() -> bool {
    Path::new(IMAGE).is_dir()
}

/// Makes the image the root and becomes its init; what comes back is why that failed.
pub(crate) fn hand_over() -> io::Error {
    match switch() {
        Ok(()) => Command::new(SYSTEMD).exec(),
        Err(source) => source.into(),
    }
}

fn switch() -> rustix::io::Result<()> {
    unmount("/proc", UnmountFlags::DETACH)?;
    // A mount of its own: pivot_root(2), with which systemd makes the view of a service, refuses the first root.
    mount_bind(IMAGE, IMAGE)?;
    chdir(IMAGE)?;
    for name in MOUNT_POINTS {
        match mkdir(name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    mount_move(".", "/")?;
    chroot(".")?;
    chdir("/")
}
