//! The verdict about one row of the matrix: what the guest said against what it had to say.

use crate::vm::End;
use guest::Line;
use std::collections::BTreeSet;

/// Something that is wrong with a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The check, or the part of the rig.
    pub(crate) id: String,
    pub(crate) detail: String,
}

/// What came of a row.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Checks that passed.
    pub(crate) passed: Vec<String>,
    pub(crate) faults: Vec<Fault>,
    /// Checks without a result.
    pub(crate) missing: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl Verdict {
    /// A row that did not get as far as a VM.
    pub(crate) fn not_run(detail: String) -> Self {
        let mut verdict = Self::default();
        verdict.fault("row", detail);
        verdict
    }

    pub(crate) fn failed(&self) -> usize {
        self.faults.len() + self.missing.len()
    }

    /// Each failure in words, for the end of a long output.
    pub(crate) fn failures(&self, row: &str) -> Vec<String> {
        let faults = self.faults.iter().map(|fault| format!("{row} {}: {}", fault.id, fault.detail));
        let missing = self.missing.iter().map(|id| format!("{row} {id}: no result"));
        faults.chain(missing).collect()
    }

    /// Whether a check passed, and nothing is wrong with its result.
    pub(crate) fn has_passed(&self, id: &str) -> bool {
        self.passed.iter().any(|passed| passed == id) && self.faults.iter().all(|fault| fault.id != id)
    }

    fn fault(&mut self, id: &str, detail: impl Into<String>) {
        self.faults.push(Fault { id: id.to_owned(), detail: detail.into() });
    }
}

/// What was seen of a VM.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) lines: Vec<Line>,
    pub(crate) end: End,
    /// An excerpt of the console, when that had trouble.
    pub(crate) trouble: Option<String>,
    /// The end of the console, for a guest that ended too early.
    pub(crate) console_tail: String,
}

/// Judges a row. Nothing is taken for granted: each expected check has to have exactly one result, nothing else may
/// have one, the guest's own count has to agree, and the console has to be quiet.
pub(crate) fn judge(expected: &[String], seen: &Seen) -> Verdict {
    let mut verdict = Verdict::default();
    if expected.is_empty() {
        verdict.fault("row", "it has no checks");
    }
    let mut open: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let (mut running, mut done) = (None, None);
    let mut failed_checks = 0;
    for line in &seen.lines {
        match line {
            Line::Run(id) => running = Some(id.as_str()),
            Line::Ok(id) if open.remove(id.as_str()) => verdict.passed.push(id.clone()),
            Line::Ok(id) => {
                verdict.fault(id, "passed, but is not a check of this row, or for the second time");
            }
            Line::Fail { id, detail } => {
                failed_checks += usize::from(open.remove(id.as_str()));
                verdict.fault(id, detail.as_str());
            }
            Line::Note(text) => verdict.notes.push(text.clone()),
            Line::Report(_)
            | Line::Metrics { .. }
            | Line::Transcript { .. }
            | Line::Figure(_)
            | Line::Unmeasured { .. } => {}
            Line::Done { passed, failed } => done = Some((*passed, *failed)),
            Line::Exit(_) => verdict.fault("row", "the guest ran a command instead of checks"),
        }
    }
    verdict.missing = expected.iter().filter(|id| open.contains(id.as_str())).cloned().collect();
    if let Some(counted) = done {
        let ours = (verdict.passed.len(), failed_checks);
        if counted != ours {
            verdict.fault(
                "row",
                format!("the guest counts {counted:?} (passed, failed), its lines say {ours:?}"),
            );
        }
    } else {
        let last = running.filter(|id| open.contains(id)).unwrap_or("none");
        let tail = if seen.trouble.is_none() { seen.console_tail.as_str() } else { "" };
        verdict.fault("row", format!("no @done line; the check that was running: {last}\n{tail}"));
    }
    judge_end(&mut verdict, seen);
    verdict
}

fn judge_end(verdict: &mut Verdict, seen: &Seen) {
    match seen.end {
        End::TimedOut(limit) => verdict.fault("time-limit", format!("stopped after {} s", limit.as_secs())),
        End::Exited(status) if !status.success() => verdict.fault("qemu", format!("ended with {status}")),
        End::Exited(_) | End::Trouble | End::Stopped => {}
    }
    if let Some(excerpt) = &seen.trouble {
        verdict.fault("console", excerpt.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;
    use std::time::Duration;

    fn expected() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    fn seen(text: &str) -> Seen {
        Seen {
            lines: text.lines().filter_map(Line::parse).collect(),
            end: End::Exited(ExitStatus::from_raw(0)),
            trouble: None,
            console_tail: String::new(),
        }
    }

    fn counts(text: &str) -> (usize, usize) {
        let verdict = judge(&expected(), &seen(text));
        (verdict.passed.len(), verdict.failed())
    }

    #[test]
    fn only_a_complete_row_passes() {
        assert_eq!(counts("@run a\n@ok a\n@run b\n@ok b\n@done 2 0\n"), (2, 0));
        assert_eq!(counts("@ok a\n@fail b why\n@done 1 1\n"), (1, 1));
        assert_eq!(counts("@ok a\n@done 1 0\n"), (1, 1), "b is missing");
        assert_eq!(counts("@ok a\n@ok b\n"), (2, 1), "no @done");
        assert_eq!(counts("@ok a\n@ok b\n@done 1 0\n"), (2, 1), "wrong count");
        assert_eq!(counts("@ok a\n@ok b\n@ok c\n@done 2 0\n"), (2, 1), "unknown check");
        assert_eq!(counts("@ok a\n@ok a\n@ok b\n@done 2 0\n"), (2, 1), "twice");
        assert_eq!(counts("@fail init module\n@ok a\n@ok b\n@done 2 0\n"), (2, 1), "the init failed");
        assert_eq!(counts(""), (0, 3), "did not boot");
    }

    #[test]
    fn a_row_without_checks_fails() {
        assert_eq!(judge(&[], &seen("@done 0 0\n")).failed(), 1);
    }

    #[test]
    fn trouble_and_ends_fail_a_row_whose_checks_passed() {
        let text = "@ok a\n@ok b\n@done 2 0\n";
        let trouble = Seen { trouble: Some("Oops: 0000".to_owned()), ..seen(text) };
        assert_eq!(judge(&expected(), &trouble).failed(), 1);
        let hung = Seen { end: End::TimedOut(Duration::from_secs(9)), ..seen(text) };
        assert_eq!(judge(&expected(), &hung).failed(), 1);
        let crashed = Seen { end: End::Exited(ExitStatus::from_raw(256)), ..seen(text) };
        assert_eq!(judge(&expected(), &crashed).failed(), 1);
    }

    #[test]
    fn a_hang_is_blamed_on_the_check_that_was_running() {
        let verdict = judge(&expected(), &seen("@run a\n@ok a\n@run b\n"));
        assert_eq!(verdict.missing, ["b"]);
        assert!(verdict.faults.iter().any(|fault| fault.detail.contains("running: b")), "{verdict:?}");
    }
}
