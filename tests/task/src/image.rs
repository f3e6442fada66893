//! The image of a whole system: Debian's own packages with systemd as its init, for what a kernel and a static binary
//! cannot show; and that of the programs that others guard hosts with. Nothing of a package is run while one is made, so it
//! needs no root, and no disk holds it: it is one more archive in front of the initramfs, with all its files below one
//! directory.

use crate::apt::Apt;
use crate::arch::Arch;
use crate::cpio::Cpio;
use crate::kernels;
use crate::paths;
use anyhow::{Context as _, Result};
use guest::{IMAGE, PEERS, RUN_FILE};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const SUITE: &str = "trixie";

/// Packages, with all that they depend on, below a directory of the initramfs.
#[derive(Debug)]
pub(crate) struct Image {
    name: &'static str,
    packages: &'static [&'static str],
    at: &'static str,
}

/// That of a whole system.
pub(crate) const SYSTEM: Image = Image { name: SUITE, packages: &PACKAGES, at: IMAGE };
/// That of what is measured beside the agent.
pub(crate) const OF_PEERS: Image =
    Image { name: "peers", packages: &["auditd", "base-files", "base-passwd", "fapolicyd"], at: PEERS };

const PACKAGES: [&str; 15] = [
    "base-files",
    "base-passwd",
    "coreutils",
    "dash",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "init-system-helpers",
    "libc-bin",
    "mount",
    "perl-base",
    "sed",
    "systemd",
    "tar",
];
/// A third of the bytes, and nothing that a test looks at.
const LEFT_OUT: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/perl5",
    "usr/share/lintian",
];

/// What base-passwd would make of its files.
const PASSWD: [(&str, &str); 2] = [
    ("etc/passwd", "usr/share/base-passwd/passwd.master"),
    ("etc/group", "usr/share/base-passwd/group.master"),
];

/// What an operator or an installer would have settled. Units of Debian that do nothing for a test are masked, because an
/// emulated processor takes seconds for them.
const SETTLED: [(&str, &str); 5] = [
    ("etc/fstab", ""),
    ("etc/hostname", "guest\n"),
    // Not the first boot: nothing is asked on the console.
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/systemd/system/checks.target", include_str!("../image/checks.target")),
    ("etc/systemd/system/checks.service", include_str!("../image/checks.service")),
];
const MASKED: [&str; 15] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hibernate-clear.service",
    "systemd-journal-catalog-update.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-update-done.service",
];

/// What of the tree is there to be installed, below `/root`.
const DIST: &str = "dist";

/// The archive, from the cache while that is fresh; else made anew; else, with a note, the last one.
pub(crate) fn archive(cache: &Path, image: &Image) -> Result<PathBuf> {
    let (made, recipe) = (image.file(cache, "cpio"), image.file(cache, "recipe"));
    let same = fs::read_to_string(&recipe).is_ok_and(|text| text == image.recipe());
    let age =
        fs::metadata(&made).and_then(|file| file.modified()).map(|time| time.elapsed().unwrap_or_default());
    let last = age.ok().filter(|_| same);
    if last.is_some_and(|age| age < kernels::FRESH) {
        return Ok(made);
    }
    let name = image.name;
    match (image.make(cache, &made), last) {
        (Ok(()), _) => fs::write(recipe, image.recipe())?,
        (Err(error), Some(_)) => {
            eprintln!("note: the image of Debian {SUITE} ({name}) stays as it is in the cache: {error:#}");
        }
        (Err(error), None) => {
            return Err(error.context(format!("no image of Debian {SUITE} ({name}) can be had")));
        }
    }
    Ok(made)
}

/// The version of each package in the archive that was made last.
pub(crate) fn versions(cache: &Path, image: &Image) -> Result<BTreeMap<String, String>> {
    let path = image.file(cache, "versions");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let words = text.lines().filter_map(|line| line.split_once(' '));
    Ok(words.map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
}

impl Image {
    /// Whether a package is there for its own sake, and is a program.
    pub(crate) fn named(&self, package: &str) -> bool {
        self.packages.contains(&package) && !package.starts_with("base-")
    }

    fn file(&self, cache: &Path, kind: &str) -> PathBuf {
        cache.join("images").join(format!("{}.{kind}", self.name))
    }

    /// What decides what the archive holds, but for the versions that the suite has.
    fn recipe(&self) -> String {
        format!("{:?}\n{LEFT_OUT:?}\n", self.packages)
    }

    fn make(&self, cache: &Path, made: &Path) -> Result<()> {
        eprintln!("making the image of Debian {SUITE} ({}) for the VMs", self.name);
        let stage = cache.join("images/.stage");
        kernels::remove(&stage)?;
        let tree = stage.join("tree");
        fs::create_dir_all(&tree)?;
        let mut files =
            Apt::update(cache, SUITE, Arch::Amd64)?.download_all(self.packages, &stage.join("archives"))?;
        // The links from /bin to /usr/bin and the like come first: they are in this one.
        files.sort_by_key(|file| !is_package(file, "base-files"));
        for file in &files {
            kernels::unpack(file, &tree)?;
        }
        for (path, master) in PASSWD {
            fs::copy(tree.join(master), tree.join(path)).with_context(|| master.to_owned())?;
        }
        let mut cpio = Cpio::default();
        cpio.directory(&inside(self.at, ""), 0o755);
        add(&mut cpio, &tree, self.at, "")?;
        let new = stage.join("new.cpio");
        fs::write(&new, cpio.finish())?;
        let versions: Vec<String> = files.iter().filter_map(|file| version(file)).collect();
        fs::write(self.file(cache, "versions"), versions.concat())?;
        fs::rename(new, made)?;
        kernels::remove(&stage)
    }
}

/// `auditd 1:4.0` and a newline, of `auditd_1%3a4.0_amd64.deb`.
fn version(file: &Path) -> Option<String> {
    let mut parts = file.file_name()?.to_str()?.split('_');
    let (name, version) = (parts.next()?, parts.next()?);
    Some(format!("{name} {}\n", version.replace("%3a", ":")))
}

fn is_package(file: &Path, name: &str) -> bool {
    let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    file.split_once('_').is_some_and(|(package, _)| package == name)
}

/// A path of an image as a path of the initramfs.
fn inside(at: &str, path: &str) -> String {
    format!("{at}/{}", path.trim_start_matches('/')).trim_matches('/').to_owned()
}

/// Adds what lies below a directory, in a fixed order, at `to` in the initramfs.
fn add(cpio: &mut Cpio, directory: &Path, to: &str, below: &str) -> Result<()> {
    let here = directory.join(below);
    let mut names = Vec::new();
    for entry in fs::read_dir(&here).with_context(|| here.display().to_string())? {
        let name = entry?.file_name();
        names.push(name.to_str().with_context(|| format!("{}: not UTF-8", name.display()))?.to_owned());
    }
    names.sort();
    for name in names {
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if LEFT_OUT.contains(&path.as_str()) {
            continue;
        }
        let (file, there) = (directory.join(&path), inside(to, &path));
        let data = fs::symlink_metadata(&file)?;
        let mode = data.permissions().mode() & 0o7777;
        if data.is_dir() {
            cpio.directory(&there, mode);
            add(cpio, directory, to, &path)?;
        } else if data.is_symlink() {
            let target = fs::read_link(&file)?;
            cpio.symlink(&there, target.to_str().with_context(|| format!("{path}: not UTF-8"))?);
        } else {
            cpio.file(&there, mode, &fs::read(&file).with_context(|| path.clone())?);
        }
    }
    Ok(())
}

/// What a boot of the image takes with it beside the packages: the settings, the guest, the agent, busybox, and what is
/// to be installed.
pub(crate) fn furnish(
    cpio: &mut Cpio,
    programs: &[(&str, &[u8])],
    packages: &[(&str, Vec<u8>)],
    run: Option<&str>,
) -> Result<()> {
    for (path, text) in SETTLED {
        cpio.file(&inside(IMAGE, path), 0o644, text.as_bytes());
    }
    cpio.symlink(&inside(IMAGE, "etc/systemd/system/default.target"), "checks.target");
    for unit in MASKED {
        cpio.symlink(&inside(IMAGE, &format!("etc/systemd/system/{unit}")), "/dev/null");
    }
    for (path, bytes) in programs {
        cpio.file(&inside(IMAGE, path), 0o755, bytes);
    }
    for (name, bytes) in packages {
        cpio.file(&inside(IMAGE, &format!("root/{name}")), 0o644, bytes);
    }
    if let Some(run) = run {
        cpio.file(&inside(IMAGE, RUN_FILE), 0o644, format!("{run}\n").as_bytes());
    }
    let dist = inside(IMAGE, "root/dist");
    cpio.directory(&dist, 0o755);
    add(cpio, &paths::root()?.join(DIST), &dist, "")
}
