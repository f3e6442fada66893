//! `aegisbpf audit`

use serde::Serialize;

use crate::{
    agent::{AgentError, Journal},
    audit::{self, Deed, Entry, Outcome},
    cli::{AuditCommand, AuditShowArgs, JsonArgs, Places},
    cmd::{print, print_json},
    exit::{self, Exit, Failure},
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    sound: bool,
    first: u64,
    last: u64,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Place>,
}

#[derive(Serialize)]
struct Place {
    file: String,
    line: usize,
    why: String,
}

/// Runs the command.
pub(super) fn run(command: AuditCommand, places: &Places) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Verify(args) => verify(args, places),
        AuditCommand::Show(args) => show(args, places),
    }
}

/// Goes through the whole log.
fn verify(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let journal = Journal::of(&places.dirs());
    if let Some(why) = journal.unseen() {
        exit::note(&format!("the kernel was not asked for the end of the log: {why}"));
    }
    match journal.verify()? {
        Ok(sound) if args.json => {
            let audit::Sound { first, last, notes } = sound;
            print_json(&Report { schema_version: 1, sound: true, first, last, notes, fault: None })?;
            Ok(Exit::Done)
        }
        Ok(sound) => {
            print(&match sound.last {
                0 => "the audit log is empty\n".to_owned(),
                last => format!("the audit log is sound: entries {} to {last}\n", sound.first),
            })?;
            sound.notes.iter().for_each(|note| exit::note(note));
            Ok(Exit::Done)
        }
        Err(audit::Fault { file, line, why }) if args.json => {
            let fault = Some(Place { file, line, why });
            print_json(&Report {
                schema_version: 1,
                sound: false,
                first: 0,
                last: 0,
                notes: Vec::new(),
                fault,
            })?;
            Ok(Exit::Trust)
        }
        Err(fault) => Err(Failure::new(Exit::Trust, fault).hint(
            "keep a copy of the log; what is recorded from here on is checked against the line of now",
        )),
    }
}

/// Lists the latest entries.
fn show(args: AuditShowArgs, places: &Places) -> Result<Exit, Failure> {
    let journal = Journal::of(&places.dirs());
    let entries: Result<Vec<Entry>, _> = journal.log().latest().take(args.lines).collect();
    let mut lines = Vec::new();
    for entry in entries.map_err(AgentError::from)?.iter().rev() {
        lines.push(if args.json {
            serde_json::to_string(entry).map_err(|error| Failure::new(Exit::Bug, error))? + "\n"
        } else {
            line(entry)
        });
    }
    if lines.is_empty() && !args.json {
        lines.push("nothing was ever recorded here\n".to_owned());
    }
    print(&lines.concat())?;
    Ok(Exit::Done)
}

fn line(entry: &Entry) -> String {
    let Entry { seq, time, who, deed, .. } = entry;
    let result = match deed.result {
        Outcome::Intended => "about to",
        Outcome::Done => "done",
        Outcome::Refused => "REFUSED",
    };
    let time = time.get(..19).unwrap_or_default();
    let login = who.loginuid.map(|uid| format!(" (logged in as {uid})")).unwrap_or_default();
    let details = details(deed);
    format!("{seq:>5}  {time}  {:<15} {result:<8}  uid {}{login}{details}\n", deed.what.word(), who.uid)
}

fn details(deed: &Deed) -> String {
    let number = |generation: Option<u64>| generation.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let mut text = String::new();
    if deed.from.is_some() || deed.to.is_some() {
        text = format!("  {} -> {}", number(deed.from), number(deed.to));
    }
    let words = [
        deed.sha256.map(|sha256| sha256.to_string().get(..12).unwrap_or_default().to_owned()),
        deed.signed_by.as_ref().map(|signer| format!("signed by {signer}")),
        deed.trial.map(|seconds| format!("on trial for {seconds} s")),
        deed.reason.as_ref().map(|reason| reason.replace(char::is_control, " ")),
    ];
    words.into_iter().flatten().fold(text, |text, word| text + "  " + &word)
}
