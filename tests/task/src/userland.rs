//! The programs of others that a guest has: busybox, and one that needs a loader and the C library. Those of this host
//! where its processor is the guest's; else Debian's.

use crate::apt::Apt;
use crate::arch::Arch;
use crate::kernels;
use anyhow::{Context as _, Result, bail};
use guest::DYNAMIC_TRUE;
use std::fs;
use std::path::{Path, PathBuf};

const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// Where distributions have the C library.
const LIBC: [&str; 2] = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"];

const SUITE: &str = "bookworm";
const PACKAGES: [&str; 3] = ["busybox-static", "coreutils", "libc6"];
const LIBC_ARM64: &str = "/lib/aarch64-linux-gnu/libc.so.6";

/// Where its files are on this host, and in the guest.
#[derive(Clone, Debug)]
pub(crate) struct Userland {
    pub(crate) busybox: PathBuf,
    pub(crate) dynamic: Vec<(PathBuf, String)>,
}

impl Userland {
    /// That of this host.
    pub(crate) fn of_this_host() -> Result<Self> {
        let busybox = BUSYBOX.iter().map(PathBuf::from).find(|path| path.exists());
        let busybox = busybox.context("there is no busybox: install the package busybox-static")?;
        let bytes = fs::read(&busybox).with_context(|| busybox.display().to_string())?;
        // The one text that only a dynamic executable of this machine has: the path of its loader.
        if bytes.windows(10).any(|window| window == b"/ld-linux-") {
            bail!(
                "{} needs shared libraries, which the guest has not: install busybox-static",
                busybox.display()
            );
        }
        let libc = LIBC.iter().find(|path| Path::new(path).exists());
        let libc = libc.context("there is no libc.so.6 on this host")?;
        let loader = guest::loader(Arch::Amd64.name());
        let files = [(loader, loader), (libc, libc), ("/bin/true", DYNAMIC_TRUE)];
        let dynamic = files.map(|(from, to)| (PathBuf::from(from), to.to_owned())).to_vec();
        Ok(Self { busybox, dynamic })
    }

    /// Debian's for arm64, from the cache once they are there.
    pub(crate) fn of_arm64(cache: &Path) -> Result<Self> {
        let directory = cache.join("arm64");
        if !directory.is_dir() {
            fetch(cache, &directory)?;
        }
        let loader = guest::loader(Arch::Arm64.name());
        let files = [(loader, loader), (LIBC_ARM64, LIBC_ARM64), ("/bin/true", DYNAMIC_TRUE)];
        let inside = |path: &str| directory.join(path.trim_start_matches('/'));
        Ok(Self {
            busybox: inside("/bin/busybox"),
            dynamic: files.map(|(from, to)| (inside(from), to.to_owned())).to_vec(),
        })
    }
}

/// The directory gets its name only when it is complete.
fn fetch(cache: &Path, directory: &Path) -> Result<()> {
    eprintln!("fetching programs of Debian {SUITE} for arm64");
    let stage = cache.join(".arm64");
    kernels::remove(&stage)?;
    let tree = stage.join("tree");
    fs::create_dir_all(&tree)?;
    let apt = Apt::update(cache, SUITE, Arch::Arm64)?;
    for package in PACKAGES {
        kernels::unpack(&apt.download(package, &stage)?, &tree)?;
    }
    fs::rename(tree, directory)?;
    kernels::remove(&stage)
}
