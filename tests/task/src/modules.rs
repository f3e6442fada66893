//! Kernel modules for the initramfs: the dependency closure in load order, decompressed. The dependencies are read
//! from the modules themselves, because a package that was never installed has no `modules.dep`.

use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One module to load.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The modules `names`, and of `maybe` those that there are, and all they need, dependencies first. What is built into
/// the kernel is left out.
pub(crate) fn closure(directory: &Path, names: &[String], maybe: &[&str]) -> Result<Vec<Module>> {
    let mut loader = Loader {
        index: index(directory)?,
        builtin: builtin(directory),
        seen: BTreeSet::new(),
        order: Vec::new(),
    };
    for name in names {
        let found = loader.add(&normal(name))?;
        if !found {
            bail!("{} has no module {name}", directory.display());
        }
    }
    for name in maybe {
        loader.add(name)?;
    }
    Ok(loader.order)
}

struct Loader {
    index: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
    seen: BTreeSet<String>,
    order: Vec<Module>,
}

impl Loader {
    /// Adds a module after its dependencies; false when there is no such module.
    fn add(&mut self, name: &str) -> Result<bool> {
        if self.builtin.contains(name) || self.seen.contains(name) {
            return Ok(true);
        }
        let Some(path) = self.index.get(name).cloned() else {
            return Ok(false);
        };
        self.seen.insert(name.to_owned());
        let bytes = read(&path)?;
        for needed in
            values(&bytes, "depends=").iter().flat_map(|list| list.split(',')).filter(|n| !n.is_empty())
        {
            let found = self.add(&normal(needed))?;
            if !found {
                bail!("module {name} needs {needed}, which is not there");
            }
        }
        // A soft dependency may be an alias or built in: there is nothing to load then.
        for soft in values(&bytes, "softdep=pre: ").iter().flat_map(|list| list.split_ascii_whitespace()) {
            self.add(&normal(soft))?;
        }
        self.order.push(Module { name: name.to_owned(), bytes });
        Ok(true)
    }
}

/// Module names are written with either, and mean the same.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (stem, extension) = file.split_once(".ko")?;
    matches!(extension, "" | ".xz" | ".zst" | ".gz").then(|| normal(stem))
}

fn index(directory: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.join("kernel")];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else if let Some(name) = module_name(&entry.path()) {
                found.insert(name, entry.path());
            }
        }
    }
    Ok(found)
}

fn builtin(directory: &Path) -> BTreeSet<String> {
    let list = fs::read_to_string(directory.join("modules.builtin")).unwrap_or_default();
    list.lines().filter_map(|line| module_name(Path::new(line))).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path).with_context(|| path.display().to_string()),
    };
    let output = Command::new(program).args(["-q", "-d", "-c"]).arg(path).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} cannot decompress {}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// The values of a key of `.modinfo`, which is a run of zero-terminated `key=value` texts.
fn values(bytes: &[u8], key: &str) -> Vec<String> {
    let texts = bytes.split(|&byte| byte == 0).filter_map(|text| text.strip_prefix(key.as_bytes()));
    texts.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let name = |path: &str| module_name(Path::new(path));
        assert_eq!(name("kernel/fs/overlayfs/overlay.ko"), Some("overlay".into()));
        assert_eq!(name("a/nf-conn.ko.xz").as_deref(), Some("nf_conn"));
        assert_eq!(name("a/modules.order"), None);
        let info = b"\x7fELF\0license=GPL\0depends=libcrc32c,xor\0softdep=pre: crc32c sha256\0";
        assert_eq!(values(info, "depends="), ["libcrc32c,xor"]);
        assert_eq!(values(info, "softdep=pre: "), ["crc32c sha256"]);
    }
}
