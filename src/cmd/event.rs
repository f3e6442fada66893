//! `aegisbpf event`

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use serde::Serialize;

use crate::{
    cli::{EventCommand, EventValidateArgs},
    cmd::{print, print_json},
    event::{self, BadLine, Lines, Numbered},
    exit::{Exit, Failure},
};

/// So many bad lines are told, and the others counted.
const TOLD: usize = 20;

#[derive(Debug, Default, Serialize)]
struct Report {
    schema_version: u32,
    valid: bool,
    events: u64,
    /// Valid events, by type.
    types: BTreeMap<&'static str, u64>,
    invalid: u64,
    /// The first of those that are invalid.
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Fault {
    line: u64,
    why: String,
}

/// Runs the command.
pub(super) fn run(command: &EventCommand) -> Result<Exit, Failure> {
    let EventCommand::Validate(args) = command;
    validate(args)
}

fn validate(args: &EventValidateArgs) -> Result<Exit, Failure> {
    let unreadable = |source: io::Error| {
        let named = args.file.display();
        Failure::new(Exit::Io, format!("{named}: it could not be read: {source}"))
            .hint("name a file that can be read, or `-` for standard input")
    };
    let report = if args.file == Path::new("-") {
        judge(io::stdin().lock())
    } else {
        File::open(&args.file).and_then(|file| judge(BufReader::new(file)))
    };
    let report = report.map_err(unreadable)?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&report.text())?;
    }
    Ok(if report.valid { Exit::Done } else { Exit::Input })
}

/// Goes through the lines, of which one is in memory at a time.
fn judge(lines: impl BufRead) -> io::Result<Report> {
    let mut report = Report { schema_version: 1, ..Report::default() };
    let mut lines = Lines::of(lines);
    while let Some(Numbered { number, line }) = lines.next_line()? {
        report.events = number;
        match kind(line) {
            Ok(kind) => *report.types.entry(kind).or_default() += 1,
            Err(why) => report.refuse(why),
        }
    }
    report.valid = report.invalid == 0;
    Ok(report)
}

fn kind(line: Result<&[u8], BadLine>) -> Result<&'static str, String> {
    let bytes = line.map_err(|bad| bad.to_string())?;
    let text = std::str::from_utf8(bytes).map_err(|fault| format!("it is not UTF-8: {fault}"))?;
    event::check(text).map_err(|unfit| unfit.to_string())
}

impl Report {
    fn refuse(&mut self, why: String) {
        self.invalid += 1;
        if self.faults.len() < TOLD {
            self.faults.push(Fault { line: self.events, why });
        }
    }

    fn text(&self) -> String {
        let types: Vec<String> = self.types.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if self.valid {
            let types = if types.is_empty() { String::new() } else { format!(": {}", types.join(", ")) };
            return format!("{} events, all valid{types}\n", self.events);
        }
        let faults = self.faults.iter().map(|fault| format!("line {}: {}", fault.line, fault.why));
        let more = self.invalid - self.faults.len() as u64;
        let more = (more > 0).then(|| format!("and {more} more"));
        let sum = format!("{} of {} events are not valid\n", self.invalid, self.events);
        faults.chain(more).chain([sum]).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: &str = r#"{"schema_version":1,"time":"2026-01-02T03:04:05.000000006Z","boot_id":"","seq":1,"host":"h","tier":"bpf-lsm","type":"lost","events":1,"total":2,"reason":"kernel"}"#;

    fn judged(text: impl AsRef<[u8]>) -> Report {
        judge(text.as_ref()).unwrap()
    }

    #[test]
    fn an_end_without_a_line_feed_and_one_with_it_are_the_same() {
        for text in [LOST.to_owned(), format!("{LOST}\n")] {
            assert_eq!(judged(text).text(), "1 events, all valid: 1 lost\n");
        }
        assert_eq!(judged("").text(), "0 events, all valid\n");
        assert_eq!(judged(format!("{LOST}\n\n{LOST}\n")).invalid, 1);
    }

    #[test]
    fn a_line_without_end_is_one_fault() {
        let long = "x".repeat(300_000);
        let report = judged(format!("{LOST}\n{long}\n{LOST}\n"));
        assert_eq!((report.events, report.invalid, report.faults[0].line), (3, 1, 2));
        assert!(report.faults[0].why.contains("longer than 65536"));
        assert_eq!(judged(long).invalid, 1);
    }

    #[test]
    fn the_first_faults_are_told_and_the_others_counted() {
        let mut bytes = b"\xff\n".repeat(25);
        bytes.extend_from_slice(LOST.as_bytes());
        let report = judged(bytes);
        assert_eq!((report.faults.len(), report.invalid), (20, 25));
        assert!(report.text().contains("line 1: it is not UTF-8"));
        assert!(report.text().ends_with("and 5 more\n25 of 26 events are not valid\n"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let report = judged(&bytes);
            proptest::prop_assert_eq!(report.valid, report.invalid == 0);
        }
    }
}
