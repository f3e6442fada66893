//! From a policy to what this host has of it: identities of paths, ids of cgroups, the survival floor.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::AgentError;
use crate::{
    enforce::{self, Enroller},
    plan::{self, Accept, Found, PathIdentity, RuleSet},
    policy::{CgroupEntry, CgroupRef, Policy, critical},
    store::Cgroup,
};

/// A policy as this host sees it.
#[derive(Debug)]
pub(super) struct Resolved {
    /// For the kernel.
    pub(super) rules: RuleSet,
    /// Paths and cgroups that do not exist.
    pub(super) absent: Vec<PathBuf>,
    /// The cgroups that are named by path.
    pub(super) cgroups: Vec<Cgroup>,
}

/// Looks at everything that a policy names.
pub(super) fn resolve(enroller: &Enroller, policy: &Policy, accept: Accept) -> Result<Resolved, AgentError> {
    let look = |rules: &[crate::policy::PathRule]| -> Result<Vec<PathIdentity>, AgentError> {
        rules.iter().map(|rule| Ok(enroller.path(&rule.path)?)).collect()
    };
    let mut cgroups = Vec::new();
    let allow = ids(&policy.allow, &mut cgroups)?;
    let scope = ids(&policy.scope, &mut cgroups)?;
    if let Some(absent) = cgroups.iter().find(|cgroup| cgroup.id.is_none() && !accept.missing) {
        return Err(AgentError::NoCgroup { path: absent.path.clone() });
    }
    let floor = if policy.rules() == 0 { Vec::new() } else { floor(enroller)? };
    let found = Found { paths: look(&policy.paths)?, trees: look(&policy.trees)?, floor, allow, scope };
    let rules = plan::build(policy, &found, accept)?;
    let answers = policy.paths.iter().zip(&found.paths).chain(policy.trees.iter().zip(&found.trees));
    let paths = answers.filter(|(_, answer)| answer.resolved.is_none()).map(|(rule, _)| rule.path.clone());
    let absent = paths
        .chain(cgroups.iter().filter(|cgroup| cgroup.id.is_none()).map(|cgroup| cgroup.path.clone()))
        .collect();
    Ok(Resolved { rules, absent, cgroups })
}

fn ids(entries: &[CgroupEntry], named: &mut Vec<Cgroup>) -> Result<Vec<u64>, AgentError> {
    let mut ids = Vec::new();
    for entry in entries {
        match &entry.cgroup {
            CgroupRef::Id(id) => ids.push(*id),
            CgroupRef::Path(path) => {
                let (at, id) = enforce::find_cgroup(path)?.unzip();
                ids.extend(id);
                named.push(Cgroup { path: path.clone(), at: at.unwrap_or_else(|| path.clone()), id });
            }
        }
    }
    Ok(ids)
}

/// Init, the dynamic loaders and this program, as they are on this host.
fn floor(enroller: &Enroller) -> Result<Vec<PathIdentity>, AgentError> {
    let mut paths = BTreeSet::new();
    for (directory, name) in critical::floor() {
        let directory = Path::new(directory);
        if name.contains('*') {
            in_libraries(directory, name, &mut paths);
        } else {
            paths.insert(directory.join(name));
        }
    }
    // What runs as init may have another name, and so may this program. Where either cannot be told there is nothing to
    // add.
    paths.extend(["/proc/1/exe", "/proc/self/exe"].iter().filter_map(|link| fs::read_link(link).ok()));
    let mut floor = Vec::new();
    for path in paths {
        let identity = enroller.path(&path)?;
        if identity.resolved.is_some() {
            floor.push(identity);
        }
    }
    Ok(floor)
}

/// Files of a name in a directory of libraries and in the multiarch directories in it.
fn in_libraries(directory: &Path, pattern: &str, found: &mut BTreeSet<PathBuf>) {
    let entries = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    for path in entries(directory) {
        let name = path.file_name().unwrap_or_default();
        if critical::is_named(name, pattern) {
            found.insert(path);
        } else if critical::is_named(name, "*-linux-*") {
            let below = entries(&path);
            found.extend(
                below
                    .into_iter()
                    .filter(|path| path.file_name().is_some_and(|name| critical::is_named(name, pattern))),
            );
        }
    }
}
