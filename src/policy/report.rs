//! Collects diagnostics, within bounds.

use nom::Offset;

use super::code::Severity;
use super::diagnostic::{Diagnostic, locate};
use super::fault::Fault;
use super::limits;

/// A line of the file, without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: u32,
    pub(super) text: &'a str,
}

/// The diagnostics so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    /// The first warning that is not shown, and how many there are.
    hidden: Option<(u32, usize)>,
    /// Whether reading on is of no use.
    stopped: bool,
}

impl Report {
    /// A fault of a part of a line.
    pub(super) fn at(&mut self, line: Line<'_>, part: &str, fault: &Fault) {
        self.add(line.number, fault, |new| new.point(line.text, line.text.offset(part), part.len()));
    }

    /// A fault of the whole entry on a line; of the file, if the line is 0.
    pub(super) fn on(&mut self, line: u32, fault: &Fault) {
        self.add(line, fault, |new| new);
    }

    /// Ends reading.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// All diagnostics, in the order of the lines.
    pub(super) fn finish(mut self, source: &[u8]) -> Vec<Diagnostic> {
        if let Some((line, hidden)) = self.hidden {
            self.found.push(Diagnostic::new(&Fault::MoreWarnings { hidden }, line));
        }
        locate(&mut self.found, source);
        self.found.sort_by_key(|found| (found.line, found.col, found.code));
        self.found
    }

    fn add(&mut self, line: u32, fault: &Fault, place: impl FnOnce(Diagnostic) -> Diagnostic) {
        match fault.code().severity() {
            Severity::Error if self.errors == limits::DIAGNOSTICS => {
                if !self.stopped {
                    self.found.push(Diagnostic::new(&Fault::TooManyErrors, line));
                }
                self.stop();
            }
            Severity::Warning if self.warnings == limits::DIAGNOSTICS => {
                let (first, hidden) = self.hidden.unwrap_or((line, 0));
                self.hidden = Some((first.min(line), hidden + 1));
            }
            severity => {
                match severity {
                    Severity::Error => self.errors += 1,
                    Severity::Warning => self.warnings += 1,
                }
                self.found.push(place(Diagnostic::new(fault, line)));
            }
        }
    }
}
