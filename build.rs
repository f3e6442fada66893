//! What the binary embeds is made here: BPF objects, the ABI check, the system call filter, the tier contracts.

#[path = "build/abi.rs"]
mod abi;
#[path = "build/bpf.rs"]
mod bpf;
#[path = "build/checks.rs"]
mod checks;
#[path = "build/failures.rs"]
mod failures;
#[path = "build/seccomp.rs"]
mod seccomp;
#[path = "build/tiers.rs"]
mod tiers;
#[path = "build/types.rs"]
mod types;

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    bpf::compile("bpf-lsm/lsm.bpf.c", &out.join("lsm.o"))?;
    bpf::compile("bpf-tracepoint/trace.bpf.c", &out.join("trace.o"))?;
    bpf::compile("bpf-lsm/layout.bpf.c", &out.join("layout.o"))?;
    abi::generate(&out.join("layout.o"), &out.join("abi.rs"))?;
    types::generate(&out.join("lsm.o"), &out.join("types.rs"))?;
    let lists = [("AGENT", "src/confine/calls.toml"), ("HELPER", "src/confine/helper.toml")];
    seccomp::generate(&lists, &out.join("seccomp.rs"))?;
    tiers::generate("tiers", &out.join("tiers.rs"))?;
    checks::generate("src/cmd/doctor/checks.toml", &out.join("checks.rs"))?;
    for input in [
        "src/cmd/doctor/checks.toml",
        "build.rs",
        "build",
        "bpf-lsm",
        "bpf-tracepoint",
        "src/confine/calls.toml",
        "src/confine/helper.toml",
        "tiers",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    Ok(())
}
