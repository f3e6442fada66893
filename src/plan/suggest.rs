//! The smallest change of a policy after which what was recorded would not be denied any more. It exempts cgroups from
//! which something was recorded, and no other; rules are weakened only where no cgroup can be exempted, or too many would
//! have to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use super::recorded::{By, Looked, Matcher, Recorded, Verdict};
use crate::policy::{CgroupEntry, CgroupRef, Edits, Ops, PathRule, Policy, cgroup_entry, limits};

/// A rule that hits processes of more cgroups than this denies what the host does, and not what one service does.
const SPREAD: usize = 8;

/// Id of the root cgroup (`cgroup_root->kf_root`, `kernel/cgroup/cgroup.c`): exempting it exempts everything.
const ROOT_CGROUP: u64 = 1;

/// Something that was recorded, any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What was asked.
    pub asked: Recorded,
    /// Whether on the host whose paths were looked at.
    pub here: bool,
    /// How often.
    pub count: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A cgroup is exempt.
    Allow(CgroupRef),
    /// A rule keeps these operations alone; without any it goes.
    Narrow {
        /// Its number.
        rule: u32,
        /// What it still denies.
        left: Ops,
    },
}

/// A change with what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The change.
    pub change: Change,
    /// Recorded decisions that would not be denied any more.
    pub decisions: u64,
}

/// All changes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggested {
    /// In the order in which they were found.
    pub changes: Vec<Suggestion>,
    /// Decisions that no line of a policy would allow.
    pub left: u64,
}

impl Suggested {
    /// The changes of the text of the policy.
    pub fn edits(&self, policy: &Policy, text: &[u8]) -> Edits {
        let (mut edits, mut entries) = (Edits::default(), Vec::new());
        for Suggestion { change, .. } in &self.changes {
            match change {
                Change::Allow(cgroup) => entries.extend(cgroup_entry(policy, cgroup)),
                Change::Narrow { rule, left } => {
                    if let Some(line) = line(policy, *rule) {
                        edits.narrow(text, line, *left);
                    }
                }
            }
        }
        if !entries.is_empty() {
            edits.allow(text, policy, &entries);
        }
        edits
    }
}

/// Where a rule stands.
fn line(policy: &Policy, id: u32) -> Option<u32> {
    let paths = policy.paths.iter().chain(&policy.trees).map(|rule| (rule.id, rule.line));
    let mut all = paths.chain(policy.inodes.iter().map(|rule| (rule.id, rule.line)));
    all.find(|(known, _)| *known == id).map(|(_, line)| line)
}

/// A policy on its way, with what was found at its paths.
struct Draft<'a> {
    policy: Policy,
    looked: Vec<Looked>,
    roots: &'a [PathBuf],
}

/// Finds the changes. `looked` is as [`Matcher::new`] takes it; the first of `roots` is where cgroups are named.
pub fn suggest(policy: &Policy, looked: &[Looked], roots: &[PathBuf], cases: &[Case]) -> Suggested {
    let mut draft = Draft { policy: policy.clone(), looked: looked.to_vec(), roots };
    let mut changes = Vec::new();
    // Each round takes something away from a rule, or exempts what is denied: the count is for what was overlooked.
    let mut rounds = 3 * policy.rules() + cases.len() + 1;
    loop {
        let denied = draft.denied(cases);
        let mut round = draft.weakened(&denied);
        if round.is_empty() {
            round = draft.exempted(&denied);
        }
        if round.is_empty() || rounds == 0 {
            let left = denied.iter().fold(0, |all: u64, (case, _)| all.saturating_add(case.count));
            return Suggested { changes: united(changes), left };
        }
        for one in &round {
            draft.change(&one.change);
        }
        changes.extend(round);
        rounds -= 1;
    }
}

/// Changes of one rule put together: the last of them says what is left.
fn united(changes: Vec<Suggestion>) -> Vec<Suggestion> {
    let mut all: Vec<Suggestion> = Vec::new();
    for one in changes {
        let number =
            |change: &Change| if let Change::Narrow { rule, .. } = change { Some(*rule) } else { None };
        let known = all
            .iter_mut()
            .find(|known| number(&one.change).is_some_and(|_| number(&known.change) == number(&one.change)));
        match known {
            Some(known) => {
                known.decisions = known.decisions.saturating_add(one.decisions);
                known.change = one.change;
            }
            None => all.push(one),
        }
    }
    all
}

type Denied<'a> = (&'a Case, By);

impl Draft<'_> {
    fn denied<'a>(&self, cases: &'a [Case]) -> Vec<Denied<'a>> {
        let here = Matcher::new(&self.policy, &self.looked, self.roots);
        let elsewhere = Matcher::new(&self.policy, &[], self.roots);
        let judge =
            |case: &Case| if case.here { here.judge(&case.asked) } else { elsewhere.judge(&case.asked) };
        let denied = cases.iter().filter_map(|case| match judge(case) {
            Verdict::Denied(by) => Some((case, by)),
            _ => None,
        });
        denied.collect()
    }

    /// Rules that have to give way, for no exemption of a cgroup would do.
    fn weakened(&self, denied: &[Denied<'_>]) -> Vec<Suggestion> {
        let mut by_rule: BTreeMap<u32, Vec<&Case>> = BTreeMap::new();
        for (case, by) in denied {
            if let By::Rule(rule) = by {
                by_rule.entry(*rule).or_default().push(case);
            }
        }
        let mut round = Vec::new();
        for (rule, cases) in by_rule {
            let cgroups: BTreeSet<_> =
                cases.iter().map(|case| self.exemption(&case.asked).map(Named)).collect();
            if cgroups.len() <= SPREAD && !cgroups.contains(&None) {
                continue;
            }
            let change = Change::Narrow {
                rule,
                left: what_is_left(&self.policy, rule, cases.iter().map(|case| &case.asked)),
            };
            let decisions = cases.iter().fold(0, |all: u64, case| all.saturating_add(case.count));
            round.push(Suggestion { change, decisions });
        }
        round
    }

    /// Cgroups that are to be exempt, those above others first.
    fn exempted(&self, denied: &[Denied<'_>]) -> Vec<Suggestion> {
        let mut counts: BTreeMap<Named, u64> = BTreeMap::new();
        for (case, _) in denied {
            if let Some(cgroup) = self.exemption(&case.asked) {
                let count = counts.entry(Named(cgroup)).or_default();
                *count = count.saturating_add(case.count);
            }
        }
        let mut round: Vec<Suggestion> = Vec::new();
        for (Named(cgroup), decisions) in counts {
            // In their order, what is below follows what is above.
            match round.last_mut().filter(|one| is_above(&one.change, &cgroup)) {
                Some(above) => above.decisions = above.decisions.saturating_add(decisions),
                None => round.push(Suggestion { change: Change::Allow(cgroup), decisions }),
            }
        }
        round
    }

    fn exemption(&self, asked: &Recorded) -> Option<CgroupRef> {
        exemption(&self.policy, self.roots, asked)
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Allow(cgroup) => {
                self.policy.allow.push(CgroupEntry { cgroup: cgroup.clone(), line: 0 });
            }
            Change::Narrow { rule, left } => self.narrow(*rule, *left),
        }
    }

    fn narrow(&mut self, id: u32, left: Ops) {
        let paths = self.policy.paths.len();
        let at = |rules: &[PathRule]| rules.iter().position(|rule| rule.id == id);
        let (in_paths, in_trees) = (at(&self.policy.paths), at(&self.policy.trees));
        let index = in_paths.or(in_trees.map(|index| paths + index));
        let all = self.policy.paths.iter_mut().chain(&mut self.policy.trees);
        all.filter(|rule| rule.id == id).for_each(|rule| rule.ops = left);
        self.policy.inodes.iter_mut().filter(|rule| rule.id == id).for_each(|rule| rule.ops = left);
        if left == Ops::NONE {
            if let Some(index) = index.filter(|index| *index < self.looked.len()) {
                self.looked.remove(index);
            }
            self.policy.paths.retain(|rule| rule.id != id);
            self.policy.trees.retain(|rule| rule.id != id);
            self.policy.inodes.retain(|rule| rule.id != id);
        }
    }
}

/// What a rule keeps when it lets these pass.
pub fn what_is_left<'a>(
    policy: &Policy,
    rule: u32,
    asked: impl Iterator<Item = &'a Recorded> + Clone,
) -> Ops {
    let paths = policy.paths.iter().chain(&policy.trees).map(|rule| (rule.id, rule.ops));
    let mut all = paths.chain(policy.inodes.iter().map(|rule| (rule.id, rule.ops)));
    let ops = all.find(|(id, _)| *id == rule).map_or(Ops::NONE, |(_, ops)| ops);
    // A move is refused whatever the rule denies, and version 1 has no operations.
    if policy.version == 1 || asked.clone().any(|asked| !asked.ops.intersects(ops)) {
        return Ops::NONE;
    }
    asked.fold(ops, |left, asked| left.without(asked.ops))
}

/// The entry that would exempt a process, and the fewest beside it; the first of `roots` is where cgroups are named.
/// `None`: all would be exempt.
pub fn exemption(policy: &Policy, roots: &[PathBuf], asked: &Recorded) -> Option<CgroupRef> {
    let by_path = asked.cgroup.as_deref().and_then(|cgroup| {
        let path = CgroupRef::Path(roots.first()?.join(named(cgroup)?));
        cgroup_entry(policy, &path).is_some().then_some(path)
    });
    let root = asked.cgroup.as_deref() == Some(Path::new("/")) || asked.cgroup_id <= ROOT_CGROUP;
    by_path.or_else(|| (!root).then_some(CgroupRef::Id(asked.cgroup_id)))
}

/// An entry, in the order in which what is above comes before what is below.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named(CgroupRef);

impl Named {
    fn key(&self) -> (u64, &Path) {
        match &self.0 {
            CgroupRef::Id(id) => (*id, Path::new("")),
            CgroupRef::Path(path) => (0, path),
        }
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn is_above(change: &Change, cgroup: &CgroupRef) -> bool {
    match (change, cgroup) {
        (Change::Allow(CgroupRef::Path(above)), CgroupRef::Path(path)) => path.starts_with(above),
        _ => false,
    }
}

/// A cgroup without the slash at its start, when it is one that a policy can name: whoever wrote the record may have
/// written anything.
fn named(cgroup: &Path) -> Option<PathBuf> {
    let mut below = PathBuf::new();
    for component in cgroup.strip_prefix("/").ok()?.components() {
        match component {
            Component::Normal(name) if name.len() <= limits::NAME_BYTES => below.push(name),
            _ => return None,
        }
    }
    let bytes = below.as_os_str().as_encoded_bytes();
    (!bytes.is_empty() && bytes.len() < limits::PATH_BYTES / 2 && !bytes.contains(&0)).then_some(below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::recorded::{Seen, Special, There},
        *,
    };
    use crate::policy::{Device, parse};

    const ROOT: &str = "/sys/fs/cgroup";

    fn roots() -> Vec<PathBuf> {
        vec![ROOT.into()]
    }

    fn case(path: &str, ops: Ops, cgroup: Option<&str>) -> Case {
        let asked = Recorded {
            ops,
            path: path.into(),
            seen: Seen::Whole,
            inode: Device::new(8, 1).map(|device| (device, 42)),
            cgroup: cgroup.map(PathBuf::from),
            cgroup_id: 77,
            special: Special::None,
            moves: false,
            matched: None,
        };
        Case { asked, here: true, count: 3 }
    }

    fn looked(policy: &Policy) -> Vec<Looked> {
        let rules = policy.paths.iter().chain(&policy.trees);
        rules.map(|rule| Looked { at: vec![rule.path.clone()], there: There::Nothing }).collect()
    }

    fn suggested(text: &str, cases: &[Case]) -> (Suggested, String) {
        let policy = parse(text.as_bytes()).expect("a policy").0;
        let suggested = suggest(&policy, &looked(&policy), &roots(), cases);
        let changed = suggested.edits(&policy, text.as_bytes()).apply(text.as_bytes());
        (suggested, String::from_utf8(changed).expect("UTF-8"))
    }

    #[test]
    fn one_service_is_exempt() {
        let text = "version=1\n[deny_path]\n/x\n";
        let cases = [case("/x", Ops::READ, Some("/a/b")), case("/x", Ops::EXEC, Some("/a/b/c"))];
        let (suggested, changed) = suggested(text, &cases);
        let change = Change::Allow(CgroupRef::Path("/sys/fs/cgroup/a/b".into()));
        assert_eq!(suggested, Suggested { changes: vec![Suggestion { change, decisions: 6 }], left: 0 });
        assert_eq!(changed, format!("{text}\n[allow_cgroup]\n/sys/fs/cgroup/a/b\n"));
    }

    #[test]
    fn what_no_exemption_reaches_is_taken_from_the_rule() {
        let text = "version=2\n[deny_path]\n/x  # why\n[deny_tree]\n/ read\n";
        let (suggested, changed) = suggested(text, &[case("/x", Ops::READ, Some("/"))]);
        assert_eq!((suggested.changes.len(), suggested.left), (2, 0));
        assert_eq!(changed, "version=2\n[deny_path]\n/x write,exec  # why\n[deny_tree]\n");
        let (_, changed) =
            self::suggested("version=1\n[deny_path]\n/x\n/y\n", &[case("/x", Ops::READ, Some("/"))]);
        assert_eq!(changed, "version=1\n[deny_path]\n/y\n");
    }

    #[test]
    fn a_rule_that_hits_everybody_gives_way() {
        let cgroups: Vec<String> = (0..9).map(|number| format!("/s{number}")).collect();
        let cases: Vec<Case> = cgroups.iter().map(|cgroup| case("/x", Ops::READ, Some(cgroup))).collect();
        let (all, changed) = suggested("version=2\n[deny_path]\n/x read,exec\n", &cases);
        assert_eq!((all.changes.len(), changed.as_str()), (1, "version=2\n[deny_path]\n/x exec\n"));
        let (fewer, _) = suggested("version=2\n[deny_path]\n/x read,exec\n", &cases[1..]);
        assert_eq!(fewer.changes.len(), 8);
    }

    #[test]
    fn a_record_that_lies_about_its_cgroup_names_none() {
        for hostile in ["/a/../..", "a", "/", "//", "/a\0b"] {
            let cgroup = named(Path::new(hostile));
            assert_eq!(cgroup, None, "{hostile}");
        }
        let mut without = case("/x", Ops::READ, Some("/"));
        without.asked.special = Special::Unplaced;
        without.asked.path = "/q".into();
        let (suggested, _) = suggested("version=1\n[deny_path]\n/x\n", &[without]);
        assert_eq!((suggested.changes.len(), suggested.left), (0, 3));
    }

    fn ops() -> impl Strategy<Value = Ops> {
        let all = [Ops::READ, Ops::WRITE, Ops::EXEC, Ops::READ.union(Ops::WRITE), Ops::ALL];
        proptest::sample::select(all.to_vec())
    }

    fn path() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec!["/", "/a", "/a/b", "/a/b c", "/d", "/d/e/f", "/usr/lib/ld-musl-x.so.1"])
    }

    fn a_case() -> impl Strategy<Value = Case> {
        let cgroup = proptest::sample::select(vec![
            None,
            Some("/"),
            Some("/s"),
            Some("/s/t"),
            Some("/u v"),
            Some("/.."),
        ]);
        let special =
            proptest::sample::select(vec![Special::None, Special::None, Special::TooDeep, Special::Unplaced]);
        let seen = proptest::sample::select(vec![Seen::Whole, Seen::Whole, Seen::Passed, Seen::InContainer]);
        (path(), ops(), cgroup, special, seen, 1_u64..90, proptest::bool::ANY, proptest::bool::ANY).prop_map(
            |(path, ops, cgroup, special, seen, cgroup_id, here, moves)| {
                let Case { asked, count, .. } = case(path, ops, cgroup);
                Case { asked: Recorded { seen, cgroup_id, special, moves, ..asked }, here, count }
            },
        )
    }

    fn a_policy() -> impl Strategy<Value = String> {
        let rule = (proptest::sample::select(vec!["deny_path", "deny_tree"]), path(), ops());
        let rules = proptest::collection::vec(rule, 1..8);
        (rules, proptest::bool::ANY, proptest::bool::ANY, proptest::bool::ANY).prop_map(
            |(rules, old, inode, ended)| {
                let mut seen = BTreeSet::new();
                let mut text = format!("version={}\n# comment\n", if old { 1 } else { 2 });
                for (section, path, ops) in rules {
                    let section = if old || path == "/a/b c" { "deny_path" } else { section };
                    if seen.insert((section, path)) {
                        let entry = if old { path.to_owned() } else { format!("\"{path}\" {ops}  # why") };
                        text.extend(["[", section, "]\n", &entry, "\n"]);
                    }
                }
                text += if inode { "[deny_inode]\n8:1:42\n" } else { "" };
                text + if ended { "\n" } else { "# end" }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_suggested_is_enough_and_no_more(
            text in a_policy(), cases in proptest::collection::vec(a_case(), 0..20)
        ) {
            let policy = parse(text.as_bytes()).expect("a policy").0;
            let suggested = suggest(&policy, &looked(&policy), &roots(), &cases);
            let changed = suggested.edits(&policy, text.as_bytes()).apply(text.as_bytes());
            let after = parse(&changed).expect("still a policy").0;
            let again = suggest(&after, &looked(&after), &roots(), &cases);
            prop_assert!(again.changes.is_empty(), "{again:?} after {suggested:?}");
            prop_assert!(again.left <= suggested.left);
            let draft = Draft { policy: policy.clone(), looked: looked(&policy), roots: &roots() };
            let denied = draft.denied(&cases);
            for one in &suggested.changes {
                if let Change::Allow(CgroupRef::Path(path)) = &one.change {
                    let cgroup = path.strip_prefix(ROOT).expect("below the root");
                    let cgroup = Path::new("/").join(cgroup);
                    prop_assert!(denied.iter().any(|(case, _)| case.asked.cgroup.as_ref() == Some(&cgroup)));
                }
            }
            prop_assert!(suggested.changes.is_empty() || !denied.is_empty());
        }
    }
}
