//! Tables of bounded size whose rows and `other` always add up to everything that was counted.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    hash::Hash,
    ops::AddAssign,
};

use serde::{Deserialize, Serialize};

use crate::event::Decision;

/// No table has more rows: processes that are watched choose the paths, and how many cgroups there are.
pub(super) const ROWS: usize = 1024;

/// The longest text in a row, in bytes: of a longer one the end is kept, which names the file.
pub(super) const TEXT_BYTES: usize = 256;

/// Decisions, by what became of the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Refused.
    pub deny: u64,
    /// Would have been refused in enforce mode, and passed.
    pub would_deny: u64,
}

impl Counts {
    /// Both together; `None` where no number is large enough, which no kernel gets to.
    pub fn sum(self) -> Option<u64> {
        self.deny.checked_add(self.would_deny)
    }

    /// With another one; `None` where no number is large enough.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            deny: self.deny.checked_add(other.deny)?,
            would_deny: self.would_deny.checked_add(other.would_deny)?,
        })
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.deny = self.deny.saturating_add(other.deny);
        self.would_deny = self.would_deny.saturating_add(other.would_deny);
    }
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hook {
    hook: String,
}

/// A cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cgroup {
    cgroup_id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cgroup: Option<String>,
}

/// A rule of a policy; 0 where something else than a rule decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    policy_generation: u64,
    rule: u32,
}

/// A file, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Inode {
    device: String,
    #[serde(rename = "inode")]
    number: u64,
    generation: u32,
}

/// A path, escaped as in events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    path: String,
}

impl Hook {
    pub(super) fn of(decision: &Decision) -> Self {
        Self { hook: decision.hook.clone().into_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.hook
    }
}

impl Cgroup {
    pub(super) fn of(decision: &Decision) -> Self {
        Self { cgroup_id: decision.cgroup_id, cgroup: decision.cgroup.as_deref().map(ending) }
    }
}

impl Rule {
    pub(super) fn of(decision: &Decision) -> Self {
        Self { policy_generation: decision.policy_generation, rule: decision.rule }
    }
}

impl Inode {
    /// `None` in a tier that sees no inodes.
    pub(super) fn of(decision: &Decision) -> Option<Self> {
        let (device, number) = (decision.device.clone()?, decision.inode?);
        Some(Self { device, number, generation: decision.generation? })
    }
}

impl Path {
    /// `None` where the self-guard kept what is no file.
    pub(super) fn of(decision: &Decision) -> Option<Self> {
        (!decision.path.is_empty()).then(|| Self { path: ending(&decision.path) })
    }
}

/// The end of a text that is too long.
fn ending(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    let least = text.len() - TEXT_BYTES + '…'.len_utf8();
    let start = text.char_indices().map(|(at, _)| at).find(|at| *at >= least).unwrap_or(text.len());
    format!("…{}", text.get(start..).unwrap_or_default())
}

/// The file is ours, and still nothing in it reaches a terminal as anything but text.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|one| if one.is_control() { one.escape_default().collect() } else { vec![one] })
        .collect()
}

impl Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.hook))
    }
}

impl Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cgroup {
            Some(path) => write!(f, "{} (id {})", plain(path), self.cgroup_id),
            None => write!(f, "id {}", self.cgroup_id),
        }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            0 => write!(f, "no rule (generation {})", self.policy_generation),
            rule => write!(f, "rule {rule} of generation {}", self.policy_generation),
        }
    }
}

impl Display for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}, inode {}, generation {}", plain(&self.device), self.number, self.generation)
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.path))
    }
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row<K> {
    /// What it is about.
    #[serde(flatten)]
    pub key: K,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A table as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table<K> {
    /// The most frequent first.
    pub rows: Vec<Row<K>>,
    /// What stands in no row.
    pub other: Counts,
    /// How many rows went into `other` to make room. One that came back began anew, so where this is not 0 a row may
    /// have more than it says.
    pub let_go: u64,
}

impl<K> Table<K> {
    /// Everything that was counted; `None` where no number is large enough.
    pub fn sum(&self) -> Option<Counts> {
        self.rows.iter().try_fold(self.other, |sum, row| sum.plus(row.counts))
    }

    /// The first rows; the others are counted in `other`.
    #[must_use]
    pub fn top(mut self, rows: usize) -> Self {
        let rest = self.rows.split_off(rows.min(self.rows.len()));
        for row in rest {
            self.other += row.counts;
        }
        self
    }
}

/// A table while it is counted.
#[derive(Debug)]
pub(super) struct Tally<K> {
    rows: HashMap<K, Counts>,
    other: Counts,
    let_go: u64,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { rows: HashMap::new(), other: Counts::default(), let_go: 0 }
    }
}

impl<K: Clone + Ord + Hash> Tally<K> {
    /// Counts for a key, or for none.
    pub(super) fn add(&mut self, key: Option<K>, counts: Counts) {
        let Some(key) = key else {
            self.other += counts;
            return;
        };
        if self.rows.len() >= ROWS && !self.rows.contains_key(&key) {
            self.make_room();
        }
        *self.rows.entry(key).or_default() += counts;
    }

    /// Lets the rarer half go, at once: so a flood of new keys costs each of them little, and what is frequent stays.
    fn make_room(&mut self) {
        let mut sums: Vec<u64> = self.rows.values().map(|counts| counts.sum().unwrap_or(u64::MAX)).collect();
        let half = sums.len() / 2;
        let (_, median, _) = sums.select_nth_unstable(half);
        let (median, mut left) = (*median, half.max(1));
        let other = &mut self.other;
        self.rows.retain(|_, counts| {
            let goes = left > 0 && counts.sum().unwrap_or(u64::MAX) <= median;
            if goes {
                left -= 1;
                *other += *counts;
            }
            !goes
        });
        self.let_go += (half.max(1) - left) as u64;
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&K, &Counts)> {
        self.rows.iter()
    }

    /// As it is written.
    pub(super) fn table(&self) -> Table<K> {
        let row = |(key, counts): (&K, &Counts)| Row { key: key.clone(), counts: *counts };
        let mut rows: Vec<Row<K>> = self.rows.iter().map(row).collect();
        rows.sort_unstable_by(|one, two| {
            let by_count = two.counts.sum().cmp(&one.counts.sum());
            by_count.then_with(|| one.key.cmp(&two.key))
        });
        Table { rows, other: self.other, let_go: self.let_go }
    }
}
