//! Programs that allow and do nothing else, on the functions that AegisBPF hangs on: nothing that is attached there can cost
//! less.

use super::{CheckError, fault};
use crate::bpf::{Hanging, attach_empty};
use aya_obj::btf::{Btf, BtfKind};
use serde::Deserialize;
use std::io;
use std::os::fd::OwnedFd;

/// Both enforcing tiers have the same hooks.
const CONTRACT: &str = include_str!("../../../../../tiers/bpf-lsm.toml");

#[derive(Deserialize)]
struct Contract {
    hook: Vec<Hook>,
}

#[derive(Deserialize)]
struct Hook {
    name: String,
    need: Option<String>,
}

/// They hang there as long as these are open. Functions that this kernel lacks have none.
pub(super) fn attach(tier: &str) -> Result<Vec<OwnedFd>, CheckError> {
    let contract: Contract = fault("tiers/bpf-lsm.toml", toml::from_str(CONTRACT).map_err(io::Error::other))?;
    let btf = fault("the types of the kernel", Btf::from_sys_fs().map_err(io::Error::other))?;
    let (prefix, hanging) = match tier {
        "bpf-lsm" => ("bpf_lsm_", Hanging::Lsm),
        _ => ("security_", Hanging::ModifyReturn),
    };
    let by_default = |hook: &&Hook| matches!(hook.need.as_deref(), None | Some("required" | "if-present"));
    let mut attached = Vec::new();
    for hook in contract.hook.iter().filter(by_default) {
        if let Ok(function) = btf.id_by_type_name_kind(&format!("{prefix}{}", hook.name), BtfKind::Func) {
            attached.push(fault(&hook.name, attach_empty(hanging, function))?);
        }
    }
    Ok(attached)
}
