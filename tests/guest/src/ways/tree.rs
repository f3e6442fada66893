//! Ways to files below a denied directory, to change what is below it, and to take a file out of it.

use super::outside::Outside;
use super::place::{
    create, create_exclusive, is_there, link, link_opened, made, make_directory, make_fifo, make_symlink,
    nameless, rename,
};
use super::{CONTENT, Way, effect, errno, fd, overlay, private_mounts, raw, read, setup};
use nix::unistd::truncate;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags, getxattr, openat,
    renameat_with, setxattr, utimensat,
};
use rustix::mount::{MountFlags, mount, mount_bind};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const WAYS: &[Way] = &[
    Way { id: "tree.read", go: |dir| read_at(&secret(dir)) },
    Way { id: "tree.read-deep", go: |dir| read_at(&dir.join("tree/sub/deep/secret")) },
    Way { id: "tree.read-relative", go: relative },
    Way { id: "tree.read-made-later", go: made_later },
    Way { id: "tree.read-made-by-itself", go: made_by_itself },
    Way { id: "tree.read-moved-in-later", go: moved_in_later },
    Way { id: "tree.read-root-renamed", go: root_renamed },
    Way { id: "tree.open-by-handle", go: |dir| by_handle(dir, false) },
    Way { id: "tree.open-by-handle-uncached", go: |dir| by_handle(dir, true) },
    Way { id: "tree.list", go: list },
    Way { id: "tree.stat", go: |dir| effect(fs::metadata(secret(dir))?.size() == CONTENT.len() as u64) },
    Way { id: "tree.exec", go: |dir| run(&dir.join("tree/true")) },
    Way { id: "tree.exec-deep", go: |dir| run(&dir.join("tree/sub/deep/true")) },
    Way { id: "tree.mmap-exec", go: |dir| overlay::map_program(&dir.join("tree/true")) },
    Way { id: "tree.write-open", go: |dir| write(&secret(dir)) },
    Way { id: "tree.bind-mounted-elsewhere", go: |dir| bound(dir, "tree", "secret") },
    Way { id: "tree.bind-mounted-part", go: |dir| bound(dir, "tree/sub", "deep/secret") },
    Way { id: "tree.mounted-below", go: mounted_below },
    Way { id: "tree.chmod-mounted-twice", go: mounted_twice },
    Way { id: "tree.overlay", go: overlaid },
    Way { id: "tree.rename-inside-read", go: rename_and_read },
    Way { id: "tree.hard-link-before", go: |dir| read_at(&dir.join("out-before")) },
    Way { id: "tree.create", go: |dir| made(&new(dir), create) },
    Way { id: "tree.create-exclusive", go: |dir| made(&new(dir), create_exclusive) },
    Way { id: "tree.tmpfile", go: |dir| nameless(&dir.join("tree")).map(drop) },
    Way { id: "tree.mkdir", go: |dir| made(&new(dir), make_directory) },
    Way { id: "tree.mknod", go: |dir| made(&new(dir), make_fifo) },
    Way { id: "tree.symlink", go: |dir| made(&new(dir), make_symlink) },
    Way { id: "tree.link-in", go: |dir| link(&dir.join("other"), &new(dir)) },
    Way { id: "tree.rename-in", go: |dir| rename(&dir.join("other"), &new(dir)) },
    Way { id: "tree.unlink", go: |dir| remove(&secret(dir)) },
    Way { id: "tree.rmdir", go: |dir| remove_directory(&dir.join("tree/empty")) },
    Way { id: "tree.rmdir-root", go: remove_root },
    Way { id: "tree.rename-inside", go: |dir| rename_beside(&secret(dir)) },
    Way { id: "tree.rename-root", go: |dir| rename_beside(&dir.join("tree")) },
    Way { id: "tree.chmod", go: |dir| change_mode(&secret(dir)) },
    Way { id: "tree.chmod-directory", go: |dir| change_mode(&dir.join("tree/sub")) },
    Way { id: "tree.chown", go: |dir| change_owner(&secret(dir)) },
    Way { id: "tree.utimes", go: |dir| change_times(&secret(dir)) },
    Way { id: "tree.truncate", go: |dir| shorten(&secret(dir)) },
    Way { id: "tree.setxattr", go: |dir| add_xattr(&secret(dir)) },
    Way { id: "tree.link-out", go: |dir| link(&secret(dir), &dir.join("out")) },
    Way { id: "tree.link-out-by-descriptor", go: link_out },
    Way { id: "tree.tmpfile-linked-out", go: link_nameless_out },
    Way { id: "tree.rename-out", go: |dir| rename(&secret(dir), &dir.join("out")) },
    Way { id: "tree.rename-directory-out", go: |dir| rename(&dir.join("tree/sub"), &dir.join("out")) },
    Way { id: "tree.exchange-out", go: |dir| exchange(dir, "tree/secret", "other") },
    Way { id: "tree.exchange-out-reversed", go: |dir| exchange(dir, "other", "tree/secret") },
];

fn secret(dir: &Path) -> PathBuf {
    dir.join("tree/secret")
}

fn new(dir: &Path) -> PathBuf {
    dir.join("tree/new")
}

pub(super) fn read_at(path: &Path) -> io::Result<()> {
    read(File::open(path)?)
}

pub(super) fn run(path: &Path) -> io::Result<()> {
    match Command::new(path).status()?.code() {
        Some(0) => Ok(()),
        code => Err(errno(code.unwrap_or(255))),
    }
}

/// Opens to write, and writes more than was there. The size tells without opening the file again.
fn written(path: &Path, options: &OpenOptions) -> io::Result<()> {
    options.open(path)?.write_all(b"more than the secret has\n")?;
    effect(fs::metadata(path)?.size() > CONTENT.len() as u64)
}

pub(super) fn write(path: &Path) -> io::Result<()> {
    written(path, File::options().write(true))
}

pub(super) fn append(path: &Path) -> io::Result<()> {
    written(path, File::options().append(true))
}

pub(super) fn write_anew(path: &Path) -> io::Result<()> {
    written(path, File::options().write(true).truncate(true))
}

pub(super) fn shorten(path: &Path) -> io::Result<()> {
    truncate(path, 1)?;
    effect(fs::metadata(path)?.size() == 1)
}

pub(super) fn change_mode(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    effect(fs::metadata(path)?.mode() & 0o777 == 0o700)
}

pub(super) fn change_owner(path: &Path) -> io::Result<()> {
    chown(path, Some(1), Some(1))?;
    effect(fs::metadata(path)?.uid() == 1)
}

pub(super) fn change_times(path: &Path) -> io::Result<()> {
    let time = Timespec { tv_sec: 1, tv_nsec: 0 };
    utimensat(CWD, path, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty())?;
    effect(fs::metadata(path)?.mtime() == 1)
}

pub(super) fn add_xattr(path: &Path) -> io::Result<()> {
    setxattr(path, "user.way", b"1", XattrFlags::empty())?;
    effect(getxattr(path, "user.way", &mut [0; 8])? == 1)
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    effect(!is_there(path))
}

pub(super) fn rename_beside(path: &Path) -> io::Result<()> {
    rename(path, &path.with_file_name("renamed"))
}

pub(super) fn link_beside(path: &Path) -> io::Result<()> {
    link(path, &path.with_file_name("linked"))
}

/// The directory was entered before: that opens nothing.
fn relative(dir: &Path) -> io::Result<()> {
    setup(std::env::set_current_dir(dir.join("tree/sub")))?;
    read_at(Path::new("../secret"))
}

fn made_later(dir: &Path) -> io::Result<()> {
    let path = dir.join("tree/sub/later");
    Outside::connect()?.ask(&format!("create {}", path.display()))?;
    read_at(&path)
}

/// That there is a file more, a rule on reading does not refuse.
fn made_by_itself(dir: &Path) -> io::Result<()> {
    setup(fs::write(new(dir), CONTENT))?;
    read_at(&new(dir))
}

/// A file that no rule is about, until somebody who is not bound moves it.
fn moved_in_later(dir: &Path) -> io::Result<()> {
    Outside::connect()?.ask(&format!("rename {0}/secret {0}/tree/sub/later", dir.display()))?;
    read_at(&dir.join("tree/sub/later"))
}

fn root_renamed(dir: &Path) -> io::Result<()> {
    setup(rename_beside(&dir.join("tree")))?;
    read_at(&dir.join("renamed/secret"))
}

/// By a handle. Uncached: the kernel knows no name of the file by then, and finds it by its number alone.
fn by_handle(dir: &Path, uncached: bool) -> io::Result<()> {
    let mut handle = setup(raw::handle_of(&dir.join("tree/sub/deep/secret")))?;
    if uncached {
        setup(fs::write("/proc/sys/vm/drop_caches", "2"))?;
    }
    read(raw::open_handle(setup(File::open(dir))?, &mut handle)?)
}

/// To list a directory is to read it.
fn list(dir: &Path) -> io::Result<()> {
    let names = fs::read_dir(dir.join("tree"))?;
    effect(names.flatten().any(|entry| entry.file_name() == "secret"))
}

/// An empty directory to mount at.
fn view(dir: &Path) -> io::Result<PathBuf> {
    private_mounts()?;
    let view = dir.join("view");
    setup(fs::create_dir(&view))?;
    Ok(view)
}

fn bound(dir: &Path, part: &str, name: &str) -> io::Result<()> {
    let view = view(dir)?;
    setup(mount_bind(dir.join(part), &view))?;
    read_at(&view.join(name))
}

/// Another file system, whose root has no parent of its own.
fn mounted_below(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    let below = dir.join("tree/empty");
    setup(mount("tmpfs", &below, "tmpfs", MountFlags::empty(), None))?;
    setup(fs::write(below.join("secret"), CONTENT))?;
    read_at(&below.join("secret"))
}

/// Changed attributes are decided by one mount of the file system: by the first one on older kernels, by the last one on
/// newer ones. Both are outside of the tree here.
fn mounted_twice(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    let [first, last] = ["first", "last"].map(|name| dir.join(name));
    setup(fs::create_dir(&first).and_then(|()| fs::create_dir(&last)))?;
    let below = dir.join("tree/empty");
    setup(mount("tmpfs", &first, "tmpfs", MountFlags::empty(), None))?;
    setup(fs::write(first.join("secret"), CONTENT))?;
    setup(mount_bind(&first, &below))?;
    setup(mount_bind(&first, &last))?;
    change_mode(&below.join("secret"))
}

/// The directory is the lower layer of an overlay.
fn overlaid(dir: &Path) -> io::Result<()> {
    let (view, empty) = (view(dir)?, dir.join("empty"));
    setup(fs::create_dir(&empty))?;
    overlay::read_only(&[&dir.join("tree"), &empty], &view)?;
    read_at(&view.join("secret"))
}

/// What stays below may get another name there, which helps nothing.
fn rename_and_read(dir: &Path) -> io::Result<()> {
    let to = dir.join("tree/sub/renamed");
    setup(rename(&secret(dir), &to))?;
    read_at(&to)
}

fn remove_directory(path: &Path) -> io::Result<()> {
    fs::remove_dir(path)?;
    effect(!is_there(path))
}

/// Emptied before there is a rule.
fn remove_root(dir: &Path) -> io::Result<()> {
    let tree = dir.join("tree");
    setup(fs::remove_dir_all(&tree).and_then(|()| fs::create_dir(&tree)))?;
    fd::after_the_rule(tree, |tree| remove_directory(&tree))
}

/// The link is made of what is open, and of no path below.
fn link_out(dir: &Path) -> io::Result<()> {
    let held = setup(openat(CWD, secret(dir), OFlags::PATH, Mode::empty()))?;
    link_opened(&held.into(), &dir.join("out"))
}

fn link_nameless_out(dir: &Path) -> io::Result<()> {
    link_opened(&setup(nameless(&dir.join("tree")))?, &dir.join("out"))
}

/// The secret comes out for something that is let in.
fn exchange(dir: &Path, one: &str, other: &str) -> io::Result<()> {
    renameat_with(CWD, dir.join(one), CWD, dir.join(other), RenameFlags::EXCHANGE)?;
    effect(fs::metadata(dir.join("other"))?.size() == CONTENT.len() as u64)
}
