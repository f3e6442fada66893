use std::{
    fs::{self, File},
    io::Write as _,
};

use super::*;

struct Scratch {
    _dir: tempfile::TempDir,
    log: Log,
    who: Who,
}

fn scratch() -> Scratch {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let log = Log::at(&dir.path().join("state"), &dir.path().join("run"));
    Scratch { _dir: dir, log, who: Who::current() }
}

impl Scratch {
    fn put(&self, to: u64) -> Head {
        let deed =
            Deed { to: Some(to), ..Deed::new(What::Apply, Outcome::Done).because(format!("number {to}")) };
        self.log.lock().and_then(|writer| writer.append(&self.who, deed, None)).expect("an entry")
    }

    fn verdict(&self) -> Result<Sound, Fault> {
        let noted = self.log.noted().expect("a head").map(|head| ("the runtime directory", head));
        verify(&self.log.files().expect("files"), noted.as_slice())
    }

    fn text(&self) -> Vec<u8> {
        fs::read(self.log.path(0)).expect("a log")
    }

    fn set(&self, bytes: &[u8]) {
        fs::write(self.log.path(0), bytes).expect("tampering");
    }

    fn forget_head(&self) {
        fs::remove_file(self.log.head_path()).expect("a head");
    }
}

fn five() -> Scratch {
    let scratch = scratch();
    for to in 1..=5 {
        assert_eq!(scratch.put(to).seq, to);
    }
    assert_eq!(scratch.verdict().map(|sound| (sound.first, sound.last, sound.notes)), Ok((1, 5, Vec::new())));
    scratch
}

#[test]
fn every_changed_byte_is_found() {
    let scratch = five();
    let text = scratch.text();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        scratch.set(&changed);
        assert!(scratch.verdict().is_err(), "byte {at}");
    }
    scratch.set(&text);
    assert!(scratch.verdict().is_ok());
}

#[test]
fn every_cut_is_found_while_the_end_is_known() {
    let scratch = five();
    let text = scratch.text();
    // Without its last line feed the last entry is there as a whole.
    for length in 0..text.len() - 1 {
        scratch.set(&text[..length]);
        assert!(scratch.verdict().is_err(), "cut to {length} bytes");
    }
    let four = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(3).expect("a line").0 + 1;
    scratch.set(&text[..four]);
    scratch.forget_head();
    let sound = scratch.verdict().expect("nobody knows of the fifth");
    assert_eq!(sound.last, 4);
    assert!(sound.notes[0].contains("could not be checked"), "{:?}", sound.notes);
}

#[test]
fn removed_moved_doubled_and_foreign_lines_are_found() {
    let scratch = five();
    let text = scratch.text();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let foreign = b"{\"schema_version\":1}\n".as_slice();
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        removed.remove(at);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        let mut put_in = lines.clone();
        put_in.insert(at, foreign);
        let mut swapped = lines.clone();
        swapped.swap(at, (at + 1) % 5);
        for (what, lines) in
            [("removed", removed), ("doubled", doubled), ("put in", put_in), ("swapped", swapped)]
        {
            scratch.set(&lines.concat());
            assert!(scratch.verdict().is_err(), "{what} at {at}");
        }
    }
    fs::remove_file(scratch.log.path(0)).expect("a log");
    assert!(scratch.verdict().is_err(), "all of it");
}

#[test]
fn what_was_tampered_with_stays_found_when_the_log_goes_on() {
    for (length, why) in [(0, "had been written"), (40, "had been written")] {
        let scratch = five();
        let text = scratch.text();
        scratch.set(&text[..length]);
        let head = scratch.put(6);
        assert_eq!(head.seq, 7, "one entry says that the log is broken");
        let fault = scratch.verdict().expect_err("broken").to_string();
        assert!(fault.contains(why), "{fault}");
        scratch.put(7);
        assert!(scratch.verdict().is_err());
    }
}

#[test]
fn an_entry_that_was_never_ours_is_found_at_the_end() {
    let scratch = five();
    let text = scratch.text();
    let noted = scratch.log.noted().expect("a head").expect("a head");
    scratch.put(6);
    scratch.put(7);
    let json = serde_json::to_vec(&noted).expect("JSON");
    fs::write(scratch.log.head_path(), json).expect("the head of before");
    assert!(scratch.verdict().is_err(), "two entries beyond the head");
    scratch.set(&text);
    assert!(scratch.verdict().is_ok());
}

#[test]
fn a_torn_line_is_kept_and_recorded() {
    let scratch = five();
    let mut file = File::options().append(true).open(scratch.log.path(0)).expect("a log");
    file.write_all(b"{\"schema_version\":1,\"seq\":6,\"pr").expect("half a line");
    let sound = scratch.verdict().expect("a writer may be interrupted");
    assert!(sound.notes[0].contains("not whole"), "{:?}", sound.notes);
    assert_eq!(scratch.put(6).seq, 7);
    let text = String::from_utf8(scratch.text()).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8);
    assert!(lines[5].ends_with("\"pr") && lines[6].contains("\"recovered\""), "{text}");
    assert_eq!(scratch.verdict().map(|sound| (sound.last, sound.notes)), Ok((7, Vec::new())));
    // Neither the rest of the line nor what stands before it can be changed afterwards.
    for (from, to) in [("\"pr\n", "\"px\n"), ("number 5", "number 4")] {
        scratch.set(text.replacen(from, to, 1).as_bytes());
        assert!(scratch.verdict().is_err(), "{to}");
    }
}

#[test]
fn a_missing_line_feed_is_put_in() {
    let scratch = five();
    let text = scratch.text();
    scratch.set(&text[..text.len() - 1]);
    assert!(scratch.verdict().is_ok());
    assert_eq!(scratch.put(6).seq, 6);
    assert_eq!(scratch.verdict().map(|sound| sound.last), Ok(6));
}

#[test]
fn an_entry_that_could_not_be_noted_is_taken_for_one() {
    let scratch = five();
    let noted = fs::read(scratch.log.head_path()).expect("a head");
    scratch.put(6);
    fs::write(scratch.log.head_path(), noted).expect("as if it had been interrupted");
    assert_eq!(scratch.verdict().map(|sound| sound.last), Ok(6));
    assert_eq!(scratch.put(7).seq, 7);
    assert_eq!(scratch.verdict().map(|sound| sound.last), Ok(7));
}

#[test]
fn rotation_keeps_the_chain() {
    let scratch = scratch();
    let line = scratch.put(1);
    assert_eq!(line.seq, 1);
    let reason = "x".repeat(1000);
    // The first file gets as long as one may; the others are short, and moved by the same renames.
    while scratch.log.path(1).symlink_metadata().is_err() {
        let deed = Deed::new(What::KeyChange, Outcome::Done).because(reason.clone());
        scratch.log.lock().and_then(|writer| writer.append(&scratch.who, deed, None)).expect("an entry");
    }
    assert!(fs::metadata(scratch.log.path(1)).expect("a full file").len() <= FILE_BYTES);
    assert!(scratch.verdict().is_ok());
    for round in 0..u64::from(KEEP) {
        scratch.put(round);
        scratch.log.lock().expect("the lock").rotate().expect("room");
    }
    scratch.put(9);
    let files = scratch.log.files().expect("files");
    assert!(files.full && files.files.len() == KEEP as usize + 1, "{}", files.files.len());
    let sound = scratch.verdict().expect("sound");
    assert!(sound.first > 1 && sound.notes[0].contains("rotated"), "{sound:?}");
    for number in 1..KEEP {
        let path = scratch.log.path(number);
        let bytes = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("a file");
        assert!(scratch.verdict().is_err(), "file {number} is gone");
        fs::write(&path, bytes).expect("a file");
    }
    fs::remove_file(scratch.log.path(KEEP)).expect("the oldest");
    assert!(scratch.verdict().is_err(), "the oldest went without a rotation");
}

#[test]
fn the_change_that_counts() {
    let scratch = scratch();
    let record = |what, result, to| {
        let deed = Deed { to: Some(to), ..Deed::new(what, result) };
        scratch.log.lock().and_then(|writer| writer.append(&scratch.who, deed, None)).expect("an entry");
        scratch.log.last_change().expect("a log").map(|entry| (entry.deed.result, entry.deed.to))
    };
    assert_eq!(record(What::BreakGlassOn, Outcome::Done, 0), None);
    assert_eq!(record(What::Apply, Outcome::Intended, 1), Some((Outcome::Intended, Some(1))));
    assert_eq!(record(What::Apply, Outcome::Done, 1), Some((Outcome::Done, Some(1))));
    assert_eq!(record(What::Apply, Outcome::Intended, 2), Some((Outcome::Intended, Some(2))));
    // Another one, which never got so far.
    assert_eq!(record(What::Apply, Outcome::Refused, 3), Some((Outcome::Intended, Some(2))));
    assert_eq!(record(What::Apply, Outcome::Refused, 2), Some((Outcome::Done, Some(1))));
}
