//! The crates that a binary is made of, as cargo resolves them for its target.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that is released.
const PACKAGE: &str = "aegisbpf";

/// One crate.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) version: String,
    /// As its manifest has it, in the terms of SPDX.
    pub(crate) licence: String,
    pub(crate) description: Option<String>,
    pub(crate) repository: Option<String>,
    /// Its sources on this machine.
    pub(crate) directory: PathBuf,
    /// Of the archive in the registry; none for what lies in the tree.
    pub(crate) sha256: Option<String>,
    /// Whether it is in the binary; else it only took part in making it.
    pub(crate) linked: bool,
    /// What it needs, by [`Part::reference`].
    pub(crate) needs: Vec<String>,
}

impl Part {
    /// Its name and version, which no two of them share.
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Every part, sorted, with the released package itself.
pub(crate) fn of(tree: &Path, target: &str) -> Result<Vec<Part>> {
    let output = Command::new("cargo")
        .current_dir(tree)
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let lock = std::fs::read_to_string(tree.join("Cargo.lock")).context("Cargo.lock")?;
    let lock: Lock = toml::from_str(&lock)?;
    Graph::new(&metadata, &lock)?.parts()
}

struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    edges: BTreeMap<&'a str, &'a [Edge]>,
    sums: BTreeMap<(&'a str, &'a str), &'a str>,
    root: &'a str,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Metadata, lock: &'a Lock) -> Result<Self> {
        let root = metadata.packages.iter().find(|package| package.name == PACKAGE);
        let sum = |locked: &'a Locked| {
            Some(((locked.name.as_str(), locked.version.as_str()), locked.checksum.as_deref()?))
        };
        Ok(Self {
            packages: metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect(),
            edges: metadata
                .resolve
                .nodes
                .iter()
                .map(|node| (node.id.as_str(), node.deps.as_slice()))
                .collect(),
            sums: lock.package.iter().filter_map(sum).collect(),
            root: root.map(|package| package.id.as_str()).context("cargo metadata has no such package")?,
        })
    }

    /// What a package needs, without what only its tests do. A macro runs in the compiler: what it needs is not linked.
    fn needs(&self, id: &'a str, linked: bool) -> impl Iterator<Item = &'a str> {
        let edges = self.edges.get(id).copied().unwrap_or_default().iter();
        edges
            .filter(move |edge| {
                edge.dep_kinds.iter().any(|kind| match kind.kind.as_deref() {
                    None => !linked || !self.is_macro(&edge.pkg),
                    Some("build") => !linked,
                    Some(_) => false,
                })
            })
            .map(|edge| edge.pkg.as_str())
    }

    fn is_macro(&self, id: &str) -> bool {
        let targets = self.packages.get(id).map(|package| package.targets.as_slice()).unwrap_or_default();
        targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    fn reached(&self, linked: bool) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::from([self.root]);
        let mut pending = vec![self.root];
        while let Some(id) = pending.pop() {
            pending.extend(self.needs(id, linked).filter(|id| reached.insert(*id)));
        }
        reached
    }

    fn parts(&self) -> Result<Vec<Part>> {
        let linked = self.reached(true);
        let part = |id: &'a str| -> Result<Part> {
            let package = self.package(id)?;
            let needs = self
                .needs(id, false)
                .map(|id| self.package(id).map(|package| format!("{}@{}", package.name, package.version)));
            let directory = package.manifest_path.parent().context("a manifest without a directory")?;
            let licence = package.license.clone();
            Ok(Part {
                licence: licence.with_context(|| format!("{} names no licence", package.name))?,
                name: package.name.clone(),
                version: package.version.clone(),
                description: package.description.clone(),
                repository: package.repository.clone(),
                directory: directory.to_owned(),
                sha256: self.sums.get(&(&package.name, &package.version)).map(|sum| (*sum).to_owned()),
                linked: linked.contains(id),
                needs: needs.collect::<Result<BTreeSet<_>>>()?.into_iter().collect(),
            })
        };
        let mut parts = self.reached(false).into_iter().map(part).collect::<Result<Vec<_>>>()?;
        parts.sort_by_key(|part| (part.name != PACKAGE, part.reference()));
        Ok(parts)
    }

    fn package(&self, id: &str) -> Result<&'a Package> {
        self.packages.get(id).copied().with_context(|| format!("cargo metadata has no package {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::{self, MUSL};

    #[test]
    fn what_is_linked_and_what_only_builds() -> Result<()> {
        let parts = of(&paths::root()?, MUSL)?;
        let part = |name: &str| parts.iter().find(|part| part.name == name);
        assert_eq!(parts.first().map(|part| part.name.as_str()), Some(PACKAGE));
        assert!(part("aya").is_some_and(|part| part.linked && part.sha256.is_some()));
        // A macro, what the build reads BTF with, and what only tests need.
        assert!(part("clap_derive").is_some_and(|part| !part.linked));
        assert!(part("btf-rs").is_some_and(|part| !part.linked));
        assert!(part("proptest").is_none());
        Ok(())
    }
}
