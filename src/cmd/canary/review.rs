//! The decisions of a phase, put together for the person who says which of them are false positives.

use std::{collections::BTreeMap, fmt::Write as _, fs::File, io::BufReader};

use serde::Deserialize;

use super::{
    agent::EVENTS,
    evidence::{Evidence, failed},
};
use crate::{
    event::{Lines, Numbered},
    exit::Failure,
};

/// So many kinds are told apart; the others are counted together.
const KINDS: usize = 4096;
/// So many are shown.
const SHOWN: usize = 50;

/// What a person needs of a decision.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    what: String,
    rule: u32,
    operation: String,
    path: String,
    #[serde(default)]
    exe: String,
}

#[derive(Debug, Deserialize)]
struct Decision {
    #[serde(flatten)]
    kind: Kind,
    count: u64,
}

/// Decisions by their kinds.
#[derive(Debug, Default)]
pub(super) struct Review {
    kinds: BTreeMap<Kind, u64>,
    others: u64,
}

impl Review {
    /// Reads the events of a phase.
    pub(super) fn of(dir: &Evidence) -> Result<Self, Failure> {
        let path = dir.path().join(EVENTS);
        let mut events = Lines::of(BufReader::new(File::open(&path).map_err(failed(&path))?));
        let mut review = Self::default();
        while let Some(Numbered { line, .. }) = events.next_line().map_err(failed(&path))? {
            if let Ok(line) = line {
                review.line(line);
            }
        }
        Ok(review)
    }

    /// Takes a line; those that are no decisions are for others.
    fn line(&mut self, line: &[u8]) {
        let Ok(Decision { kind, count }) = serde_json::from_slice(line) else { return };
        if self.kinds.len() < KINDS || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += count;
        } else {
            self.others += count;
        }
    }

    /// As a table in Markdown, the most frequent first.
    pub(super) fn table(&self) -> String {
        if self.kinds.is_empty() {
            return "No decision was told.\n".to_owned();
        }
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by(|one, other| other.1.cmp(one.1));
        let mut out = "| times | what | operation | path | by | rule | verdict of the review |\n\
                       | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
        // Writing to a string cannot fail.
        for (kind, count) in kinds.iter().take(SHOWN) {
            let (path, exe) = (cell(&kind.path), cell(&kind.exe));
            let _ = writeln!(
                out,
                "| {count} | {} | {} | {path} | {exe} | {} | |",
                cell(&kind.what),
                cell(&kind.operation),
                kind.rule
            );
        }
        let left = kinds.iter().skip(SHOWN).map(|(_, count)| **count).sum::<u64>() + self.others;
        if left > 0 {
            let _ = writeln!(out, "\nAnd {left} others: `{EVENTS}` has them all.");
        }
        out
    }
}

/// Text that others chose, as code that cannot leave its cell.
fn cell(text: &str) -> String {
    let safe: String = text
        .chars()
        .map(|letter| match letter {
            '|' => '¦',
            '`' => '\'',
            letter if letter.is_control() => ' ',
            letter => letter,
        })
        .collect();
    if safe.is_empty() { String::new() } else { format!("`{safe}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_put_together() {
        let mut review = Review::default();
        let line = |path: &str, count: u32| {
            format!(
                r#"{{"schema_version":1,"seq":4,"type":"deny","rule":1,"operation":"read","path":"{path}","count":{count},"uid":0}}"#
            )
        };
        for text in
            [&line("/a|b`", 2), &line("/a|b`", 3), &line("/c", 9), r#"{"type":"lost","events":3}"#, "{"]
        {
            review.line(text.as_bytes());
        }
        let table = review.table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            ["| 9 | `deny` | `read` | `/c` |  | 1 | |", "| 5 | `deny` | `read` | `/a¦b'` |  | 1 | |"]
        );
    }

    #[test]
    fn there_is_room_for_so_many_kinds() {
        let mut review = Review::default();
        for n in 0..KINDS + 3 {
            let line = format!(r#"{{"type":"deny","rule":1,"operation":"read","path":"/{n}","count":1}}"#);
            review.line(line.as_bytes());
        }
        assert_eq!((review.kinds.len(), review.others), (KINDS, 3));
        assert!(review.table().contains("others"));
    }
}
