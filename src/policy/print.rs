//! The normalized file.

use std::borrow::Cow;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::text::{quote, quoted};
use super::types::{CgroupEntry, CgroupRef, Ops, Policy, Settings};

/// The policy as a file: comments gone, one spelling of everything, rules in the order of their ids so that they keep
/// them. Parsing it gives the policy back, apart from line numbers.
///
/// A policy of version 1 that holds what only version 2 can say is printed as version 2.
pub fn print(policy: &Policy) -> String {
    let version_1 = policy.version == 1 && fits_version_1(policy);
    let mut out = format!("version={}\n", if version_1 { 1 } else { 2 });
    settings(&mut out, &policy.settings);
    cgroups(&mut out, "scope_cgroup", &policy.scope, version_1);
    cgroups(&mut out, "allow_cgroup", &policy.allow, version_1);
    rules(&mut out, policy, version_1);
    out
}

fn fits_version_1(policy: &Policy) -> bool {
    let all = |ops| ops == Ops::ALL;
    let listed = |list: &[CgroupEntry]| {
        list.iter().all(|entry| match &entry.cgroup {
            CgroupRef::Path(path) => is_line(path),
            CgroupRef::Id(_) => true,
        })
    };
    policy.settings == Settings::default()
        && policy.scope.is_empty()
        && policy.trees.is_empty()
        && listed(&policy.allow)
        && policy.inodes.iter().all(|rule| all(rule.ops))
        && policy.paths.iter().all(|rule| all(rule.ops) && is_line(&rule.path))
}

/// Whether a path can stand on a line of version 1: printable UTF-8.
pub(super) fn is_line(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.chars().any(char::is_control))
}

fn settings(out: &mut String, settings: &Settings) {
    let mut lines = Vec::new();
    let mut line = |name, value: Option<String>| lines.extend(value.map(|value| format!("{name}={value}\n")));
    line("policy_version", settings.policy_version.map(|version| version.to_string()));
    line("not_before", settings.not_before.map(|time| time.to_string()));
    line("expires", settings.expires.map(|time| time.to_string()));
    line("host", settings.host.as_ref().map(ToString::to_string));
    line("description", settings.description.as_deref().map(description));
    if !lines.is_empty() {
        out.push_str("\n[settings]\n");
        out.extend(lines);
    }
}

/// A description may hold spaces without quotes, as long as none is at an end or begins a comment.
fn description(text: &str) -> String {
    let plain = |word: &str| word.is_empty() || matches!(quote(word.as_bytes()), Cow::Borrowed(_));
    let bare = text.trim_matches(' ') == text && text.split(' ').all(plain);
    if bare { text.to_owned() } else { quoted(text.as_bytes()) }
}

fn cgroups(out: &mut String, section: &str, list: &[CgroupEntry], version_1: bool) {
    for (index, entry) in list.iter().enumerate() {
        if index == 0 {
            heading(out, section);
        }
        match &entry.cgroup {
            CgroupRef::Path(path) => out.push_str(&written(path, version_1)),
            CgroupRef::Id(id) => {
                let _ = write!(out, "cgid:{id}");
            }
        }
        out.push('\n');
    }
}

/// All rules by id: a section line wherever the kind changes.
fn rules(out: &mut String, policy: &Policy, version_1: bool) {
    let mut paths = policy.paths.iter().peekable();
    let mut inodes = policy.inodes.iter().peekable();
    let mut trees = policy.trees.iter().peekable();
    let mut section = "";
    loop {
        let path = paths.peek().map(|rule| rule.id);
        let inode = inodes.peek().map(|rule| rule.id);
        let tree = trees.peek().map(|rule| rule.id);
        let Some(next) = [path, inode, tree].into_iter().flatten().min() else { return };
        let (name, entry, ops) = if path == Some(next)
            && let Some(rule) = paths.next()
        {
            ("deny_path", written(&rule.path, version_1), rule.ops)
        } else if inode == Some(next)
            && let Some(rule) = inodes.next()
        {
            ("deny_inode", Cow::Owned(format!("{}:{}", rule.dev, rule.ino)), rule.ops)
        } else if let Some(rule) = trees.next() {
            ("deny_tree", written(&rule.path, version_1), rule.ops)
        } else {
            return;
        };
        if section != name {
            section = name;
            heading(out, name);
        }
        out.push_str(&entry);
        if ops != Ops::ALL {
            // Writing to a String cannot fail.
            let _ = write!(out, " {ops}");
        }
        out.push('\n');
    }
}

fn heading(out: &mut String, section: &str) {
    let _ = write!(out, "\n[{section}]\n");
}

/// A path as an entry.
pub(super) fn written(path: &Path, version_1: bool) -> Cow<'_, str> {
    let bytes = path.as_os_str().as_bytes();
    match path.to_str() {
        // A line of version 1 is trimmed: a slash, which normalizing removes again, holds a space at the end.
        Some(text) if version_1 && text.ends_with(' ') => Cow::Owned(format!("{text}/")),
        Some(text) if version_1 => Cow::Borrowed(text),
        _ => quote(bytes),
    }
}
