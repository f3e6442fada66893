//! Identity on real file systems: what is denied is denied on each of them by every way to it, and nothing else is.
//!
//! All scenes share one agent, whose policy is the sum of theirs; each has its own result.

use super::agent::{ALLOW_FREE, Agent, NOBODY, Place, SOON, ends, freely, judge, readable, want};
use super::{Check, CheckError};
use crate::files;
use crate::run::Cmd;
use rustix::process::Signal;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 10] = [
    Check { id: "fs.ext4", run: |_| shown("ext4") },
    Check { id: "fs.xfs", run: |_| shown("xfs") },
    Check { id: "fs.btrfs", run: |_| shown("btrfs") },
    Check { id: "fs.btrfs-subvolumes", run: |_| shown("btrfs-subvolumes") },
    Check { id: "fs.btrfs-types-later", run: |_| types_later() },
    Check { id: "fs.tmpfs", run: |_| shown("tmpfs") },
    Check { id: "fs.overlay", run: |_| shown("overlay") },
    Check { id: "fs.bind", run: |_| shown("bind") },
    Check { id: "fs.loop", run: |_| shown("loop") },
    Check { id: "fs.inode-reuse", run: |_| shown("inode-reuse") },
];

/// A part of the policy, and what it has to do.
struct Scene {
    name: &'static str,
    /// Makes the files and shows that they can be read; says what is to be denied.
    prepare: fn() -> Result<Rules, CheckError>,
    /// With the agent at work.
    judge: fn() -> Result<(), CheckError>,
}

const SCENES: [Scene; 9] = [
    Scene { name: "ext4", prepare: || disk("ext4"), judge: || plain("/mnt/ext4") },
    Scene { name: "xfs", prepare: || disk("xfs"), judge: || plain("/mnt/xfs") },
    Scene { name: "btrfs", prepare: || disk("btrfs"), judge: || plain("/mnt/btrfs") },
    Scene { name: "btrfs-subvolumes", prepare: subvolumes, judge: subvolumes_judged },
    Scene { name: "tmpfs", prepare: tmpfs, judge: || plain("/mnt/tmpfs") },
    Scene { name: "overlay", prepare: overlay, judge: overlay_judged },
    Scene { name: "bind", prepare: bind, judge: bind_judged },
    Scene { name: "loop", prepare: looped, judge: looped_judged },
    Scene { name: "inode-reuse", prepare: reuse, judge: || reused("/mnt/ext4/reuse", "secret") },
];

/// Lines for the policy.
#[derive(Default)]
struct Rules {
    paths: Vec<String>,
    inodes: Vec<String>,
}

impl Rules {
    fn paths(paths: &[&str]) -> Self {
        Self { paths: paths.iter().map(|&path| path.to_owned()).collect(), inodes: Vec::new() }
    }
}

/// What became of each scene; all are played at the first call.
fn shown(name: &str) -> Result<(), CheckError> {
    static RESULTS: OnceLock<Vec<(&'static str, Result<(), String>)>> = OnceLock::new();
    let results = RESULTS.get_or_init(play);
    match results.iter().find(|(scene, _)| *scene == name) {
        Some((_, Ok(()))) => Ok(()),
        Some((_, Err(text))) => {
            Err(CheckError::Differs { what: "scene", want: "as it should be".into(), got: text.clone() })
        }
        None => Err(CheckError::Differs { what: "scene", want: name.to_owned(), got: "none".into() }),
    }
}

fn play() -> Vec<(&'static str, Result<(), String>)> {
    let mut rules = Rules::default();
    let mut results = Vec::new();
    for scene in &SCENES {
        let prepared = (scene.prepare)().map(|more| {
            rules.paths.extend(more.paths);
            rules.inodes.extend(more.inodes);
        });
        results.push((scene, prepared));
    }
    let agent = start(&rules);
    let text = |error: CheckError| crate::row::chain(&error);
    let judged = |(scene, prepared): (&Scene, Result<(), CheckError>)| {
        let result = match (&agent, prepared) {
            (_, Err(error)) => Err(text(error)),
            (Err(error), _) => Err(format!("no agent: {}", crate::row::chain(error))),
            (Ok(_), Ok(())) => (scene.judge)().map_err(text),
        };
        (scene.name, result)
    };
    results.into_iter().map(judged).collect()
}

fn start(rules: &Rules) -> Result<Agent, CheckError> {
    let place = Place::new("filesystems")?;
    let (paths, inodes) = (rules.paths.join("\n"), rules.inodes.join("\n"));
    freely("true")?;
    place.write(&format!("version=1\n[deny_path]\n{paths}\n[deny_inode]\n{inodes}\n{ALLOW_FREE}"))?;
    Agent::start(&place, &["--enforce"])
}

fn file(path: &str) -> impl FnOnce(io::Error) -> CheckError {
    move |source| CheckError::File { path: path.into(), source }
}

fn sh(script: &str) -> Result<(), CheckError> {
    ends(&Cmd::sh(script), 0).map(drop)
}

/// Wants each file to be readable, or to be denied.
fn all(readable_now: bool, paths: &[impl AsRef<str>]) -> Result<(), CheckError> {
    for path in paths.iter().map(AsRef::as_ref) {
        let got = readable(path, 0)?;
        if got != readable_now {
            let (want, got) = (format!("{path} readable: {readable_now}"), got.to_string());
            return Err(CheckError::Differs { what: "read", want, got });
        }
    }
    Ok(())
}

/// Makes files with a line in each, and shows that they can be read.
fn make(paths: &[impl AsRef<str>]) -> Result<(), CheckError> {
    for path in paths.iter().map(AsRef::as_ref) {
        fs::write(path, "content\n").map_err(file(path))?;
    }
    all(true, paths)
}

/// Mounts the disk of this name.
pub(super) fn mount_disk(name: &str, at: &str) -> Result<(), CheckError> {
    let disks = fs::read_dir("/sys/block").map_err(file("/sys/block"))?;
    let found = disks.filter_map(Result::ok).find(|disk| {
        fs::read_to_string(disk.path().join("serial")).is_ok_and(|serial| serial.trim() == name)
    });
    let Some(disk) = found else {
        return Err(CheckError::Differs { what: "disk", want: name.to_owned(), got: "none".into() });
    };
    let device = disk.file_name().to_string_lossy().into_owned();
    sh(&format!("mkdir -p {at} && mount -t {name} /dev/{device} {at}"))
}

fn disk(name: &str) -> Result<Rules, CheckError> {
    let at = format!("/mnt/{name}");
    mount_disk(name, &at)?;
    prepared(&at)
}

fn tmpfs() -> Result<Rules, CheckError> {
    sh("mkdir -p /mnt/tmpfs && mount -t tmpfs tmpfs /mnt/tmpfs")?;
    prepared("/mnt/tmpfs")
}

/// Two files in a directory of a file system, one of which is to be denied.
fn prepared(top: &str) -> Result<Rules, CheckError> {
    let dir = format!("{top}/plain");
    sh(&format!("mkdir {dir}"))?;
    make(&[&format!("{dir}/secret"), &format!("{dir}/neighbour")])?;
    sh(&format!("ln {dir}/secret {top}/linked"))?;
    Ok(Rules::paths(&[&format!("{dir}/secret")]))
}

fn plain(top: &str) -> Result<(), CheckError> {
    let dir = format!("{top}/plain");
    let (secret, neighbour) = (format!("{dir}/secret"), format!("{dir}/neighbour"));
    all(false, &[&secret, &format!("{top}/linked")])?;
    want("by nobody", readable(&secret, NOBODY)?, false)?;
    all(true, &[&neighbour])?;
    // The caches gone, the inodes are read from the disk again: their numbers stay.
    sh("sync; echo 3 >/proc/sys/vm/drop_caches")?;
    all(false, &[&secret])?;
    freely(&format!("mv {secret} {top}/moved && echo other >{top}/other && mv {top}/other {secret}"))?;
    all(false, &[&format!("{top}/moved"), &secret])?;
    all(true, &[&neighbour])
}

/// Files of one number in two subvolumes: one by one also of one generation, as that is the number of the transaction.
fn subvolumes() -> Result<Rules, CheckError> {
    let top = "/mnt/btrfs/volumes";
    sh(&format!("mkdir {top}"))?;
    for name in ["a", "b"] {
        let path = format!("{top}/{name}");
        files::make_subvolume(Path::new(&path)).map_err(file(&path))?;
    }
    sh("sync")?;
    // Each first in its subvolume, so of the lowest number; then the second.
    make(&["/mnt/btrfs/volumes/a/secret", "/mnt/btrfs/volumes/b/pair"])?;
    make(&["/mnt/btrfs/volumes/a/twin", "/mnt/btrfs/volumes/b/twin", "/mnt/btrfs/volumes/a/neighbour"])?;
    same_identity("/mnt/btrfs/volumes/a/secret", "/mnt/btrfs/volumes/b/pair")?;
    let number = fs::metadata("/mnt/btrfs/volumes/a/twin").map_err(file(top))?.ino();
    let device = device("/mnt/btrfs")?;
    Ok(Rules {
        paths: vec!["/mnt/btrfs/volumes/a/secret".into()],
        inodes: vec![format!("{device}:{number}")],
    })
}

/// The positive control of the scene: without it, the numbers would tell the files apart.
fn same_identity(one: &str, other: &str) -> Result<(), CheckError> {
    let numbers = |path: &str| -> Result<String, CheckError> {
        let number = fs::metadata(path).map_err(file(path))?.ino();
        let generation = files::generation(Path::new(path)).map_err(file(path))?;
        Ok(format!("number {number} generation {generation}"))
    };
    let (want, got) = (numbers(one)?, numbers(other)?);
    if want == got {
        return Ok(());
    }
    Err(CheckError::Differs { what: "two files in two subvolumes", want, got })
}

/// The device of the file system, as the kernel's hooks see it; `stat` has another one for each subvolume.
fn device(mount: &str) -> Result<String, CheckError> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(file("/proc/self/mountinfo"))?;
    let line = table.lines().find(|line| line.split(' ').nth(4) == Some(mount));
    let device = line.and_then(|line| line.split(' ').nth(2)).unwrap_or_default();
    Ok(device.to_owned())
}

/// The types of the module, as kernels from 5.11 on show them.
const TYPES: &str = "/sys/kernel/btf/btrfs";

/// Whether this kernel tells the programs what a subvolume is.
fn tells_subvolumes() -> bool {
    Path::new(TYPES).exists()
}

fn subvolumes_judged() -> Result<(), CheckError> {
    let at = |name: &str| format!("/mnt/btrfs/volumes/{name}");
    all(false, &[&at("a/secret")])?;
    all(true, &[&at("a/neighbour")])?;
    // Where subvolumes cannot be told apart, too much is denied, never too little.
    all(tells_subvolumes(), &[&at("b/pair")])?;
    // A rule of numbers alone names no subvolume, and means all.
    all(false, &[&at("a/twin"), &at("b/twin")])?;
    sh("mkdir /mnt/a && mount --bind /mnt/btrfs/volumes/a /mnt/a")?;
    all(false, &["/mnt/a/secret"])?;
    // What a snapshot takes over from the denied file is denied too, or its owner could read it there.
    let snapshot = |of: &str, name: &str| {
        let (of, path) = (at(of), at(name));
        files::make_snapshot(Path::new(&of), Path::new(&path)).map_err(file(&path))
    };
    snapshot("a", "a-later")?;
    snapshot("a-later", "a-last")?;
    all(false, &[&at("a-later/secret"), &at("a-last/secret"), &at("a/secret")])?;
    all(true, &[&at("a-later/neighbour"), &at("a-last/neighbour")])?;
    // Another subvolume stays another one when it is snapshotted.
    snapshot("b", "b-later")?;
    all(tells_subvolumes(), &[&at("b/pair")])
}

/// An agent that could not know the subvolumes denies too much; one that knows takes over from it, and at no instant is
/// too little denied.
fn types_later() -> Result<(), CheckError> {
    shown("btrfs-subvolumes")?;
    let (secret, pair) = ("/mnt/btrfs/volumes/a/secret", "/mnt/btrfs/volumes/b/pair");
    all(true, &[secret, pair])?;
    let place = Place::new("types-later")?;
    place.write(&format!("version=1\n[deny_path]\n{secret}\n"))?;
    // As if the module were loaded after the programs.
    let hidden = tells_subvolumes();
    if hidden {
        sh(&format!("mount --bind /dev/null {TYPES}"))?;
    }
    let started = Agent::start(&place, &["--enforce"]);
    if hidden {
        sh(&format!("umount {TYPES}"))?;
    }
    let mut agent = started?;
    all(false, &[secret, pair])?;
    let stop = format!("{}/stop", place.dir);
    let reader =
        Cmd::sh(&format!("while [ ! -e {stop} ]; do cat {secret} 2>/dev/null && echo GAP; done")).spawn()?;
    if let Some(process) = agent.0.take() {
        process.signal(Signal::KILL)?;
        process.wait(SOON)?;
    }
    let _next = Agent::start(&place, &["--enforce"])?;
    all(false, &[secret])?;
    // The kernel takes the programs of the first agent down some time after their pins are gone.
    let end = Instant::now() + SOON;
    while hidden && !readable(pair, 0)? && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    all(hidden, &[pair])?;
    fs::write(&stop, "").map_err(file(&stop))?;
    want("a gap", reader.wait(SOON)?.stdout.contains("GAP"), false)
}

/// Two overlays: one with its layers on one file system, as containers have them, and one with layers on two.
const OVERLAYS: [&str; 2] = ["/mnt/one", "/mnt/two"];

/// In each, files denied where they are merged, and one where it comes from.
fn overlay() -> Result<Rules, CheckError> {
    sh("mkdir /mnt/one /mnt/two /mnt/ext4/one /mnt/ext4/two && mount --bind /mnt/ext4/one /mnt/one && \
        mount -t tmpfs tmpfs /mnt/two && mkdir /mnt/two/lower && mount --bind /mnt/ext4/two /mnt/two/lower")?;
    let mut rules = Rules::default();
    for top in OVERLAYS {
        let at = |name: &str| format!("{top}/{name}");
        sh(&format!("cd {top} && mkdir -p lower/dir upper work merged"))?;
        make(&["by-merged", "by-lower", "neighbour", "to-change"].map(|n| at(&format!("lower/dir/{n}"))))?;
        let options = "lowerdir=lower,upperdir=upper,workdir=work";
        sh(&format!("cd {top} && mount -t overlay -o {options} overlay merged"))?;
        make(&[at("merged/dir/upper"), at("merged/dir/gone")])?;
        rules.paths.extend(["merged/dir/by-merged", "merged/dir/upper", "merged/dir/gone"].map(at));
        rules.paths.push(at("lower/dir/by-lower"));
    }
    Ok(rules)
}

fn overlay_judged() -> Result<(), CheckError> {
    OVERLAYS.iter().try_for_each(|top| merged(top))
}

fn merged(top: &str) -> Result<(), CheckError> {
    let at = |name: &str| format!("{top}/{name}");
    let denied = || {
        all(false, &["by-merged", "upper", "by-lower"].map(|name| at(&format!("merged/dir/{name}"))))?;
        all(true, &[at("merged/dir/neighbour")])
    };
    denied()?;
    // A rule on a lower file binds all that is made of it; one on a merged file leaves what lies below alone.
    all(false, &[at("lower/dir/by-lower")])?;
    all(true, &["lower/dir/neighbour", "lower/dir/by-merged", "upper/dir/upper"].map(at))?;
    // A change copies the file up, which reads it.
    let change =
        |name: &str| judge(&Cmd::sh(&format!("cd {top}/merged/dir && chmod 600 {name} && cat {name}")));
    want("a lower file copied up", change("by-lower")?, false)?;
    want("a merged file copied up", change("by-merged")?, false)?;
    want("a neighbour copied up", change("to-change")?, true)?;
    if top == OVERLAYS[0] {
        reused(&at("merged/dir"), "gone")?;
    } else {
        // tmpfs gives a number once; but so does ext4 below, and here they meet.
        all(true, &[with_number(&at("merged/dir"), number(&at("merged/dir/by-merged"))?)?])?;
    }
    sh("sync; echo 3 >/proc/sys/vm/drop_caches")?;
    denied()?;
    freely(&format!("cd {top}/merged/dir && mv by-merged moved && mv upper moved-upper"))?;
    all(false, &["merged/dir/moved", "merged/dir/moved-upper"].map(at))?;
    freely(&format!(
        "cd {top}/merged/dir && echo one >one && echo two >two && mv one upper && mv two by-merged"
    ))?;
    all(false, &["merged/dir/upper", "merged/dir/by-merged"].map(at))?;
    all(true, &[at("merged/dir/neighbour")])
}

/// One file denied through a bind mount, one where it was first, whose directory is bound later.
fn bind() -> Result<Rules, CheckError> {
    sh("mkdir -p /mnt/ext4/bind /mnt/bound /mnt/bound-later && mount --bind /mnt/ext4/bind /mnt/bound")?;
    make(&["/mnt/ext4/bind/by-bind", "/mnt/ext4/bind/by-first", "/mnt/ext4/bind/neighbour"])?;
    Ok(Rules::paths(&["/mnt/bound/by-bind", "/mnt/ext4/bind/by-first"]))
}

fn bind_judged() -> Result<(), CheckError> {
    sh(
        "mount --bind /mnt/ext4/bind /mnt/bound-later && touch /mnt/bound-one && mount --bind /mnt/ext4/bind/by-first /mnt/bound-one",
    )?;
    for dir in ["/mnt/ext4/bind", "/mnt/bound", "/mnt/bound-later"] {
        all(false, &[&format!("{dir}/by-bind"), &format!("{dir}/by-first")])?;
        all(true, &[&format!("{dir}/neighbour")])?;
    }
    all(false, &["/mnt/bound-one"])
}

/// A file system in a file on ext4.
fn looped() -> Result<Rules, CheckError> {
    sh(
        "dd if=/dev/zero of=/mnt/ext4/image bs=1M count=4 2>/dev/null && mke2fs -F /mnt/ext4/image >/dev/null && \
        mkdir /mnt/loop && losetup /dev/loop0 /mnt/ext4/image && mount -t ext4 /dev/loop0 /mnt/loop",
    )?;
    make(&["/mnt/loop/secret", "/mnt/loop/neighbour"])?;
    Ok(Rules::paths(&["/mnt/loop/secret"]))
}

fn looped_judged() -> Result<(), CheckError> {
    let denied = || {
        all(false, &["/mnt/loop/secret"])?;
        all(true, &["/mnt/loop/neighbour"])
    };
    denied()?;
    sh("umount /mnt/loop && mount -t ext4 /dev/loop0 /mnt/loop")?;
    denied()
}

fn reuse() -> Result<Rules, CheckError> {
    sh("mkdir /mnt/ext4/reuse")?;
    make(&["/mnt/ext4/reuse/secret"])?;
    Ok(Rules::paths(&["/mnt/ext4/reuse/secret"]))
}

/// The number of a denied file goes to another one: that one is not denied, unless it is put at the denied path.
fn reused(dir: &str, name: &str) -> Result<(), CheckError> {
    let secret = format!("{dir}/{name}");
    let old = number(&secret)?;
    all(false, &[&secret])?;
    freely(&format!("rm {secret}"))?;
    let other = with_number(dir, old)?;
    all(true, &[&other])?;
    freely(&format!("mv {other} {secret}"))?;
    all(false, &[&secret])
}

fn number(path: &str) -> Result<u64, CheckError> {
    Ok(fs::metadata(path).map_err(file(path))?.ino())
}

/// Makes files until one has this number.
fn with_number(dir: &str, wanted: u64) -> Result<String, CheckError> {
    let mut last = 0;
    for turn in 0..2000 {
        let path = format!("{dir}/{turn}");
        fs::write(&path, "another file\n").map_err(file(&path))?;
        last = number(&path)?;
        if last == wanted {
            return Ok(path);
        }
    }
    Err(CheckError::Differs { what: "number of a new file", want: wanted.to_string(), got: last.to_string() })
}
