//! Ways of a process to leave the scope that binds it, or to have what is in the file without opening it.

use super::outside::Outside;
use super::raw;
use super::{CONTENT, NO_EFFECT, Way, effect, errno, go_on, is_secret, private_mounts, read, setup};
use nix::sched::{CloneFlags, unshare};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, setresgid, setresuid, setsid};
use rustix::mount::{MountFlags, mount};
use std::fs::{self, File};
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const WAYS: &[Way] = &[
    Way { id: "scope.thread", go: thread },
    Way { id: "scope.fork-tree", go: |dir| raw::forked(None, || go_on("read.child", dir, None)) },
    Way { id: "scope.orphan", go: orphan },
    Way { id: "scope.vfork", go: vforked },
    Way { id: "scope.setuid", go: other_uid },
    Way { id: "scope.new-session", go: |dir| raw::forked(None, || setup(setsid()).and_then(|_| open(dir))) },
    Way { id: "scope.unshare-all", go: unshared },
    Way { id: "scope.moved-below", go: |dir| setup(enter(&child("below")?)).and_then(|()| open(dir)) },
    Way { id: "scope.cgroup-procs", go: |dir| enter(Path::new(ROOT)).and_then(|()| open(dir)) },
    Way { id: "scope.cgroup-threads", go: |_| root_threads() },
    Way { id: "scope.cgroup-procs-sibling", go: sibling },
    Way { id: "scope.cgroup-namespace", go: namespace },
    Way { id: "scope.remounted-cgroup2", go: remounted },
    Way { id: "scope.cloned-into", go: cloned },
    Way { id: "scope.moved-by-outside", go: moved },
    Way { id: "scope.process-vm-readv", go: of_memory },
    Way { id: "scope.proc-pid-mem", go: of_memory_file },
    Way { id: "scope.raw-disk", go: raw_disk },
    Way { id: "scope.stat", go: looked_at },
];

const ROOT: &str = "/sys/fs/cgroup";

fn open(dir: &Path) -> io::Result<()> {
    read(File::open(dir.join("secret"))?)
}

fn thread(dir: &Path) -> io::Result<()> {
    std::thread::scope(|scope| scope.spawn(|| open(dir)).join()).unwrap_or_else(|_| Err(errno(NO_EFFECT)))
}

/// By a process whose parent has ended, so that init is its parent.
fn orphan(dir: &Path) -> io::Result<()> {
    const SCRIPT: &str = "while [ -d /proc/$0 ]; do sleep 0.1; done; exec cat $1/secret";
    let (reader, writer) = io::pipe()?;
    raw::forked(None, || {
        let parent = std::process::id().to_string();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, &parent])
            .arg(dir)
            .stdout(writer.try_clone()?)
            .stderr(writer.try_clone()?);
        command.spawn().map(drop)
    })?;
    drop(writer);
    told(&io::read_to_string(reader)?)
}

/// What cat has to say.
fn told(output: &str) -> io::Result<()> {
    if output.contains("Operation not permitted") { Err(errno(1)) } else { is_secret(output.as_bytes()) }
}

/// The standard library starts programs by `posix_spawn`, which is vfork.
fn vforked(dir: &Path) -> io::Result<()> {
    let output = Command::new("/bin/cat").arg(dir.join("secret")).output()?;
    told(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
}

fn other_uid(dir: &Path) -> io::Result<()> {
    let (uid, gid) = (65534.into(), 65534.into());
    setup(setresgid(gid, gid, gid))?;
    setup(setresuid(uid, uid, uid))?;
    open(dir)
}

fn unshared(dir: &Path) -> io::Result<()> {
    let kinds = [
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWUTS,
        CloneFlags::CLONE_NEWIPC,
        CloneFlags::CLONE_NEWNET,
        CloneFlags::CLONE_NEWPID,
        CloneFlags::CLONE_NEWCGROUP,
        CloneFlags::CLONE_NEWUSER,
    ];
    kinds.into_iter().try_for_each(|kind| setup(unshare(kind)))?;
    raw::forked(None, || open(dir))
}

/// The cgroup of this process.
fn own() -> io::Result<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(|| errno(NO_EFFECT))?;
    Ok(Path::new(ROOT).join(path))
}

/// A new cgroup below the own one.
fn child(name: &str) -> io::Result<PathBuf> {
    let path = own()?.join(name);
    setup(fs::create_dir_all(&path))?;
    Ok(path)
}

fn enter(cgroup: &Path) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), "0")
}

/// A thread moves within a threaded domain only, so there is nothing to write: the opening is what counts.
fn root_threads() -> io::Result<()> {
    File::options().write(true).open(Path::new(ROOT).join("cgroup.threads")).map(drop)
}

/// Two below the own one: from one into the other, which is in the scope as well.
fn sibling(dir: &Path) -> io::Result<()> {
    let (one, other) = (child("one")?, child("other")?);
    setup(enter(&one))?;
    setup(enter(&other))?;
    open(dir)
}

/// The own cgroup is then the root of what is mounted.
fn namespace(dir: &Path) -> io::Result<()> {
    setup(unshare(CloneFlags::CLONE_NEWCGROUP))?;
    let view = mounted(dir)?;
    setup(fs::create_dir_all(view.join("below")))?;
    setup(enter(&view.join("below")))?;
    open(dir)
}

fn mounted(dir: &Path) -> io::Result<PathBuf> {
    private_mounts()?;
    let view = dir.join("view");
    fs::create_dir(&view)?;
    setup(mount("cgroup2", &view, "cgroup2", MountFlags::empty(), None))?;
    Ok(view)
}

fn remounted(dir: &Path) -> io::Result<()> {
    enter(&mounted(dir)?)?;
    open(dir)
}

/// Moves nobody: the child is born outside.
fn cloned(dir: &Path) -> io::Result<()> {
    let root = setup(File::open(ROOT))?;
    raw::forked(Some(root.as_fd()), || open(dir))
}

/// Somebody who is not bound does it.
fn moved(dir: &Path) -> io::Result<()> {
    Outside::connect()?.ask(&format!("move {}", std::process::id()))?;
    open(dir)
}

/// Where a process outside has the content in its memory.
fn remembered(server: &Outside, dir: &Path) -> io::Result<(i32, usize)> {
    let answer = server.ask(&format!("remember {}/secret", dir.display()))?;
    Ok((answer.number(0)?, answer.number(1)?))
}

fn of_memory(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let ((process, base), mut content) = (remembered(&server, dir)?, [0; CONTENT.len()]);
    let from = [RemoteIoVec { base, len: content.len() }];
    process_vm_readv(Pid::from_raw(process), &mut [IoSliceMut::new(&mut content)], &from)?;
    is_secret(&content)
}

fn of_memory_file(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let ((process, base), mut content) = (remembered(&server, dir)?, [0; CONTENT.len()]);
    File::open(format!("/proc/{process}/mem"))?.read_exact_at(&mut content, base as u64)?;
    is_secret(&content)
}

/// Where the block is, somebody outside says; a search would find it as well.
fn raw_disk(dir: &Path) -> io::Result<()> {
    let server = Outside::connect()?;
    let position = server.ask(&format!("block {}/secret", dir.display()))?.number(0)?;
    let number = fs::metadata(dir)?.dev();
    let link = format!("/sys/dev/block/{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let name = fs::canonicalize(link)?.file_name().map(PathBuf::from).ok_or_else(|| errno(NO_EFFECT))?;
    // Past the cache of the device, which does not know what was written to the file.
    let device =
        File::options().read(true).custom_flags(nix::libc::O_DIRECT).open(Path::new("/dev").join(name))?;
    from_device(&device, position)
}

#[repr(align(4096))]
struct Page([u8; 4096]);

/// Reads a block into memory that is aligned as disks want it.
pub(super) fn from_device(file: &File, position: u64) -> io::Result<()> {
    let mut page = Page([0; 4096]);
    file.read_at(&mut page.0, position)?;
    is_secret(page.0.get(..CONTENT.len()).unwrap_or_default())
}

/// What can be known of a file that is not opened.
fn looked_at(dir: &Path) -> io::Result<()> {
    let size = fs::metadata(dir.join("secret"))?.size();
    let listed = fs::read_dir(dir)?.flatten().any(|entry| entry.file_name() == "secret");
    effect(listed && size == CONTENT.len() as u64)
}
