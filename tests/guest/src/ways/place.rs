//! Ways to put something at a denied path, and to what was put there.

use super::outside::Outside;
use super::tree::{append, read_at, run};
use super::{CONTENT, Way, effect, private_mounts, setup};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, linkat, mknodat, openat};
use rustix::mount::mount_bind;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub(super) const WAYS: &[Way] = &[
    Way { id: "place.create", go: |dir| made(&place(dir), create) },
    Way { id: "place.create-exclusive", go: |dir| made(&place(dir), create_exclusive) },
    Way { id: "place.mkdir", go: |dir| made(&place(dir), make_directory) },
    Way { id: "place.mknod", go: |dir| made(&place(dir), make_fifo) },
    Way { id: "place.symlink", go: |dir| made(&place(dir), make_symlink) },
    Way { id: "place.link", go: |dir| link(&dir.join("other"), &place(dir)) },
    Way { id: "place.rename", go: |dir| rename(&dir.join("other"), &place(dir)) },
    Way { id: "place.rename-directory", go: rename_directory },
    Way { id: "place.tmpfile-linked", go: |dir| link_opened(&setup(nameless(dir))?, &place(dir)) },
    Way { id: "place.read-created-by-other", go: |dir| created(dir).and_then(|()| read_at(&place(dir))) },
    Way { id: "place.read-created-by-itself", go: created_by_itself },
    Way { id: "place.write-created-by-other", go: |dir| created(dir).and_then(|()| append(&place(dir))) },
    Way { id: "place.exec-moved-there-by-other", go: exec },
    Way { id: "place.rename-away-when-replaced", go: |dir| away_when_replaced(dir, rename) },
    Way { id: "place.link-away-when-replaced", go: |dir| away_when_replaced(dir, link) },
    Way { id: "place.directory-replaced", go: other_directory },
    Way { id: "place.symlink-changed", go: other_link },
    Way { id: "place.mounted-over", go: mounted_over },
];

fn place(dir: &Path) -> PathBuf {
    dir.join("missing")
}

/// Whether something has this name, whatever it is.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub(super) fn made(path: &Path, make: fn(&Path) -> io::Result<()>) -> io::Result<()> {
    make(path)?;
    effect(is_there(path))
}

pub(super) fn create(path: &Path) -> io::Result<()> {
    File::create(path).map(drop)
}

pub(super) fn create_exclusive(path: &Path) -> io::Result<()> {
    File::create_new(path).map(drop)
}

pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

pub(super) fn make_fifo(path: &Path) -> io::Result<()> {
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0)?)
}

pub(super) fn make_symlink(path: &Path) -> io::Result<()> {
    symlink("other", path)
}

pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    effect(is_there(from) && is_there(to))
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    effect(!is_there(from) && is_there(to))
}

/// A name for a file that is open, as proc has it.
pub(super) fn link_opened(file: &File, to: &Path) -> io::Result<()> {
    linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), CWD, to, AtFlags::SYMLINK_FOLLOW)?;
    effect(is_there(to))
}

/// A file without a name in a directory, and something in it.
pub(super) fn nameless(directory: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY;
    let mut file = File::from(openat(CWD, directory, flags, Mode::RUSR)?);
    file.write_all(CONTENT.as_bytes())?;
    Ok(file)
}

fn rename_directory(dir: &Path) -> io::Result<()> {
    setup(fs::create_dir(dir.join("directory")))?;
    rename(&dir.join("directory"), &place(dir))
}

fn created(dir: &Path) -> io::Result<()> {
    Outside::connect()?.ask(&format!("create {}", place(dir).display())).map(drop)
}

/// That something is put there, a rule on reading does not refuse.
fn created_by_itself(dir: &Path) -> io::Result<()> {
    setup(fs::write(place(dir), CONTENT))?;
    read_at(&place(dir))
}

fn exec(dir: &Path) -> io::Result<()> {
    Outside::connect()?.ask(&format!("rename {0}/true {0}/missing", dir.display()))?;
    run(&place(dir))
}

/// The rule is about who is at the path; gone from there, the other file would be nobody's.
fn away_when_replaced(dir: &Path, away: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    setup(fs::write(dir.join("new"), CONTENT))?;
    Outside::connect()?.ask(&format!("rename {0}/new {0}/secret", dir.display()))?;
    away(&dir.join("secret"), &dir.join("away"))?;
    read_at(&dir.join("away"))
}

/// The path then leads to another file. The one that is denied is denied where it is now.
fn other_directory(dir: &Path) -> io::Result<()> {
    setup(fs::rename(dir, dir.with_file_name("moved")))?;
    setup(fs::create_dir(dir))?;
    setup(fs::write(dir.join("secret"), CONTENT))?;
    read_at(&dir.join("secret"))
}

/// A link on the way, in place of a directory.
fn other_link(dir: &Path) -> io::Result<()> {
    setup(fs::rename(dir, dir.with_file_name("moved")))?;
    setup(fs::create_dir(dir.with_file_name("elsewhere")))?;
    setup(symlink("elsewhere", dir))?;
    setup(fs::write(dir.join("secret"), CONTENT))?;
    read_at(&dir.join("secret"))
}

fn mounted_over(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    setup(fs::write(dir.join("other"), CONTENT))?;
    setup(mount_bind(dir.join("other"), dir.join("secret")))?;
    read_at(&dir.join("secret"))
}
