//! Warnings about a valid policy that can be told without the host.

use std::collections::HashMap;
use std::path::Path;

use super::critical;
use super::fault::Fault;
use super::report::Report;
use super::types::{CgroupEntry, CgroupRef, PathRule, Policy};

/// Where the root of the cgroup hierarchy is mounted, by unified and by hybrid hosts.
const ROOT_CGROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// File systems whose files exist only while they are open.
const KERNEL_ROOTS: [&str; 2] = ["/proc", "/sys"];

/// Adds the warnings to the report.
pub(super) fn check(policy: &Policy, report: &mut Report) {
    if policy.rules() == 0 {
        report.on(0, &Fault::NoRules);
    }
    let trees = covering(policy);
    let whole_host = policy.scope.is_empty() || policy.scope.iter().any(is_root);
    for rule in &policy.paths {
        below_tree(rule, rule.path.ancestors(), &trees, report);
        kernel_files(rule, report);
        if whole_host && let Some(consequence) = critical::consequence(&rule.path, rule.ops) {
            report.on(rule.line, &Fault::CriticalPath { consequence });
        }
    }
    for rule in &policy.trees {
        below_tree(rule, rule.path.ancestors().skip(1), &trees, report);
        kernel_files(rule, report);
        if whole_host {
            tree(rule, report);
        }
    }
    cgroups(policy, report);
}

/// The trees by path.
fn covering(policy: &Policy) -> HashMap<&Path, &PathRule> {
    policy.trees.iter().map(|rule| (rule.path.as_path(), rule)).collect()
}

fn below_tree<'a>(
    rule: &PathRule,
    mut ancestors: impl Iterator<Item = &'a Path>,
    trees: &HashMap<&Path, &PathRule>,
    report: &mut Report,
) {
    if trees.is_empty() {
        return;
    }
    let covers = |path: &Path| trees.get(path).filter(|tree| tree.ops.contains(rule.ops));
    if let Some(tree) = ancestors.find_map(covers) {
        report.on(rule.line, &Fault::CoveredByTree { first: tree.line });
    }
}

fn kernel_files(rule: &PathRule, report: &mut Report) {
    if let Some(root) = KERNEL_ROOTS.into_iter().find(|root| rule.path.starts_with(root)) {
        report.on(rule.line, &Fault::KernelFileSystem { root });
    }
}

fn tree(rule: &PathRule, report: &mut Report) {
    if rule.path == Path::new("/") {
        report.on(rule.line, &Fault::DeniesRoot);
    } else if let Some((name, consequence)) = critical::below(&rule.path, rule.ops) {
        report.on(rule.line, &Fault::CriticalTree { name, consequence });
    }
}

fn cgroups(policy: &Policy, report: &mut Report) {
    let scope: HashMap<&CgroupRef, u32> =
        policy.scope.iter().map(|entry| (&entry.cgroup, entry.line)).collect();
    for entry in &policy.allow {
        if is_root(entry) {
            report.on(entry.line, &Fault::AllowsEverything);
        }
        if let Some(&scope) = scope.get(&entry.cgroup) {
            report.on(entry.line, &Fault::AllowedAndScoped { scope });
        }
    }
}

fn is_root(entry: &CgroupEntry) -> bool {
    match &entry.cgroup {
        CgroupRef::Path(path) => ROOT_CGROUPS.into_iter().any(|root| path == Path::new(root)),
        // kernfs numbers its root 1.
        CgroupRef::Id(id) => *id == 1,
    }
}
