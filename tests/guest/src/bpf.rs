//! What root can do to the maps of others, with bpf(2) itself and with a mapping.

#![expect(unsafe_code, reason = "bpf(2) has no wrapper here")]

use nix::libc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::str::FromStr;

/// `enum bpf_cmd` (`include/uapi/linux/bpf.h`).
const MAP_CREATE: i32 = 0;
const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const MAP_DELETE_ELEM: i32 = 3;
const PROG_LOAD: i32 = 5;
const OBJ_PIN: i32 = 6;
const OBJ_GET: i32 = 7;
const PROG_GET_NEXT_ID: i32 = 11;
const MAP_GET_NEXT_ID: i32 = 12;
const PROG_GET_FD_BY_ID: i32 = 13;
const MAP_GET_FD_BY_ID: i32 = 14;
const RAW_TRACEPOINT_OPEN: i32 = 17;
const LINK_DETACH: i32 = 34;
const HASH: u32 = 1;

/// As long as any kernel's `union bpf_attr`; the words behind what a command takes are zero.
type Attr = [u64; 18];

fn call(command: i32, attr: &mut Attr) -> io::Result<i64> {
    // SAFETY: the callers keep alive what the attributes point to; the kernel checks the rest.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of::<Attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn opened(fd: i64) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn number(fd: &OwnedFd) -> u64 {
    u64::from(fd.as_raw_fd().cast_unsigned())
}

/// What is pinned there.
pub(crate) fn open(path: &str) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    let mut attr = Attr::default();
    attr[0] = path.as_ptr() as u64;
    opened(call(OBJ_GET, &mut attr)?)
}

/// What the kernel numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Map,
    Program,
}

/// Opens everything of a kind by its id, and stops at the first refusal. What is gone by then is none.
pub(crate) fn every(kind: Kind) -> io::Result<()> {
    each(kind, |_| Ok(()))
}

/// The memory of all maps, in bytes, as the kernel says it.
pub(crate) fn map_memory() -> io::Result<u64> {
    let mut sum = 0;
    each(Kind::Map, |map| {
        sum += told::<u64>(map, "memlock:")?;
        Ok(())
    })?;
    Ok(sum)
}

/// A number that the kernel tells of a descriptor.
fn told<T: FromStr>(object: &OwnedFd, name: &str) -> io::Result<T> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", object.as_raw_fd()))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.ok_or_else(|| io::Error::other(name.to_owned()))
}

fn each(kind: Kind, mut look: impl FnMut(&OwnedFd) -> io::Result<()>) -> io::Result<()> {
    let (next, open) = match kind {
        Kind::Map => (MAP_GET_NEXT_ID, MAP_GET_FD_BY_ID),
        Kind::Program => (PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID),
    };
    let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ENOENT);
    let mut id = 0;
    loop {
        let mut attr = Attr::default();
        attr[0] = pair(id, 0);
        match call(next, &mut attr) {
            Err(error) if gone(&error) => return Ok(()),
            other => other?,
        };
        id = u32::try_from(attr[0] >> 32).map_err(io::Error::other)?;
        let mut attr = Attr::default();
        attr[0] = pair(id, 0);
        match call(open, &mut attr).and_then(opened) {
            Err(error) if gone(&error) => {}
            other => look(&other?)?,
        }
    }
}

/// Ends what a link does.
pub(crate) fn detach(link: &OwnedFd) -> io::Result<()> {
    let mut attr = Attr::default();
    attr[0] = number(link);
    call(LINK_DETACH, &mut attr).map(drop)
}

/// Makes another file the one that this process is said to execute (`PR_SET_MM_EXE_FILE`).
pub(crate) fn set_executable(file: &fs::File) -> io::Result<()> {
    const EXE_FILE: libc::c_ulong = 13;
    let none: libc::c_ulong = 0;
    // SAFETY: numbers alone.
    match unsafe {
        libc::prctl(
            libc::PR_SET_MM,
            EXE_FILE,
            libc::c_ulong::from(file.as_raw_fd().unsigned_abs()),
            none,
            none,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Pins an object.
pub(crate) fn pin(object: &OwnedFd, path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    let mut attr = Attr::default();
    (attr[0], attr[1]) = (path.as_ptr() as u64, number(object));
    call(OBJ_PIN, &mut attr).map(drop)
}

/// An empty map of the shape of the one in a slot of an array of maps.
pub(crate) fn like(outer: &OwnedFd, slot: u32) -> io::Result<OwnedFd> {
    let mut id = 0_u32;
    let mut attr = Attr::default();
    (attr[0], attr[1]) = (number(outer), std::ptr::from_ref(&slot) as u64);
    attr[2] = std::ptr::from_mut(&mut id) as u64;
    call(MAP_LOOKUP_ELEM, &mut attr)?;
    let mut attr = Attr::default();
    attr[0] = u64::from(id);
    let inner = opened(call(MAP_GET_FD_BY_ID, &mut attr)?)?;
    hash(told(&inner, "key_size:")?, told(&inner, "value_size:")?)
}

/// An empty hash map for one element. Before v5.11 it counts against a limit, which the agents that are started here are to
/// find as it is.
pub(crate) fn hash(key_size: u32, value_size: u32) -> io::Result<OwnedFd> {
    let mut attr = Attr::default();
    (attr[0], attr[1]) = (pair(HASH, key_size), pair(value_size, 1));
    let limit = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None })?;
    let made = call(MAP_CREATE, &mut attr);
    setrlimit(Resource::Memlock, limit)?;
    opened(made?)
}

/// Puts a map into an array of maps.
pub(crate) fn put(outer: &OwnedFd, slot: u32, inner: &OwnedFd) -> io::Result<()> {
    let inner = inner.as_raw_fd();
    let mut attr = Attr::default();
    (attr[0], attr[1]) = (number(outer), std::ptr::from_ref(&slot) as u64);
    attr[2] = std::ptr::from_ref(&inner) as u64;
    call(MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Takes a map out of an array of maps.
pub(crate) fn take(outer: &OwnedFd, slot: u32) -> io::Result<()> {
    let mut attr = Attr::default();
    (attr[0], attr[1]) = (number(outer), std::ptr::from_ref(&slot) as u64);
    call(MAP_DELETE_ELEM, &mut attr).map(drop)
}

/// The shared memory of an array map: its first page.
#[derive(Debug)]
pub(crate) struct Shared(*mut u32);

const PAGE: usize = 4096;

impl Shared {
    pub(crate) fn new(map: &OwnedFd) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let fd = map.as_raw_fd();
        // SAFETY: the kernel chooses a place where nothing is.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self(start.cast())) }
    }

    /// The number at an offset in bytes.
    pub(crate) fn read(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= PAGE, "within the page");
        // SAFETY: the mapping is that long, lives as long as this, and is read as whole aligned numbers only.
        unsafe { self.0.add(offset / 4).read_volatile() }
    }

    pub(crate) fn write(&self, offset: usize, value: u32) {
        assert!(offset + 4 <= PAGE, "within the page");
        // SAFETY: as above.
        unsafe { self.0.add(offset / 4).write_volatile(value) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: this mapping is ours, and nothing borrows from it.
        let _ = unsafe { libc::munmap(self.0.cast(), PAGE) };
    }
}

/// How a program hangs on a function of the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hanging {
    Lsm,
    ModifyReturn,
}

/// Attaches a program that allows and does nothing else to the function with this BTF id. It hangs there until the returned
/// descriptor is closed.
pub(crate) fn attach_empty(hanging: Hanging, function: u32) -> io::Result<OwnedFd> {
    // `enum bpf_prog_type` and `enum bpf_attach_type`.
    let (kind, attach) = match hanging {
        Hanging::Lsm => (29, 27),
        Hanging::ModifyReturn => (26, 26),
    };
    // r0 = 0; exit.
    let program = [0x0000_00b7_u64, 0x0000_0095];
    let mut attr = Attr::default();
    attr[0] = pair(kind, 2);
    (attr[1], attr[2]) = (program.as_ptr() as u64, c"GPL".as_ptr() as u64);
    (attr[8], attr[13]) = (pair(0, attach), pair(0, function));
    let program = opened(call(PROG_LOAD, &mut attr)?)?;
    let mut attr = Attr::default();
    attr[1] = number(&program);
    opened(call(RAW_TRACEPOINT_OPEN, &mut attr)?)
}

/// The descriptors of a process that are links, each with the id of its program.
pub(crate) fn links(pid: u32) -> io::Result<Vec<(i32, u32)>> {
    let mut links = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let entry = entry?;
        // Those that are closed meanwhile are none.
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let program = text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
        let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let (true, Some(program), Some(fd)) = (text.contains("link_id:"), program, fd) {
            links.push((fd, program));
        }
    }
    Ok(links)
}
