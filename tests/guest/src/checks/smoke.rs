//! Whether the boot is the one that the row asked for.

use super::{Check, CheckError, Ctx};
use crate::run::Cmd;
use guest::AGENT;
use std::fs;
use std::path::Path;

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "boot.agent-starts", run: agent_starts },
    Check { id: "boot.lsm-as-asked", run: lsm_as_asked },
    Check { id: "boot.btf-is-there", run: btf_is_there },
];

/// Listed by every kernel that has them, whatever `lsm=` says.
const ALWAYS_ON: [&str; 4] = ["capability", "integrity", "ima", "evm"];

fn agent_starts(_: &Ctx) -> Result<(), CheckError> {
    let outcome = Cmd::new(AGENT).args(["version"]).run()?;
    if outcome.code() != 0 {
        return Err(CheckError::Status { want: 0, outcome: Box::new(outcome) });
    }
    Ok(())
}

/// A kernel may lack an LSM that was asked for (5.10 has no Landlock), but it must not run one that was not, and
/// `bpf` decides what the row is about.
fn lsm_as_asked(ctx: &Ctx) -> Result<(), CheckError> {
    let path = "/sys/kernel/security/lsm";
    let active = fs::read_to_string(path).map_err(|source| CheckError::File { path: path.into(), source })?;
    let asked = ctx.boot.list("lsm");
    let mut active = active.trim().split(',').filter(|name| !ALWAYS_ON.contains(name)).peekable();
    let found: Vec<&str> = active.by_ref().collect();
    let as_asked =
        found.iter().all(|name| asked.contains(name)) && found.contains(&"bpf") == asked.contains(&"bpf");
    if as_asked {
        return Ok(());
    }
    Err(CheckError::Differs { what: "active LSMs", want: asked.join(","), got: found.join(",") })
}

fn btf_is_there(_: &Ctx) -> Result<(), CheckError> {
    let path = Path::new("/sys/kernel/btf/vmlinux");
    fs::metadata(path).map_err(|source| CheckError::File { path: path.into(), source })?;
    Ok(())
}
