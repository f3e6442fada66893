//! Memory of BPF maps mapped into this process, shared with the programs that use it.

use std::{
    ffi::c_void,
    io,
    ops::Deref,
    os::fd::BorrowedFd,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicU32, AtomicUsize},
};

use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

use crate::abi;

/// Types that may be looked at while a BPF program or another process writes them.
///
/// # Safety
/// The implementor is `repr(C)`, or a slice, and every field is an atomic integer.
pub unsafe trait Shared {}

// SAFETY: made of atomics only, see its definition.
unsafe impl Shared for abi::Control {}
// SAFETY: as above.
unsafe impl Shared for abi::Filter {}
// SAFETY: as above.
unsafe impl Shared for abi::Enrolled {}
// SAFETY: as above.
unsafe impl Shared for abi::Ledger {}
// SAFETY: it is one.
unsafe impl Shared for AtomicUsize {}
// SAFETY: nothing but those.
unsafe impl Shared for [AtomicU32] {}

/// The first value of an array map created with [`super::bpf::MMAPABLE`], or a part of a ring buffer.
#[derive(Debug)]
pub struct Mapped<T: Shared + ?Sized> {
    value: NonNull<T>,
    bytes: usize,
}

/// Maps pages of a map, from the one of this number on.
fn pages(map: BorrowedFd<'_>, first: usize, bytes: usize, access: ProtFlags) -> io::Result<NonNull<c_void>> {
    let from = u64::try_from(first * page_size()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
    let address = unsafe { mmap(null_mut(), bytes, access, MapFlags::SHARED, map, from)? };
    NonNull::new(address).ok_or(io::ErrorKind::InvalidData.into())
}

impl<T: Shared> Mapped<T> {
    /// Maps the value readable and writable.
    pub fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let bytes = size_of::<T>().next_multiple_of(page_size());
        let start = pages(map, 0, bytes, ProtFlags::READ | ProtFlags::WRITE)?;
        Ok(Self { value: start.cast(), bytes })
    }

    /// Maps what begins at a page, to be looked at.
    pub fn at(map: BorrowedFd<'_>, page: usize) -> io::Result<Self> {
        let bytes = size_of::<T>().next_multiple_of(page_size());
        Ok(Self { value: pages(map, page, bytes, ProtFlags::READ)?.cast(), bytes })
    }
}

impl Mapped<[AtomicU32]> {
    /// Maps so many bytes from a page on, to be looked at.
    pub fn words(map: BorrowedFd<'_>, page: usize, bytes: usize) -> io::Result<Self> {
        let start = pages(map, page, bytes, ProtFlags::READ)?;
        let words = bytes / size_of::<AtomicU32>();
        Ok(Self { value: NonNull::slice_from_raw_parts(start.cast(), words), bytes })
    }
}

impl<T: Shared + ?Sized> Deref for Mapped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is page-aligned, at least as long as the value, lives as long as `self`, and `Shared` types
        // are atomics, so writes from elsewhere are no data race.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Shared + ?Sized> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made for it; references into it cannot outlive `self`.
        let unmapped = unsafe { munmap(self.value.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "an own mapping can be unmapped");
    }
}

// SAFETY: the mapping is not tied to a thread, and every access goes through atomics.
unsafe impl<T: Shared + ?Sized> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Shared + ?Sized> Sync for Mapped<T> {}
