//! From a policy and what the kernel sees of its paths to the rule sets that the programs look into.

use std::{
    collections::BTreeMap,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{
    abi,
    policy::{Ops, PathRule, Policy},
};

/// An inode as the kernel's hooks see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Whether it is a directory.
    pub directory: bool,
    /// The places that the path names: as written, and where a link at its end leads to.
    pub places: Vec<Place>,
}

/// What a host has of what a policy names.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// One answer for each `[deny_path]` rule, in their order.
    pub paths: Vec<PathIdentity>,
    /// One answer for each `[deny_tree]` rule, in their order.
    pub trees: Vec<PathIdentity>,
    /// The survival floor: what the host does not run without.
    pub floor: Vec<PathIdentity>,
    /// Ids of the cgroups that no rule binds.
    pub allow: Vec<u64>,
    /// Ids of the cgroups that the rules bind; what the policy says decides whether they are limited to these.
    pub scope: Vec<u64>,
}

/// What is accepted on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// Paths and cgroups that do not exist.
    pub missing: bool,
    /// Rules on the survival floor.
    pub critical: bool,
}

/// Everything the kernel side of a policy consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// By inode.
    pub objects: Vec<(abi::Inode, abi::Object)>,
    /// By directory and name.
    pub names: Vec<(abi::Name, abi::Object)>,
    /// Trees by the inode of their directory, and the directories that hold one by name.
    pub trees: Vec<(abi::Inode, abi::Object)>,
    /// Trees by directory and name.
    pub tree_names: Vec<(abi::Name, abi::Object)>,
    /// Allow-listed cgroups and those that the rules are limited to, by id.
    pub cgroups: Vec<(u64, abi::Cgroup)>,
    /// By path as a process passes it, for the tracepoint tier.
    pub paths: Vec<(abi::TracePath, abi::Object)>,
    /// Trees by how such a path begins.
    pub prefixes: Vec<(abi::TracePrefix, abi::Object)>,
    /// `AEGIS_FEATURE_*`: what of all this is used.
    pub features: u32,
    /// `AEGIS_OP_*`: what some tree denies.
    pub tree_ops: u32,
    /// `AEGIS_OP_*`: what some rule denies.
    pub ops: u32,
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
    /// A tree that is no directory.
    #[error("line {line}: {} is not a directory", .path.display())]
    NotDirectory {
        /// Line of the rule.
        line: u32,
        /// The path.
        path: PathBuf,
    },
    /// A tree that begins so deep that decisions could not reach what is below it.
    #[error("line {line}: {} begins {depth} directories deep; a tree may begin at most {DEEPEST_TREE} deep", .path.display())]
    TooDeep {
        /// Line of the rule.
        line: u32,
        /// The path.
        path: PathBuf,
        /// How deep it begins.
        depth: usize,
    },
    /// A rule on the survival floor.
    #[error("line {line}: the host does not run without {rule}, and the rule would deny it")]
    Critical {
        /// Line of the rule.
        line: u32,
        /// What the rule names.
        rule: String,
    },
}

/// How deep a tree may begin: half of what a decision walks, so that as much is left for what is below it.
pub const DEEPEST_TREE: usize = abi::TREE_DEPTH as usize / 2;

/// What the floor keeps: writing to these files may be denied, and often is the very purpose of a rule.
const FLOOR_KEEPS: Ops = Ops::READ.union(Ops::EXEC);

/// Builds the rule sets. A path where nothing is binds the places it names when that is accepted, and is an error
/// otherwise.
pub fn build(policy: &Policy, found: &Found, accept: Accept) -> Result<RuleSet, RulesError> {
    let mut sets = Sets::default();
    for (rule, answer) in policy.paths.iter().zip(&found.paths) {
        check(rule, answer, found, accept)?;
        sets.path(object(rule), answer, &rule.path);
    }
    for rule in &policy.inodes {
        let inode = abi::Inode { ino: rule.ino, dev: rule.dev.kernel(), volume: 0 };
        let on_floor = |file: &PathIdentity| {
            file.identity.is_some_and(|identity| abi::Inode { volume: 0, ..identity.inode } == inode)
        };
        if !accept.critical && rule.ops.intersects(FLOOR_KEEPS) && found.floor.iter().any(on_floor) {
            let rule_text = format!("the inode {}:{}", rule.dev, rule.ino);
            return Err(RulesError::Critical { line: rule.line, rule: rule_text });
        }
        let flags = abi::OBJECT_ANY_GENERATION;
        sets.inode(inode, abi::Object { generation: 0, flags, rule: rule.id, ops: rule.ops.bits() });
    }
    for (rule, answer) in policy.trees.iter().zip(&found.trees) {
        check(rule, answer, found, accept)?;
        check_tree(rule, answer)?;
        sets.tree(object(rule), answer, &rule.path);
    }
    // Without trees no rule can reach the floor: those that name it were just refused.
    if !policy.trees.is_empty() && !accept.critical {
        for file in &found.floor {
            sets.floor(file);
        }
    }
    for (ids, flags) in [(&found.allow, abi::CGROUP_ALLOW), (&found.scope, abi::CGROUP_SCOPE)] {
        for id in ids {
            sets.cgroups.entry(*id).or_default().flags |= flags;
        }
    }
    // What the policy says counts, not what was found: a scope of which no cgroup is left binds nobody.
    let scope = if policy.scope.is_empty() { 0 } else { abi::FEATURE_SCOPE };
    // Leaving a scope is writing to a file of the cgroup file system.
    let scope_ops = if scope == 0 { 0 } else { abi::OP_WRITE };
    let paths = policy.paths.iter().chain(&policy.trees).map(|rule| rule.ops);
    let ops =
        paths.chain(policy.inodes.iter().map(|rule| rule.ops)).fold(scope_ops, |all, ops| all | ops.bits());
    Ok(RuleSet { ops, ..sets.finish(scope) })
}

fn object(rule: &PathRule) -> abi::Object {
    abi::Object { generation: 0, flags: 0, rule: rule.id, ops: rule.ops.bits() }
}

fn check(rule: &PathRule, answer: &PathIdentity, found: &Found, accept: Accept) -> Result<(), RulesError> {
    if answer.resolved.is_none() && !accept.missing {
        return Err(RulesError::Missing { line: rule.line, path: rule.path.clone() });
    }
    let is_rule = |file: &PathIdentity| {
        answer.identity.is_some() && file.identity == answer.identity
            || answer.resolved.is_some() && file.resolved == answer.resolved
            || answer.places.iter().any(|place| file.places.contains(place))
    };
    if !accept.critical && rule.ops.intersects(FLOOR_KEEPS) && found.floor.iter().any(is_rule) {
        return Err(RulesError::Critical { line: rule.line, rule: rule.path.display().to_string() });
    }
    Ok(())
}

fn check_tree(rule: &PathRule, answer: &PathIdentity) -> Result<(), RulesError> {
    let path = answer.resolved.as_ref().unwrap_or(&rule.path);
    if answer.resolved.is_some() && !answer.directory {
        return Err(RulesError::NotDirectory { line: rule.line, path: path.clone() });
    }
    match path.components().count() - 1 {
        depth if depth > DEEPEST_TREE => {
            Err(RulesError::TooDeep { line: rule.line, path: path.clone(), depth })
        }
        _ => Ok(()),
    }
}

type Inodes = BTreeMap<abi::Inode, abi::Object>;

#[derive(Debug, Default)]
struct Sets {
    objects: Inodes,
    names: BTreeMap<abi::Name, abi::Object>,
    trees: Inodes,
    tree_names: BTreeMap<abi::Name, abi::Object>,
    cgroups: BTreeMap<u64, abi::Cgroup>,
    paths: BTreeMap<abi::TracePath, abi::Object>,
    /// By the bytes of the path with a slash at its end.
    prefixes: BTreeMap<Vec<u8>, abi::Object>,
}

impl Sets {
    /// Adds a path rule.
    fn path(&mut self, object: abi::Object, answer: &PathIdentity, written: &Path) {
        if let Some(Identity { inode, generation }) = answer.identity {
            self.inode(inode, abi::Object { generation, ..object });
        }
        for place in &answer.places {
            by_name(&mut self.objects, &mut self.names, place, object);
        }
        self.traced(object, answer, written);
    }

    /// Adds a path for the tracepoint tier: as it was written, and without its links.
    fn traced(&mut self, object: abi::Object, answer: &PathIdentity, written: &Path) {
        for path in std::iter::once(written).chain(answer.resolved.as_deref()) {
            if let Some(path) = trace_path(path.as_os_str().as_bytes()) {
                self.paths.entry(abi::TracePath { path }).or_insert(object).ops |= object.ops;
            }
        }
    }

    /// Adds a tree: its directory, and where it stands.
    fn tree(&mut self, object: abi::Object, answer: &PathIdentity, written: &Path) {
        if let Some(Identity { inode, generation }) = answer.identity {
            add(&mut self.trees, inode, abi::Object { generation, flags: abi::OBJECT_TREE, ..object });
        }
        for place in &answer.places {
            by_name(&mut self.trees, &mut self.tree_names, place, object);
        }
        self.traced(object, answer, written);
        for path in std::iter::once(written).chain(answer.resolved.as_deref()) {
            let mut beginning = path.as_os_str().as_bytes().to_vec();
            if !beginning.ends_with(b"/") {
                beginning.push(b'/');
            }
            self.prefixes.entry(beginning).or_insert(object).ops |= object.ops;
        }
    }

    /// Keeps a file from what trees deny, also when a package manager has replaced it.
    fn floor(&mut self, file: &PathIdentity) {
        let object = abi::Object { generation: 0, flags: abi::OBJECT_FLOOR, rule: 0, ops: 0 };
        if let Some(Identity { inode, generation }) = file.identity {
            self.inode(inode, abi::Object { generation, ..object });
        }
        for place in &file.places {
            by_name(&mut self.objects, &mut self.names, place, object);
        }
    }

    fn inode(&mut self, inode: abi::Inode, new: abi::Object) {
        add(&mut self.objects, inode, new);
    }

    fn finish(mut self, scope: u32) -> RuleSet {
        across_volumes(&mut self.objects);
        let used = |empty: bool, feature| if empty { 0 } else { feature };
        let names = used(self.names.is_empty(), abi::FEATURE_NAMES);
        let trees = used(self.prefixes.is_empty(), abi::FEATURE_TREES);
        RuleSet {
            features: scope | names | trees,
            tree_ops: self.prefixes.values().fold(0, |ops, object| ops | object.ops),
            objects: self.objects.into_iter().collect(),
            names: self.names.into_iter().collect(),
            trees: self.trees.into_iter().collect(),
            tree_names: self.tree_names.into_iter().collect(),
            cgroups: self.cgroups.into_iter().collect(),
            paths: self.paths.into_iter().collect(),
            prefixes: nested(self.prefixes),
            ops: 0,
        }
    }
}

/// Adds what is said about an inode: operations and flags unite, the first rule gives the id. Two generations of one
/// number are two files where volumes cannot be told apart, and one after the other where a file was replaced just now:
/// both are meant, and the floor keeps neither, as it could be the wrong one.
fn add(inodes: &mut Inodes, inode: abi::Inode, new: abi::Object) {
    let object = inodes.entry(inode).or_insert(new);
    object.flags |= new.flags;
    if object.flags & abi::OBJECT_ANY_GENERATION == 0 && object.generation != new.generation {
        object.flags |= abi::OBJECT_ANY_GENERATION;
        object.flags &= !abi::OBJECT_FLOOR;
    }
    if object.rule == 0 {
        object.rule = new.rule;
    }
    object.ops |= new.ops;
}

/// Completes what is said about files of which the programs look at their own volume first, and at volume 0 when nothing
/// is there. A rule on numbers alone means every volume; and what a snapshot holds of a denied file is denied as well, or
/// whoever may make one could read it there.
fn across_volumes(inodes: &mut Inodes) {
    let exact: Vec<_> = inodes.iter().filter(|(inode, _)| inode.volume != 0).map(|(i, o)| (*i, *o)).collect();
    let mut inherited = Inodes::new();
    for (inode, object) in exact {
        let any = abi::Inode { volume: 0, ..inode };
        if let Some(numbers) = inodes.get(&any).copied() {
            let flags = numbers.flags & !abi::OBJECT_ANY_GENERATION;
            add(inodes, inode, abi::Object { generation: object.generation, flags, ..numbers });
        }
        if object.ops != 0 {
            let flags = object.flags & !(abi::OBJECT_NAMES | abi::OBJECT_FLOOR);
            add(&mut inherited, any, abi::Object { flags, ..object });
        }
    }
    for (inode, object) in inherited {
        // Beside a rule on numbers alone, it holds wherever that does.
        let flags = if inodes.contains_key(&inode) { 0 } else { abi::OBJECT_INHERITED };
        add(inodes, inode, abi::Object { flags: object.flags | flags, ..object });
    }
}

/// Adds what is said about a name, and marks its directory as one that holds such names.
fn by_name(
    inodes: &mut Inodes,
    names: &mut BTreeMap<abi::Name, abi::Object>,
    place: &Place,
    object: abi::Object,
) {
    let Place { directory: Identity { inode, generation }, name } = place;
    let mut key = abi::Name { directory: *inode, ..abi::Name::default() };
    // A name that does not fit cannot exist: the kernel's limit is one byte less than the key's room.
    let Some(room) = key.name.get_mut(..name.len()) else { return };
    room.copy_from_slice(name);
    let entry = names.entry(key).or_insert(object);
    entry.ops |= object.ops;
    entry.flags |= object.flags;
    if entry.rule == 0 {
        entry.rule = object.rule;
    }
    let flags = abi::OBJECT_NAMES;
    add(inodes, *inode, abi::Object { generation: *generation, flags, rule: 0, ops: 0 });
}

/// A trie gives the longest beginning alone: each gets the operations of those that hold it as well.
fn nested(prefixes: BTreeMap<Vec<u8>, abi::Object>) -> Vec<(abi::TracePrefix, abi::Object)> {
    let mut above: Vec<(Vec<u8>, u32)> = Vec::new();
    let mut all = Vec::with_capacity(prefixes.len());
    // In this order every tree comes after those that hold it.
    for (beginning, mut object) in prefixes {
        while above.last().is_some_and(|(outer, _)| !beginning.starts_with(outer)) {
            above.pop();
        }
        object.ops |= above.last().map_or(0, |(_, ops)| *ops);
        let bits = u32::try_from(beginning.len() * 8).unwrap_or(u32::MAX);
        if let Some(path) = trace_path(&beginning) {
            all.push((abi::TracePrefix { bits, path }, object));
        }
        above.push((beginning, object.ops));
    }
    all
}

/// The key for a path; `None` when it is longer than the tracepoint tier compares.
fn trace_path(bytes: &[u8]) -> Option<[u8; abi::TRACE_PATH_BYTES as usize]> {
    let mut key = [0; abi::TRACE_PATH_BYTES as usize];
    // The last byte stays NUL: it ends what the program reads.
    let (room, _end) = key.split_at_mut_checked(abi::TRACE_PATH_BYTES as usize - 1)?;
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
        Identity { inode: abi::Inode { ino, dev: 1, volume: 0 }, generation: 9 }
    }

    fn at(ino: u64, directory: u64, name: &str) -> PathIdentity {
        PathIdentity {
            identity: Some(identity(ino)),
            resolved: Some(PathBuf::from("/d").join(name)),
            directory: true,
            places: vec![Place { directory: identity(directory), name: name.as_bytes().to_vec() }],
        }
    }

    fn paths(paths: &[PathIdentity]) -> Found {
        Found { paths: paths.to_vec(), ..Found::default() }
    }

    const STRICT: Accept = Accept { missing: false, critical: false };

    #[test]
    fn a_path_rule_is_two_keys() {
        let rules = build(&policy("version=2\n[deny_path]\n/d/a read\n"), &paths(&[at(5, 2, "a")]), STRICT);
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
        let rules = build(&policy(text), &paths(&[at(5, 2, "a"), at(2, 1, "d")]), STRICT).expect("rules");
        let both = rules.objects.iter().find(|(inode, _)| inode.ino == 2).expect("the directory").1;
        assert_eq!((both.rule, both.ops, both.flags), (2, abi::OP_READ, abi::OBJECT_NAMES));
    }

    #[test]
    fn a_rule_in_a_subvolume_holds_for_what_snapshots_take_of_it() {
        let inode = |volume| abi::Inode { ino: 5, dev: 1, volume };
        let object = |rule, ops| abi::Object { generation: 9, flags: 0, rule, ops };
        let mut inodes = Inodes::from([(inode(256), object(1, abi::OP_READ))]);
        across_volumes(&mut inodes);
        assert_eq!(
            inodes[&inode(0)],
            abi::Object { flags: abi::OBJECT_INHERITED, ..object(1, abi::OP_READ) }
        );
        // A second one of the same number: any of its generations, as one entry can hold one alone.
        let other = abi::Object { generation: 8, ..object(2, abi::OP_EXEC) };
        let mut inodes = Inodes::from([(inode(256), object(1, abi::OP_READ)), (inode(257), other)]);
        across_volumes(&mut inodes);
        let both = inodes[&inode(0)];
        assert_eq!(both.flags, abi::OBJECT_INHERITED | abi::OBJECT_ANY_GENERATION);
        assert_eq!(both.ops, abi::OP_READ | abi::OP_EXEC);
        assert_eq!(inodes[&inode(257)], other);
    }

    #[test]
    fn a_rule_on_numbers_holds_in_every_volume() {
        let inode = |volume| abi::Inode { ino: 5, dev: 1, volume };
        let exact = abi::Object { generation: 9, flags: 0, rule: 1, ops: abi::OP_READ };
        let flags = abi::OBJECT_ANY_GENERATION;
        let numbers = abi::Object { generation: 0, flags, rule: 2, ops: abi::OP_EXEC };
        let mut inodes = Inodes::from([(inode(256), exact), (inode(0), numbers)]);
        across_volumes(&mut inodes);
        assert_eq!(inodes[&inode(256)], abi::Object { ops: abi::OP_READ | abi::OP_EXEC, ..exact });
        assert_eq!((inodes[&inode(0)].flags, inodes[&inode(0)].rule), (flags, 2));
    }

    #[test]
    fn two_generations_of_a_number_are_both_denied() {
        let text = "version=2\n[deny_path]\n/d/a read\n/d/b exec\n";
        let other = Some(Identity { generation: 8, ..identity(5) });
        let found = paths(&[at(5, 2, "a"), PathIdentity { identity: other, ..at(5, 2, "b") }]);
        let rules = build(&policy(text), &found, STRICT).expect("rules");
        let both = rules.objects.iter().find(|(inode, _)| inode.ino == 5).expect("the inode").1;
        assert_eq!((both.flags, both.ops), (abi::OBJECT_ANY_GENERATION, abi::OP_READ | abi::OP_EXEC));
    }

    #[test]
    fn a_missing_path_is_refused_or_bound_by_its_name() {
        let policy = policy("version=1\n[deny_path]\n/d/a\n");
        let missing = paths(&[PathIdentity { places: at(5, 2, "a").places, ..PathIdentity::default() }]);
        let refused = build(&policy, &missing, STRICT);
        assert_eq!(refused, Err(RulesError::Missing { line: 3, path: PathBuf::from("/d/a") }));
        let rules = build(&policy, &missing, Accept { missing: true, ..STRICT }).expect("rules");
        assert_eq!((rules.objects.len(), rules.names.len()), (1, 1));
    }

    #[test]
    fn a_scope_of_which_nothing_is_left_still_limits() {
        let policy = policy("version=2\n[deny_inode]\n8:1:7\n[scope_cgroup]\ncgid:4\n");
        let rules = build(&policy, &Found::default(), STRICT).expect("rules");
        assert_eq!(rules.features, abi::FEATURE_SCOPE);
    }

    #[test]
    fn a_tree_is_a_directory_and_a_name_and_a_beginning() {
        let policy = policy("version=2\n[deny_tree]\n/d/a exec\n/d read\n");
        let found = Found { trees: vec![at(5, 2, "a"), at(2, 1, "d")], ..Found::default() };
        let rules = build(&policy, &found, STRICT).expect("rules");
        assert_eq!((rules.features, rules.tree_ops), (abi::FEATURE_TREES, abi::OP_READ | abi::OP_EXEC));
        let of = |ino| rules.trees.iter().find(|(inode, _)| inode.ino == ino).map(|(_, object)| *object);
        assert_eq!(of(5).map(|object| object.flags), Some(abi::OBJECT_TREE));
        assert_eq!(of(2).map(|object| object.flags), Some(abi::OBJECT_TREE | abi::OBJECT_NAMES));
        assert_eq!(of(2).map(|object| (object.ops, object.rule)), Some((abi::OP_READ, 2)));
        // Of two beginnings the longer is found, so it denies what the shorter one does, too.
        let inner = rules.prefixes.iter().find(|(prefix, _)| prefix.bits == 5 * 8).expect("/d/a/").1;
        assert_eq!((inner.rule, inner.ops), (1, abi::OP_READ | abi::OP_EXEC));
    }

    #[test]
    fn a_tree_that_begins_too_deep_is_refused() {
        let deep = "/x".repeat(DEEPEST_TREE + 1);
        let policy = policy(&format!("version=2\n[deny_tree]\n{deep}\n"));
        let tree = PathIdentity { resolved: Some(deep.into()), ..at(5, 2, "x") };
        let refused = build(&policy, &Found { trees: vec![tree], ..Found::default() }, STRICT);
        assert!(matches!(refused, Err(RulesError::TooDeep { line: 3, .. })), "{refused:?}");
    }

    #[test]
    fn the_floor_holds_against_rules_and_below_trees() {
        let floor = vec![at(7, 2, "init")];
        for (text, found) in [
            ("[deny_path]\n/d/init exec\n", Found { paths: vec![at(7, 2, "init")], ..Found::default() }),
            // A hard link to it.
            ("[deny_path]\n/d/link\n", Found { paths: vec![at(7, 2, "link")], ..Found::default() }),
            ("[deny_inode]\n0:1:7\n", Found::default()),
        ] {
            let policy = policy(&format!("version=2\n{text}"));
            let found = Found { floor: floor.clone(), ..found };
            let refused = build(&policy, &found, STRICT);
            assert!(matches!(refused, Err(RulesError::Critical { .. })), "{text}: {refused:?}");
            let lifted = build(&policy, &found, Accept { critical: true, ..STRICT });
            assert!(lifted.is_ok(), "{text}");
        }
        let writing = policy("version=2\n[deny_path]\n/d/init write\n");
        let found = Found { paths: vec![at(7, 2, "init")], floor: floor.clone(), ..Found::default() };
        assert!(build(&writing, &found, STRICT).is_ok());
        let tree = policy("version=2\n[deny_tree]\n/d\n");
        let found = Found { trees: vec![at(2, 1, "d")], floor, ..Found::default() };
        let rules = build(&tree, &found, STRICT).expect("rules");
        let kept = rules.objects.iter().find(|(inode, _)| inode.ino == 7).expect("the floor").1;
        assert_eq!((kept.flags, kept.ops), (abi::OBJECT_FLOOR, 0));
    }
}
