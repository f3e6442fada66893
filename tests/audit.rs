//! The audit log, where nothing is in force: what is on record of commands, and what of it can be tampered with unseen.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        fs::write(dir.path().join("secret"), "x").expect("a scratch file");
        Self { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn aegisbpf(&self, args: &[&str]) -> Output {
        let dir = |name: &str| self.at(name).display().to_string();
        Command::new(env!("CARGO_BIN_EXE_aegisbpf"))
            .args(args)
            .args(["--state-dir", &dir("state"), "--config-dir", &dir("etc"), "--run-dir", &dir("run")])
            .args(["--bpffs", &dir("bpffs")])
            .output()
            .expect("the binary runs")
    }

    fn ends(&self, args: &[&str], code: i32) -> Output {
        let output = self.aegisbpf(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn policy(&self, name: &str, more: &str) -> String {
        let path = self.at(name);
        let text = format!("version=2\n# {name}\n{more}[deny_path]\n{}\n", self.at("secret").display());
        fs::write(&path, text).expect("a scratch file");
        path.display().to_string()
    }

    fn apply(&self, name: &str) {
        self.ends(&["policy", "apply", &self.policy(name, "")], 0);
    }

    /// What, result, from and to of each entry.
    fn entries(&self) -> Vec<(String, String, Option<u64>, Option<u64>)> {
        let shown = self.ends(&["audit", "show", "--json", "-n", "1000"], 0).stdout;
        let shown = String::from_utf8(shown).expect("UTF-8");
        let entry = |line: &str| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let word = |name: &str| entry[name].as_str().expect("a word").to_owned();
            (word("what"), word("result"), entry["from"].as_u64(), entry["to"].as_u64())
        };
        shown.lines().map(entry).collect()
    }

    fn log(&self) -> PathBuf {
        self.at("state/audit.log")
    }

    /// Wants the log to be found wrong, with the place.
    fn found(&self, what: &str) {
        let output = self.ends(&["audit", "verify"], 78);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("audit.log"), "{what}: {text}");
        let report: Value =
            serde_json::from_slice(&self.ends(&["audit", "verify", "--json"], 78).stdout).expect("JSON");
        assert_eq!(report["sound"], false, "{what}");
        assert!(report["fault"]["line"].as_u64() > Some(0), "{what}: {report}");
    }

    fn sound(&self) -> String {
        let output = self.ends(&["audit", "verify"], 0);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

fn owned(
    entries: &[(&str, &str, Option<u64>, Option<u64>)],
) -> Vec<(String, String, Option<u64>, Option<u64>)> {
    entries.iter().map(|(what, result, from, to)| ((*what).into(), (*result).into(), *from, *to)).collect()
}

#[test]
fn what_was_done_is_on_record() {
    let host = Host::new();
    assert_eq!(host.entries(), []);
    host.apply("one");
    host.apply("two");
    host.ends(&["policy", "rollback"], 0);
    let faulty = host.policy("faulty", "[nonsense]\n");
    host.ends(&["policy", "apply", &faulty], 65);
    let wrong = "0".repeat(64);
    host.ends(&["policy", "apply", &host.policy("two", ""), "--sha256", &wrong], 78);
    let missing = host.policy("missing", "[deny_path]\n/nonexistent/file\n");
    host.ends(&["policy", "apply", &missing], 65);
    let expected = [
        ("apply", "intended", None, Some(1)),
        ("apply", "done", None, Some(1)),
        ("apply", "intended", Some(1), Some(2)),
        ("apply", "done", Some(1), Some(2)),
        ("rollback", "intended", Some(2), Some(1)),
        ("rollback", "done", Some(2), Some(1)),
        ("apply", "refused", None, None),
        ("apply", "refused", None, None),
        ("apply", "refused", None, None),
    ];
    assert_eq!(host.entries(), owned(&expected));
    assert_eq!(host.sound(), "");
    let mode = fs::metadata(host.log()).expect("a log").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let shown = String::from_utf8(host.ends(&["audit", "show", "-n", "2"], 0).stdout).expect("UTF-8");
    assert_eq!(shown.lines().count(), 2);
    assert!(shown.contains("REFUSED") && shown.contains("/nonexistent/file"), "{shown}");
    let entry = fs::read_to_string(host.log()).expect("a log");
    let entry: Value = serde_json::from_str(entry.lines().next().expect("an entry")).expect("JSON");
    assert_eq!(entry["who"]["uid"], rustix::process::getuid().as_raw());
    assert!(entry["who"]["exe"].as_str().is_some_and(|exe| exe.ends_with("aegisbpf")), "{entry}");
    assert!(
        entry["who"]["pid"].as_u64() > Some(1)
            && entry["time"].as_str().is_some_and(|time| time.ends_with('Z'))
    );
}

#[test]
fn a_refusal_makes_no_state_directory() {
    let host = Host::new();
    host.ends(&["policy", "apply", &host.policy("faulty", "[nonsense]\n")], 65);
    assert!(!host.at("state").exists());
}

#[test]
fn tampering_is_found_by_the_command() {
    let host = Host::new();
    host.apply("one");
    host.apply("two");
    let text = fs::read(host.log()).expect("a log");
    let set = |bytes: &[u8]| fs::write(host.log(), bytes).expect("tampering");
    // Each region of a line in the middle and of the last one: keys, numbers, hashes, times, names, the line feed.
    for at in (0..text.len()).step_by(37) {
        let mut changed = text.clone();
        changed[at] = changed[at].wrapping_add(1);
        set(&changed);
        host.found(&format!("byte {at}"));
    }
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (what, bytes) in [
        ("the last line is gone", lines[..3].concat()),
        ("the first line is gone", lines[1..].concat()),
        ("a line is gone", [lines[0], lines[2], lines[3]].concat()),
        ("two lines are swapped", [lines[0], lines[2], lines[1], lines[3]].concat()),
        ("a line is there twice", [lines[0], lines[1], lines[1], lines[2], lines[3]].concat()),
        ("everything is gone", Vec::new()),
    ] {
        set(&bytes);
        host.found(what);
    }
    fs::remove_file(host.log()).expect("a log");
    host.found("the file is gone");
    set(&text);
    assert_eq!(host.sound(), "");
    // Only the runtime directory knows the end; it goes with a reboot, and that is said.
    set(&lines[..3].concat());
    fs::remove_file(host.at("run/audit.head")).expect("a head");
    assert!(host.sound().contains("could not be checked"));
}

#[test]
fn a_log_that_was_tampered_with_goes_on_and_stays_wrong() {
    let host = Host::new();
    host.apply("one");
    let text = fs::read(host.log()).expect("a log");
    fs::write(host.log(), text.split_inclusive(|byte| *byte == b'\n').next().expect("a line"))
        .expect("tampering");
    host.apply("two");
    assert_eq!(host.entries()[1].0, "broken");
    host.found("an entry is gone");
}

#[test]
fn an_interrupted_change_is_told_of_by_the_next() {
    let host = Host::new();
    host.apply("one");
    host.apply("two");
    let text = fs::read(host.log()).expect("a log");
    let end = fs::read(host.at("run/audit.head")).expect("a head");
    let intended =
        text.split_inclusive(|byte| *byte == b'\n').take(3).flatten().copied().collect::<Vec<u8>>();
    // As if the second apply had died before it said that it was done; and as if it had died before it was.
    for (current, result) in [("2\n", "done"), ("1\n", "refused")] {
        fs::write(host.log(), &intended).expect("the log of then");
        fs::remove_file(host.at("run/audit.head")).expect("a head");
        fs::write(host.at("state/current"), current).expect("the pointer");
        host.ends(&["policy", "rollback", "--to", "2"], 0);
        let entries = host.entries();
        assert_eq!(entries[3], ("apply".into(), result.into(), Some(1), Some(2)), "{entries:?}");
        assert!(host.sound().is_empty());
    }
    fs::write(host.log(), &text).expect("the log of before");
    fs::write(host.at("run/audit.head"), end).expect("the head of before");
    host.sound();
}

#[test]
fn many_writers_make_one_chain() {
    const EACH: usize = 8;
    let host = Host::new();
    host.apply("one");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let host = &host;
            scope.spawn(move || {
                for round in 0..EACH {
                    let word = if (writer + round) % 2 == 0 { "on" } else { "off" };
                    host.ends(&["break-glass", word, "--reason", "at the same time"], 0);
                    host.sound();
                }
            });
        }
    });
    assert_eq!(host.entries().len(), 2 + 4 * EACH);
    assert_eq!(host.sound(), "");
}

#[test]
fn nothing_changes_unrecorded() {
    let host = Host::new();
    host.apply("one");
    let (one, two) = (host.log(), host.policy("two", ""));
    let current = || fs::read_to_string(host.at("state/current")).expect("a current generation");
    let refused = |what: &str| {
        let text = String::from_utf8(host.ends(&["policy", "apply", &two], 74).stderr).expect("UTF-8");
        assert!(text.contains("audit") && text.contains("hint:"), "{what}: {text}");
        assert_eq!(current(), "1\n", "{what}");
        host.ends(&["policy", "rollback", "--to", "1"], 74);
    };
    let kept = fs::read(&one).expect("a log");
    let with = |make: &dyn Fn(&Path)| {
        fs::remove_file(&one).expect("a log");
        make(&one);
    };
    // A link, a directory and a pipe are no logs, whatever they lead to.
    with(&|path| symlink(host.at("elsewhere"), path).expect("a link"));
    refused("a link");
    assert!(!host.at("elsewhere").exists());
    with(&|path| fs::create_dir(path).expect("a directory"));
    refused("a directory");
    fs::remove_dir(&one).expect("a directory");
    fs::write(&one, &kept).expect("the log");
    // The runtime directory, which has to know the end, is a file.
    fs::rename(host.at("run"), host.at("away")).expect("a directory");
    fs::write(host.at("run"), "").expect("a file");
    refused("no runtime directory");
    fs::remove_file(host.at("run")).expect("a file");
    fs::rename(host.at("away"), host.at("run")).expect("a directory");
    host.ends(&["policy", "apply", &two], 0);
    assert_ne!(current(), "1\n");
    host.sound();
}

#[test]
fn who_is_trusted_does_not_change_unrecorded() {
    let host = Host::new();
    let key = host.at("key").display().to_string();
    host.ends(&["keys", "generate", "--output", &key], 0);
    let public = format!("{key}.pub");
    for _twice in 0..2 {
        host.ends(&["keys", "add", &public, "--principal", "ops"], 0);
    }
    host.ends(&["keys", "revoke", &public], 0);
    let log = fs::read_to_string(host.log()).expect("a log");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("\"key_change\"")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, word) in lines.iter().zip(["added SHA256:", "revoked SHA256:"]) {
        assert!(line.contains(word) && line.contains(" ops") && line.contains("\"done\""), "{line}");
    }
    host.sound();
    // A change that cannot be recorded is made all the same, and says so: to revoke must not depend on a log.
    fs::remove_file(host.log()).expect("a log");
    fs::create_dir(host.log()).expect("a directory");
    let other = host.at("other").display().to_string();
    host.ends(&["keys", "generate", "--output", &other], 0);
    let text = host.ends(&["keys", "revoke", &format!("{other}.pub")], 74).stderr;
    assert!(String::from_utf8_lossy(&text).contains("was revoked all the same"));
}
