//! The initramfs of a VM: the guest as init, the agent, busybox, modules. It lives in a memory file, so that
//! nothing is left behind however a run ends.

use crate::cpio::Cpio;
use crate::image;
use crate::modules::Module;
use crate::userland::Userland;
use anyhow::{Context as _, Result};
use guest::{AGENT, MODULE_LIST, RUN_FILE};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

const DIRECTORIES: [&str; 17] = [
    "bin",
    "dev",
    "etc",
    "etc/profiles",
    "lib",
    "lib/aarch64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "lib64",
    "modules",
    "proc",
    "root",
    "sbin",
    "sys",
    "usr",
    "usr/lib",
    "usr/lib/dynamic",
    "var",
];

/// The commands that checks and people use. busybox finds out by its name which one it is.
const APPLETS: &str = "[ awk basename cat chgrp chmod chown chroot clear cmp cp cut date dd df diff dirname dmesg du \
    echo env expr false find free grep gunzip gzip head hexdump hostname id ip kill killall less ln losetup ls lsmod \
    md5sum mkdir mkfifo mknod mktemp more mount mv nproc nsenter od pgrep pidof ping poweroff printf ps pwd readlink \
    realpath reset rm rmdir sed seq setpriv setsid sh sha256sum sleep sort stat stty su sync sysctl tail tar taskset \
    tee test time timeout top touch tr true truncate tty umount uname uniq unlink unshare uptime usleep vi watch wc \
    which whoami xargs xxd yes";

/// What a boot takes with it.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    pub(crate) guest: &'a Path,
    pub(crate) agent: &'a Path,
    /// The programs of others.
    pub(crate) userland: &'a Userland,
    pub(crate) modules: &'a [Module],
    /// More files, by their paths in the guest.
    pub(crate) files: &'a [(&'static str, Vec<u8>)],
    /// A command for the shell, instead of a row of checks.
    pub(crate) run: Option<&'a str>,
    /// The archive of a whole system that this boot hands over to.
    pub(crate) image: Option<&'a Path>,
    /// The archive of what is measured beside the agent.
    pub(crate) peers: Option<&'a Path>,
    /// Packages for that system, by their names.
    pub(crate) packages: &'a [(&'static str, Vec<u8>)],
}

/// A finished initramfs.
#[derive(Debug)]
pub(crate) struct Initramfs(File);

impl Initramfs {
    /// A path that other processes of this user can open for as long as this value lives.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// Not compressed: an emulated processor takes longer to unpack than it takes to copy.
    pub(crate) fn build(content: &Content<'_>) -> Result<Self> {
        let mut cpio = Cpio::default();
        for directory in DIRECTORIES {
            cpio.directory(directory, 0o755);
        }
        cpio.character_device("dev/console", 0o600, (5, 1));
        cpio.character_device("dev/null", 0o666, (1, 3));
        cpio.file("init", 0o755, &read(content.guest)?);
        cpio.file(AGENT.trim_start_matches('/'), 0o755, &read(content.agent)?);
        cpio.file("bin/busybox", 0o755, &read(&content.userland.busybox)?);
        for applet in APPLETS.split_ascii_whitespace() {
            cpio.symlink(&format!("bin/{applet}"), "busybox");
        }
        cpio.file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        );
        cpio.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
        cpio.file("etc/profile", 0o644, b"export PS1='guest:\\w# '\n");
        for (source, path) in &content.userland.dynamic {
            cpio.file(path.trim_start_matches('/'), 0o755, &read(source)?);
        }
        for (path, bytes) in content.files {
            cpio.file(path.trim_start_matches('/'), 0o600, bytes);
        }
        if let Some(run) = content.run {
            cpio.file(RUN_FILE.trim_start_matches('/'), 0o644, format!("{run}\n").as_bytes());
        }
        add_modules(&mut cpio, content.modules);
        let mut file = File::from(memfd_create("initramfs", MemfdFlags::CLOEXEC)?);
        if let Some(image) = content.image {
            // The kernel unpacks one archive after the other.
            file.write_all(&read(image)?)?;
            let (guest, agent, busybox) =
                (read(content.guest)?, read(content.agent)?, read(&content.userland.busybox)?);
            let programs =
                [("init", &guest[..]), ("usr/sbin/aegisbpf", &agent), ("usr/bin/busybox", &busybox)];
            image::furnish(&mut cpio, &programs, content.packages, content.run)?;
        }
        if let Some(peers) = content.peers {
            file.write_all(&read(peers)?)?;
        }
        file.write_all(&cpio.finish())?;
        Ok(Self(file))
    }
}

fn add_modules(cpio: &mut Cpio, modules: &[Module]) {
    if modules.is_empty() {
        return;
    }
    let mut list = String::new();
    for module in modules {
        let path = format!("/modules/{}.ko", module.name);
        cpio.file(path.trim_start_matches('/'), 0o644, &module.bytes);
        list.push_str(&path);
        list.push('\n');
    }
    cpio.file(MODULE_LIST.trim_start_matches('/'), 0o644, list.as_bytes());
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
