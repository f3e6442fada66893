//! What holds for every input.

use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{
    CgroupEntry, CgroupRef, Device, HostPattern, InodeRule, Ops, PathRule, Policy, Settings, Timestamp,
};
use super::{parse, print, render};

const EXAMPLE: &str = include_str!("../../tests/policies/good/example.conf");

/// The policy without what printing changes: the lines.
fn without_lines(mut policy: Policy) -> Policy {
    policy.paths.iter_mut().chain(&mut policy.trees).for_each(|rule| rule.line = 0);
    policy.inodes.iter_mut().for_each(|rule| rule.line = 0);
    policy.allow.iter_mut().chain(&mut policy.scope).for_each(|entry| entry.line = 0);
    policy
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => select(b"abc.-_ #\"\\,*?=:[]x".as_slice()),
        1 => (1..=255_u8).prop_filter("a slash separates names", |byte| *byte != b'/'),
    ];
    let text = "[a-zé \u{200b}\u{202e}\u{3000}]{1,6}".prop_map(String::into_bytes);
    prop_oneof![prop::collection::vec(byte, 1..8), text]
        .prop_filter("not a name", |name| !matches!(name.as_slice(), b"." | b".."))
}

fn path() -> impl Strategy<Value = std::path::PathBuf> {
    prop::collection::vec(name(), 0..5).prop_map(|names| {
        let bytes = names.iter().fold(Vec::new(), |path, name| [path.as_slice(), b"/", name].concat());
        super::types::path_buf(if bytes.is_empty() { b"/" } else { &bytes })
    })
}

fn ops() -> impl Strategy<Value = Ops> {
    (1..=7_usize).prop_map(|bits| {
        let chosen = Ops::NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.fold(Ops::NONE, |ops, (_, (_, op))| ops.union(*op))
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let time = || (0..=Timestamp::MAX.unix()).prop_map(Timestamp::from_unix);
    let text = prop_oneof!["[ -~é\u{a0}\u{200b}]{1,40}", "[a-z #\"\\\\]{1,12}"];
    let host = "[a-z0-9*?._-]{1,12}".prop_map(|text| HostPattern::parse(&text));
    let times = (time(), time()).prop_filter("in order", |(from, to)| from < to);
    (prop::option::of(1..=u64::MAX), prop::option::of(times), prop::option::of(host), prop::option::of(text))
        .prop_map(|(policy_version, times, host, description)| {
            let (not_before, expires) = times.unwrap_or_default();
            Settings { policy_version, not_before, expires, host: host.flatten(), description }
        })
}

fn cgroups() -> impl Strategy<Value = Vec<CgroupEntry>> {
    let cgroup = prop_oneof![path().prop_map(CgroupRef::Path), (1..=u64::MAX).prop_map(CgroupRef::Id)];
    prop::collection::hash_set(cgroup, 0..4)
        .prop_map(|set| set.into_iter().map(|cgroup| CgroupEntry { cgroup, line: 0 }).collect())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Object {
    Path(std::path::PathBuf),
    Tree(std::path::PathBuf),
    Inode(Device, u64),
}

fn object() -> impl Strategy<Value = Object> {
    let inode =
        (1..=u32::MAX, 1..=u64::MAX).prop_map(|(dev, ino)| Object::Inode(Device::from_kernel(dev), ino));
    prop_oneof![path().prop_map(Object::Path), path().prop_map(Object::Tree), inode]
}

/// Any policy that the language can say, rules of all kinds mixed.
fn policy() -> impl Strategy<Value = Policy> {
    let rules = prop::collection::hash_map(object(), ops(), 0..12);
    (settings(), rules, cgroups(), cgroups()).prop_map(|(settings, rules, allow, scope)| {
        let mut policy = Policy { version: 2, settings, allow, scope, ..Policy::default() };
        for (id, (object, ops)) in (1..).zip(rules) {
            match object {
                Object::Path(path) => policy.paths.push(PathRule { id, path, ops, line: 0 }),
                Object::Tree(path) => policy.trees.push(PathRule { id, path, ops, line: 0 }),
                Object::Inode(dev, ino) => policy.inodes.push(InodeRule { id, dev, ino, ops, line: 0 }),
            }
        }
        policy
    })
}

/// Lines that look like the language, in any order.
fn soup() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "version=1",
        "version=2",
        "version = 2",
        "[deny_path]",
        "[deny_inode]",
        "[deny_tree]",
        "[allow_cgroup]",
        "[scope_cgroup]",
        "[settings]",
        "[deny_pth]",
        "[deny_ip]",
        "/srv/a",
        "/srv/a/",
        "/srv/a read",
        "\"/srv/a\"",
        "\"/srv/\\x41\" exec",
        "/srv/a b",
        "/srv/a # b",
        "/bin/sh exec",
        "8:1:5",
        "8:1:5 read,write",
        "2049:5",
        "8:1",
        "cgid:7",
        "cgid: 7",
        "policy_version=3",
        "expires=2030-01-01",
        "description= a  b #c",
        "# comment",
        "",
        " /srv/é\u{200b} ",
        "/srv/\u{200b}\u{7}",
        "/..",
        "relative",
        "host=*",
        "not_before=2031-01-01T00:00:00Z",
        "/srv/a\\x41",
        "\"",
        "\t",
    ];
    let line = prop_oneof![6 => select(WORDS).prop_map(str::to_owned), 1 => "[ -~]{0,12}"];
    prop::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

/// Everything that must hold for one input.
fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parsed = parse(bytes);
    let (Ok((_, found)) | Err(found)) = &parsed;
    prop_assert!(found.iter().map(|d| (d.line, d.col)).is_sorted());
    for diagnostic in found {
        let length = diagnostic.source.chars().count();
        let end = usize::try_from(diagnostic.col.saturating_sub(1) + diagnostic.len).unwrap();
        prop_assert!(end <= length, "{diagnostic:?}");
        prop_assert!(diagnostic.line == 0 || diagnostic.col > 0, "{diagnostic:?}");
        prop_assert!(serde_json::to_string(diagnostic).is_ok());
    }
    for colour in [false, true] {
        prop_assert_eq!(render(found, "p.conf", bytes, colour).is_empty(), found.is_empty());
    }
    let Ok((policy, _)) = parsed else { return Ok(()) };
    let printed = print(&policy);
    let again = parse(printed.as_bytes());
    let again =
        again.map_err(|found| TestCaseError::fail(render(&found, "printed", printed.as_bytes(), false)))?.0;
    prop_assert_eq!(print(&again), printed);
    prop_assert_eq!(without_lines(again), without_lines(policy));
    Ok(())
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(policy in policy()) {
        let printed = print(&policy);
        let read = parse(printed.as_bytes());
        prop_assert!(read.is_ok(), "{}\n{:?}", printed, read);
        prop_assert_eq!(without_lines(read.unwrap().0), policy);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes)?;
    }

    #[test]
    fn any_lines(text in soup(), version in select(["version=1\n", "version=2\n", ""].as_slice())) {
        holds(format!("{version}{text}").as_bytes())?;
    }

    #[test]
    fn any_change_of_a_good_policy(
        edits in prop::collection::vec((any::<Index>(), 0..4_u8, any::<u8>(), any::<Index>()), 1..8),
    ) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for (at, edit, byte, other) in edits {
            let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
            match edit {
                0 => bytes.insert(at, byte),
                1 => drop(bytes.remove(at)),
                2 => bytes.swap(at, other),
                _ => drop(bytes.splice(at..at, EXAMPLE.as_bytes().iter().copied().skip(other).take(usize::from(byte)))),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        holds(&bytes)?;
    }

    #[test]
    fn paths_have_one_spelling(path in path(), slashes in 1..4_usize) {
        let bytes = path.as_os_str().as_bytes();
        let times = |byte| if byte == b'/' { slashes } else { 1 };
        let spelled: Vec<u8> = bytes.iter().flat_map(|&byte| std::iter::repeat_n(byte, times(byte))).collect();
        let normal = super::path::normalize(&spelled).map(std::borrow::Cow::into_owned);
        prop_assert!(normal.is_ok_and(|normal| normal == bytes));
    }
}
