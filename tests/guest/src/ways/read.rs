//! Ways to read a file.

use super::{Way, is_secret};
use nix::fcntl::{SpliceFFlags, copy_file_range, splice};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::mount::{MountFlags, MountPropagationFlags, mount_bind, mount_change, mount_remount};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;

pub(super) const WAYS: [Way; 39] = [
    Way { id: "read.open", go: |dir| path(&dir.join("secret")) },
    Way { id: "read.open-rdwr", go: |dir| flagged(dir, OFlags::RDWR) },
    Way { id: "read.open-nonblock", go: |dir| flagged(dir, OFlags::NONBLOCK) },
    Way { id: "read.open-noatime", go: |dir| flagged(dir, OFlags::NOATIME) },
    Way { id: "read.open-nofollow", go: |dir| flagged(dir, OFlags::NOFOLLOW) },
    Way { id: "read.open-sync", go: |dir| flagged(dir, OFlags::SYNC) },
    Way { id: "read.open-largefile", go: |dir| flagged(dir, OFlags::LARGEFILE) },
    Way { id: "read.open-creat", go: |dir| flagged(dir, OFlags::RDWR | OFlags::CREATE) },
    Way {
        id: "read.openat-directory",
        go: |dir| read(openat(at(dir)?, "secret", OFlags::RDONLY, Mode::empty())?),
    },
    Way { id: "read.openat2-beneath", go: |dir| resolved(dir, ResolveFlags::BENEATH) },
    Way { id: "read.openat2-in-root", go: |dir| resolved(dir, ResolveFlags::IN_ROOT) },
    Way { id: "read.openat2-no-symlinks", go: |dir| resolved(dir, ResolveFlags::NO_SYMLINKS) },
    Way { id: "read.openat2-no-magiclinks", go: |dir| resolved(dir, ResolveFlags::NO_MAGICLINKS) },
    Way { id: "read.openat2-no-xdev", go: |dir| resolved(dir, ResolveFlags::NO_XDEV) },
    Way { id: "read.o-path-reopened", go: o_path },
    Way { id: "read.proc-self-root", go: |dir| path(&below("/proc/self/root", dir)) },
    Way { id: "read.proc-1-root", go: |dir| path(&below("/proc/1/root", dir)) },
    Way { id: "read.proc-self-cwd", go: |dir| in_dir(dir, "/proc/self/cwd/secret") },
    Way { id: "read.relative", go: |dir| in_dir(dir, "secret") },
    Way { id: "read.relative-parent", go: |dir| in_dir(dir, "../././/way/secret") },
    Way { id: "read.symlink", go: |dir| linked(dir, 1) },
    Way { id: "read.symlink-chain", go: |dir| linked(dir, 20) },
    Way { id: "read.symlinked-directory", go: symlinked_directory },
    Way { id: "read.hard-link", go: hard_link },
    Way { id: "read.renamed", go: renamed },
    Way { id: "read.renamed-directory", go: renamed_directory },
    Way { id: "read.bind-mounted-file", go: |dir| bound(dir, "secret", "bound") },
    Way { id: "read.bind-mounted-directory", go: bound_directory },
    Way { id: "read.bind-mounted-read-only", go: bound_read_only },
    Way { id: "read.mount-namespace", go: |dir| unshared(dir, CloneFlags::CLONE_NEWNS) },
    Way { id: "read.user-namespace", go: |dir| unshared(dir, CloneFlags::CLONE_NEWUSER) },
    Way { id: "read.cgroup-namespace", go: |dir| unshared(dir, CloneFlags::CLONE_NEWCGROUP) },
    Way { id: "read.pid-namespace", go: |dir| unshared(dir, CloneFlags::CLONE_NEWPID) },
    Way { id: "read.chroot", go: chrooted },
    Way { id: "read.thread", go: thread },
    Way { id: "read.copy-file-range", go: copied },
    Way { id: "read.splice", go: spliced },
    Way { id: "read.child", go: child },
    Way { id: "read.other-uid", go: other_uid },
];

fn read(file: impl Into<OwnedFd>) -> io::Result<()> {
    let mut content = Vec::new();
    File::from(file.into()).take(100).read_to_end(&mut content)?;
    is_secret(&content)
}

fn path(path: &Path) -> io::Result<()> {
    read(File::open(path)?)
}

fn at(dir: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?)
}

fn flagged(dir: &Path, flags: OFlags) -> io::Result<()> {
    read(openat(CWD, dir.join("secret"), flags, Mode::from(0o600))?)
}

fn resolved(dir: &Path, how: ResolveFlags) -> io::Result<()> {
    read(openat2(at(dir)?, "secret", OFlags::RDONLY, Mode::empty(), how)?)
}

/// A descriptor that opens nothing, made into one that does.
fn o_path(dir: &Path) -> io::Result<()> {
    let held = openat(CWD, dir.join("secret"), OFlags::PATH, Mode::empty())?;
    path(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd())))
}

fn below(root: &str, dir: &Path) -> std::path::PathBuf {
    Path::new(root).join(dir.strip_prefix("/").unwrap_or(dir)).join("secret")
}

fn in_dir(dir: &Path, name: &str) -> io::Result<()> {
    std::env::set_current_dir(dir)?;
    path(Path::new(name))
}

fn linked(dir: &Path, links: usize) -> io::Result<()> {
    let mut target = dir.join("secret");
    for number in 0..links {
        let link = dir.join(format!("link-{number}"));
        symlink(&target, &link)?;
        target = link;
    }
    path(&target)
}

fn symlinked_directory(dir: &Path) -> io::Result<()> {
    let link = dir.join("directory");
    symlink(dir, &link)?;
    path(&link.join("secret"))
}

fn hard_link(dir: &Path) -> io::Result<()> {
    fs::hard_link(dir.join("secret"), dir.join("hard"))?;
    path(&dir.join("hard"))
}

fn renamed(dir: &Path) -> io::Result<()> {
    fs::rename(dir.join("secret"), dir.join("renamed"))?;
    path(&dir.join("renamed"))
}

fn renamed_directory(dir: &Path) -> io::Result<()> {
    let other = dir.with_file_name("elsewhere");
    fs::rename(dir, &other)?;
    path(&other.join("secret"))
}

/// In a mount namespace of its own, so that it goes with the process.
fn private_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

fn bound(dir: &Path, from: &str, to: &str) -> io::Result<()> {
    private_mounts()?;
    fs::write(dir.join(to), "")?;
    mount_bind(dir.join(from), dir.join(to))?;
    path(&dir.join(to))
}

fn bound_directory(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    fs::create_dir(dir.join("view"))?;
    mount_bind(dir, dir.join("view"))?;
    path(&dir.join("view/secret"))
}

fn bound_read_only(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    fs::create_dir(dir.join("view"))?;
    mount_bind(dir, dir.join("view"))?;
    mount_remount(dir.join("view"), MountFlags::BIND | MountFlags::RDONLY, c"")?;
    path(&dir.join("view/secret"))
}

fn unshared(dir: &Path, what: CloneFlags) -> io::Result<()> {
    unshare(what)?;
    // Who comes into a new pid namespace is the next child. There it is number 1, which this program takes for the init.
    let output = std::process::Command::new("/bin/cat").arg(dir.join("secret")).output()?;
    match String::from_utf8_lossy(&output.stderr) {
        text if text.contains("Operation not permitted") => Err(io::Error::from_raw_os_error(1)),
        _ => is_secret(&output.stdout),
    }
}

fn chrooted(dir: &Path) -> io::Result<()> {
    nix::unistd::chroot(dir)?;
    std::env::set_current_dir("/")?;
    path(Path::new("/secret"))
}

fn thread(dir: &Path) -> io::Result<()> {
    let secret = dir.join("secret");
    std::thread::spawn(move || path(&secret)).join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// As `cp` does it. The copy is read back.
fn copied(dir: &Path) -> io::Result<()> {
    let (from, mut to) = (File::open(dir.join("secret"))?, copy(dir)?);
    copy_file_range(from.as_fd(), None, to.as_fd(), None, 100)?;
    to.rewind()?;
    read(to)
}

fn copy(dir: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).mode(0o600).open(dir.join("copy"))
}

fn spliced(dir: &Path) -> io::Result<()> {
    let from = File::open(dir.join("secret"))?;
    let (reader, writer) = io::pipe()?;
    splice(from.as_fd(), None, writer.as_fd(), None, 100, SpliceFFlags::empty())?;
    drop(writer);
    read(OwnedFd::from(reader))
}

/// Another process, which sees the file by itself.
fn child(dir: &Path) -> io::Result<()> {
    go_on("read.open", dir, None)
}

fn other_uid(dir: &Path) -> io::Result<()> {
    go_on("read.open", dir, Some(65534))
}

/// Goes another way in a child.
pub(super) fn go_on(id: &str, dir: &Path, uid: Option<u32>) -> io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["way", id]).arg(dir);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    match command.status()?.code() {
        Some(0) => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.unwrap_or(255))),
    }
}
