//! The parts of an entry: paths, operations, numbers.

use std::borrow::Cow;

use nom::Offset;

use super::fault::{Fault, Trailing};
use super::grammar::{self, Miss, Token};
use super::path::normalize;
use super::reader::Reader;
use super::report::Line;
use super::suggest::nearest;
use super::text::{clip, example};
use super::types::{Device, Ops};

impl<'a> Reader<'a> {
    /// The path of an entry, in version 1 the whole line, in version 2 its first word or quoted string; and the rest of
    /// the line.
    pub(super) fn path_token(&mut self, line: Line<'a>, text: &'a str) -> Option<(Token<'a>, &'a str)> {
        if self.is_version_1() {
            if text.starts_with('"') {
                self.report.at(line, text, &Fault::QuoteNeedsVersion2);
                return None;
            }
            self.whole_line(line, text);
            return Some((Token::plain(text), ""));
        }
        match grammar::token(text) {
            Ok((rest, token)) => Some((token, rest)),
            Err(error) => {
                self.miss(line, &Miss::from_nom(error, text, Fault::EmptyEntry));
                None
            }
        }
    }

    /// In version 1, points out what looks like a comment or operations but is part of the path.
    fn whole_line(&mut self, line: Line<'a>, text: &'a str) {
        let path = grammar::uncommented(text);
        let (tail, comment) = match text.rsplit_once(' ') {
            _ if path.len() < text.len() => (text.get(path.len()..).unwrap_or_default().trim(), true),
            Some((_, last)) if last.split(',').all(|name| Ops::from_name(name).is_some()) => (last, false),
            _ => return,
        };
        self.report.at(line, tail, &Fault::WholeLineIsPath { tail: clip(tail), comment });
    }

    /// Outside quotes, points out what other languages would interpret.
    fn literal_characters(&mut self, line: Line<'a>, raw: &'a str) {
        let find = |characters: &[char]| raw.find(characters).and_then(|at| raw.get(at..=at));
        if let Some(part) = find(&['\\'])
            && !self.is_version_1()
        {
            self.report.at(line, part, &Fault::LiteralBackslash { quoted: example(raw.as_bytes()) });
        }
        if let Some(part) = find(&['*', '?']) {
            let character = if part == "*" { '*' } else { '?' };
            self.report.at(line, part, &Fault::GlobCharacter { character });
        }
    }

    /// The path in its one spelling, with warnings about what is easily misread.
    pub(super) fn path(&mut self, line: Line<'a>, token: &Token<'a>) -> Option<Cow<'a, [u8]>> {
        let raw = token.raw;
        if !token.quoted {
            self.literal_characters(line, raw);
        }
        let refused = match &token.bytes {
            Cow::Borrowed(bytes) => match normalize(bytes) {
                Ok(path) => return Some(path),
                Err(refused) => refused,
            },
            Cow::Owned(bytes) => match normalize(bytes) {
                Ok(path) => return Some(Cow::Owned(path.into_owned())),
                Err(refused) => refused,
            },
        };
        // With escapes, places in the path are not places in the line.
        let part = if token.quoted { None } else { raw.get(refused.start..refused.start + refused.len) };
        self.report.at(line, part.unwrap_or(raw), &refused.fault);
        None
    }

    /// The operations after a rule's object; all of them when none is named.
    pub(super) fn operations_after(&mut self, line: Line<'a>, rest: &'a str) -> Option<Ops> {
        if rest.is_empty() {
            return Some(Ops::ALL);
        }
        if self.is_version_1() {
            return self.nothing_after(line, rest).map(|()| Ops::ALL);
        }
        let names = match grammar::after(rest) {
            Ok((_, None)) => return Some(Ops::ALL),
            Ok((more, Some(_))) => grammar::operations(more),
            Err(error) => Err(error),
        };
        match names {
            Ok((_, names)) => self.operations(line, rest, &names),
            Err(error) => {
                self.miss(line, &Miss::from_nom(error, rest, Fault::EmptyOperation));
                None
            }
        }
    }

    fn operations(&mut self, line: Line<'a>, rest: &'a str, names: &[&'a str]) -> Option<Ops> {
        let mut ops = Some(Ops::NONE);
        for &name in names {
            let Some((known, op)) = Ops::NAMES.into_iter().find(|(known, _)| *known == name) else {
                self.report.at(line, name, &unknown_operation(line, rest, name));
                ops = None;
                continue;
            };
            if ops.is_some_and(|ops| ops.contains(op)) {
                self.report.at(line, name, &Fault::DuplicateOperation { name: known });
            }
            ops = ops.map(|ops| ops.union(op));
        }
        ops
    }

    /// Refuses anything but a comment after an entry that takes no operations.
    pub(super) fn nothing_after(&mut self, line: Line<'a>, rest: &'a str) -> Option<()> {
        let more = match grammar::after(rest) {
            Ok((_, None)) if !self.is_version_1() || rest.trim().is_empty() => return Some(()),
            Ok((_, None)) => rest.trim(),
            Ok((_, Some(more))) => more,
            Err(_) => rest,
        };
        let operations = more.split([',', ' ', '\t']).all(|name| Ops::from_name(name).is_some());
        let help = match operations {
            _ if more.starts_with('#') => Trailing::Comment,
            true if self.is_version_1() => Trailing::OperationsInVersion1,
            true => Trailing::CgroupOperations,
            false => Trailing::Other,
        };
        self.report.at(line, more, &Fault::TrailingText { help });
        None
    }

    pub(super) fn device(
        &mut self,
        line: Line<'a>,
        text: &'a str,
        major: &'a str,
        minor: &'a str,
    ) -> Option<Device> {
        let numbers = decimal(major).zip(decimal(minor));
        let device =
            numbers.and_then(|(major, minor)| Device::new(major, minor)).filter(|dev| dev.kernel() != 0);
        if device.is_none() {
            let written = text.get(..text.offset(minor) + minor.len()).unwrap_or(major);
            self.report.at(line, written, &Fault::BadDevice { text: clip(written) });
        }
        device
    }

    pub(super) fn decimal_device(&mut self, line: Line<'a>, written: &'a str) -> Option<Device> {
        let Some(number) = decimal::<u32>(written).filter(|&number| number > 0) else {
            self.report.at(line, written, &Fault::BadDevice { text: clip(written) });
            return None;
        };
        let device = Device::from_kernel(number);
        // Major 0 is for file systems without a device of their own. They are numbered from 1 and few; a number with
        // bits of the C library's major (`number >> 8`) in it is most likely what `stat -c %d` printed.
        if device.major() == 0 && number > 0xFF {
            let libc = format!("{}:{}", number >> 8 & 0xFFF, number & 0xFF);
            self.report.at(
                line,
                written,
                &Fault::DoubtfulDevice { number, kernel: device.to_string(), libc },
            );
        }
        Some(device)
    }

    pub(super) fn inode_number(&mut self, line: Line<'a>, written: &'a str) -> Option<u64> {
        let number = decimal::<u64>(written).filter(|&number| number > 0);
        if number.is_none() {
            self.report.at(line, written, &Fault::BadInodeNumber { text: clip(written) });
        }
        number
    }
}

fn unknown_operation(line: Line<'_>, rest: &str, name: &str) -> Fault {
    if name.is_empty() {
        return Fault::EmptyOperation;
    }
    if name.starts_with('/') {
        return Fault::TrailingText { help: Trailing::Other };
    }
    let nearest = nearest(name, Ops::NAMES.map(|(name, _)| name));
    // A path with spaces, if it was meant: up to the operations, if the line ends with them.
    let written = grammar::uncommented(line.text.trim());
    let is_path = written.starts_with('/') && written.len() > rest.len();
    let (path, ops) = match written.rsplit_once(' ') {
        Some((path, ops)) if ops.split(',').all(|name| Ops::from_name(name).is_some()) => (path, ops),
        _ => (written, ""),
    };
    let example = example(path.as_bytes())
        .filter(|_| is_path)
        .map(|path| format!("{path} {ops}").trim_end().to_owned());
    Fault::UnknownOperation { name: clip(name), nearest, example }
}

/// Decimal digits and nothing else: no sign, no white space.
pub(super) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
