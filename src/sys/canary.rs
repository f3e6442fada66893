//! Operations on a canary that no safe call offers: mapping it, and handing a descriptor of it to oneself.

use std::{
    ffi::c_void,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, OwnedFd},
    ptr::null_mut,
};

use rustix::{
    mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};

/// The first page of a file, mapped for reading and never looked at.
#[derive(Debug)]
pub struct Page {
    address: *mut c_void,
    bytes: usize,
}

// SAFETY: the address is only handed to the kernel, which takes it from any thread.
unsafe impl Send for Page {}

impl Page {
    /// Maps it.
    pub fn map(file: impl AsFd) -> io::Result<Self> {
        let bytes = rustix::param::page_size();
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe { mmap(null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, file, 0)? };
        Ok(Self { address, bytes })
    }

    /// Asks for the protection that it has.
    pub fn protect(&self) -> io::Result<()> {
        // SAFETY: exactly the mapping that `map` made, which nothing in this program looks into.
        unsafe { mprotect(self.address, self.bytes, MprotectFlags::READ) }.map_err(Into::into)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: as above; it is used no more.
        let unmapped = unsafe { munmap(self.address, self.bytes) };
        debug_assert!(unmapped.is_ok(), "an own mapping can be unmapped");
    }
}

/// A way for descriptors from this process to itself.
#[derive(Debug)]
pub struct Loopback(OwnedFd, OwnedFd);

impl Loopback {
    /// Opens it.
    pub fn new() -> io::Result<Self> {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        Ok(Self(one, other))
    }

    /// Hands a descriptor over. A hook that refuses it takes it out of the message, which arrives without it
    /// (`scm_detach_fds`, net/core/scm.c): that is `EPERM` here.
    pub fn pass(&self, file: impl AsFd) -> io::Result<()> {
        let files = [file.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(&self.0, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&self.1, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let arrived = control.drain().any(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next().is_some(),
            _ => false,
        });
        if arrived { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
    }
}
