//! The language by example. Each fault has its own golden policy below `tests/policies`; here stands what a corpus of
//! small files cannot show: numbers, merging, bounds.

use std::path::Path;

use super::reader::Reader;
use super::{
    CgroupRef, Code, Device, Diagnostic, InodeRule, Ops, Policy, Severity, Timestamp, limits, locate, parse,
    print, render,
};

/// The policy of a text that has no fault.
fn accepted(text: &str) -> Policy {
    let (policy, warnings) = parse(text.as_bytes()).unwrap();
    assert_eq!(warnings, [], "{text}");
    policy
}

fn codes(found: &[Diagnostic]) -> Vec<Code> {
    found.iter().map(|diagnostic| diagnostic.code).collect()
}

fn refused(text: &[u8]) -> Vec<Code> {
    codes(&parse(text).unwrap_err())
}

#[test]
fn version_1_takes_the_whole_line() {
    let policy =
        accepted("version=1\n[deny_path]\n  /srv/a, b (1).txt \n[allow_cgroup]\n/sys/fs/cgroup/a b\n");
    assert_eq!(policy.version, 1);
    assert_eq!(policy.paths.first().unwrap().path, Path::new("/srv/a, b (1).txt"));
    assert_eq!(policy.paths.first().unwrap().ops, Ops::ALL);
    assert_eq!(policy.allow.first().unwrap().cgroup, CgroupRef::Path("/sys/fs/cgroup/a b".into()));
}

#[test]
fn existing_files_may_be_written_on_any_system() {
    let written = "version=1\n[deny_inode]\n2050 : 7\n[deny_path]\n/srv/x\n[allow_cgroup]\ncgid: 12";
    let expected = parse(written.as_bytes()).unwrap().0;
    let crlf = parse(written.replace('\n', "\r\n").as_bytes()).unwrap().0;
    assert_eq!(crlf, expected);
    let (marked, warnings) = parse(format!("\u{feff}{written}\n").as_bytes()).unwrap();
    assert_eq!(marked, expected);
    assert!(codes(&warnings).contains(&Code::ByteOrderMark));
}

#[test]
fn ids_count_rules_of_all_kinds_in_file_order() {
    let text = "version=2\n[deny_tree]\n/srv/t\n[deny_inode]\n8:1:5\n[deny_path]\n/srv/p\n/srv/q\n[deny_inode]\n8:1:6\n";
    let policy = accepted(text);
    let ids = |rules: &[super::PathRule]| rules.iter().map(|rule| rule.id).collect::<Vec<_>>();
    assert_eq!(ids(&policy.trees), [1]);
    assert_eq!(policy.inodes.iter().map(|rule| rule.id).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(ids(&policy.paths), [3, 4]);
    assert_eq!(print(&policy).matches("[deny_inode]").count(), 2);
    assert_eq!(accepted(&print(&policy)).inodes.last().unwrap().id, 5);
}

#[test]
fn rules_on_the_same_file_are_one_rule() {
    let text = "version=2\n[deny_path]\n/srv/a read\n/srv/b\n/srv//a exec\n/srv/a read\n";
    let (policy, warnings) = parse(text.as_bytes()).unwrap();
    assert_eq!(codes(&warnings), [Code::MergedRule, Code::DuplicateRule]);
    assert_eq!(policy.paths.len(), 2);
    let rule = policy.paths.first().unwrap();
    assert_eq!((rule.id, rule.line, rule.ops), (1, 3, Ops::READ.union(Ops::EXEC)));
    assert_eq!(policy.paths.last().unwrap().id, 2);
}

#[test]
fn devices_are_in_the_encoding_of_the_kernel() {
    let policy = accepted("version=1\n[deny_inode]\n8:1:77\n8388609:78\n45:79\n4095:1048575:80\n");
    let devices: Vec<Device> = policy.inodes.iter().map(|rule| rule.dev).collect();
    assert_eq!(devices.first(), devices.get(1));
    assert_eq!(devices.first().unwrap().to_string(), "8:1");
    assert_eq!(devices.get(2).unwrap().kernel(), 45);
    assert_eq!(devices.get(3).unwrap().kernel(), u32::MAX);
    assert_eq!(Device::new(4096, 0), None);
    assert_eq!(Device::new(0, 1 << 20), None);
}

#[test]
fn settings_are_typed() {
    let text = "version=2\n[settings]\npolicy_version = 7\nnot_before=2026-01-01\nexpires=2026-12-31T23:59:59Z # UTC\n\
                host=web-*\ndescription=\"web servers # first\"\n[deny_path]\n/srv/x\n";
    let settings = accepted(text).settings;
    assert_eq!(settings.policy_version, Some(7));
    assert_eq!(settings.not_before, Timestamp::from_unix(1_767_225_600));
    assert_eq!(settings.expires, Timestamp::from_unix(1_798_761_599));
    assert!(settings.host.as_ref().unwrap().matches("web-7"));
    assert_eq!(settings.description.as_deref(), Some("web servers # first"));
}

#[test]
fn bytes_that_are_not_utf8_are_escaped_and_come_back() {
    let policy = accepted("version=2\n[deny_path]\n\"/srv/caf\\xe9 #1\" read # one byte\n");
    let rule = policy.paths.first().unwrap();
    assert_eq!(rule.path.as_os_str().as_encoded_bytes(), b"/srv/caf\xe9 #1");
    assert!(print(&policy).ends_with("\"/srv/caf\\xE9 #1\" read\n"));
    let json = serde_json::to_value(&policy).unwrap();
    assert_eq!(json.pointer("/paths/0/path").unwrap(), "/srv/caf\\xE9 #1");
    assert_eq!(json.pointer("/paths/0/ops").unwrap(), &serde_json::json!(["read"]));
}

#[test]
fn the_longest_path_fits_a_line_in_its_longest_spelling() {
    let name = vec![0xFF_u8; limits::NAME_BYTES];
    let mut path = [b"/", name.as_slice()].concat().repeat(15);
    path.extend(std::iter::once(b'/').chain(std::iter::repeat_n(0xFF, limits::PATH_BYTES - path.len() - 1)));
    let text = format!("version=2\n[deny_path]\n{} read,write,exec\n", super::quote(&path));
    assert_eq!(accepted(&text).paths.first().unwrap().path.as_os_str().len(), limits::PATH_BYTES);
}

#[test]
fn bounds_are_named() {
    let long = format!("version=1\n# {}\n", "x".repeat(limits::LINE_BYTES));
    assert_eq!(refused(long.as_bytes()), [Code::LineTooLong]);
    assert_eq!(refused(&vec![b'\n'; limits::FILE_BYTES + 1]), [Code::FileTooLarge]);
    let many = "version=1\n[deny_path]\n".to_owned() + &"x\n".repeat(100_000);
    let found = refused(many.as_bytes());
    assert_eq!(found.len(), limits::DIAGNOSTICS + 1);
    assert_eq!(found.last(), Some(&Code::TooManyErrors));
}

#[test]
fn too_many_entries() {
    let rule = InodeRule { id: 1, dev: Device::from_kernel(1), ino: 1, ops: Ops::ALL, line: 3 };
    let mut reader = Reader::default();
    reader.policy.inodes = vec![rule; limits::ENTRIES - 1];
    reader.read(b"version=2\n[deny_inode]\n8:1:1\n[allow_cgroup]\ncgid:7\n[no\n");
    assert_eq!(codes(&reader.report.finish(b"")), [Code::TooManyEntries]);
}

#[test]
fn warnings_are_counted_beyond_the_bound() {
    let text = "version=1\n[deny_inode]\n".to_owned() + &"8:1:5\n".repeat(1001);
    let (policy, warnings) = parse(text.as_bytes()).unwrap();
    assert_eq!(policy.rules(), 1);
    assert_eq!(warnings.len(), limits::DIAGNOSTICS + 1);
    assert_eq!(warnings.last().unwrap().message, "950 more warnings from here on");
}

#[test]
fn critical_files_are_safe_in_a_scope() {
    let rules = "[deny_path]\n/bin/sh\n[deny_tree]\n/usr\n";
    let everywhere = parse(format!("version=2\n{rules}").as_bytes()).unwrap().1;
    assert_eq!(codes(&everywhere), [Code::CriticalPath, Code::CriticalTree]);
    accepted(&format!("version=2\n[scope_cgroup]\n/sys/fs/cgroup/jobs\n{rules}"));
    let root = parse(format!("version=2\n[scope_cgroup]\ncgid:1\n{rules}").as_bytes()).unwrap().1;
    assert_eq!(codes(&root), codes(&everywhere));
}

#[test]
fn diagnostics_found_elsewhere_get_their_place() {
    let source = b"\xef\xbb\xbfversion=1\r\n[deny_path]\r\n  /srv/\xc3\xa9\r\n";
    let mut found = [Diagnostic::warning(Code::HardLinks, 3, "two names").with_fix("look")];
    locate(&mut found, source);
    let [diagnostic] = &found;
    assert_eq!((diagnostic.col, diagnostic.len), (3, 6));
    assert_eq!(diagnostic.source, "  /srv/é");
    assert_eq!(diagnostic.severity, Severity::Warning);
    let shown = render(&found, "p.conf", source, false);
    assert!(shown.contains("--> p.conf:3:3"), "{shown}");
    assert!(shown.contains("^^^^^^"), "{shown}");
    let beyond = [Diagnostic::error(Code::PathMissing, 99, "no such line")];
    assert!(render(&beyond, "p.conf", source, false).contains("no such line"));
}

#[test]
fn text_of_the_file_cannot_steer_a_terminal() {
    let text = "version=2\n[deny_path]\n/srv/\u{1b}[2J\n\u{202e}x\n[\u{9b}]\n";
    for colour in [false, true] {
        let found = parse(text.as_bytes()).unwrap_err();
        let shown = render(&found, "p\u{1b}]0;x.conf", text.as_bytes(), colour);
        assert!(!shown.contains("\u{1b}[2J") && !shown.contains(['\u{202e}', '\u{9b}']), "{shown}");
        assert!(!shown.contains("\u{1b}]"), "{shown}");
    }
}

#[test]
fn codes_are_unique_and_ordered() {
    assert!(Code::ALL.iter().map(|code| code.id()).is_sorted_by(|a, b| a < b));
    for code in Code::ALL {
        let id = code.id();
        assert_eq!(id.starts_with("P0"), code.severity() == Severity::Error && !id.starts_with("P2"), "{id}");
    }
}
