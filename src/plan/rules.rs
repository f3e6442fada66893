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

/// A place in a directory: what is found under the name is denied, whatever file it is by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory.
    pub directory: Identity,
    /// The name, without NUL.
    pub name: Vec<u8>,
}

/// What became of one path of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathIdentity {
    /// The file that is there now. `None`: nothing is there, or the tier does not bind inodes.
    pub identity: Option<Identity>,
    /// Where it is: free of symbolic links. `None`: nothing is there.
    pub resolved: Option<PathBuf>,
    /// The places that the path names: as written, and where a link at its end leads to.
    pub places: Vec<Place>,
}

/// Everything the kernel side of a policy consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// By inode.
    pub objects: Vec<(abi::Inode, abi::Object)>,
    /// By directory and name.
    pub names: Vec<(abi::Name, abi::Object)>,
    /// Allow-listed cgroups and those that the rules are limited to, by id.
    pub cgroups: Vec<(u64, abi::Cgroup)>,
    /// By path as a process passes it, for the tracepoint tier.
    pub paths: Vec<(abi::TracePath, abi::Object)>,
    /// `AEGIS_FEATURE_*`: what of all this is used.
    pub features: u32,
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

/// The cgroups of a policy, by id.
#[derive(Clone, Debug, Default)]
pub struct Cgroups {
    /// Not bound by any rule.
    pub allow: Vec<u64>,
    /// The rules bind these only; empty: all.
    pub scope: Vec<u64>,
}

/// Builds the rule sets. `found` holds one answer for each path rule, in their order. A path where nothing is binds
/// the places it names when `allow_missing`, and is an error otherwise.
pub fn build(
    policy: &Policy,
    found: &[PathIdentity],
    cgroups: &Cgroups,
    allow_missing: bool,
) -> Result<RuleSet, RulesError> {
    let mut sets = Sets::default();
    for (rule, answer) in policy.paths.iter().zip(found) {
        if answer.resolved.is_none() && !allow_missing {
            return Err(RulesError::Missing { line: rule.line, path: rule.path.clone() });
        }
        let object = abi::Object { generation: 0, flags: 0, rule: rule.id, ops: rule.ops.bits() };
        if !sets.path(object, answer, &rule.path) {
            return Err(RulesError::Changed { line: rule.line, path: rule.path.clone() });
        }
    }
    for rule in &policy.inodes {
        let inode = abi::Inode { ino: rule.ino, dev: rule.dev.kernel(), pad: 0 };
        let flags = abi::OBJECT_ANY_GENERATION;
        sets.inode(inode, abi::Object { generation: 0, flags, rule: rule.id, ops: rule.ops.bits() });
    }
    for (ids, flags) in [(&cgroups.allow, abi::CGROUP_ALLOW), (&cgroups.scope, abi::CGROUP_SCOPE)] {
        for id in ids {
            sets.cgroups.entry(*id).or_default().flags |= flags;
        }
    }
    // What the policy says counts, not what was found: a scope of which no cgroup is left binds nobody.
    let scope = if policy.scope.is_empty() { 0 } else { abi::FEATURE_SCOPE };
    Ok(sets.finish(scope))
}

#[derive(Debug, Default)]
struct Sets {
    objects: BTreeMap<abi::Inode, abi::Object>,
    names: BTreeMap<abi::Name, abi::Object>,
    cgroups: BTreeMap<u64, abi::Cgroup>,
    paths: BTreeMap<[u8; abi::TRACE_PATH_BYTES as usize], abi::Object>,
}

impl Sets {
    /// Adds a path rule; `false` when two answers contradict each other about one inode.
    fn path(&mut self, object: abi::Object, answer: &PathIdentity, written: &Path) -> bool {
        let mut sound = true;
        if let Some(Identity { inode, generation }) = answer.identity {
            sound &= self.inode(inode, abi::Object { generation, ..object });
        }
        for Place { directory: Identity { inode, generation }, name } in &answer.places {
            let mut key = abi::Name { directory: *inode, ..abi::Name::default() };
            // A name that does not fit cannot exist: the kernel's limit is one byte less than the key's room.
            let Some(room) = key.name.get_mut(..name.len()) else { continue };
            room.copy_from_slice(name);
            self.names.entry(key).or_insert(object).ops |= object.ops;
            let flags = abi::OBJECT_NAMES;
            sound &= self.inode(*inode, abi::Object { generation: *generation, flags, rule: 0, ops: 0 });
        }
        for path in std::iter::once(written).chain(answer.resolved.as_deref()) {
            if let Some(key) = trace_path(path) {
                self.paths.entry(key.path).or_insert(object).ops |= object.ops;
            }
        }
        sound
    }

    /// Adds what is said about an inode: operations and flags unite, the first rule gives the id. `false` when
    /// generations contradict.
    fn inode(&mut self, inode: abi::Inode, new: abi::Object) -> bool {
        let object = self.objects.entry(inode).or_insert(new);
        let any = (object.flags | new.flags) & abi::OBJECT_ANY_GENERATION != 0;
        if !any && object.generation != new.generation {
            return false;
        }
        if object.rule == 0 {
            object.rule = new.rule;
        }
        object.ops |= new.ops;
        object.flags |= new.flags;
        true
    }

    fn finish(self, features: u32) -> RuleSet {
        let names = if self.names.is_empty() { 0 } else { abi::FEATURE_NAMES };
        RuleSet {
            features: features | names,
            objects: self.objects.into_iter().collect(),
            names: self.names.into_iter().collect(),
            cgroups: self.cgroups.into_iter().collect(),
            paths: self.paths.into_iter().map(|(path, object)| (abi::TracePath { path }, object)).collect(),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        crate::policy::parse(text.as_bytes()).expect("a good policy").0
    }

    fn identity(ino: u64) -> Identity {
        Identity { inode: abi::Inode { ino, dev: 1, pad: 0 }, generation: 9 }
    }

    fn found(ino: u64, directory: u64, name: &str) -> PathIdentity {
        PathIdentity {
            identity: Some(identity(ino)),
            resolved: Some(PathBuf::from("/d").join(name)),
            places: vec![Place { directory: identity(directory), name: name.as_bytes().to_vec() }],
        }
    }

    #[test]
    fn a_path_rule_is_two_keys() {
        let rules = build(
            &policy("version=2\n[deny_path]\n/d/a read\n"),
            &[found(5, 2, "a")],
            &Cgroups::default(),
            false,
        );
        let rules = rules.expect("rules");
        assert_eq!(rules.features, abi::FEATURE_NAMES);
        assert_eq!(rules.objects.len(), 2);
        let (key, object) = rules.names.first().expect("a name");
        assert_eq!((key.directory.ino, object.rule, object.ops), (2, 1, abi::OP_READ));
        assert_eq!(key.name.iter().position(|byte| *byte == 0), Some(1));
    }

    #[test]
    fn a_denied_directory_that_also_holds_a_denied_name_keeps_both() {
        let text = "version=2\n[deny_path]\n/d/a read\n/d read\n";
        let rules = build(&policy(text), &[found(5, 2, "a"), found(2, 1, "d")], &Cgroups::default(), false);
        let rules = rules.expect("rules");
        let both = rules.objects.iter().find(|(inode, _)| inode.ino == 2).expect("the directory").1;
        assert_eq!((both.rule, both.ops, both.flags), (2, abi::OP_READ, abi::OBJECT_NAMES));
    }

    #[test]
    fn a_missing_path_is_refused_or_bound_by_its_name() {
        let policy = policy("version=1\n[deny_path]\n/d/a\n");
        let missing = [PathIdentity { identity: None, resolved: None, places: found(5, 2, "a").places }];
        let refused = build(&policy, &missing, &Cgroups::default(), false);
        assert_eq!(refused, Err(RulesError::Missing { line: 3, path: PathBuf::from("/d/a") }));
        let rules = build(&policy, &missing, &Cgroups::default(), true).expect("rules");
        assert_eq!((rules.objects.len(), rules.names.len()), (1, 1));
    }

    #[test]
    fn a_scope_of_which_nothing_is_left_still_limits() {
        let policy = policy("version=2\n[deny_inode]\n8:1:7\n[scope_cgroup]\ncgid:4\n");
        let rules = build(&policy, &[], &Cgroups::default(), false).expect("rules");
        assert_eq!(rules.features, abi::FEATURE_SCOPE);
    }
}
