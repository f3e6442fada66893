//! Ways through an overlay. A rule on a file of the lower layer: the way mounts the overlay itself. A rule on the file as the
//! overlay shows it: that is mounted from before.

use super::tree::{
    add_xattr, append, change_mode, change_owner, change_times, link_beside, read_at, remove, rename_beside,
    run, shorten, write, write_anew,
};
use super::{Way, private_mounts, setup};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

pub(super) const WAYS: &[Way] = &[
    Way { id: "overlay.read-merged", go: |dir| read_at(&layered(dir)?) },
    Way { id: "overlay.read-merged-after-other-copied-up", go: read_beside_copied },
    Way { id: "overlay.read-hard-linked", go: read_linked },
    Way { id: "overlay.read-lower-layers-only", go: lower_only },
    Way { id: "overlay.read-nested", go: |dir| read_at(&nested(dir)?) },
    Way { id: "overlay.read-user-namespace", go: |dir| read_at(&in_user_namespace(dir)?) },
    Way { id: "overlay.read-after-chmod", go: read_after_chmod },
    Way { id: "overlay.metacopy-read", go: |dir| copy_up_and_read(&with(dir, METACOPY)?) },
    Way { id: "overlay.exec-merged", go: |dir| run(&program(&layered(dir)?)) },
    Way { id: "overlay.exec-nested", go: |dir| run(&program(&nested(dir)?)) },
    Way { id: "overlay.mmap-exec-merged", go: |dir| map_program(&program(&layered(dir)?)) },
    Way { id: "overlay.open-write", go: |dir| write(&layered(dir)?) },
    Way { id: "overlay.append", go: |dir| append(&layered(dir)?) },
    Way { id: "overlay.append-nested", go: |dir| append(&nested(dir)?) },
    Way { id: "overlay.truncate-open", go: |dir| write_anew(&layered(dir)?) },
    Way { id: "overlay.truncate", go: |dir| shorten(&layered(dir)?) },
    Way { id: "overlay.chmod", go: |dir| change_mode(&layered(dir)?) },
    Way { id: "overlay.metacopy-chmod", go: |dir| change_mode(&with(dir, METACOPY)?) },
    Way { id: "overlay.chown", go: |dir| change_owner(&layered(dir)?) },
    Way { id: "overlay.utimes", go: |dir| change_times(&layered(dir)?) },
    Way { id: "overlay.setxattr", go: |dir| add_xattr(&layered(dir)?) },
    Way { id: "overlay.rename", go: |dir| rename_beside(&layered(dir)?) },
    Way { id: "overlay.link", go: |dir| link_beside(&layered(dir)?) },
    Way { id: "overlay.index-link", go: |dir| link_beside(&with(dir, ",index=on")?) },
    Way { id: "overlay.unlink", go: |dir| remove(&layered(dir)?) },
    Way { id: "overlay.merged-read", go: |dir| read_at(&shown(dir)) },
    Way { id: "overlay.merged-read-after-copy-up", go: |dir| copy_up_and_read(&shown(dir)) },
    Way { id: "overlay.merged-exec", go: |dir| run(&program(&shown(dir))) },
    Way { id: "overlay.merged-mmap-exec", go: |dir| map_program(&program(&shown(dir))) },
    Way { id: "overlay.merged-open-write", go: |dir| write(&shown(dir)) },
    Way { id: "overlay.merged-append", go: |dir| append(&shown(dir)) },
    Way { id: "overlay.merged-truncate", go: |dir| shorten(&shown(dir)) },
    Way { id: "overlay.merged-chmod", go: |dir| change_mode(&shown(dir)) },
    Way { id: "overlay.merged-chown", go: |dir| change_owner(&shown(dir)) },
    Way { id: "overlay.merged-utimes", go: |dir| change_times(&shown(dir)) },
    Way { id: "overlay.merged-setxattr", go: |dir| add_xattr(&shown(dir)) },
    Way { id: "overlay.merged-rename", go: |dir| rename_beside(&shown(dir)) },
    Way { id: "overlay.merged-link", go: |dir| link_beside(&shown(dir)) },
    Way { id: "overlay.merged-unlink", go: |dir| remove(&shown(dir)) },
];

/// A change of attributes copies the attributes alone.
const METACOPY: &str = ",metacopy=on,redirect_dir=on";

/// The secret in the overlay that is there from before.
fn shown(dir: &Path) -> PathBuf {
    dir.join("merged/secret")
}

fn program(secret: &Path) -> PathBuf {
    secret.with_file_name("true")
}

fn mounted_with(data: String, at: &Path) -> io::Result<()> {
    let data = CString::new(data)?;
    setup(mount("overlay", at, "overlay", MountFlags::empty(), data.as_c_str()))
}

/// An overlay that nothing can be written to.
pub(super) fn read_only(layers: &[&Path], at: &Path) -> io::Result<()> {
    let layers: Vec<String> = layers.iter().map(|path| path.display().to_string()).collect();
    mounted_with(format!("lowerdir={}", layers.join(":")), at)
}

/// An overlay in the directory of the way, and the secret in it. The names of its parts end alike.
fn mounted(dir: &Path, lower: &Path, number: &str, options: &str) -> io::Result<PathBuf> {
    let part = |name| dir.join(format!("{name}{number}"));
    let (upper, work, merged) = (part("upper"), part("work"), part("merged"));
    [&upper, &work, &merged].into_iter().try_for_each(|path| setup(fs::create_dir_all(path)))?;
    let (lower, upper, work) = (lower.display(), upper.display(), work.display());
    mounted_with(format!("lowerdir={lower},upperdir={upper},workdir={work}{options}"), &merged)?;
    Ok(merged.join("secret"))
}

fn with(dir: &Path, options: &str) -> io::Result<PathBuf> {
    private_mounts()?;
    mounted(dir, &dir.join("lower"), "", options)
}

fn layered(dir: &Path) -> io::Result<PathBuf> {
    with(dir, "")
}

/// An overlay of which the lower layer is an overlay.
fn nested(dir: &Path) -> io::Result<PathBuf> {
    layered(dir)?;
    mounted(dir, &dir.join("merged"), "-2", "")
}

fn in_user_namespace(dir: &Path) -> io::Result<PathBuf> {
    setup(unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS))?;
    for (name, value) in [("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")] {
        setup(fs::write(format!("/proc/self/{name}"), value))?;
    }
    mounted(dir, &dir.join("lower"), "", ",userxattr")
}

fn lower_only(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    read_only(&[&dir.join("lower"), &dir.join("upper")], &dir.join("merged"))?;
    read_at(&shown(dir))
}

/// Once there is something in the upper layer.
fn read_beside_copied(dir: &Path) -> io::Result<()> {
    let secret = layered(dir)?;
    setup(append(&program(&secret)))?;
    read_at(&secret)
}

/// A file of two names, which an overlay shows as two files.
fn read_linked(dir: &Path) -> io::Result<()> {
    setup(fs::hard_link(dir.join("lower/secret"), dir.join("lower/linked")))?;
    read_at(&layered(dir)?.with_file_name("linked"))
}

/// To copy up is to read the lower file, and is refused as such.
fn read_after_chmod(dir: &Path) -> io::Result<()> {
    let secret = layered(dir)?;
    change_mode(&secret)?;
    read_at(&secret)
}

/// The attributes are free to change where reading is denied, and what is read then is a copy, or again the lower file.
fn copy_up_and_read(secret: &Path) -> io::Result<()> {
    setup(change_mode(secret))?;
    read_at(secret)
}

/// As the loader maps a program, without executing it.
#[expect(unsafe_code, reason = "no library maps for execution without it")]
pub(super) fn map_program(path: &Path) -> io::Result<()> {
    let file = setup(File::open(path))?;
    let (protection, fd) = (libc::PROT_READ | libc::PROT_EXEC, file.as_raw_fd());
    // SAFETY: the kernel chooses a place where nothing is, and nothing is done with what is mapped.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), 64, protection, libc::MAP_PRIVATE, fd, 0) };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}
