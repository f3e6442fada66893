//! Ways to read a file.

use super::outside::Outside;
use super::raw::{self, Map};
use super::{CONTENT, NO_EFFECT, Way, errno, go_on, is_secret, private_mounts, read, setup};
use io_uring::squeue;
use nix::fcntl::{SpliceFFlags, copy_file_range, splice};
use nix::libc::{MAP_PRIVATE, MAP_SHARED, c_int};
use nix::sched::{CloneFlags, unshare};
use nix::sys::fanotify::{EventFFlags, Fanotify, FanotifyEvent, InitFlags, MarkFlags, MaskFlags};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags, openat, openat2, renameat_with, sendfile};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_bind, mount_bind_recursive, mount_remount,
    move_mount, open_tree, unmount,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, symlink};
use std::path::Path;

pub(super) const WAYS: &[Way] = &[
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
    Way { id: "read.mmap", go: |dir| mapped(dir, OFlags::RDONLY, MAP_PRIVATE) },
    Way { id: "read.mmap-shared", go: |dir| mapped(dir, OFlags::RDWR, MAP_SHARED) },
    Way { id: "read.sendfile", go: sent },
    Way { id: "read.pread", go: at_position },
    Way { id: "read.o-direct", go: direct },
    Way { id: "read.openat2-cached", go: cached },
    Way { id: "read.io-uring", go: |dir| by_ring(dir, squeue::Flags::empty()) },
    Way { id: "read.io-uring-worker", go: |dir| by_ring(dir, squeue::Flags::ASYNC) },
    Way { id: "read.open-by-handle", go: |dir| read(raw::open_by_handle(at(dir)?, &dir.join("secret"))?) },
    Way { id: "read.proc-pid-root", go: |dir| of_outside(dir, "go-to /", "root") },
    Way { id: "read.proc-pid-cwd", go: outside_cwd },
    Way { id: "read.proc-pid-fd", go: outside_fd },
    Way { id: "read.proc-map-files", go: outside_map },
    Way { id: "read.pivot-root", go: pivoted },
    Way { id: "read.open-tree", go: |dir| in_tree(&tree(dir)?) },
    Way { id: "read.move-mount", go: moved_mount },
    Way { id: "read.mount-namespace-entered", go: entered },
    Way { id: "read.hard-link-before", go: |dir| path(&dir.join("hard-before")) },
    Way { id: "read.exchanged", go: exchanged },
    Way { id: "read.renamed-twice", go: renamed_twice },
    Way { id: "read.fanotify-event", go: by_event },
    Way { id: "read.loop-device", go: loop_device },
    Way { id: "read.long-path", go: |dir| path(&dir.join("./".repeat(1900)).join("secret")) },
    Way { id: "read.replaced-by-rename", go: replaced_by_rename },
    Way { id: "read.replaced-by-create", go: replaced_by_create },
];

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

fn opened(dir: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(CWD, dir.join("secret"), flags, Mode::empty())?)
}

fn mapped(dir: &Path, flags: OFlags, how: c_int) -> io::Result<()> {
    is_secret(Map::new(opened(dir, flags)?, CONTENT.len(), how)?.bytes())
}

fn sent(dir: &Path) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    sendfile(&writer, File::open(dir.join("secret"))?, None, 100)?;
    drop(writer);
    read(OwnedFd::from(reader))
}

fn at_position(dir: &Path) -> io::Result<()> {
    let mut content = [0; CONTENT.len()];
    File::open(dir.join("secret"))?.read_exact_at(&mut content, 0)?;
    is_secret(&content)
}

/// Past the page cache, into memory that is aligned as disks want it.
fn direct(dir: &Path) -> io::Result<()> {
    let file = File::from(opened(dir, OFlags::DIRECT)?);
    super::scope::from_device(&file, 0)
}

/// From what the kernel has in its caches only: looked up before, which opens nothing.
fn cached(dir: &Path) -> io::Result<()> {
    fs::metadata(dir.join("secret"))?;
    resolved(dir, ResolveFlags::CACHED)
}

fn by_ring(dir: &Path, flags: squeue::Flags) -> io::Result<()> {
    let mut content = [0; 100];
    let length = raw::by_ring(&dir.join("secret"), &mut content, flags)?;
    is_secret(content.get(..length).unwrap_or_default())
}

/// By a link in the directory that proc has for the server outside.
fn of_outside(dir: &Path, request: &str, link: &str) -> io::Result<()> {
    let server = Outside::connect()?;
    let process: u32 = server.ask(request)?.number(0)?;
    path(&below(&format!("/proc/{process}/{link}"), dir))
}

fn outside_cwd(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let process: u32 = server.ask(&format!("go-to {}", dir.display()))?.number(0)?;
    path(Path::new(&format!("/proc/{process}/cwd/secret")))
}

fn outside_fd(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let answer = server.ask(&format!("hold {}/secret", dir.display()))?;
    let (process, number): (u32, u32) = (answer.number(0)?, answer.number(1)?);
    path(Path::new(&format!("/proc/{process}/fd/{number}")))
}

fn outside_map(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let answer = server.ask(&format!("map {}/secret", dir.display()))?;
    let (process, start): (u32, usize) = (answer.number(0)?, answer.number(1)?);
    path(Path::new(&format!("/proc/{process}/map_files/{start:x}-{:x}", start + 4096)))
}

/// The root of the guest is its initramfs, which cannot be put away, so it is entered as a mount first.
fn pivoted(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    fs::create_dir(dir.join("root"))?;
    setup(mount_bind_recursive("/", dir.join("root")))?;
    setup(nix::unistd::chroot(&dir.join("root")))?;
    setup(mount_bind(dir, dir))?;
    std::env::set_current_dir(dir)?;
    // Both at one place: the old root then lies on the new one, and is taken off.
    setup(rustix::process::pivot_root(".", "."))?;
    setup(unmount(".", UnmountFlags::DETACH))?;
    path(Path::new("/secret"))
}

/// A mount that is attached nowhere.
fn tree(dir: &Path) -> io::Result<OwnedFd> {
    setup(open_tree(CWD, dir, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC))
}

fn in_tree(tree: &OwnedFd) -> io::Result<()> {
    read(openat(tree, "secret", OFlags::RDONLY, Mode::empty())?)
}

fn moved_mount(dir: &Path) -> io::Result<()> {
    private_mounts()?;
    let view = dir.join("view");
    fs::create_dir(&view)?;
    setup(move_mount(tree(dir)?, "", CWD, &view, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH))?;
    path(&view.join("secret"))
}

/// In the namespace of another process, which has the directory at one more place.
fn entered(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let answer = server.ask(&format!("mounts {}", dir.display()))?;
    let namespace = answer.files.first().ok_or_else(|| errno(NO_EFFECT))?;
    setup(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)))?;
    path(&dir.join("view/secret"))
}

fn exchanged(dir: &Path) -> io::Result<()> {
    renameat_with(CWD, dir.join("secret"), CWD, dir.join("other"), RenameFlags::EXCHANGE)?;
    path(&dir.join("other"))
}

fn renamed_twice(dir: &Path) -> io::Result<()> {
    fs::rename(dir.join("secret"), dir.join("renamed"))?;
    fs::rename(dir.join("renamed"), dir.join("again"))?;
    path(&dir.join("again"))
}

/// The kernel opens for the listener what somebody else opens.
fn by_event(dir: &Path) -> io::Result<()> {
    let group = setup(Fanotify::init(InitFlags::FAN_CLASS_NOTIF, EventFFlags::O_RDONLY))?;
    setup(group.mark(MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_OPEN, CWD, Some(&dir.join("secret"))))?;
    let server = Outside::connect()?;
    server.ask(&format!("hold {}/secret", dir.display()))?;
    let events = group.read_events()?;
    let event = events.first().and_then(FanotifyEvent::fd).ok_or_else(|| errno(NO_EFFECT))?;
    read(event.try_clone_to_owned()?)
}

/// A loop device has no part of a sector, so the file is made longer first, which the rule is not about.
fn loop_device(dir: &Path) -> io::Result<()> {
    const LOOP_SET_FD: u32 = 0x4c00;
    const LOOP_CLR_FD: u32 = 0x4c01;
    const LOOP_CTL_GET_FREE: u32 = 0x4c82;
    setup(File::options().write(true).open(dir.join("secret")).and_then(|file| file.set_len(4096)))?;
    let file = File::open(dir.join("secret"))?;
    let number = setup(raw::ioctl(setup(File::open("/dev/loop-control"))?, LOOP_CTL_GET_FREE, 0))?;
    let device = setup(File::open(format!("/dev/loop{number}")))?;
    raw::ioctl(&device, LOOP_SET_FD, file.as_raw_fd())?;
    let mut content = [0; CONTENT.len()];
    let got = device.read_exact_at(&mut content, 0);
    setup(raw::ioctl(&device, LOOP_CLR_FD, 0))?;
    got.and_then(|()| is_secret(&content))
}

/// Somebody who is not bound puts another file at the path.
fn replaced_by_rename(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("new"), CONTENT)?;
    Outside::connect()?.ask(&format!("rename {0}/new {0}/secret", dir.display()))?;
    path(&dir.join("secret"))
}

fn replaced_by_create(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    server.ask(&format!("remove {}/secret", dir.display()))?;
    server.ask(&format!("create {}/secret", dir.display()))?;
    path(&dir.join("secret"))
}
