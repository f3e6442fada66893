//! A BPF array value mapped into this process, shared with the programs that use it.

use std::{
    io,
    ops::Deref,
    os::fd::BorrowedFd,
    ptr::{NonNull, null_mut},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::abi;

/// Types that may be looked at while a BPF program or another process writes them.
///
/// # Safety
/// The implementor is `repr(C)` and every field is an atomic integer.
pub unsafe trait Shared {}

// SAFETY: made of atomics only, see its definition.
unsafe impl Shared for abi::Control {}
// SAFETY: as above.
unsafe impl Shared for abi::Filter {}
// SAFETY: as above.
unsafe impl Shared for abi::Enrolled {}
// SAFETY: as above.
unsafe impl Shared for abi::Ledger {}

/// The first value of an array map created with [`super::bpf::MMAPABLE`].
#[derive(Debug)]
pub struct Mapped<T: Shared> {
    value: NonNull<T>,
    bytes: usize,
}

impl<T: Shared> Mapped<T> {
    /// Maps the value readable and writable.
    pub fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let bytes = size_of::<T>().next_multiple_of(page);
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let address =
            unsafe { mmap(null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, map, 0)? };
        let value = NonNull::new(address.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { value, bytes })
    }
}

impl<T: Shared> Deref for Mapped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is page-aligned, at least as long as `T`, lives as long as `self`, and `Shared` types
        // are atomics, so writes from elsewhere are no data race.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Shared> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made; references into it cannot outlive `self`.
        let unmapped = unsafe { munmap(self.value.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "an own mapping can be unmapped");
    }
}

// SAFETY: the mapping is not tied to a thread, and every access goes through atomics.
unsafe impl<T: Shared> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for Mapped<T> {}
