//! What the commands of the README print: a document of all of it, and excerpts in the README itself.

use super::between;
use crate::transcripts::Transcripts;
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/FIRST_POLICY.md";
pub(super) const README: &str = "README.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from docs/transcripts.json. -->
# The first policy, and the demo

What [the README](../README.md#first-policy) has a reader type, with all that it prints. It was recorded
(`./dev vm --row 6.12/operate --check readme. --record`) in a VM with nothing but the single file and a shell, on Linux
";

const AFTER: &str = "
`readme.first-policy` takes the commands out of the README at each run of that row, and wants the secret denied and its
neighbour not, each hook proven, the policy signed by whom it says, and the same words as here: another time, process, key
or kernel is no difference.
";

/// Where each excerpt goes: the marks, the transcript, the line that it begins with, and the one before which it ends.
const EXCERPTS: [([&str; 2], &str, &str, &str); 2] = [
    (
        ["<!-- first policy -->\n", "<!-- end of first policy -->\n"],
        "first-policy",
        "# cat secret",
        "# no more",
    ),
    (["<!-- demo -->\n", "<!-- end of demo -->\n"], "demo", "ENFORCING in tier ", ""),
];

/// The document.
pub(super) fn text(record: &Transcripts) -> Result<String> {
    let mut out = format!("{HEAD}{}.\n{AFTER}", record.kernel);
    for (name, title) in [("first-policy", "The first policy"), ("demo", "The demo")] {
        let _ = write!(out, "\n## {title}\n\n{}", block(lines(record, name)?));
    }
    Ok(out)
}

/// Where the tables go that are excerpts of other documents.
const TABLES: [[&str; 2]; 2] =
    [["<!-- kernels -->\n", "<!-- end of kernels -->\n"], ["<!-- costs -->\n", "<!-- end of costs -->\n"]];

/// The README as it is, with its excerpts anew.
pub(super) fn readme(record: &Transcripts, tables: &[String; 2], text: &str) -> Result<String> {
    let mut out = text.to_owned();
    for (marks, table) in TABLES.into_iter().zip(tables) {
        out = between(README, &out, marks, table)?;
    }
    for (marks, name, first, end) in EXCERPTS {
        let lines = lines(record, name)?.iter().skip_while(|line| !line.starts_with(first));
        let part: Vec<String> = lines.take_while(|line| line.as_str() != end).cloned().collect();
        if part.is_empty() {
            bail!("the transcript {name} has no line that begins with {first:?}");
        }
        out = between(README, &out, marks, &block(&part))?;
    }
    Ok(out)
}

fn lines<'a>(record: &'a Transcripts, name: &str) -> Result<&'a [String]> {
    let lines = record.transcripts.get(name).with_context(|| format!("no transcript {name} is recorded"))?;
    Ok(lines)
}

fn block(lines: &[String]) -> String {
    format!("```text\n{}\n```\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_begins_and_ends_where_it_should() -> Result<()> {
        let mut record = Transcripts::default();
        let of = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        record.transcripts.insert("first-policy".to_owned(), of("# echo\n# cat secret\nno\n# grep"));
        record.transcripts.insert("demo".to_owned(), of("# demo\n\nENFORCING in tier x\n  read\n\nevents"));
        let marks = EXCERPTS.map(|(marks, ..)| marks).into_iter().chain(TABLES);
        let text = marks.map(|[begin, end]| format!("{begin}old\n{end}")).collect::<Vec<_>>().concat();
        let tables = ["kernels\n".to_owned(), "costs\n".to_owned()];
        let made = readme(&record, &tables, &text)?;
        assert!(
            made.contains("<!-- kernels -->\nkernels\n<!-- end of kernels -->\n") && !made.contains("old")
        );
        assert!(
            made.contains("<!-- first policy -->\n```text\n# cat secret\nno\n# grep\n```\n<!-- end"),
            "{made}"
        );
        assert!(
            made.contains("<!-- demo -->\n```text\nENFORCING in tier x\n  read\n```\n<!-- end"),
            "{made}"
        );
        record.transcripts.insert("demo".to_owned(), of("# demo\nauditing"));
        assert!(readme(&record, &tables, &text).is_err());
        Ok(())
    }
}
