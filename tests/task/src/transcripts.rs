//! What the commands of the README print, kept in the tree: the documents show it, and each run of the row says the same.

use crate::record;
use crate::release::Release;
use anyhow::Result;
use guest::Line;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file, below the top of the tree.
const RECORD: &str = "docs/transcripts.json";
/// The row that is recorded and compared: on other kernels and in other tiers other things are said.
const ROW: &str = "6.12/operate";

/// Every recorded transcript, by its name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transcripts {
    /// What `uname -r` said.
    pub(crate) kernel: String,
    /// Commands, each behind `# `, with the lines that they printed.
    pub(crate) transcripts: BTreeMap<String, Vec<String>>,
}

impl Transcripts {
    /// What a row told; `None` where that is nothing to keep.
    pub(crate) fn of(row: &str, kernel: &Release, lines: &[Line]) -> Option<Self> {
        let told = lines.iter().filter_map(|line| match line {
            Line::Transcript { name, text } => {
                Some((name.clone(), text.lines().map(str::to_owned).collect()))
            }
            _ => None,
        });
        let transcripts: BTreeMap<_, _> = told.collect();
        (row == ROW && !transcripts.is_empty()).then(|| Self { kernel: kernel.uname(), transcripts })
    }

    /// Reads the record.
    pub(crate) fn read() -> Result<Self> {
        record::read(RECORD)
    }

    /// Puts these in the place of what was recorded of the same names before.
    pub(crate) fn keep(mut self) -> Result<()> {
        let mut all = Self::read()?.transcripts;
        all.append(&mut self.transcripts);
        record::write(RECORD, &Self { kernel: self.kernel, transcripts: all })
    }

    /// Where these say something else than the record, but for what is another at each run.
    pub(crate) fn differences(&self, record: &Self) -> Vec<String> {
        let nothing = Vec::new();
        let mut found = Vec::new();
        for (name, lines) in &self.transcripts {
            let kept = record.transcripts.get(name).unwrap_or(&nothing);
            let of = |lines: &[String]| lines.iter().filter_map(|line| lasting(line)).collect::<Vec<_>>();
            let (kept, now) = (of(kept), of(lines));
            let first = (0..kept.len().max(now.len())).find(|at| kept.get(*at) != now.get(*at));
            if let Some(at) = first {
                let line = |of: &[String]| of.get(at).cloned().unwrap_or_else(|| "no more".to_owned());
                found.push(format!(
                    "{name} is recorded with {:?}, and now it is {:?}; `./dev vm --row {ROW} --check readme. --record` and \
                     `./dev docs` write it anew",
                    line(&kept),
                    line(&now)
                ));
            }
        }
        found
    }
}

/// What of a line is the same at each run: no times, processes, keys, versions and kernels, and not how it is set. What the
/// agent has counted is there some seconds later, so that line may be missing.
fn lasting(line: &str) -> Option<String> {
    let mut before = "";
    let words = line.split_whitespace().map(|word| {
        let kept = word_lasts(before, word);
        before = word;
        kept
    });
    let line = words.collect::<Vec<_>>().join(" ");
    (!line.starts_with("decided ")).then_some(line)
}

fn word_lasts(before: &str, word: &str) -> String {
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let of = |head: &'static str| word.strip_prefix(head).map(|_| head.to_owned());
    let demo = "/tmp/aegisbpf-demo-";
    let is_time = word.len() > 20 && word.get(10..11) == Some("T") && word.ends_with('Z');
    match before {
        "Linux" | "aegisbpf" if word.starts_with(|c: char| c.is_ascii_digit()) => {
            return "VERSION".to_owned();
        }
        "pid" | "proven" | "events" if number(word) => return "N".to_owned(),
        _ if is_time => return "TIME".to_owned(),
        _ => {}
    }
    if let Some(rest) = word.strip_prefix(demo) {
        return format!("{demo}N{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    let found = of("SHA256:").or_else(|| of("AAAAC3NzaC1lZDI1NTE5")).or_else(|| of("pid="));
    found.unwrap_or_else(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ./aegisbpf status\nHEALTHY: enforcing, tier bpf-lsm\n\
        attached   full: 18 of 18 hooks, proven 1 s ago\nevents     0 told, 0 lost\nagent      running, pid 146\n\
        256 SHA256:txaN2mqHgx guest (ED25519)\n\
        2026-11-27T00:24:55.082281540Z DENY read /root/first/secret rule=1 pid=161 hook=file_open\n\
        read /tmp/aegisbpf-demo-184/secret      \"the secret\"\naegisbpf 0.1.0 on Debian, Linux 6.12.117+deb13";

    fn told(text: &str) -> Transcripts {
        let line = Line::Transcript { name: "one".to_owned(), text: text.to_owned() };
        Transcripts::of(ROW, &Release::new("6.12.117+deb13"), &[line]).expect("a transcript")
    }

    #[test]
    fn another_run_says_the_same() {
        let mut again = TEXT.replace("pid 146", "pid 7").replace("pid=161", "pid=9").replace(" 1 s", " 12 s");
        again = again.replace("events     0", "decided    1 denied\nevents     1");
        for (one, other) in
            [("txaN2", "K7"), ("55.08", "41.97"), ("demo-184/secret ", "demo-9/secret "), ("0.1.0", "0.2.0")]
        {
            again = again.replace(one, other);
        }
        assert_ne!(again, TEXT);
        assert_eq!(told(&again).differences(&told(TEXT)), Vec::<String>::new());
    }

    #[test]
    fn whatever_else_changes_is_found() {
        for (one, other) in [
            ("HEALTHY", "DEGRADED"),
            ("18 of 18", "17 of 18"),
            ("secret rule=1", "secret rule=2"),
            ("demo-184/secret", "demo-184/other"),
            ("# ./aegisbpf status\n", ""),
            ("256 SHA256:txaN2mqHgx guest (ED25519)\n", ""),
        ] {
            let changed = TEXT.replace(one, other);
            assert_ne!(changed, TEXT);
            assert_eq!(told(&changed).differences(&told(TEXT)).len(), 1, "{one}");
        }
        assert_eq!(told(TEXT).differences(&Transcripts::default()).len(), 1);
    }

    #[test]
    fn other_rows_are_not_compared() {
        let line = Line::Transcript { name: "one".to_owned(), text: TEXT.to_owned() };
        let kernel = Release::new("6.12.117+deb13");
        assert_eq!(Transcripts::of("6.12/operate-no-lsm", &kernel, &[line]), None);
        assert_eq!(Transcripts::of(ROW, &kernel, &[]), None);
    }
}
