//! The unit as it is shipped, before the systemd of this host: a row of the matrix asks that of Debian, and runs it.

use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const UNIT: &str = "dist/systemd/aegisbpf.service";
/// Where the unit has the binary, which this host need not have.
const INSTALLED: &str = "/usr/sbin/aegisbpf";
/// The exposure that it may have, in tenths.
const EXPOSURE: &str = "25";

/// Nothing to complain about, and little exposed.
pub(crate) fn look(agent: &Path) -> Result<()> {
    let text = fs::read_to_string(paths::root()?.join(UNIT)).context(UNIT)?;
    let directory = paths::target_dir()?.join("unit");
    fs::create_dir_all(&directory)?;
    let unit = directory.join("aegisbpf.service");
    fs::write(&unit, text.replace(INSTALLED, &agent.display().to_string()))?;
    let verified = analyze(&["verify", "--man=no"], &unit)?;
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    // It looks at other units of the host as well.
    if !verified.status.success() || said.contains("aegisbpf") {
        bail!("systemd-analyze verify ended with {}: {}", verified.status, said.trim());
    }
    let threshold = format!("--threshold={EXPOSURE}");
    let rated = analyze(&["security", "--no-pager", "--offline=true", &threshold], &unit)?;
    let table = String::from_utf8_lossy(&rated.stdout).into_owned();
    println!("{}", table.lines().last().unwrap_or_default());
    if !rated.status.success() {
        bail!("it is exposed more than {EXPOSURE} tenths:\n{table}");
    }
    Ok(())
}

fn analyze(args: &[&str], unit: &Path) -> Result<Output> {
    let output = Command::new("systemd-analyze").args(args).arg(unit).output();
    output.context("cannot start systemd-analyze (package systemd)")
}
