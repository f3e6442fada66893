//! From a policy and what the kernel sees of its paths to the rule sets that the programs look into.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{abi, policy::Policy};

/// An inode as the kernel's hooks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device and number.
    pub inode: abi::Inode,
    /// Its generation.
    pub generation: u32,
}

/// What became of one path of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathIdentity {
    /// It names this inode; with the path after resolving links.
    Found {
        /// The inode; `None` in a tier that does not bind inodes.
        identity: Option<Identity>,
        /// Free of symbolic links.
        resolved: PathBuf,
    },
    /// Nothing is there.
    Missing,
}

/// Everything the kernel side of a policy consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// By inode.
    pub objects: Vec<(abi::Inode, abi::Object)>,
    /// Allow-listed cgroups, by id.
    pub cgroups: Vec<(u64, abi::Cgroup)>,
    /// By path as a process passes it, for the tracepoint tier.
    pub paths: Vec<(abi::TracePath, abi::Object)>,
}

/// A policy that cannot be put into rule sets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RulesError {
    /// A rule names what is not there.
    #[error("line {line}: {} does not exist", .path.display())]
    Missing {
        /// Line of the rule.
        line: u32,
        /// The path.
        path: PathBuf,
    },
    /// Two rules of one device and inode number name different generations.
    #[error("line {line}: {} changed while the policy was applied", .path.display())]
    Changed {
        /// Line of the rule.
        line: u32,
        /// The path.
        path: PathBuf,
    },
}

/// Builds the rule sets. `found` holds one answer for each path rule, in their order; `cgroups` the ids of the
/// allow-listed cgroups.
pub fn build(policy: &Policy, found: &[PathIdentity], cgroups: &[u64]) -> Result<RuleSet, RulesError> {
    let mut objects: BTreeMap<abi::Inode, abi::Object> = BTreeMap::new();
    let mut paths = BTreeMap::new();
    for (rule, answer) in policy.paths.iter().zip(found) {
        let PathIdentity::Found { identity, resolved } = answer else {
            return Err(RulesError::Missing { line: rule.line, path: rule.path.clone() });
        };
        let object = abi::Object { generation: 0, flags: 0, rule: rule.id, ops: rule.ops.bits() };
        if let Some(Identity { inode, generation }) = *identity {
            let object = abi::Object { generation, ..object };
            if !merge(&mut objects, inode, object) {
                return Err(RulesError::Changed { line: rule.line, path: rule.path.clone() });
            }
        }
        for path in [&rule.path, resolved] {
            if let Some(key) = trace_path(path) {
                paths.entry(key.path).or_insert(object).ops |= object.ops;
            }
        }
    }
    for rule in &policy.inodes {
        let inode = abi::Inode { ino: rule.ino, dev: rule.dev.kernel(), pad: 0 };
        let flags = abi::OBJECT_ANY_GENERATION;
        merge(&mut objects, inode, abi::Object { generation: 0, flags, rule: rule.id, ops: rule.ops.bits() });
    }
    let allow = abi::Cgroup { flags: abi::CGROUP_ALLOW, pad: 0 };
    Ok(RuleSet {
        objects: objects.into_iter().collect(),
        cgroups: cgroups.iter().map(|id| (*id, allow)).collect(),
        paths: paths.into_iter().map(|(path, object)| (abi::TracePath { path }, object)).collect(),
    })
}

/// Adds a rule on an inode: operations unite, the first rule gives the id. `false` when generations contradict.
fn merge(objects: &mut BTreeMap<abi::Inode, abi::Object>, inode: abi::Inode, new: abi::Object) -> bool {
    let object = objects.entry(inode).or_insert(new);
    let any = (object.flags | new.flags) & abi::OBJECT_ANY_GENERATION != 0;
    if !any && object.generation != new.generation {
        return false;
    }
    object.ops |= new.ops;
    object.flags |= new.flags;
    true
}

/// The key for a path; `None` when it is longer than the tracepoint tier compares.
fn trace_path(path: &Path) -> Option<abi::TracePath> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = path.as_os_str().as_bytes();
    let mut key = abi::TracePath::default();
    // The last byte stays NUL: it ends what the program reads.
    let (room, _end) = key.path.split_at_mut_checked(abi::TRACE_PATH_BYTES as usize - 1)?;
    room.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(key)
}
