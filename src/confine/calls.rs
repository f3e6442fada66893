//! The system calls that are left, from `calls.toml` and `helper.toml`: `build/seccomp.rs` compiles both.

use seccompiler::{apply_filter, apply_filter_all_threads, sock_filter};

use super::ConfineError;

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// Allows all threads nothing but the calls of `calls.toml` from here on.
pub fn filter_calls() -> Result<(), ConfineError> {
    Ok(apply_filter_all_threads(&program(&AGENT))?)
}

/// Allows the helper, which has one thread, nothing but the calls of `helper.toml` from here on.
pub(super) fn filter_helper() -> Result<(), ConfineError> {
    Ok(apply_filter(&program(&HELPER))?)
}

fn program(steps: &[(u16, u8, u8, u32)]) -> Vec<sock_filter> {
    steps.iter().map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k }).collect()
}
