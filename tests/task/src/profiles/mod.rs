//! What confines the agent on hosts with `AppArmor` or `SELinux`, compiled on this host for the guests that have it.

mod selinux;

use crate::paths;
use anyhow::{Context as _, Result, bail};
use guest::{APPARMOR_PROFILE, SELINUX_LABELS, SELINUX_POLICY};
pub(crate) use selinux::{built as selinux, labels_as_said, module as selinux_module, module_is_kept};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What confines the agent in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// The profile in `apparmor/`
    #[value(name = "apparmor")]
    AppArmor,
    /// The module in `selinux/`, with the reference policy of Debian
    #[value(name = "selinux")]
    SeLinux,
}

/// The files that a guest needs for it.
pub(crate) fn files(profile: Profile) -> Result<Vec<(&'static str, Vec<u8>)>> {
    match profile {
        Profile::AppArmor => Ok(vec![(APPARMOR_PROFILE, apparmor()?)]),
        Profile::SeLinux => {
            let built = selinux()?;
            let read = |name: &str| fs::read(built.join(name)).with_context(|| built.display().to_string());
            Ok(vec![(SELINUX_POLICY, read("policy")?), (SELINUX_LABELS, read("labels")?)])
        }
    }
}

/// Compiles the profile of the agent.
pub(crate) fn apparmor() -> Result<Vec<u8>> {
    compiled("apparmor/aegisbpf")
}

/// Compiles a profile in the tree; a warning is an error. For the features of the oldest kernel: newer ones take that as
/// well, and mediate what it says.
pub(crate) fn compiled(profile: &str) -> Result<Vec<u8>> {
    let root = paths::root()?;
    let target = paths::target_dir()?;
    fs::create_dir_all(&target)?;
    // Two rows may do this at the same time.
    let out = target.join(format!("apparmor-{}-{:?}", std::process::id(), std::thread::current().id()));
    let compiled = run(Command::new("apparmor_parser")
        .args(["--skip-kernel-load", "--skip-cache", "--skip-read-cache", "--warn=all", "--Werror"])
        // Rules for sockets of the family unix hold for the whole family on kernels that tell no more apart.
        .arg("--warn=no-rule-downgraded")
        .arg("--kernel-features")
        .arg(root.join("tests/task/data/apparmor-5.10.features"))
        .arg("--ofile")
        .arg(&out)
        .arg(root.join(profile)));
    let bytes = compiled.and_then(|()| Ok(fs::read(&out)?));
    drop(fs::remove_file(&out));
    bytes
}

fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// What a program says, on both of its outputs; told when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let shown = Path::new(&program).file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output();
    let output = output.with_context(|| format!("cannot start {shown}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        bail!("{shown} ended with {}:\n{}", output.status, said.trim_end());
    }
    Ok(said)
}
