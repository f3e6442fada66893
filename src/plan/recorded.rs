//! What a policy says about an operation that was recorded: without the kernel, so that there is a third answer beside
//! yes and no. What rules name is looked at where they are held against the record, and handed in.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::policy::{CgroupEntry, CgroupRef, Device, Ops, PathRule, Policy, critical};

/// How much of the path is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// All, as the kernel sees it.
    Whole,
    /// Its end.
    End,
    /// What the process passed to the system call, links and all.
    Passed,
    /// As it is in a container, which has a root of its own.
    InContainer,
}

/// What was decided without a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// Nothing of the kind.
    None,
    /// The file lies too deep to tell whether it is in a tree.
    TooDeep,
    /// The file was opened by a handle, and has no place that is known.
    Unplaced,
    /// The process would have left the scope.
    LeavesScope,
}

/// What a rule names: the same in two policies, whatever number it has there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// `[deny_path]`
    Path(PathBuf),
    /// `[deny_inode]`
    Inode(Device, u64),
    /// `[deny_tree]`
    Tree(PathBuf),
}

/// An operation, as an event tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// What was tried.
    pub ops: Ops,
    /// On what; its bytes as they were.
    pub path: PathBuf,
    /// How much of the path that is.
    pub seen: Seen,
    /// Device and number; `None` where the tier sees no inodes.
    pub inode: Option<(Device, u64)>,
    /// The process's cgroup, from the root of the hierarchy; `None` where the tier does not see it.
    pub cgroup: Option<PathBuf>,
    /// Its id.
    pub cgroup_id: u64,
    /// Set when no rule decided.
    pub special: Special,
    /// Whether the file would have come to be somewhere else.
    pub moves: bool,
    /// What the rule names that decided then, where that is known.
    pub matched: Option<Operand>,
}

/// What is at a path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// This file, by the numbers that the kernel's hooks see.
    File(Device, u64),
    /// A file with this number, on a device that only the hooks see.
    Number(u64),
    /// It could not be looked at.
    Unseen,
}

/// A rule's path on the host of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Where it is, free of links: as written, and where a link at its end leads to.
    pub at: Vec<PathBuf>,
    /// What is there.
    pub there: There,
}

/// Why it is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The rule of this number.
    Rule(u32),
    /// It lies too deep, and there are trees.
    TooDeep,
    /// It has no place that is known, and there are rules by place.
    Unplaced,
}

/// Why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// No rule is about it.
    NoRule,
    /// The entry of `[allow_cgroup]` on this line exempts the process.
    Exempt(u32),
    /// The process is not in the scope of the rules.
    OutOfScope,
}

/// Why it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// The event has no inode, and the rule of this number names one.
    NoInode(u32),
    /// The rule's path was not looked at on the host of the event: it could be another name of the file.
    NotLooked(u32),
    /// There is no file at the rule's path now, and the event's path is not the host's.
    InContainer(u32),
    /// Only the end of the path is known.
    PathCut(u32),
    /// The path is as the process passed it.
    AsPassed(u32),
    /// The number is that of the rule's file, and the device cannot be compared.
    Device(u32),
    /// The tree may have to leave the file alone, as one that the host does not run without.
    Floor(u32),
    /// Whether the file would leave the place that the rule denies.
    Moves(u32),
    /// Whether the scope that begins on this line would be left: where the process went is not in the record.
    Scope(u32),
    /// Whether the process is in the cgroup on this line.
    Cgroup(u32),
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be refused.
    Denied(By),
    /// It would pass.
    Allowed(Free),
    /// The record does not say enough.
    Unknown(Doubt),
}

/// What one entry says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// It is in that cgroup or below.
    Yes,
    /// It is not.
    No,
    /// The record does not say enough.
    Unknown,
}

/// A rule as far as matching goes.
#[derive(Clone, Copy, Debug)]
struct Rule {
    id: u32,
    ops: Ops,
}

/// A policy, ready to be held against many records.
#[derive(Debug)]
pub struct Matcher<'a> {
    policy: &'a Policy,
    /// Where policies say that cgroup v2 is mounted.
    roots: &'a [PathBuf],
    names: Rules<PathBuf>,
    inodes: Rules<(Device, u64)>,
    numbers: Rules<u64>,
    trees: Rules<PathBuf>,
    by_operand: HashMap<Operand, Rule>,
    unlooked: Firsts,
    absent: Firsts,
    any_inode: Firsts,
    any_path: Firsts,
    any_tree: Firsts,
}

/// The first rule for each operation.
#[derive(Clone, Copy, Debug, Default)]
struct Firsts([Option<u32>; 3]);

impl Firsts {
    fn note(&mut self, rule: Rule) {
        for (slot, (_, op)) in self.0.iter_mut().zip(Ops::NAMES) {
            if rule.ops.intersects(op) {
                slot.get_or_insert(rule.id);
            }
        }
    }

    fn of(&self, ops: Ops) -> Option<u32> {
        let slots = self.0.iter().zip(Ops::NAMES);
        slots.filter(|(_, (_, op))| ops.intersects(*op)).find_map(|(slot, _)| *slot)
    }
}

/// Rules by what they name, in their order where several come to name the same.
type Rules<K> = HashMap<K, Vec<Rule>>;

fn add<K: std::hash::Hash + Eq>(rules: &mut Rules<K>, key: K, rule: Rule) {
    let known = rules.entry(key).or_default();
    if known.last().is_none_or(|last| last.id != rule.id) {
        known.push(rule);
    }
}

impl<'a> Matcher<'a> {
    /// Prepares a policy. `looked` answers for the paths, in the order of [`Policy::paths`] and then [`Policy::trees`];
    /// rules without an answer were not looked at.
    pub fn new(policy: &'a Policy, looked: &[Looked], roots: &'a [PathBuf]) -> Self {
        let mut matcher = Self {
            policy,
            roots,
            names: HashMap::new(),
            inodes: HashMap::new(),
            numbers: HashMap::new(),
            trees: HashMap::new(),
            by_operand: HashMap::new(),
            unlooked: Firsts::default(),
            absent: Firsts::default(),
            any_inode: Firsts::default(),
            any_path: Firsts::default(),
            any_tree: Firsts::default(),
        };
        let mut answers = looked.iter();
        for rule in &policy.paths {
            matcher.path(rule, answers.next());
        }
        for rule in &policy.trees {
            matcher.tree(rule, answers.next());
        }
        for rule in &policy.inodes {
            let (key, rule) = ((rule.dev, rule.ino), Rule { id: rule.id, ops: rule.ops });
            add(&mut matcher.inodes, key, rule);
            matcher.by_operand.insert(Operand::Inode(key.0, key.1), rule);
            matcher.any_inode.note(rule);
        }
        matcher
    }

    fn path(&mut self, written: &PathRule, looked: Option<&Looked>) {
        let rule = Rule { id: written.id, ops: written.ops };
        self.any_path.note(rule);
        add(&mut self.names, written.path.clone(), rule);
        self.by_operand.insert(Operand::Path(written.path.clone()), rule);
        for at in looked.iter().flat_map(|looked| &looked.at) {
            add(&mut self.names, at.clone(), rule);
        }
        match looked.map(|looked| &looked.there) {
            Some(There::File(device, number)) => add(&mut self.inodes, (*device, *number), rule),
            Some(There::Number(number)) => add(&mut self.numbers, *number, rule),
            Some(There::Nothing) => self.absent.note(rule),
            Some(There::Unseen) | None => self.unlooked.note(rule),
        }
    }

    fn tree(&mut self, written: &PathRule, looked: Option<&Looked>) {
        let rule = Rule { id: written.id, ops: written.ops };
        self.any_tree.note(rule);
        add(&mut self.trees, written.path.clone(), rule);
        self.by_operand.insert(Operand::Tree(written.path.clone()), rule);
        for at in looked.iter().flat_map(|looked| &looked.at) {
            add(&mut self.trees, at.clone(), rule);
        }
        if looked.is_none_or(|looked| looked.there == There::Unseen) {
            self.unlooked.note(rule);
        }
    }

    /// What the policy says.
    pub fn judge(&self, asked: &Recorded) -> Verdict {
        let verdict = self.matched(asked).map_or_else(|| self.doubted(asked), Verdict::Denied);
        match (verdict, self.bound(asked)) {
            (Verdict::Allowed(free), _) | (_, Ok(Some(free))) => Verdict::Allowed(free),
            (Verdict::Denied(_), Err(doubt)) => Verdict::Unknown(doubt),
            (verdict, _) => verdict,
        }
    }

    /// What is known to match.
    fn matched(&self, asked: &Recorded) -> Option<By> {
        let denies = |rule: &&Rule| rule.ops.intersects(asked.ops);
        let same = asked.matched.as_ref().and_then(|operand| self.by_operand.get(operand));
        // The kernel said so; where a file would leave its place, whatever operation the rule denies.
        let same = same.filter(|rule| denies(rule) || asked.moves);
        let by_name = || self.names.get(&asked.path).filter(|_| names_a_file(asked))?.iter().find(denies);
        let by_inode = || self.inodes.get(&asked.inode?)?.iter().find(denies);
        let found = same
            .or_else(by_inode)
            .or_else(by_name)
            .or_else(|| self.tree_of(asked, denies).filter(|_| !may_be_floor(asked)));
        if let Some(rule) = found {
            return Some(By::Rule(rule.id));
        }
        match asked.special {
            Special::TooDeep if self.any_tree.of(asked.ops).is_some() => Some(By::TooDeep),
            Special::Unplaced if !(self.policy.paths.is_empty() && self.policy.trees.is_empty()) => {
                Some(By::Unplaced)
            }
            _ => None,
        }
    }

    /// The nearest such tree above a path that can be compared.
    fn tree_of(&self, asked: &Recorded, wanted: impl Fn(&&Rule) -> bool) -> Option<&Rule> {
        if !names_a_file(asked) || self.trees.is_empty() {
            return None;
        }
        asked.path.ancestors().find_map(|above| self.trees.get(above)?.iter().find(&wanted))
    }

    /// Where nothing is known to match: whether something may.
    fn doubted(&self, asked: &Recorded) -> Verdict {
        match self.doubt(asked) {
            Some(doubt) => Verdict::Unknown(doubt),
            None => Verdict::Allowed(Free::NoRule),
        }
    }

    fn doubt(&self, asked: &Recorded) -> Option<Doubt> {
        let Recorded { ops, .. } = *asked;
        let any = |firsts: &Firsts| firsts.of(ops);
        let by_place = || any(&self.any_path).or_else(|| any(&self.any_tree));
        if asked.special == Special::LeavesScope {
            return self.policy.scope.first().map(|entry| Doubt::Scope(entry.line));
        }
        if let Some(rule) = self.tree_of(asked, |rule| rule.ops.intersects(ops)) {
            return Some(Doubt::Floor(rule.id));
        }
        if let Some(rule) = self.tree_of(asked, |_| asked.moves) {
            return Some(Doubt::Moves(rule.id));
        }
        let number = asked.inode.and_then(|(_, number)| self.numbers.get(&number));
        if let Some(rule) = number.into_iter().flatten().find(|rule| rule.ops.intersects(ops)) {
            return Some(Doubt::Device(rule.id));
        }
        match asked.seen {
            Seen::Whole => any(&self.unlooked).map(Doubt::NotLooked),
            Seen::End => by_place().map(Doubt::PathCut),
            Seen::Passed => {
                by_place().map(Doubt::AsPassed).or_else(|| any(&self.any_inode).map(Doubt::NoInode))
            }
            Seen::InContainer => {
                let unlooked = any(&self.unlooked).map(Doubt::NotLooked);
                let by_place = any(&self.absent).or_else(|| any(&self.any_tree));
                unlooked.or_else(|| by_place.map(Doubt::InContainer))
            }
        }
    }

    /// Whether the rules bind the process: `Ok(None)` when they do.
    fn bound(&self, asked: &Recorded) -> Result<Option<Free>, Doubt> {
        let (allowed, maybe_allowed) = self.any_of(&self.policy.allow, asked);
        if let Some(line) = allowed {
            return Ok(Some(Free::Exempt(line)));
        }
        let (scoped, maybe_scoped) = self.any_of(&self.policy.scope, asked);
        if !self.policy.scope.is_empty() && scoped.is_none() {
            return maybe_scoped.map_or(Ok(Some(Free::OutOfScope)), |line| Err(Doubt::Cgroup(line)));
        }
        maybe_allowed.map_or(Ok(None), |line| Err(Doubt::Cgroup(line)))
    }

    /// The lines of the first entry that the process is in, and of the first of which that cannot be told.
    fn any_of(&self, entries: &[CgroupEntry], asked: &Recorded) -> (Option<u32>, Option<u32>) {
        let mut maybe = None;
        for entry in entries {
            match self.member(entry, asked) {
                Member::Yes => return (Some(entry.line), maybe),
                Member::Unknown => maybe = maybe.or(Some(entry.line)),
                Member::No => {}
            }
        }
        (None, maybe)
    }

    /// Whether the process is in a cgroup of the policy, or below.
    pub fn member(&self, entry: &CgroupEntry, asked: &Recorded) -> Member {
        match (&entry.cgroup, &asked.cgroup) {
            (CgroupRef::Id(id), _) if *id == asked.cgroup_id => Member::Yes,
            // One of those above it may be meant: their ids are not in the record. The root has none above.
            (CgroupRef::Id(_), Some(cgroup)) if cgroup == Path::new("/") => Member::No,
            (CgroupRef::Id(_), _) | (CgroupRef::Path(_), None) => Member::Unknown,
            (CgroupRef::Path(path), Some(cgroup)) => {
                let below = self.roots.iter().filter_map(|root| path.strip_prefix(root).ok());
                let holds = |below: &Path| cgroup.starts_with(Path::new("/").join(below));
                below
                    .map(holds)
                    .reduce(|one, other| one || other)
                    .map_or(Member::Unknown, |in_it| if in_it { Member::Yes } else { Member::No })
            }
        }
    }
}

/// Whether the path is one of the host's own names for a file. What a process passed may be a link, but when it is the
/// very path of a rule, the rule is about what the link leads to.
fn names_a_file(asked: &Recorded) -> bool {
    matches!(asked.seen, Seen::Whole | Seen::Passed) && asked.path.is_absolute()
}

/// Whether trees may leave the file alone: they do what reading and executing takes, for what the host does not run
/// without.
fn may_be_floor(asked: &Recorded) -> bool {
    if asked.ops.intersects(Ops::WRITE) {
        return false;
    }
    let name = asked.path.file_name().unwrap_or_default();
    critical::floor().any(|(_, pattern)| critical::is_named(name, pattern))
}

/// What the rule of a number names.
pub fn operand(policy: &Policy, id: u32) -> Option<Operand> {
    let of = |rules: &[PathRule]| {
        let at = rules.binary_search_by_key(&id, |rule| rule.id).ok()?;
        rules.get(at).map(|rule| rule.path.clone())
    };
    let inode = || {
        let at = policy.inodes.binary_search_by_key(&id, |rule| rule.id).ok()?;
        policy.inodes.get(at).map(|rule| Operand::Inode(rule.dev, rule.ino))
    };
    of(&policy.paths).map(Operand::Path).or_else(|| of(&policy.trees).map(Operand::Tree)).or_else(inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;

    const ROOTS: [&str; 1] = ["/sys/fs/cgroup"];

    fn policy(text: &str) -> Policy {
        parse(format!("version=2\n{text}").as_bytes()).expect("a policy").0
    }

    fn file(device: u32, number: u64) -> There {
        There::File(Device::new(8, device).expect("a device"), number)
    }

    fn asked(path: &str) -> Recorded {
        Recorded {
            ops: Ops::READ,
            path: path.into(),
            seen: Seen::Whole,
            inode: Device::new(8, 1).map(|device| (device, 42)),
            cgroup: Some("/a/b".into()),
            cgroup_id: 77,
            special: Special::None,
            moves: false,
            matched: None,
        }
    }

    /// What is said where each path of a rule is itself, and none is that of the record.
    fn judged(text: &str, asked: &Recorded) -> Verdict {
        let policy = policy(text);
        let rules = policy.paths.iter().chain(&policy.trees);
        let looked: Vec<Looked> =
            rules.map(|rule| Looked { at: vec![rule.path.clone()], there: file(1, 1) }).collect();
        Matcher::new(&policy, &looked, &ROOTS.map(PathBuf::from)).judge(asked)
    }

    fn unlooked(text: &str, asked: &Recorded) -> Verdict {
        Matcher::new(&policy(text), &[], &ROOTS.map(PathBuf::from)).judge(asked)
    }

    #[test]
    fn a_rule_binds_by_path_inode_and_tree() {
        let denied = |id| Verdict::Denied(By::Rule(id));
        let none = Verdict::Allowed(Free::NoRule);
        for (text, path, verdict) in [
            ("[deny_path]\n/x\n/y\n", "/y", denied(2)),
            ("[deny_path]\n/y write\n", "/y", none),
            ("[deny_path]\n/y\n", "/y/z", none),
            ("[deny_tree]\n/y read\n", "/y/z", denied(1)),
            ("[deny_tree]\n/y read\n", "/y", denied(1)),
            ("[deny_tree]\n/y read\n", "/yy", none),
            ("[deny_tree]\n/y\n/y/z write\n", "/y/z/a", denied(1)),
            ("[deny_inode]\n8:1:42\n", "/anything", denied(1)),
            ("[deny_inode]\n8:2:42\n", "/anything", none),
        ] {
            assert_eq!(judged(text, &asked(path)), verdict, "{text}");
        }
    }

    #[test]
    fn another_name_of_the_file_is_told_where_it_was_looked_at() {
        let policy = policy("[deny_path]\n/link\n");
        let roots = ROOTS.map(PathBuf::from);
        let with = |at: &str, there| {
            let looked = [Looked { at: vec![at.into()], there }];
            Matcher::new(&policy, &looked, &roots).judge(&asked("/file"))
        };
        assert_eq!(with("/file", file(9, 9)), Verdict::Denied(By::Rule(1)));
        assert_eq!(with("/link", file(1, 42)), Verdict::Denied(By::Rule(1)));
        assert_eq!(with("/link", file(1, 43)), Verdict::Allowed(Free::NoRule));
        assert_eq!(with("/link", There::Nothing), Verdict::Allowed(Free::NoRule));
        assert_eq!(with("/link", There::Number(42)), Verdict::Unknown(Doubt::Device(1)));
        assert_eq!(with("/link", There::Unseen), Verdict::Unknown(Doubt::NotLooked(1)));
    }

    #[test]
    fn what_the_record_lacks_is_not_made_up() {
        let inode = "[deny_inode]\n8:1:42\n";
        let passed = Recorded { inode: None, seen: Seen::Passed, ..asked("/y") };
        assert_eq!(judged(inode, &passed), Verdict::Unknown(Doubt::NoInode(1)));
        assert_eq!(judged("[deny_path]\n/x\n", &passed), Verdict::Unknown(Doubt::AsPassed(1)));
        assert_eq!(judged("[deny_path]\n/y\n", &passed), Verdict::Denied(By::Rule(1)));
        let cut = Recorded { seen: Seen::End, ..asked("…/y") };
        assert_eq!(judged("[deny_tree]\n/x\n", &cut), Verdict::Unknown(Doubt::PathCut(1)));
        assert_eq!(judged("[deny_tree]\n/x write\n", &cut), Verdict::Allowed(Free::NoRule));
        let boxed = Recorded { seen: Seen::InContainer, ..asked("/y") };
        assert_eq!(judged("[deny_tree]\n/y\n", &boxed), Verdict::Unknown(Doubt::InContainer(1)));
        assert_eq!(judged("[deny_path]\n/y\n", &boxed), Verdict::Allowed(Free::NoRule));
        assert_eq!(unlooked("[deny_path]\n/z\n", &asked("/y")), Verdict::Unknown(Doubt::NotLooked(1)));
        let loader = asked("/usr/lib/ld-musl-x86_64.so.1");
        assert_eq!(judged("[deny_tree]\n/usr\n", &loader), Verdict::Unknown(Doubt::Floor(1)));
    }

    #[test]
    fn what_the_kernel_said_of_the_same_rule_holds() {
        let boxed = Recorded {
            seen: Seen::InContainer,
            matched: Some(Operand::Tree("/srv".into())),
            ..asked("/mnt/y")
        };
        assert_eq!(unlooked("[deny_path]\n/a\n[deny_tree]\n/srv\n", &boxed), Verdict::Denied(By::Rule(2)));
        let moved = Recorded { ops: Ops::WRITE, moves: true, ..boxed };
        assert_eq!(judged("[deny_tree]\n/srv read\n", &moved), Verdict::Denied(By::Rule(1)));
        let moved = Recorded { matched: None, seen: Seen::Whole, ..moved };
        let moved = Recorded { path: "/srv/y".into(), ..moved };
        assert_eq!(judged("[deny_tree]\n/srv read\n", &moved), Verdict::Unknown(Doubt::Moves(1)));
    }

    #[test]
    fn cgroups_exempt_and_limit() {
        let rule = "[deny_path]\n/y\n";
        let y = asked("/y");
        let denied = Verdict::Denied(By::Rule(1));
        let of = |section: &str| judged(&format!("{rule}{section}"), &y);
        assert_eq!(of("[allow_cgroup]\n/sys/fs/cgroup/a\n"), Verdict::Allowed(Free::Exempt(5)));
        assert_eq!(of("[allow_cgroup]\n/sys/fs/cgroup/a/b/c\n"), denied);
        assert_eq!(of("[allow_cgroup]\n/sys/fs/cgroup/a/bb\n"), denied);
        assert_eq!(of("[allow_cgroup]\ncgid:77\n"), Verdict::Allowed(Free::Exempt(5)));
        assert_eq!(of("[allow_cgroup]\ncgid:78\n"), Verdict::Unknown(Doubt::Cgroup(5)));
        assert_eq!(of("[allow_cgroup]\n/elsewhere/a\n"), Verdict::Unknown(Doubt::Cgroup(5)));
        assert_eq!(of("[scope_cgroup]\n/sys/fs/cgroup/a\n"), denied);
        assert_eq!(of("[scope_cgroup]\n/sys/fs/cgroup/z\n"), Verdict::Allowed(Free::OutOfScope));
        assert_eq!(of("[scope_cgroup]\ncgid:78\n"), Verdict::Unknown(Doubt::Cgroup(5)));
        let nothing = judged("[deny_path]\n/z\n[allow_cgroup]\ncgid:78\n", &y);
        assert_eq!(nothing, Verdict::Allowed(Free::NoRule));
    }

    #[test]
    fn denied_without_a_rule() {
        let of = |special, text: &str| judged(text, &Recorded { special, ..asked("/q") });
        let (tree, path) = ("[deny_tree]\n/t\n", "[deny_path]\n/p write\n");
        assert_eq!(of(Special::TooDeep, tree), Verdict::Denied(By::TooDeep));
        assert_eq!(of(Special::TooDeep, path), Verdict::Allowed(Free::NoRule));
        assert_eq!(of(Special::Unplaced, path), Verdict::Denied(By::Unplaced));
        assert_eq!(of(Special::Unplaced, "[deny_inode]\n8:1:7\n"), Verdict::Allowed(Free::NoRule));
        let scope = "[scope_cgroup]\n/sys/fs/cgroup/a\n";
        assert_eq!(of(Special::LeavesScope, scope), Verdict::Unknown(Doubt::Scope(3)));
        assert_eq!(of(Special::LeavesScope, path), Verdict::Allowed(Free::NoRule));
    }
}
