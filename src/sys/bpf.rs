//! `bpf(2)`, as far as aya does not offer it: modify-return programs, maps of maps with a chosen inner map, batch
//! updates, freezing, and programs whose load is only a question.
//!
//! Every function returns the kernel's own error number. Descriptors are close-on-exec (the kernel makes them so).

use std::{
    ffi::{CStr, CString},
    io,
    mem::zeroed,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    path::Path,
};

use aya_obj::generated::{
    BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG, bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn,
    bpf_map_info, bpf_map_type, bpf_prog_info, bpf_prog_type,
};

/// The verifier's explanation is kept up to this many bytes.
const LOG_BYTES: usize = 1024 * 1024;

/// What a map is to be. Sizes in bytes.
#[derive(Clone, Debug)]
pub struct MapSpec<'a> {
    /// At most 15 bytes; the kernel refuses more.
    pub name: &'a str,
    /// `enum bpf_map_type`
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Capacity; bytes for a ring buffer.
    pub max_entries: u32,
    /// `BPF_F_*`
    pub flags: u32,
    /// For a map of maps: a map like those it will hold.
    pub inner: Option<BorrowedFd<'a>>,
}

/// The flag with which an array can be mapped into the agent.
pub const MMAPABLE: u32 = BPF_F_MMAPABLE;

/// The flag that a trie has to be made with.
pub const NO_PREALLOC: u32 = BPF_F_NO_PREALLOC;

/// The flag of a map that programs cannot write.
pub const READ_ONLY_FOR_PROGRAMS: u32 = BPF_F_RDONLY_PROG;

/// What a program is to be.
#[derive(Clone, Debug)]
pub struct ProgramSpec<'a> {
    /// At most 15 bytes are kept.
    pub name: &'a str,
    /// The program type.
    pub kind: bpf_prog_type,
    /// How it will be attached; `None` for types that do not say.
    pub attach: Option<bpf_attach_type>,
    /// BTF id of the kernel function to attach to; 0 for none.
    pub attach_btf_id: u32,
    /// Relocated instructions.
    pub instructions: &'a [bpf_insn],
    /// Its functions, where some are to be verified by themselves.
    pub functions: Option<Functions<'a>>,
}

/// Which functions a program consists of. Those with global linkage are verified once, whoever calls them (kernel v5.6,
/// `51c39bb1d5d1`).
#[derive(Clone, Debug)]
pub struct Functions<'a> {
    /// The types, from [`btf_load`].
    pub btf: BorrowedFd<'a>,
    /// Records of `struct bpf_func_info`.
    pub info: Vec<u8>,
    /// Bytes of a record.
    pub record: u32,
}

/// A refused program load.
#[derive(Debug, thiserror::Error)]
#[error("the kernel refused to load the program `{name}`{}", log_lines(.log))]
pub struct LoadError {
    /// The program.
    pub name: String,
    /// What the verifier said, last lines; empty when it was not reached.
    log: String,
    /// The kernel's error.
    #[source]
    pub source: io::Error,
}

/// The verifier's last words, indented, each on its line.
fn log_lines(log: &str) -> String {
    log.lines().fold(String::new(), |text, line| text + "\n    " + line)
}

fn call(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: `attr` is a whole, initialised union; the callers below keep alive whatever its pointers name until
    // this returns. The kernel checks the rest.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, cmd, std::ptr::from_mut(attr), size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Whether the call gets as far as the kernel's own code. An argument that is longer than a page is refused with E2BIG
/// before anything else is looked at (but for the capability, before v5.12), and before an LSM is asked: another answer
/// to a privileged caller is that of a filter in front of it.
pub fn reaches_kernel() -> io::Result<()> {
    const TOO_LONG: usize = 1 << 20;
    // SAFETY: the kernel reads nothing from the address: the length alone makes it refuse.
    let result = unsafe { libc::syscall(libc::SYS_bpf, 0, std::ptr::null::<bpf_attr>(), TOO_LONG) };
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::E2BIG) if result < 0 => Ok(()),
        _ => Err(error),
    }
}

fn call_fd(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = i32::try_from(call(cmd, attr)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel just gave us this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// All zero: the kernel takes zero as "not given" for every field.
fn blank() -> bpf_attr {
    // SAFETY: a union of integers; zero is a valid value of each.
    unsafe { zeroed() }
}

fn slice_address<T>(values: &[T]) -> u64 {
    values.as_ptr() as u64
}

fn copy_name(name: &str) -> [std::ffi::c_char; 16] {
    let mut out: [std::ffi::c_char; 16] = [0; 16];
    for (slot, byte) in out.iter_mut().take(15).zip(name.bytes().map(|byte| {
        // The kernel takes letters, digits, `_` and `.` (bpf_obj_name_cpy).
        if byte.is_ascii_alphanumeric() { byte } else { b'_' }
    })) {
        *slot = std::ffi::c_char::from_ne_bytes([byte]);
    }
    out
}

/// Creates a map.
pub fn map_create(spec: &MapSpec<'_>) -> io::Result<OwnedFd> {
    let mut attr = blank();
    // SAFETY: writing a field of a union of integers.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = spec.kind;
    create.key_size = spec.key_size;
    create.value_size = spec.value_size;
    create.max_entries = spec.max_entries;
    create.map_flags = spec.flags;
    create.map_name = copy_name(spec.name);
    if let Some(inner) = spec.inner {
        create.inner_map_fd = inner.as_raw_fd().cast_unsigned();
    }
    call_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

/// Sets one element. The caller passes key and value of the map's own sizes.
pub fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
    let mut attr = blank();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = slice_address(key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = slice_address(value);
    attr.__bindgen_anon_2.flags = flags;
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Sets `count` elements at once (kernel v5.6, `aa2e93b8e58e`). Keys and values lie one behind the other.
pub fn map_update_batch(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: u32) -> io::Result<()> {
    let mut attr = blank();
    // SAFETY: writing fields of a union of integers.
    let batch = unsafe { &mut attr.batch };
    batch.keys = slice_address(keys);
    batch.values = slice_address(values);
    batch.count = count;
    batch.map_fd = map.as_raw_fd().cast_unsigned();
    call(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr).map(drop)
}

/// Where a batch of elements goes: room for `count` keys and values, and a place in the map to begin from.
#[derive(Debug)]
pub struct Batch<'a> {
    /// `None` at the beginning; else what the call before left in `next`.
    pub from: Option<u32>,
    /// Room for keys.
    pub keys: &'a mut [u8],
    /// Room for values.
    pub values: &'a mut [u8],
    /// For how many.
    pub count: u32,
}

/// Reads a batch of elements of a hash map (kernel v5.6, `05799638637`). Returns how many there were and where to go
/// on; `None`: that was the end.
pub fn map_lookup_batch(map: BorrowedFd<'_>, batch: &mut Batch<'_>) -> io::Result<(u32, Option<u32>)> {
    let mut next = 0_u32;
    let mut attr = blank();
    // SAFETY: writing fields of a union of integers.
    let fields = unsafe { &mut attr.batch };
    fields.in_batch = batch.from.as_ref().map_or(0, |from| std::ptr::from_ref(from) as u64);
    fields.out_batch = std::ptr::from_mut(&mut next) as u64;
    fields.keys = batch.keys.as_mut_ptr() as u64;
    fields.values = batch.values.as_mut_ptr() as u64;
    fields.count = batch.count;
    fields.map_fd = map.as_raw_fd().cast_unsigned();
    let result = call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr);
    // SAFETY: the same member as was written; the kernel puts the number of elements there.
    let count = unsafe { attr.batch.count };
    match result {
        Ok(_) => Ok((count, Some(next))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((count, None)),
        Err(error) => Err(error),
    }
}

/// The map with this id. Needs `CAP_SYS_ADMIN`.
pub fn map_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = blank();
    attr.__bindgen_anon_6.__bindgen_anon_1.map_id = id;
    call_fd(bpf_cmd::BPF_MAP_GET_FD_BY_ID, &mut attr)
}

/// Reads one element into `value`, which has room for it; `false` when there is none under the key.
pub fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
    let mut attr = blank();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = slice_address(key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    match call(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The key behind `key` (`None`: the first), or `None` at the end. `next` has room for a key.
pub fn map_next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
    let mut attr = blank();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = key.map_or(0, slice_address);
    attr.__bindgen_anon_2.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
    match call(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Forbids any later write through a descriptor.
pub fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = blank();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    call(bpf_cmd::BPF_MAP_FREEZE, &mut attr).map(drop)
}

/// The map's id, which a map of maps shows for what it holds.
pub fn map_info(map: BorrowedFd<'_>) -> io::Result<bpf_map_info> {
    // SAFETY: plain integers; zero is valid.
    let mut info: bpf_map_info = unsafe { zeroed() };
    object_info(map, &mut info)?;
    Ok(info)
}

/// What the kernel says of a loaded program.
pub fn program_info(program: BorrowedFd<'_>) -> io::Result<bpf_prog_info> {
    // SAFETY: plain integers; zero is valid, and means "no buffer" for every pointer.
    let mut info: bpf_prog_info = unsafe { zeroed() };
    object_info(program, &mut info)?;
    Ok(info)
}

fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = blank();
    attr.info.bpf_fd = object.as_raw_fd().cast_unsigned();
    attr.info.info_len = u32::try_from(size_of::<T>()).unwrap_or(0);
    attr.info.info = std::ptr::from_mut(info) as u64;
    call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

/// Gives the kernel the types of an object.
pub fn btf_load(types: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = blank();
    // SAFETY: writing fields of a union of integers.
    let load = unsafe { &mut attr.__bindgen_anon_7 };
    load.btf = slice_address(types);
    load.btf_size = u32::try_from(types.len()).unwrap_or(u32::MAX);
    call_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr)
}

/// Loads a program. On refusal it is tried once more with the verifier's log, so that the error can say why.
pub fn program_load(spec: &ProgramSpec<'_>) -> Result<OwnedFd, LoadError> {
    let refused = match try_load(spec, None) {
        Ok(fd) => return Ok(fd),
        Err(error) => error,
    };
    let mut log = vec![0; LOG_BYTES];
    let source = match try_load(spec, Some((LOG_ALL, &mut log))) {
        Ok(fd) => return Ok(fd),
        // A log that does not fit is no reason to hide the first answer.
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => refused,
        Err(error) => error,
    };
    let text =
        CStr::from_bytes_until_nul(&log).map(|log| log.to_string_lossy().into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n");
    Err(LoadError { name: spec.name.to_owned(), log: tail, source })
}

/// What the verifier spent on a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Effort {
    /// Instructions that it went through, on all ways; it gives up at a million (kernel v5.2, `c04c0d2b968a`).
    pub instructions: u32,
    /// States that it kept to compare with.
    pub states: u32,
}

/// Loads a program only to learn what the verifier spends on it; `None` when the kernel does not say.
pub fn verifier_effort(spec: &ProgramSpec<'_>) -> Result<Option<Effort>, LoadError> {
    drop(program_load(spec)?);
    let mut log = vec![0; 64 * 1024];
    let said = try_load(spec, Some((LOG_STATISTICS, &mut log)));
    let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
    Ok(said.ok().and_then(|_| effort(&text)))
}

/// Reads `processed 92000 insns (limit 1000000) max_states_per_insn 20 total_states 4000 peak_states 900 mark_read 60`.
fn effort(text: &str) -> Option<Effort> {
    let line = text.lines().find(|line| line.starts_with("processed "))?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let behind = |name: &str| words.iter().skip_while(|word| **word != name).nth(1)?.parse().ok();
    Some(Effort { instructions: behind("processed")?, states: behind("total_states")? })
}

/// What the verifier writes: everything, or its statistics alone (`BPF_LOG_LEVEL1`, `BPF_LOG_STATS`,
/// `include/linux/bpf_verifier.h`).
const LOG_ALL: u32 = 1;
const LOG_STATISTICS: u32 = 4;

fn try_load(spec: &ProgramSpec<'_>, log: Option<(u32, &mut Vec<u8>)>) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let mut attr = blank();
    // SAFETY: writing fields of a union of integers; licence, instructions and log outlive the call.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = spec.kind as u32;
    load.insns = slice_address(spec.instructions);
    load.insn_cnt = u32::try_from(spec.instructions.len()).unwrap_or(u32::MAX);
    load.license = license.as_ptr() as u64;
    load.prog_name = copy_name(spec.name);
    load.attach_btf_id = spec.attach_btf_id;
    if let Some(attach) = spec.attach {
        load.expected_attach_type = attach as u32;
    }
    if let Some(functions) = &spec.functions {
        load.prog_btf_fd = functions.btf.as_raw_fd().cast_unsigned();
        load.func_info = slice_address(&functions.info);
        load.func_info_rec_size = functions.record;
        load.func_info_cnt =
            u32::try_from(functions.info.len()).unwrap_or(0).checked_div(functions.record).unwrap_or(0);
    }
    if let Some((level, log)) = log {
        load.log_level = level;
        load.log_buf = log.as_mut_ptr() as u64;
        load.log_size = u32::try_from(log.len()).unwrap_or(0);
    }
    call_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Attaches a program: to the tracepoint `name`, or with `None` to the function it was loaded for. Dropping the
/// descriptor detaches, unless the link is pinned.
pub fn raw_tracepoint_open(name: Option<&CStr>, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = blank();
    attr.raw_tracepoint.name = name.map_or(0, |name| name.as_ptr() as u64);
    attr.raw_tracepoint.prog_fd = program.as_raw_fd().cast_unsigned();
    call_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Runs a raw tracepoint program once, on this thread (kernel v5.10, `1b4d60ec162f`), and returns its result. It finds the
/// arguments where it would find those of a tracepoint.
pub fn raw_tracepoint_run(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<u32> {
    let mut attr = blank();
    // SAFETY: accessing fields of a union of integers; the arguments outlive the call.
    unsafe {
        attr.test.prog_fd = program.as_raw_fd().cast_unsigned();
        // The kernel refuses an address without a size.
        if !arguments.is_empty() {
            attr.test.ctx_in = slice_address(arguments);
            attr.test.ctx_size_in = u32::try_from(size_of_val(arguments)).unwrap_or(u32::MAX);
        }
        call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr)?;
        Ok(attr.test.retval)
    }
}

/// Pins a map, program or link in a BPF file system.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attr = blank();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd().cast_unsigned();
    call(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Opens what is pinned at a path.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut attr = blank();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    call_fd(bpf_cmd::BPF_OBJ_GET, &mut attr)
}

/// What a descriptor of BPF's can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A map.
    Map,
    /// A program.
    Program,
    /// A link.
    Link,
}

/// What a descriptor stands for: the kernel answers questions about one kind with facts about another. `None`: none of
/// these.
pub fn object(object: BorrowedFd<'_>) -> io::Result<Option<Object>> {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", object.as_raw_fd()))?;
    Ok(match name.to_str().and_then(|name| name.strip_prefix("anon_inode:")) {
        Some("bpf-map") => Some(Object::Map),
        Some("bpf-prog") => Some(Object::Program),
        // One name for a new link, another for one that was opened again.
        Some("bpf_link" | "bpf-link") => Some(Object::Link),
        _ => None,
    })
}

/// Id of the program behind a link, 0 when the kernel does not tell.
pub fn link_program(link: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: plain integers; zero is valid.
    let mut info: aya_obj::generated::bpf_link_info = unsafe { zeroed() };
    object_info(link, &mut info)?;
    Ok(info.prog_id)
}

/// `BPF_MAP_TYPE_*` by the name that the code reads best with.
pub mod kind {
    use super::bpf_map_type;

    /// A hash map.
    pub const HASH: u32 = bpf_map_type::BPF_MAP_TYPE_HASH as u32;
    /// A trie that finds the longest beginning.
    pub const LPM_TRIE: u32 = bpf_map_type::BPF_MAP_TYPE_LPM_TRIE as u32;
    /// An array of maps.
    pub const ARRAY_OF_MAPS: u32 = bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS as u32;
    /// An array.
    pub const ARRAY: u32 = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    /// A ring buffer.
    pub const RINGBUF: u32 = bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
}

fn c_path(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

const _: () = assert!(size_of::<*const u8>() == 8, "addresses are passed to the kernel as u64");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_of_the_verifier_are_read() {
        let text = "verification time 12 usec\nstack depth 64\nprocessed 92000 insns (limit 1000000) \
                    max_states_per_insn 20 total_states 4000 peak_states 900 mark_read 60\n";
        assert_eq!(effort(text), Some(Effort { instructions: 92_000, states: 4000 }));
        assert_eq!(effort("verification time 12 usec\n"), None);
    }
}
