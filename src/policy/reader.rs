//! The file as a whole: lines, header, sections. What a section holds is in `entries` and `settings`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::fault::Fault;
use super::grammar::{self, Miss};
use super::operands::decimal;
use super::report::{Line, Report};
use super::settings::SettingLines;
use super::suggest::nearest;
use super::text::{clip, is_invisible};
use super::types::{CgroupRef, Device, Policy};
use super::{limits, settings};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The sections of the language, each with the version that it needs.
const SECTIONS: [(&str, Section, u8); 6] = [
    ("deny_path", Section::DenyPath, 1),
    ("deny_inode", Section::DenyInode, 1),
    ("allow_cgroup", Section::AllowCgroup, 1),
    ("deny_tree", Section::DenyTree, 2),
    ("scope_cgroup", Section::ScopeCgroup, 2),
    ("settings", Section::Settings, 2),
];

/// Sections of other releases. To skip one silently would promise protection that is not there.
const UNSUPPORTED: [&str; 14] = [
    "allow_binary_hash",
    "deny_binary_hash",
    "deny_bpf",
    "deny_cidr",
    "deny_ip",
    "deny_ip_port",
    "deny_module_load",
    "deny_port",
    "deny_ptrace",
    "protect_connect",
    "protect_path",
    "protect_runtime_deps",
    "require_ima_appraisal",
    "scan_paths",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Section {
    /// Before the first section.
    #[default]
    Header,
    /// Below a section line that was refused: its entries are of no use.
    Skipped,
    DenyPath,
    DenyInode,
    DenyTree,
    AllowCgroup,
    ScopeCgroup,
    Settings,
}

/// What is known so far. `'a` is the life of the file's bytes.
#[derive(Debug, Default)]
pub(super) struct Reader<'a> {
    pub(super) policy: Policy,
    pub(super) report: Report,
    pub(super) seen: Seen<'a>,
    pub(super) setting_lines: SettingLines,
    section: Section,
    /// The line of the header, once it was read.
    header: Option<u32>,
    /// The first line that came before the header.
    early: Option<u32>,
}

/// Where each thing was first said: indices into the lists of the policy, or lines for cgroups.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    pub(super) paths: HashMap<Cow<'a, [u8]>, usize>,
    pub(super) trees: HashMap<Cow<'a, [u8]>, usize>,
    pub(super) inodes: HashMap<(Device, u64), usize>,
    pub(super) allow: HashMap<CgroupRef, u32>,
    pub(super) scope: HashMap<CgroupRef, u32>,
}

impl<'a> Reader<'a> {
    /// Reads the whole file.
    pub(super) fn read(&mut self, bytes: &'a [u8]) {
        if bytes.len() > limits::FILE_BYTES {
            self.report.on(0, &Fault::FileTooLarge);
            return;
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            self.report.on(0, &Fault::Utf16);
            return;
        }
        let content = bytes.strip_prefix(BYTE_ORDER_MARK);
        if content.is_some() {
            self.report.on(1, &Fault::ByteOrderMark);
        }
        for (number, line) in (1..).zip(content.unwrap_or(bytes).split(|&byte| byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match str::from_utf8(line) {
                _ if line.len() > limits::LINE_BYTES => {
                    self.report.on(number, &Fault::LineTooLong { bytes: line.len() });
                }
                Ok(text) => self.line(Line { number, text }),
                Err(error) => self.not_utf8(number, line, error.valid_up_to()),
            }
            if self.report.stopped() {
                return;
            }
        }
        if self.header.is_none() {
            self.report.on(self.early.unwrap_or(1), &Fault::MissingHeader);
        }
        settings::finish(self);
    }

    /// Whether the line is to be read as version 1. Without a header it is not: version 2 accepts more, so that the
    /// missing header is the only complaint.
    pub(super) fn is_version_1(&self) -> bool {
        self.policy.version == 1
    }

    /// Reports what a line parser found.
    pub(super) fn miss(&mut self, line: Line<'_>, miss: &Miss<'_>) {
        if let Some(fault) = &miss.fault {
            self.report.at(line, miss.at, fault);
        }
    }

    fn not_utf8(&mut self, number: u32, line: &[u8], valid: usize) {
        let text = String::from_utf8_lossy(line);
        let byte = line.get(valid).copied().unwrap_or_default();
        let bad = text.get(valid..).unwrap_or_default();
        let end = bad.char_indices().nth(1).map_or(bad.len(), |(end, _)| end);
        self.report.at(Line { number, text: &text }, bad.get(..end).unwrap_or(bad), &Fault::NotUtf8 { byte });
    }

    fn line(&mut self, line: Line<'a>) {
        if let Some(at) = line.text.find('\0') {
            self.report.at(line, line.text.get(at..=at).unwrap_or_default(), &Fault::NulByte);
            return;
        }
        // What `isspace` accepts: the trimming that version 1 always had.
        let text = line.text.trim_matches([' ', '\t', '\r', '\x0b', '\x0c']);
        if text.is_empty() || text.starts_with('#') || !self.printable(line, text) {
            return;
        }
        if text.starts_with('[') {
            self.section_line(line, text);
        } else if self.section == Section::Header || text.starts_with("version") && is_header(text) {
            self.header_line(line, text);
        } else {
            self.entry_line(line, text);
        }
    }

    /// Refuses control characters and points out invisible ones.
    fn printable(&mut self, line: Line<'a>, text: &'a str) -> bool {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return true;
        }
        let tab_separates = !self.is_version_1();
        let first = |kind: &dyn Fn(char) -> bool| {
            let (at, character) = text.char_indices().find(|&(_, character)| kind(character))?;
            Some((text.get(at..at + character.len_utf8())?, character))
        };
        if let Some((part, character)) = first(&|c| c.is_control() && !(c == '\t' && tab_separates)) {
            self.report.at(line, part, &Fault::ControlCharacter { character });
            return false;
        }
        if let Some((part, character)) = first(&is_invisible) {
            self.report.at(line, part, &Fault::InvisibleCharacter { character });
        }
        true
    }

    fn header_line(&mut self, line: Line<'a>, text: &'a str) {
        let Ok((_, (name, value))) = grammar::pair(text) else {
            self.early.get_or_insert(line.number);
            self.report.on(line.number, &Fault::EntryBeforeSection);
            // One section line mends all of them: the entries that follow would only repeat this.
            self.section = Section::Skipped;
            return;
        };
        if name != "version" {
            self.early.get_or_insert(line.number);
            let (key, setting) = (clip(name), settings::NAMES.contains(&name));
            self.report.at(line, text, &Fault::BadHeader { key, setting });
            return;
        }
        if let Some(first) = self.header {
            self.report.on(line.number, &Fault::DuplicateHeader { first });
            return;
        }
        if self.early.is_some() {
            self.report.on(line.number, &Fault::HeaderNotFirst);
        }
        self.header = Some(line.number);
        let value = grammar::uncommented(value);
        if let Some(version @ (1 | 2)) = decimal(value) {
            self.policy.version = version;
        } else {
            let (at, fault) = match value {
                "" => (text, Fault::EmptyVersion),
                value => (value, Fault::UnknownVersion { version: clip(value) }),
            };
            self.report.at(line, at, &fault);
        }
    }

    fn section_line(&mut self, line: Line<'a>, text: &'a str) {
        if self.header.is_none() {
            self.early.get_or_insert(line.number);
        }
        self.section = Section::Skipped;
        let name = match grammar::section(text) {
            Ok((_, name)) => name,
            Err(error) => return self.miss(line, &Miss::from_nom(error, text, Fault::BadSection)),
        };
        let known = SECTIONS.into_iter().find(|(known, _, _)| *known == name);
        let fault = match known {
            Some((name, _, 2)) if self.is_version_1() => Fault::SectionNeedsVersion2 { name },
            Some((_, section, _)) => {
                self.section = section;
                return;
            }
            None if UNSUPPORTED.contains(&name) => Fault::UnsupportedSection { name: name.to_owned() },
            None => {
                let nearest = nearest(name, SECTIONS.map(|(name, _, _)| name));
                Fault::UnknownSection { name: clip(name), nearest }
            }
        };
        self.report.at(line, if name.is_empty() { text } else { name }, &fault);
    }

    fn entry_line(&mut self, line: Line<'a>, text: &'a str) {
        match self.section {
            Section::Header | Section::Skipped => {}
            Section::DenyPath => self.path_rule(line, text, false),
            Section::DenyTree => self.path_rule(line, text, true),
            Section::DenyInode => self.inode_rule(line, text),
            Section::AllowCgroup => self.cgroup(line, text, false),
            Section::ScopeCgroup => self.cgroup(line, text, true),
            Section::Settings => settings::read(self, line, text),
        }
    }
}

fn is_header(text: &str) -> bool {
    grammar::pair(text).is_ok_and(|(_, (name, _))| name == "version")
}
