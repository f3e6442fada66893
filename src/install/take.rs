//! Uninstalling: exactly what the manifest has, and with `purge` whatever else is ours.

use std::path::Path;

use super::{
    Action, Deed, Entry, InstallError, MANIFEST, Manifest, PURGED, failed,
    put::{Found, found},
};
use crate::sys::rooted::Root;

/// A removal that can be shown, and done.
#[derive(Debug)]
pub struct Take {
    /// What becomes of each file.
    pub deeds: Vec<Deed>,
    manifest: Manifest,
    purge: bool,
}

impl Take {
    /// Finds out what there is to do; changes nothing. `None`: nothing was installed.
    pub fn plan(root: &Root, purge: bool) -> Result<Option<Self>, InstallError> {
        let Some(manifest) = Manifest::read(root)? else { return Ok(None) };
        let mut deeds = Vec::new();
        for entry in &manifest.files {
            let action = judge(&found(root, &entry.path)?, entry, purge);
            deeds.push(Deed { path: entry.path.clone(), action });
        }
        Ok(Some(Self { deeds, manifest, purge }))
    }

    /// The version that is taken away.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// Does it; the manifest goes last.
    pub fn execute(self, root: &Root) -> Result<(), InstallError> {
        let removed = |deed: &&Deed| matches!(deed.action, Action::Removed | Action::Gone);
        for deed in self.deeds.iter().filter(removed) {
            // What was not finished goes as well.
            root.remove(Path::new(&deed.path)).map_err(failed(&deed.path, "removed"))?;
        }
        if self.purge {
            for path in PURGED {
                root.remove_tree(Path::new(path)).map_err(failed(path, "removed"))?;
            }
        }
        let kept: Vec<Entry> = {
            let is_kept = |entry: &&Entry| {
                self.deeds.iter().any(|deed| deed.path == entry.path && deed.action == Action::Kept)
            };
            self.manifest.files.iter().filter(is_kept).cloned().collect()
        };
        if kept.is_empty() {
            root.remove(Path::new(MANIFEST)).map_err(failed(MANIFEST, "removed"))?;
        } else {
            self.manifest.clone().with_files(kept).write(root)?;
        }
        for directory in self.manifest.directories.iter().rev() {
            root.remove_dir(Path::new(directory)).map_err(failed(directory, "removed"))?;
        }
        Ok(())
    }
}

fn judge(found: &Found, entry: &Entry, purge: bool) -> Action {
    match found {
        Found::Nothing => Action::Gone,
        Found::File { .. } if entry.conf && purge => Action::Removed,
        _ if entry.conf => Action::Kept,
        Found::File { digest, .. } if entry.is(digest) => Action::Removed,
        _ => Action::Changed,
    }
}
