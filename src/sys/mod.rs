//! Every system call that no library makes, and the only place beside [`crate::abi`] with `unsafe`; and how files of ours
//! are read and written.

#![expect(unsafe_code, reason = "system calls without a safe wrapper in a library we use")]

pub mod bpf;
pub mod canary;
pub mod files;
pub mod inherited;
pub mod map;
pub mod process;
pub mod ring;
pub mod rooted;
