//! Where things are: the tree, the build output, the cache.

use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The target of the agent that the VMs run, and of the guest.
pub(crate) const MUSL: &str = "x86_64-unknown-linux-musl";

/// The top of the tree.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.ancestors().nth(2).context("the task crate is not two levels below the root")?.to_owned())
}

/// Cargo's output directory.
pub(crate) fn target_dir() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => Ok(env::current_dir()?.join(directory)),
        None => Ok(root()?.join("target")),
    }
}

/// Where a release binary of the workspace is built.
pub(crate) fn release_binary(target: &str, name: &str) -> Result<PathBuf> {
    Ok(target_dir()?.join(target).join("release").join(name))
}

/// What outlives a `cargo clean`: kernels and the verdict about KVM.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("aegisbpf-dev"))
}
