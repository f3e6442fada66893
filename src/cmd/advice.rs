//! A change of a policy in lines, with what it costs.

use serde::Serialize;

use super::recorded::rule_text;
use crate::{
    agent::Source,
    plan::{Recorded, Seen},
    policy::{CgroupRef, Ops, Policy, cgroup_entry},
};

/// Lines to add and to remove.
#[derive(Debug, Serialize)]
pub(super) struct Advice {
    /// The section that lines are added to; `null`: they stand in the place of what is removed.
    pub(super) section: Option<&'static str>,
    /// Lines to add.
    pub(super) add: Vec<String>,
    /// Lines to remove.
    pub(super) remove: Vec<String>,
    /// Recorded decisions that it would allow.
    pub(super) decisions: u64,
    /// What it costs.
    pub(super) against: Vec<String>,
}

impl Advice {
    /// Exempts a cgroup; `of` are the operations that it is for.
    pub(super) fn exempt<'a>(
        policy: &Policy,
        cgroup: &CgroupRef,
        decisions: u64,
        of: impl IntoIterator<Item = &'a Recorded>,
    ) -> Self {
        let mut against = vec!["every process there and below is then exempt, from every rule".to_owned()];
        if of.into_iter().any(|asked| asked.seen == Seen::InContainer && is_of(cgroup, asked)) {
            against.push(
                "it is a container's, and the next has another: name one above it that stays".to_owned(),
            );
        }
        if matches!(cgroup, CgroupRef::Id(_)) {
            against.push(
                "the id is this cgroup's for as long as it exists, and may be another's later".to_owned(),
            );
        }
        if policy.scope.iter().any(|entry| entry.cgroup == *cgroup) {
            let instead =
                "it stands below [scope_cgroup]: where others stay there, removing that line does as well";
            against.push(instead.to_owned());
        }
        let add = cgroup_entry(policy, cgroup).into_iter().collect();
        Self { section: Some("allow_cgroup"), add, remove: Vec::new(), decisions, against }
    }

    /// Leaves a rule with these operations, by a line `new`, or removes it. `None`: there is no such rule.
    pub(super) fn weaken(
        source: &Source,
        rule: u32,
        left: Ops,
        new: Option<String>,
        decisions: u64,
    ) -> Option<Self> {
        let found = rule_text(source, rule)?;
        let allowed = found.ops.without(left);
        let mut against = vec![format!("{allowed} is then allowed to every process, not to these alone")];
        if source.policy.version == 1 {
            against.push("with version=2 the rule could still deny the other operations".to_owned());
        }
        let (add, remove) = (new.into_iter().collect(), vec![found.text]);
        Some(Self { section: None, add, remove, decisions, against })
    }

    /// In words, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let section = self.section.map(|section| format!("  below [{section}]")).unwrap_or_default();
        let remove = self.remove.iter().map(|line| format!("   remove  {line}"));
        let add = self.add.iter().map(|line| format!("   add     {line}{section}"));
        remove.chain(add).chain(self.against.iter().map(|line| format!("   but     {line}"))).collect()
    }
}

/// Whether it is the cgroup of that process.
fn is_of(cgroup: &CgroupRef, asked: &Recorded) -> bool {
    match (cgroup, &asked.cgroup) {
        (CgroupRef::Path(path), Some(cgroup)) => path.ends_with(cgroup.strip_prefix("/").unwrap_or(cgroup)),
        _ => false,
    }
}
