//! A decision as the planner takes it: what was asked, and where a rule can be held against it.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

use super::{Decision, unescape};
use crate::{
    plan::{Operand, Recorded, Seen, Special},
    policy::{Device, Ops},
};

/// Hooks at which a file would come to be somewhere else: there a rule by place refuses whatever operation it denies.
const MOVING: [&str; 2] = ["inode_link", "inode_rename"];

impl Decision {
    /// The operations; `None`: it is not about a file, but was the self-guard's.
    pub fn ops(&self) -> Option<Ops> {
        self.operation.split(',').map(Ops::from_name).try_fold(Ops::NONE, |all, one| Some(all.union(one?)))
    }

    /// What was asked. `matched` is the rule that decided, where the policy that it stands in is at hand. `None`: no
    /// policy decided it, or no agent wrote it.
    pub fn recorded(&self, matched: Option<Operand>) -> Option<Recorded> {
        let path = PathBuf::from(OsString::from_vec(unescape(&self.path)?));
        let cgroup = self.cgroup.as_deref().map(unescape);
        let seen = match self {
            Self { inode: None, .. } => Seen::Passed,
            Self { container_id: Some(_), .. } => Seen::InContainer,
            Self { path_cut: true, .. } => Seen::End,
            _ => Seen::Whole,
        };
        let special = match self {
            Self { too_deep: true, .. } => Special::TooDeep,
            Self { unplaced: true, .. } => Special::Unplaced,
            Self { leaves_scope: true, .. } => Special::LeavesScope,
            _ => Special::None,
        };
        Some(Recorded {
            ops: self.ops()?,
            path,
            seen,
            inode: self.device.as_deref().and_then(device).zip(self.inode),
            cgroup: cgroup.and_then(|bytes| Some(PathBuf::from(OsString::from_vec(bytes?)))),
            cgroup_id: self.cgroup_id,
            special,
            moves: MOVING.contains(&&*self.hook),
            matched,
        })
    }
}

fn device(text: &str) -> Option<Device> {
    let (major, minor) = text.split_once(':')?;
    Device::new(major.parse().ok()?, minor.parse().ok()?)
}
