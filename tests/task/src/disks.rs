//! The disks of a VM: one with each file system that a policy has to be right about. Made anew for every boot, in memory
//! files as the initramfs is, so that neither a stale nor a dirty one can decide a row.

use anyhow::{Context as _, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Command;

/// What the guest needs to see them. Newer kernels have them built in, and their packages do not say so.
pub(crate) const DRIVERS: [&str; 2] = ["virtio_pci", "virtio_blk"];

/// A file system: its name, which the guest finds the disk by, the size, and how it is made. Sizes are the smallest
/// that each program takes, rounded up.
struct Kind {
    name: &'static str,
    mib: u64,
    command: &'static [&'static str],
}

const KINDS: [Kind; 3] = [
    // Without checksums of its metadata: with them, ext4 lets nobody change the version of a file.
    Kind { name: "ext4", mib: 64, command: &["mkfs.ext4", "-q", "-F", "-O", "^metadata_csum"] },
    // Without what 5.10 does not know, or calls experimental on its console.
    Kind {
        name: "xfs",
        mib: 320,
        command: &["mkfs.xfs", "-q", "-m", "bigtime=0,inobtcount=0", "-i", "nrext64=0"],
    },
    Kind { name: "btrfs", mib: 128, command: &["mkfs.btrfs", "-q"] },
];

/// A finished disk.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) name: &'static str,
    file: File,
}

impl Disk {
    /// A path that other processes of this user can open for as long as this value lives.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    fn make(kind: &Kind) -> Result<Self> {
        let file = File::from(memfd_create(kind.name, MemfdFlags::CLOEXEC)?);
        file.set_len(kind.mib << 20)?;
        let disk = Self { name: kind.name, file };
        let (program, args) = kind.command.split_first().context("a disk without a program")?;
        let output = Command::new(program).args(args).arg(disk.path()).output();
        let output = output.with_context(|| {
            format!("cannot start {program} (packages e2fsprogs, xfsprogs and btrfs-progs)")
        })?;
        if !output.status.success() {
            bail!(
                "{program} ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(disk)
    }
}

/// One disk of each kind.
pub(crate) fn make() -> Result<Vec<Disk>> {
    KINDS.iter().map(Disk::make).collect()
}
