//! `./dev test`: everything.

use super::{check, demo, kubernetes, release};
use crate::artifacts::{self, cargo};
use crate::browser;
use crate::cmd::vm;
use crate::paths::{MUSL, release_binary};
use crate::profiles;
use crate::tally::{Tally, run};
use crate::unit;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

const MUSL_ARM64: &str = "aarch64-unknown-linux-musl";
/// The agent has all it needs in one file, and that file stays small enough to copy anywhere.
const SIZE_LIMIT: u64 = 6 * 1024 * 1024;

/// Runs the chore.
pub(crate) fn main() -> Result<ExitCode> {
    let mut tally = Tally::default();
    check::steps(&mut tally);
    tally.step("cargo deny", || run(cargo()?.args(["deny", "check", "bans", "licenses", "sources"])));
    tally.step("the page of the reports in a browser", browser::look);
    tally.step("the AppArmor profile", || profiles::apparmor().map(drop));
    tally.step("the SELinux module", || profiles::selinux().map(drop));
    tally.step("the SELinux module that is installed", profiles::module_is_kept);
    tally.step("the labels of the SELinux module", profiles::labels_as_said);
    tally.step("the chart and the manifests for Kubernetes", kubernetes::look);
    tally.step("the workflows", release::workflows);
    for target in [MUSL, MUSL_ARM64] {
        let binary = release_binary(target, "aegisbpf")?;
        tally.step(&format!("release build for {target}"), || {
            artifacts::release("aegisbpf", target).map(drop)
        });
        tally.step(&format!("one static file for {target}"), || static_file(&binary));
    }
    let agent = release_binary(MUSL, "aegisbpf")?;
    tally.step("the unit before this host's systemd", || unit::look(&agent));
    tally.counted("matrix of kernels", || vm::whole_matrix(&agent));
    tally.step("demo on this host", || demo::check_host(&agent));
    tally.step("demo in a VM", || demo::check_vm(&agent));
    Ok(tally.table().finish())
}

fn static_file(binary: &Path) -> Result<()> {
    let output = Command::new("file").arg("-b").arg(binary).output().context("cannot start file")?;
    let kind = String::from_utf8_lossy(&output.stdout);
    let size = fs::metadata(binary).with_context(|| binary.display().to_string())?.len();
    println!("{}{size} bytes", kind.trim_end().to_owned() + ", ");
    if !["statically linked", "static-pie linked"].iter().any(|words| kind.contains(words)) {
        bail!("it is not statically linked");
    }
    if size > SIZE_LIMIT {
        bail!("it is larger than {SIZE_LIMIT} bytes");
    }
    Ok(())
}
