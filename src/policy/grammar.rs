//! The shapes of single lines. Each parser takes a line without the white space around it; what it returns and what
//! it refuses are parts of that line, so that a place in the file can be told from them.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_while, take_while_m_n, take_while1};
use nom::character::complete::char;
use nom::combinator::{map_opt, not, opt, rest, value};
use nom::error::{ErrorKind, ParseError};
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded, terminated};
use nom::{Err, IResult, Parser};

use super::fault::{Fault, Trailing};
use super::types::Ops;

/// Where a parser stopped, and why if it knows.
#[derive(Debug)]
pub(super) struct Miss<'a> {
    /// The offending part of the line.
    pub(super) at: &'a str,
    /// Nothing: the line has another shape; the caller knows which fault that is.
    pub(super) fault: Option<Fault>,
}

impl<'a> ParseError<&'a str> for Miss<'a> {
    fn from_error_kind(at: &'a str, _: ErrorKind) -> Self {
        Self { at, fault: None }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> Miss<'a> {
    /// From the error of a parser, with the fault that the caller means by a line of another shape.
    pub(super) fn from_nom(error: Err<Self>, line: &'a str, other_shape: Fault) -> Self {
        match error {
            Err::Error(miss) | Err::Failure(miss) if miss.fault.is_some() => miss,
            _ => Self { at: line, fault: Some(other_shape) },
        }
    }
}

pub(super) type Parsed<'a, T> = IResult<&'a str, T, Miss<'a>>;

/// A word or a quoted string.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// As it stands in the file, with quotes.
    pub(super) raw: &'a str,
    /// What it says.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Whether escapes were understood.
    pub(super) quoted: bool,
}

impl<'a> Token<'a> {
    /// Text that says what it shows.
    pub(super) fn plain(raw: &'a str) -> Self {
        Self { raw, bytes: Cow::Borrowed(raw.as_bytes()), quoted: false }
    }
}

/// The two or three numbers of an inode rule, as text: `DEVICE:INODE` or `MAJOR:MINOR:INODE`.
pub(super) type InodeFields<'a> = (&'a str, &'a str, Option<&'a str>);

fn refuse<T>(at: &str, fault: Fault) -> Parsed<'_, T> {
    Err(Err::Failure(Miss { at, fault: Some(fault) }))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn blanks(input: &str) -> Parsed<'_, &str> {
    take_while(is_blank).parse(input)
}

/// A comment: the rest of the line from `#`.
fn comment(input: &str) -> Parsed<'_, &str> {
    preceded(char('#'), rest).parse(input)
}

/// `[name]`, and perhaps a comment.
pub(super) fn section(line: &str) -> Parsed<'_, &str> {
    let name = delimited((char('['), blanks), is_not("[]#"), char(']'));
    let (input, name) = terminated(name, blanks).parse(line)?;
    let (input, _) = opt(comment).parse(input)?;
    if input.is_empty() { Ok((input, name.trim())) } else { refuse(input, Fault::BadSection) }
}

/// `name = value`, with the value still as it stands.
pub(super) fn pair(line: &str) -> Parsed<'_, (&str, &str)> {
    let name = take_till(|c| c == '=');
    (terminated(name, char('=')), rest)
        .map(|(name, value): (&str, &str)| (name.trim(), value.trim()))
        .parse(line)
}

/// The value of a setting: a quoted string, or everything up to a comment.
pub(super) fn setting_value(value: &str) -> Parsed<'_, Token<'_>> {
    if value.starts_with('"') {
        let (input, token) = quoted(value)?;
        let (input, more) = after(input)?;
        return match more {
            Some(more) => refuse(more, Fault::TrailingText { help: Trailing::Other }),
            None => Ok((input, token)),
        };
    }
    Ok(("", Token::plain(uncommented(value))))
}

/// The text before a comment.
pub(super) fn uncommented(text: &str) -> &str {
    let begins = |(at, c)| {
        c == '#' && text.get(..at).is_none_or(|before| before.is_empty() || before.ends_with(is_blank))
    };
    let end = text.char_indices().find(|&place| begins(place)).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text).trim_end()
}

/// A word, which ends at white space, or a quoted string.
pub(super) fn token(input: &str) -> Parsed<'_, Token<'_>> {
    if input.starts_with('"') {
        quoted(input)
    } else {
        take_while1(|c| !is_blank(c)).map(Token::plain).parse(input)
    }
}

fn quoted(input: &str) -> Parsed<'_, Token<'_>> {
    let (mut open, _) = char('"').parse(input)?;
    let mut bytes = Vec::new();
    loop {
        let (stop, plain) = take_till(|c| matches!(c, '"' | '\\')).parse(open)?;
        bytes.extend_from_slice(plain.as_bytes());
        if let Some(end) = stop.strip_prefix('"') {
            let raw = input.get(..input.len() - end.len()).unwrap_or(input);
            return Ok((end, Token { raw, bytes: Cow::Owned(bytes), quoted: true }));
        }
        if stop.is_empty() {
            return refuse(input, Fault::UnterminatedQuote);
        }
        let (next, byte) = escape(stop)?;
        bytes.push(byte);
        open = next;
    }
}

/// `\\`, `\"` or `\xNN`.
fn escape(input: &str) -> Parsed<'_, u8> {
    let hex = map_opt(take_while_m_n(2, 2, |c: char| c.is_ascii_hexdigit()), |digits| {
        u8::from_str_radix(digits, 16).ok()
    });
    let known = alt((value(b'\\', char('\\')), value(b'"', char('"')), preceded(char('x'), hex)));
    match preceded(char::<_, Miss<'_>>('\\'), known).parse(input) {
        Ok((_, 0)) => refuse(shown(input, 4), Fault::NulEscape),
        Ok(found) => Ok(found),
        Err(_) => {
            let escape = shown(input, if input.starts_with("\\x") { 4 } else { 2 });
            refuse(escape, Fault::BadEscape { escape: escape.to_owned() })
        }
    }
}

fn shown(input: &str, characters: usize) -> &str {
    let end = input.char_indices().nth(characters).map_or(input.len(), |(end, _)| end);
    input.get(..end).unwrap_or(input)
}

/// What comes after an entry on its line: nothing, or text that is not a comment.
pub(super) fn after(input: &str) -> Parsed<'_, Option<&str>> {
    let (next, space) = blanks(input)?;
    let separated = !space.is_empty();
    if next.is_empty() || separated && next.starts_with('#') {
        return Ok(("", None));
    }
    if separated {
        Ok((next, Some(next)))
    } else {
        refuse(input, Fault::TrailingText { help: Trailing::Other })
    }
}

/// Operations, separated by commas, up to the end of the line or a comment.
pub(super) fn operations(input: &str) -> Parsed<'_, Vec<&str>> {
    let (input, names) = separated_list1(tag(","), take_while(|c| c != ',' && !is_blank(c))).parse(input)?;
    let (input, more) = after(input)?;
    match more {
        None => Ok((input, names)),
        // A word that is no operation is the fault, rather than what comes after it.
        Some(_) if names.iter().any(|name| !name.is_empty() && Ops::from_name(name).is_none()) => {
            Ok(("", names))
        }
        Some(more) if names.last().is_some_and(|name| name.is_empty()) => refuse(more, Fault::EmptyOperation),
        Some(more) => {
            let name = more.split([',', ' ', '\t']).next().unwrap_or(more);
            let operation = Ops::from_name(name).is_some() || name.is_empty();
            let help = if operation { Trailing::Operations } else { Trailing::Other };
            refuse(more, Fault::TrailingText { help })
        }
    }
}

/// `DEVICE:INODE` or `MAJOR:MINOR:INODE`; white space around the colons is accepted, as it always was.
pub(super) fn inode(line: &str) -> Parsed<'_, InodeFields<'_>> {
    let colon = || delimited(blanks, char(':'), blanks);
    let field = || take_while1(|c| c != ':' && !is_blank(c));
    let (input, fields) =
        (field(), preceded(colon(), field()), opt(preceded(colon(), field()))).parse(line)?;
    not(preceded(blanks, char(':'))).parse(input)?;
    Ok((input, fields))
}

/// `cgid:` and the digits after it.
pub(super) fn cgroup_id(line: &str) -> Parsed<'_, &str> {
    preceded((tag("cgid:"), blanks), take_while(|c| !is_blank(c))).parse(line)
}
