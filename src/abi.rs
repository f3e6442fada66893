//! Mirrors of `bpf-lsm/abi.h`, which is the source of every layout here.
//!
//! The build (`build/abi.rs`) reads that header's types back from BTF: the shared numbers become constants here, and
//! size, offsets and field list of each struct are compared with its mirror. A difference stops the build and names
//! the field.

#![expect(missing_docs, reason = "each field is documented once, in bpf-lsm/abi.h")]
#![expect(clippy::unreadable_literal, reason = "the build writes the numbers as the header has them")]
#![expect(unsafe_code, reason = "declaring which types may be read from and written to as plain bytes")]

use std::sync::atomic::{AtomicU32, AtomicU64};

// The shared numbers, and the assertions on the layouts below: produced by `build/abi.rs`.
include!(concat!(env!("OUT_DIR"), "/abi.rs"));

/// A type without padding, references or invalid bit patterns: any bytes of its size are a value of it.
///
/// # Safety
/// The implementor is `repr(C)`, made of integers and of arrays of such types, and has no implicit padding.
pub unsafe trait Plain: Copy + Default {}

macro_rules! plain {
    ($($(#[$meta:meta])* struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name { $(pub $field: $type),* }
        // SAFETY: integers only, and the assertion below shows that the fields fill the type.
        unsafe impl Plain for $name {}
        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*, "implicit padding");
    )* };
}

plain! {
    /// `struct aegis_inode`
    struct Inode { ino: u64, dev: u32, volume: u32 }
    /// `struct aegis_object`
    struct Object { generation: u32, flags: u32, rule: u32, ops: u32 }
    /// `struct aegis_cgroup`
    struct Cgroup { flags: u32, pad: u32 }
    /// `struct aegis_filter_part`
    struct FilterPart { words: [u64; FILTER_PART as usize] }
    /// `struct aegis_ancestor`
    struct Ancestor { pid: u32, exe: [u8; ANCESTOR_BYTES as usize] }
    /// `struct aegis_likeness`
    struct Likeness {
        policy_generation: u64,
        cgroup: u64,
        inode: Inode,
        generation: u32,
        hook: u32,
        op: u32,
        mode: u32,
        rule: u32,
        flags: u32,
        uid: u32,
        gid: u32,
        login_uid: u32,
        pad: u32,
        dentry: u64,
        mount: u64,
        directory: u64,
        name: u64,
        exe_dentry: u64,
        exe_mount: u64,
        exe_ino: u64,
    }
    /// `struct aegis_event`
    struct Event {
        kind: u32,
        size: u32,
        time_ns: u64,
        like: Likeness,
        error: i32,
        pid: u32,
        tid: u32,
        mount_ns: u32,
        pid_ns: u32,
        cut: u32,
        path_len: u32,
        exe_len: u32,
        cgroup_len: u32,
        pad: u32,
        comm: [u8; COMM_BYTES as usize],
        ancestors: [Ancestor; ANCESTORS as usize],
    }
}

/// `struct aegis_trace_path`
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TracePath {
    pub path: [u8; TRACE_PATH_BYTES as usize],
}

impl Default for TracePath {
    fn default() -> Self {
        Self { path: [0; TRACE_PATH_BYTES as usize] }
    }
}

// SAFETY: an array of bytes.
unsafe impl Plain for TracePath {}

/// `struct aegis_trace_prefix`
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TracePrefix {
    pub bits: u32,
    pub path: [u8; TRACE_PATH_BYTES as usize],
}

impl Default for TracePrefix {
    fn default() -> Self {
        Self { bits: 0, path: [0; TRACE_PATH_BYTES as usize] }
    }
}

// SAFETY: an integer and bytes; 4 + 256 bytes fill the type, which the assertions on the layout show.
unsafe impl Plain for TracePrefix {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}

/// `struct aegis_name`
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub directory: Inode,
    pub name: [u8; NAME_BYTES as usize],
}

impl Default for Name {
    fn default() -> Self {
        Self { directory: Inode::default(), name: [0; NAME_BYTES as usize] }
    }
}

// SAFETY: integers and bytes; 16 + 256 bytes fill the type, which the assertions on the layout show.
unsafe impl Plain for Name {}

/// `struct aegis_control`, as mapped: the programs read it while it is written.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    pub abi: AtomicU32,
    pub mode: AtomicU32,
    pub active: AtomicU64,
    pub revert_at: AtomicU64,
    pub revert_to: AtomicU64,
    pub break_glass: AtomicU32,
    pub prover_tgid: AtomicU32,
    pub prover_hook: AtomicU32,
    pub pad: AtomicU32,
    pub canary: InodeCell,
    pub filter: AtomicU64,
    pub slots: [Slot; SLOTS as usize],
    pub question: Question,
    pub guard: Guard,
    pub repeats: Repeats,
}

/// `struct aegis_filter` in mapped memory.
#[repr(C)]
#[derive(Debug)]
pub struct Filter {
    pub words: [AtomicU64; FILTER_WORDS as usize],
}

/// `struct aegis_slot` in mapped memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Slot {
    pub generation: AtomicU64,
    pub features: AtomicU32,
    pub tree_ops: AtomicU32,
    pub rules: AtomicU32,
    pub ops: AtomicU32,
    pub filter_words: AtomicU32,
    pub filter_bits: AtomicU32,
    pub sha256: [AtomicU64; SHA256_BYTES as usize / 8],
}

/// `struct aegis_question` in mapped memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Question {
    pub inode: InodeCell,
    pub tgid: AtomicU32,
    pub op: AtomicU32,
    pub slot: AtomicU32,
    pub pad: AtomicU32,
    pub answered: AtomicU32,
    pub denied: AtomicU32,
    pub rule: AtomicU32,
    pub flags: AtomicU32,
}

/// `struct aegis_binary` in mapped memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Binary {
    pub inode: InodeCell,
    pub generation: AtomicU32,
    pub pad: AtomicU32,
}

/// `struct aegis_guard` in mapped memory.
#[repr(C)]
#[derive(Debug)]
pub struct Guard {
    pub armed: AtomicU32,
    pub agent: AtomicU32,
    pub helper: AtomicU32,
    pub pad: AtomicU32,
    pub enrolled: [Binary; BINARIES as usize],
    pub pins: InodeCell,
    pub dentry: AtomicU64,
    pub mount: AtomicU64,
    pub maps: [AtomicU32; GUARDED_MAPS as usize],
    pub programs: [AtomicU32; GUARDED_PROGRAMS as usize],
}

/// `struct aegis_repeats` in mapped memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Repeats {
    pub untold: AtomicU64,
    pub forgotten: AtomicU64,
    pub kinds: [Repeat; REPEATS as usize],
}

/// `struct aegis_repeat` in mapped memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Repeat {
    pub until_ns: AtomicU64,
    pub last_ns: AtomicU64,
    pub count: AtomicU64,
    pub like: [AtomicU64; LIKENESS_WORDS as usize],
}

/// `struct aegis_inode` in mapped memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct InodeCell {
    pub ino: AtomicU64,
    pub dev: AtomicU32,
    pub volume: AtomicU32,
}

/// `struct aegis_enrolled`, as mapped.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Enrolled {
    pub inode: InodeCell,
    pub generation: AtomicU32,
    pub tid: AtomicU32,
    pub began: AtomicU32,
    pub ended: AtomicU32,
    pub dentry: AtomicU64,
    pub mount: AtomicU64,
}

/// What user space keeps in the kernel for itself, as mapped. No program uses it, so it has no part in `abi.h`. Two
/// pages take turns, so that a writer who is killed leaves the one before.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Ledger {
    /// [`LEDGER_VERSION`]
    pub version: AtomicU32,
    /// Which page holds; the other one is being written, or is older.
    pub page: AtomicU32,
    pub pages: [LedgerPage; 2],
}

/// Raised with any change of [`LedgerPage`].
pub const LEDGER_VERSION: u32 = 1;

/// A page of [`Ledger`]. Zeros are nothing that was ever written.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LedgerPage {
    /// The highest `policy_version=` that was accepted.
    pub policy_version: AtomicU64,
    /// The latest time that was seen, seconds since 1970.
    pub last_seen: AtomicU64,
    /// Number of the last entry of the audit log.
    pub audit_seq: AtomicU64,
    /// SHA-256 of its line.
    pub audit_head: [AtomicU64; 4],
}

/// The bytes of a value.
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` has no padding, so every byte of the value is initialised; the borrow keeps it alive.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// The bytes of a run of values, as batch operations want them.
pub fn bytes_of_slice<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: as in `bytes_of`, for each element; slices have no padding between elements.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// Reads a value from the start of `bytes`; `None` when there are too few.
pub fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: the slice is as long as `T`, any bytes are a valid `T`, and unaligned reads are allowed here.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}
