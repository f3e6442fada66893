//! Installing: first what would be done, all of it, then doing it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Action, Contents, DATA, Deed, Entry, InstallError, Item, MANIFEST, MAX_BYTES, Manifest, failed,
    files::MODE, items,
};
use crate::{
    policy::Digest,
    sys::rooted::{Kind, Root},
    tier::Mode,
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// What the system has use for; the mode is that of a first install.
    pub contents: Contents,
    /// The mode that was named.
    pub mode: Option<Mode>,
}

/// An install that can be shown, and done.
#[derive(Debug)]
pub struct Put {
    /// What becomes of each file.
    pub deeds: Vec<Deed>,
    writes: Vec<Item>,
    removes: Vec<String>,
    directories: Vec<String>,
    intent: Manifest,
    last: Manifest,
    changes: bool,
}

impl Put {
    /// Finds out what there is to do; changes nothing.
    pub fn plan(root: &Root, wish: Wish) -> Result<Self, InstallError> {
        let before = Manifest::read(root)?;
        let known = before.clone().unwrap_or_else(Manifest::empty);
        let kept = known.entry(MODE).map_or(wish.contents.mode, |_| Mode::Enforce);
        let items = items(Contents { mode: wish.mode.unwrap_or(kept), ..wish.contents })?;
        let mut put = Self {
            deeds: Vec::new(),
            writes: Vec::new(),
            removes: Vec::new(),
            directories: missing_directories(root, &items)?,
            intent: Manifest::empty(),
            last: Manifest::empty(),
            changes: false,
        };
        put.files(root, &known, items)?;
        put.obsolete(root, &known)?;
        let mut directories = known.directories.clone();
        directories.extend(put.directories.iter().filter(|made| !known.directories.contains(made)).cloned());
        put.intent.directories.clone_from(&directories);
        put.last.directories = directories;
        put.last.complete = true;
        put.changes =
            before.as_ref() != Some(&put.last) || put.deeds.iter().any(|deed| deed.action.changes());
        Ok(put)
    }

    /// Sorts what is to be there.
    fn files(&mut self, root: &Root, known: &Manifest, items: Vec<Item>) -> Result<(), InstallError> {
        let mut in_the_way = Vec::new();
        for item in items {
            let digest = Digest::of(&item.bytes);
            let entry = known.entry(&item.path);
            let Some(action) = judge(&found(root, &item.path)?, &item, digest, entry, known.complete) else {
                in_the_way.push(item.path);
                continue;
            };
            self.deeds.push(Deed { path: item.path.clone(), action });
            let installed = Entry { path: item.path.clone(), sha256: digest, before: None, conf: item.conf };
            match (action, entry) {
                // Not ours; or ours once, and told apart from what was installed by its sum.
                (Action::Kept | Action::Gone, entry) => {
                    let entry = entry.map(|entry| Entry { before: None, ..entry.clone() });
                    self.intent.files.extend(entry.clone());
                    self.last.files.extend(entry);
                }
                (Action::Same, _) => {
                    self.intent.files.push(installed.clone());
                    self.last.files.push(installed);
                }
                (_, entry) => {
                    let before = entry.map(|entry| entry.sha256);
                    self.intent.files.push(Entry { before, ..installed.clone() });
                    self.last.files.push(installed);
                    self.writes.push(item);
                }
            }
        }
        if in_the_way.is_empty() { Ok(()) } else { Err(InstallError::InTheWay { paths: in_the_way }) }
    }

    /// What an earlier install put there and this one does not.
    fn obsolete(&mut self, root: &Root, known: &Manifest) -> Result<(), InstallError> {
        let now: BTreeSet<String> = self.deeds.iter().map(|deed| deed.path.clone()).collect();
        for entry in known.files.iter().filter(|entry| !now.contains(&entry.path)) {
            let action = match found(root, &entry.path)? {
                Found::Nothing => Action::Gone,
                Found::File { digest, .. } if entry.is(&digest) => Action::Removed,
                _ => Action::Changed,
            };
            if action == Action::Removed {
                self.removes.push(entry.path.clone());
                self.intent.files.push(entry.clone());
            }
            self.deeds.push(Deed { path: entry.path.clone(), action });
        }
        Ok(())
    }

    /// Whether a program was there already, and another is put in its place.
    pub fn replaces_program(&self) -> bool {
        let replaced = |deed: &Deed| matches!(deed.action, Action::Replaced | Action::Restored);
        self.deeds.iter().any(|deed| replaced(deed) && deed.path.ends_with("/sbin/aegisbpf"))
    }

    /// Does it. Where nothing is to be done, nothing is touched.
    pub fn execute(&self, root: &Root) -> Result<(), InstallError> {
        if !self.changes {
            return Ok(());
        }
        // First where the manifest lies: it comes before all else.
        let on_the_way = |directory: &&String| Path::new(MANIFEST).starts_with(directory);
        make(root, self.directories.iter().filter(on_the_way))?;
        self.intent.write(root)?;
        make(root, self.directories.iter())?;
        for item in &self.writes {
            root.write(Path::new(&item.path), &item.bytes, item.mode)
                .map_err(failed(&item.path, "written"))?;
        }
        for path in &self.removes {
            root.remove(Path::new(path)).map_err(failed(path, "removed"))?;
        }
        self.last.write(root)
    }
}

/// Makes directories, of the mode that they are to have.
fn make<'a>(root: &Root, directories: impl Iterator<Item = &'a String>) -> Result<(), InstallError> {
    for directory in directories {
        let mode = DATA.iter().find(|(path, _)| path == directory).map_or(0o755, |(_, mode)| *mode);
        root.make_dir(Path::new(directory), mode).map_err(failed(directory, "made"))?;
    }
    Ok(())
}

/// What lies at a path.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file, with its mode.
    File {
        /// Of what is in it.
        digest: Digest,
        /// Its mode.
        mode: u32,
    },
    /// A link, a directory, a device.
    Other,
}

/// Looks there.
pub(super) fn found(root: &Root, path: &str) -> Result<Found, InstallError> {
    let looked = |source| failed(path, "looked at")(source);
    Ok(match root.kind(Path::new(path)).map_err(looked)? {
        None => Found::Nothing,
        Some(Kind::Directory | Kind::Other) => Found::Other,
        Some(Kind::File(mode)) => match root.read(Path::new(path), MAX_BYTES).map_err(looked)? {
            None => Found::Nothing,
            Some(bytes) => Found::File { digest: Digest::of(&bytes), mode },
        },
    })
}

/// What becomes of a file; `None`: something of others is in the way.
fn judge(
    found: &Found,
    item: &Item,
    wanted: Digest,
    entry: Option<&Entry>,
    complete: bool,
) -> Option<Action> {
    match (found, entry) {
        // Whoever removed configuration meant it.
        (Found::Nothing, Some(_)) if item.conf && complete => Some(Action::Gone),
        (Found::Nothing, _) => Some(Action::New),
        (Found::File { digest, mode }, Some(_)) if *digest == wanted && *mode == item.mode => {
            Some(Action::Same)
        }
        (Found::File { digest, .. }, Some(entry)) if entry.is(digest) => Some(Action::Replaced),
        (Found::File { .. }, Some(_)) if !item.conf => Some(Action::Restored),
        (Found::File { .. } | Found::Other, _) if item.conf => Some(Action::Kept),
        (Found::File { .. } | Found::Other, _) => None,
    }
}

/// The directories that are not there yet, each behind the one that holds it.
fn missing_directories(root: &Root, items: &[Item]) -> Result<Vec<String>, InstallError> {
    let data = DATA.iter().map(|(path, _)| PathBuf::from(path));
    let parents = items.iter().filter_map(|item| Path::new(&item.path).parent().map(Path::to_owned));
    let mut missing = BTreeSet::new();
    for directory in data.chain(parents) {
        for above in directory.ancestors().filter(|above| above.parent().is_some()) {
            let shown = above.display().to_string();
            if !root.has_dir(above).map_err(failed(&shown, "looked at"))? {
                missing.insert(shown);
            }
        }
    }
    // In the order of their names, what holds another comes first.
    Ok(missing.into_iter().collect())
}
