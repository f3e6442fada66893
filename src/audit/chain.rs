//! Whether the lines of a log are those that were written, all of them, in their order. Pure: bytes in, a verdict out.

use super::{Entry, Head, What};
use crate::policy::Digest;

/// The files of a log.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Name and content, the oldest first.
    pub files: Vec<(String, Vec<u8>)>,
    /// Whether so many are there that older ones were let go.
    pub full: bool,
}

/// A log in which every line follows from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// Number of the first entry that is there.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// What could not be checked, or has to be known.
    pub notes: Vec<String>,
}

/// The first place where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// A line and where it stands.
#[derive(Clone, Copy)]
struct Line<'a> {
    file: &'a str,
    number: usize,
    bytes: &'a [u8],
    ended: bool,
}

impl Line<'_> {
    fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { file: self.file.to_owned(), line: self.number, why: why.into() }
    }
}

fn lines(files: &Files) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (file, bytes) in &files.files {
        for (index, bytes) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let (bytes, ended) = bytes.strip_suffix(b"\n").map_or((bytes, false), |bytes| (bytes, true));
            lines.push(Line { file, number: index + 1, bytes, ended });
        }
    }
    lines
}

/// Goes through a log. `heads` are the ends of it that were noted elsewhere, with the place.
pub fn verify(files: &Files, heads: &[(&'static str, Head)]) -> Result<Sound, Fault> {
    let lines = lines(files);
    let mut walk = Walk { heads: heads.to_vec(), ..Walk::default() };
    let mut broken = None;
    for line in &lines {
        walk.step(*line, files.full, &mut broken)?;
    }
    if let Some(torn) = walk.torn {
        if torn.ended {
            return Err(torn.fault("this is no entry"));
        }
        walk.sound.notes.push(format!(
            "{}:{}: the line is not whole: its writer was interrupted, and the next one will record that",
            torn.file, torn.number
        ));
    }
    if let Some(broken) = broken {
        return Err(broken);
    }
    walk.end(&lines)?;
    Ok(walk.sound)
}

#[derive(Default)]
struct Walk<'a> {
    sound: Sound,
    /// Of the last whole entry's line.
    hash: Option<Digest>,
    torn: Option<Line<'a>>,
    heads: Vec<(&'static str, Head)>,
    met: Vec<&'static str>,
}

impl<'a> Walk<'a> {
    fn step(&mut self, line: Line<'a>, full: bool, broken: &mut Option<Fault>) -> Result<(), Fault> {
        let Some(entry) = Entry::parse(line.bytes) else {
            return match self.torn.replace(line) {
                None => Ok(()),
                Some(earlier) => Err(earlier.fault("this is no entry")),
            };
        };
        self.follows(line, &entry, full)?;
        if entry.deed.what == What::Broken && broken.is_none() {
            let why = entry.deed.reason.clone().unwrap_or_default();
            *broken = Some(line.fault(format!("the next writer found: {why}")));
        }
        let hash = Digest::of(line.bytes);
        for (place, head) in self.heads.iter().filter(|(_, head)| head.seq == entry.seq) {
            if head.sha256 != hash {
                return Err(line.fault(format!("{place} knows another entry {}", entry.seq)));
            }
            self.met.push(place);
        }
        if self.sound.first == 0 {
            self.sound.first = entry.seq;
        }
        self.sound.last = entry.seq;
        self.hash = Some(hash);
        Ok(())
    }

    /// Whether an entry is the next one.
    fn follows(&mut self, line: Line<'_>, entry: &Entry, full: bool) -> Result<(), Fault> {
        let seq = entry.seq;
        let before = match self.torn.take() {
            None => self.hash,
            Some(torn) if entry.deed.what == What::Recovered => {
                if entry.whole != Some(self.hash.unwrap_or(NONE)) && (self.hash.is_some() || !full) {
                    return Err(torn.fault("the line before it is not the one that was written"));
                }
                Some(Digest::of(torn.bytes))
            }
            Some(torn) if entry.deed.what == What::Broken => Some(Digest::of(torn.bytes)),
            Some(torn) => return Err(torn.fault("this is no entry")),
        };
        let follows = before.is_none_or(|before| before == entry.prev);
        match (self.sound.last, before) {
            (0, None) if seq == 1 && entry.prev != NONE => {
                Err(line.fault("the first entry names one before it"))
            }
            (0, None) if seq != 1 && !full && entry.deed.what != What::Broken => {
                Err(line.fault(format!("the log begins with entry {seq}: those before it are gone")))
            }
            (0, None) if seq != 1 => {
                self.sound.notes.push(format!("entries before {seq} were let go when the log was rotated"));
                Ok(())
            }
            _ if !follows => Err(line.fault(
                "the line before it is not the one that was written: it was changed, removed, put in or moved",
            )),
            (last, _) if seq != last + 1 && entry.deed.what != What::Broken => {
                Err(line.fault(format!("entry {seq} follows on entry {last}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the log ends where it was last seen to end.
    fn end(&mut self, lines: &[Line<'_>]) -> Result<(), Fault> {
        let end = lines.last().copied();
        let fault = |why: String| match end {
            Some(line) => line.fault(why),
            None => Fault { file: super::NAME.to_owned(), line: 1, why },
        };
        let last = self.sound.last;
        for (place, head) in &self.heads {
            if head.seq > last {
                return Err(fault(format!(
                    "the log ends with entry {last}, and {place} knows entry {}",
                    head.seq
                )));
            }
            if !self.met.contains(place) && head.seq >= self.sound.first {
                return Err(fault(format!("entry {}, which {place} knows, is gone", head.seq)));
            }
        }
        match self.heads.iter().map(|(_, head)| head.seq).max() {
            None if last > 0 => self.sound.notes.push(
                "whether entries are missing at the end, and whether the last one was changed, could not be checked: neither the kernel nor the runtime directory knows an end of the log"
                    .to_owned(),
            ),
            // A writer that was interrupted may have written one more than it could note.
            Some(newest) if last > newest + 1 => {
                return Err(fault(format!("the log was last written by us with entry {newest}, and has {last}")));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What the first entry names as the line before it.
pub(super) const NONE: Digest = Digest::from_bytes([0; 32]);
