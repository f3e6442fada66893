//! Changes of a policy's text, line by line: what is not changed stays as it was written, with its comments.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt as _, path::Path};

use super::{
    print::{is_line, written},
    types::{CgroupRef, Ops, Policy},
};

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

/// What becomes of lines, by their numbers from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The new line; `None`: it goes.
    replaced: BTreeMap<usize, Option<String>>,
    /// Lines that come behind a line.
    added: BTreeMap<usize, Vec<String>>,
}

/// One line of old and new text side by side.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Same(&'a [u8]),
    Removed(&'a [u8]),
    Added(&'a [u8]),
}

impl Edits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.added.is_empty()
    }

    /// Adds entries to `[allow_cgroup]`. `text` is that of the policy.
    pub fn allow(&mut self, text: &[u8], policy: &Policy, entries: &[String]) {
        let last = policy.allow.iter().map(|entry| number(entry.line)).max();
        let new = self.added.entry(last.unwrap_or_else(|| lines(text).len())).or_default();
        if last.is_none() {
            new.extend([String::new(), "[allow_cgroup]".to_owned()]);
        }
        new.extend_from_slice(entries);
    }

    /// Leaves the rule on this line with these operations, or with none removes it.
    pub fn narrow(&mut self, text: &[u8], line: u32, ops: Ops) {
        let old = lines(text).get(number(line).saturating_sub(1)).copied().unwrap_or_default();
        let new = (ops != Ops::NONE).then(|| with_ops(String::from_utf8_lossy(old).trim(), ops));
        self.replaced.insert(number(line), new);
    }

    /// What stands in the place of a line that is replaced.
    pub fn line(&self, line: u32) -> Option<String> {
        self.replaced.get(&number(line)).cloned().flatten()
    }

    /// The changed text.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for step in self.steps(text) {
            if let Step::Same(line) | Step::Added(line) = step {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
        out
    }

    /// The change as a unified diff, as `patch` takes it.
    pub fn unified(&self, name: &Path, text: &[u8]) -> Vec<u8> {
        let steps = self.steps(text);
        let is_change = |(index, step): (usize, &Step<'_>)| (!matches!(step, Step::Same(_))).then_some(index);
        let changed: Vec<usize> = steps.iter().enumerate().filter_map(is_change).collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let name = name.as_os_str().as_bytes();
        let mut out = [b"--- ", name, b"\n+++ ", name, b"\n"].concat();
        let mut rest = changed.as_slice();
        while let Some(first) = rest.first() {
            // What lies closer together than twice the context is one hunk.
            let is_near = |pair: &&[usize]| matches!(pair, [a, b] if b - a <= 2 * CONTEXT + 1);
            let near = rest.windows(2).take_while(is_near).count();
            let last = rest.get(near).unwrap_or(first);
            let end = (last + CONTEXT + 1).min(steps.len());
            hunk(&mut out, &steps, first.saturating_sub(CONTEXT)..end, text.ends_with(b"\n"));
            rest = rest.get(near + 1..).unwrap_or_default();
        }
        out
    }

    fn steps<'a>(&'a self, text: &'a [u8]) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        let old = lines(text);
        for (line, old) in (1..).zip(&old) {
            match self.replaced.get(&line) {
                None => steps.push(Step::Same(old)),
                Some(new) => {
                    steps.push(Step::Removed(old));
                    steps.extend(new.iter().map(|new| Step::Added(new.as_bytes())));
                }
            }
            steps.extend(self.added.get(&line).into_iter().flatten().map(|new| Step::Added(new.as_bytes())));
        }
        // The changed text ends with a line feed, whether or not the old one did.
        if !text.ends_with(b"\n")
            && let Some(at) = steps.iter().rposition(|step| !matches!(step, Step::Added(_)))
            && let Some(Step::Same(last)) = steps.get(at).copied()
        {
            steps.splice(at..=at, [Step::Removed(last), Step::Added(last)]);
        }
        steps
    }
}

fn number(line: u32) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX)
}

/// The lines of a text without their line feeds; none is behind the last one.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').collect()
}

/// Writes the steps of one hunk. Where the old text is not `ended` by a line feed, `patch` wants to be told.
fn hunk(out: &mut Vec<u8>, steps: &[Step<'_>], range: std::ops::Range<usize>, ended: bool) {
    let is_old = |step: &&Step<'_>| !matches!(step, Step::Added(_));
    let is_new = |step: &&Step<'_>| !matches!(step, Step::Removed(_));
    let before = steps.get(..range.start).unwrap_or_default();
    let of = steps.get(range.clone()).unwrap_or_default();
    let span = |counts: &dyn Fn(&&Step<'_>) -> bool| {
        let (start, length) = (before.iter().filter(counts).count(), of.iter().filter(counts).count());
        // Of nothing, the line before is named.
        format!("{},{length}", start + usize::from(length > 0))
    };
    out.extend_from_slice(format!("@@ -{} +{} @@\n", span(&is_old), span(&is_new)).as_bytes());
    let last_old = steps.iter().rposition(|step| is_old(&step));
    for (index, step) in range.zip(of) {
        let (mark, line) = match step {
            Step::Same(line) => (b' ', line),
            Step::Removed(line) => (b'-', line),
            Step::Added(line) => (b'+', line),
        };
        out.push(mark);
        out.extend_from_slice(line);
        out.push(b'\n');
        if !ended && Some(index) == last_old {
            out.extend_from_slice(b"\\ No newline at end of file\n");
        }
    }
}

/// The line of a rule of version 2 with other operations, and the comment that it had.
fn with_ops(line: &str, ops: Ops) -> String {
    let (entry, rest) = line.split_at_checked(entry_length(line)).unwrap_or((line, ""));
    let comment = rest.find(['#']).and_then(|at| rest.get(at..)).map(|text| format!("  {text}"));
    let ops = if ops == Ops::ALL { String::new() } else { format!(" {ops}") };
    format!("{entry}{ops}{}", comment.unwrap_or_default())
}

/// Bytes of the entry that a line begins with: up to its closing quote, or to the first space.
fn entry_length(line: &str) -> usize {
    let Some(quoted) = line.strip_prefix('"') else {
        return line.find([' ', '\t']).unwrap_or(line.len());
    };
    let mut escaped = false;
    for (at, letter) in quoted.char_indices() {
        match letter {
            '"' if !escaped => return at + 2,
            other => escaped = other == '\\' && !escaped,
        }
    }
    line.len()
}

/// A cgroup as an entry of this policy; `None`: its language has no word for it.
pub fn cgroup_entry(policy: &Policy, cgroup: &CgroupRef) -> Option<String> {
    match cgroup {
        CgroupRef::Id(id) => Some(format!("cgid:{id}")),
        CgroupRef::Path(path) => {
            let version_1 = policy.version == 1;
            (!version_1 || is_line(path)).then(|| written(path, version_1).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;

    const TEXT: &str = "version=2\n# one\n[deny_path]\n/a read,exec   # why\n\"/b # \\\" c\" # too\n/d\n# x\n# y\n# z\n# last\n";

    fn parsed(text: &[u8]) -> Policy {
        parse(text).expect("a policy").0
    }

    fn edited(edit: impl Fn(&mut Edits)) -> (String, String) {
        let mut edits = Edits::default();
        edit(&mut edits);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (text(edits.apply(TEXT.as_bytes())), text(edits.unified(Path::new("p.conf"), TEXT.as_bytes())))
    }

    #[test]
    fn a_rule_is_narrowed_and_keeps_its_comment() {
        let (text, diff) = edited(|edits| {
            edits.narrow(TEXT.as_bytes(), 4, Ops::READ);
            edits.narrow(TEXT.as_bytes(), 5, Ops::EXEC);
            edits.narrow(TEXT.as_bytes(), 6, Ops::NONE);
        });
        assert!(text.contains("\n/a read  # why\n\"/b # \\\" c\" exec  # too\n# x\n"), "{text}");
        assert_eq!(parsed(text.as_bytes()).rules(), 2);
        assert_eq!(
            diff,
            "--- p.conf\n+++ p.conf\n@@ -1,9 +1,8 @@\n version=2\n # one\n [deny_path]\n-/a read,exec   # why\n\
             +/a read  # why\n-\"/b # \\\" c\" # too\n+\"/b # \\\" c\" exec  # too\n-/d\n # x\n # y\n # z\n"
        );
    }

    #[test]
    fn cgroups_come_behind_the_others_or_at_the_end() {
        let entry = ["/sys/fs/cgroup/x".to_owned()];
        let (text, diff) = edited(|edits| edits.allow(TEXT.as_bytes(), &parsed(TEXT.as_bytes()), &entry));
        assert!(text.ends_with("# last\n\n[allow_cgroup]\n/sys/fs/cgroup/x\n"), "{text}");
        assert!(diff.contains("@@ -8,3 +8,6 @@\n"), "{diff}");
        let before = "version=1\n[allow_cgroup]\n/sys/fs/cgroup/a\n[deny_path]\n/x";
        let mut edits = Edits::default();
        edits.allow(before.as_bytes(), &parsed(before.as_bytes()), &entry);
        let after = edits.apply(before.as_bytes());
        assert_eq!(parsed(&after).allow.len(), 2);
        let diff = String::from_utf8(edits.unified(Path::new("p"), before.as_bytes())).expect("UTF-8");
        assert!(diff.ends_with("-/x\n\\ No newline at end of file\n+/x\n"), "{diff}");
    }

    #[test]
    fn far_changes_are_hunks_of_their_own() {
        let rules: Vec<String> = (0..30).map(|number| format!("/{number}\n")).collect();
        let text = format!("version=2\n[deny_path]\n{}", rules.concat());
        let mut edits = Edits::default();
        edits.narrow(text.as_bytes(), 4, Ops::NONE);
        edits.narrow(text.as_bytes(), 25, Ops::READ);
        let diff = String::from_utf8(edits.unified(Path::new("p"), text.as_bytes())).expect("UTF-8");
        assert!(diff.contains("@@ -1,7 +1,6 @@\n") && diff.contains("@@ -22,7 +21,7 @@\n"), "{diff}");
    }

    #[test]
    fn a_name_that_version_1_has_no_word_for() {
        let (old, new) = (parsed(b"version=1\n"), parsed(b"version=2\n"));
        let hostile = CgroupRef::Path("/sys/fs/cgroup/a\nb c".into());
        assert_eq!(cgroup_entry(&old, &hostile), None);
        assert_eq!(cgroup_entry(&new, &hostile).as_deref(), Some("\"/sys/fs/cgroup/a\\x0Ab c\""));
    }
}
