//! The file of the tables: written as a whole, and believed only where it adds up.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::table::{Cgroup, Counts, Hook, Inode, Path, ROWS, Rule, Table};
use crate::{state::RunDir, sys::files};

/// Raised with any change that a reader of the JSON could trip over.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// Its name in the runtime directory.
pub(super) const NAME: &str = "stats.json";

/// Larger than five full tables of the longest rows: more is not read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What can be wrong with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FiguresError {
    /// It could not be read.
    #[error("{}: reading failed", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It is not what an agent of this version writes.
    #[error("{}: {why}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What was counted since an agent began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// 1, until a reader of the JSON could trip over a change.
    pub schema_version: u32,
    /// When the agent began to count, RFC 3339.
    pub since: String,
    /// When this was written, RFC 3339.
    pub written: String,
    /// Whether that agent still runs; not in the file, which cannot know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
    /// All decisions.
    pub decisions: Counts,
    /// The same decisions, table by table.
    pub by: Tables,
}

/// The tables; in the file all are there, and of what is printed those that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// By hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Table<Hook>>,
    /// By cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Table<Cgroup>>,
    /// By rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Table<Rule>>,
    /// By inode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<Table<Inode>>,
    /// By path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Table<Path>>,
}

/// A table without what its rows are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// How many rows there are.
    pub(super) rows: usize,
    /// Everything in them and beside them; `None` where no number is large enough.
    pub(super) sum: Option<Counts>,
}

impl Rows {
    fn of<K>(table: &Table<K>) -> Self {
        Self { rows: table.rows.len(), sum: table.sum() }
    }
}

impl Tables {
    /// Each table that is there, by its name.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, Rows)> {
        let each = [
            ("hook", self.hook.as_ref().map(Rows::of)),
            ("cgroup", self.cgroup.as_ref().map(Rows::of)),
            ("rule", self.rule.as_ref().map(Rows::of)),
            ("inode", self.inode.as_ref().map(Rows::of)),
            ("path", self.path.as_ref().map(Rows::of)),
        ];
        each.into_iter().filter_map(|(name, rows)| Some((name, rows?)))
    }
}

impl Stats {
    /// What an agent wrote last; `None` where none has.
    pub fn read(dir: &RunDir) -> Result<Option<Self>, FiguresError> {
        let path = dir.path().join(NAME);
        let bytes = files::read(&path, MAX_BYTES);
        let bytes = bytes.map_err(|source| FiguresError::Unreadable { path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let checked = Self::parse(&bytes).map(Some);
        checked.map_err(|why| FiguresError::Foreign { path, why })
    }

    /// Takes a text only where every table has all decisions in it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let stats: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if stats.schema_version != SCHEMA_VERSION {
            return Err(format!("of version {}; this one reads {SCHEMA_VERSION}", stats.schema_version));
        }
        let mut tables = 0;
        for (name, Rows { rows, sum }) in stats.by.each() {
            if rows > ROWS || sum != Some(stats.decisions) {
                return Err(format!("the table by {name} does not add up"));
            }
            tables += 1;
        }
        if tables == 5 { Ok(stats) } else { Err("a table is missing".to_owned()) }
    }
}

/// Replaces the file.
pub(super) fn write(dir: &RunDir, stats: &Stats) -> io::Result<()> {
    let mut text = serde_json::to_vec(stats)?;
    text.push(b'\n');
    dir.write_private(NAME, &text)
}
