//! Compiles the BPF programs with clang.
//!
//! Nothing is taken from the build host's kernel (no `vmlinux.h`), so that builds reproduce. DWARF is stripped; BTF and
//! the CO-RE relocations stay.

use std::{error::Error, path::Path, process::Command};

/// Compiles `source` into `object` for the target architecture of the build.
pub(crate) fn compile(source: &str, object: &Path) -> Result<(), Box<dyn Error>> {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    run(Command::new("clang")
        // BPF instruction set v2: what every supported kernel's verifier and JIT take.
        .args(["-O2", "-g", "-target", "bpf", "-mcpu=v2", "-Wall", "-Werror"])
        .arg(format!("-DAEGIS_ARCH_{arch}"))
        .arg("-fdebug-prefix-map=".to_owned() + &std::env::var("CARGO_MANIFEST_DIR")? + "=.")
        .arg("-Ibpf-lsm")
        // Debian keeps asm/types.h, which linux/bpf.h includes, in a directory of the host's architecture.
        .arg(format!("-idirafter/usr/include/{}-linux-gnu", host_arch()?))
        .args(["-c", source, "-o"])
        .arg(object))?;
    run(Command::new("llvm-strip").arg("--strip-debug").arg(object))
}

fn host_arch() -> Result<String, Box<dyn Error>> {
    let host = std::env::var("HOST")?;
    Ok(host.split('-').next().unwrap_or_default().to_owned())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        format!("{program}: {error}\n  hint: install clang, llvm and libbpf-dev (Debian) or clang, llvm and libbpf-devel (Fedora), or run ./dev build, which does")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)).into())
}
