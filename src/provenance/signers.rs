//! OpenSSH's `allowed_signers` and files of public keys (ssh-keygen(1), ALLOWED SIGNERS).

use std::fmt;

use super::PublicKey;
use crate::policy::Timestamp;

/// A line of `allowed_signers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Who signs, as the line has it.
    pub principals: String,
    /// What the line is for; empty: everything.
    pub namespaces: Vec<String>,
    /// From when it holds.
    pub valid_after: Option<Timestamp>,
    /// Until when.
    pub valid_before: Option<Timestamp>,
    /// The key.
    pub key: PublicKey,
}

/// A line that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct SignersError {
    /// Its number.
    pub line: usize,
    /// What is wrong with it.
    pub fault: String,
}

impl Signer {
    /// Whether the line is for this purpose. A pattern may hold `*` and `?`, as in OpenSSH.
    pub(super) fn allows(&self, namespace: &str) -> bool {
        self.namespaces.is_empty()
            || self.namespaces.iter().any(|pattern| matches(pattern.as_bytes(), namespace.as_bytes()))
    }

    /// Whether it holds at this time, seconds since 1970.
    pub(super) fn holds(&self, now: i64) -> bool {
        self.valid_after.is_none_or(|after| now >= after.unix())
            && self.valid_before.is_none_or(|before| now < before.unix())
    }
}

/// The line, as it is read.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = !self.principals.starts_with('#') && !self.principals.contains(char::is_whitespace);
        let quote = if is_plain { "" } else { "\"" };
        let namespaces = (!self.namespaces.is_empty()).then(|| self.namespaces.join(","));
        let options = [
            ("namespaces", namespaces),
            ("valid-after", self.valid_after.map(stamp)),
            ("valid-before", self.valid_before.map(stamp)),
        ];
        let options = options.into_iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?)));
        let options: Vec<String> = options.collect();
        let space = if options.is_empty() { "" } else { " " };
        write!(f, "{quote}{}{quote}{space}{} {}", self.principals, options.join(","), self.key.line())
    }
}

/// A time as OpenSSH writes it, in UTC.
fn stamp(time: Timestamp) -> String {
    let digits = time.to_string();
    digits.chars().filter(char::is_ascii_digit).chain(['Z']).collect()
}

/// Whether a word names one principal, and can mean nothing else in a line: no pattern, no list, no quote.
pub fn is_principal(word: &str) -> bool {
    const LONGEST: usize = 128;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\#!*?,".contains(&byte);
    (1..=LONGEST).contains(&word.len()) && word.bytes().all(is_plain)
}

/// Whether a pattern with `*` and `?` means a text. Linear but for the last `*`, to which it comes back.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(byte) if text.get(t) == Some(byte) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Reads `allowed_signers`. One faulty line makes the whole of it unusable: who knows what it was to say.
pub fn read_signers(text: &str) -> Result<Vec<Signer>, SignersError> {
    lines(text).map(|(line, text)| signer(text).map_err(|fault| SignersError { line, fault })).collect()
}

/// Reads a file of public keys, one a line.
pub fn read_keys(text: &str) -> Result<Vec<PublicKey>, SignersError> {
    let key = |text: &str| {
        let mut words = text.split_ascii_whitespace();
        key(words.next().unwrap_or_default(), words.next())
    };
    lines(text).map(|(line, text)| key(text).map_err(|fault| SignersError { line, fault })).collect()
}

fn key(kind: &str, base64: Option<&str>) -> Result<PublicKey, String> {
    if kind != "ssh-ed25519" {
        let kind = crate::policy::escape(kind.as_bytes());
        return Err(format!("a key of the kind `{kind}`; only ssh-ed25519 is accepted"));
    }
    let base64 = base64.ok_or("the key is missing behind its kind")?;
    PublicKey::from_base64(base64).map_err(|kind| match kind {
        Some(kind) => format!("it says ssh-ed25519, and the key is of the kind `{kind}`"),
        None => "the key is damaged".to_owned(),
    })
}

fn signer(line: &str) -> Result<Signer, String> {
    let (first, rest) = word(line)?;
    let principals = unquoted(first).ok_or("a quote in the middle of the principals")?;
    if principals.is_empty() || principals.contains(char::is_control) {
        return Err("the principals are empty, or hold a control character".to_owned());
    }
    let mut signer = Signer {
        principals: principals.to_owned(),
        namespaces: Vec::new(),
        valid_after: None,
        valid_before: None,
        key: key_of(rest)?,
    };
    let (mut next, mut rest) = word(rest)?;
    while next != "ssh-ed25519" {
        for option in options(next) {
            apply(&mut signer, option)?;
        }
        (next, rest) = word(rest)?;
    }
    Ok(signer)
}

/// The key stands behind the options, of which there is at most one word.
fn key_of(rest: &str) -> Result<PublicKey, String> {
    let (first, behind) = word(rest)?;
    let is_kind = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
    let (kind, behind) = if is_kind(first) { (first, behind) } else { word(behind)? };
    key(kind, behind.split_ascii_whitespace().next())
}

/// What is between the quotes of a word, or the word without any. `None`: quotes elsewhere.
fn unquoted(word: &str) -> Option<&str> {
    let inner = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(word);
    (!inner.contains('"')).then_some(inner)
}

fn apply(signer: &mut Signer, option: &str) -> Result<(), String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let name = name.to_ascii_lowercase();
    let twice = match name.as_str() {
        "namespaces" => !signer.namespaces.is_empty(),
        "valid-after" => signer.valid_after.is_some(),
        "valid-before" => signer.valid_before.is_some(),
        "cert-authority" => return Err("certificates are not accepted: name the key itself".to_owned()),
        other => return Err(format!("there is no option `{other}`")),
    };
    if twice {
        return Err(format!("`{name}` stands there twice"));
    }
    let value = Some(value).filter(|value| value.starts_with('"')).and_then(unquoted);
    let value = value.ok_or_else(|| format!("the value of `{name}` has to stand in quotes"))?;
    match name.as_str() {
        "namespaces" => signer.namespaces = value.split(',').map(str::to_owned).collect(),
        "valid-after" => signer.valid_after = Some(read_time(value)?),
        _ => signer.valid_before = Some(read_time(value)?),
    }
    Ok(())
}

/// `YYYYMMDD` or `YYYYMMDDHHMM[SS]`, with `Z` behind it: without, OpenSSH means the time zone of the host, which would be
/// another one on each.
pub fn read_time(text: &str) -> Result<Timestamp, String> {
    let digits =
        text.strip_suffix('Z').ok_or_else(|| format!("`{text}` needs a `Z` at its end: times are UTC"))?;
    let fault = || format!("`{text}` is no time such as 20261231Z or 202612312359Z");
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault());
    }
    let full = format!("{digits:0<14}");
    let part = |from: usize, to: usize| full.get(from..to).unwrap_or_default();
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    Timestamp::parse(&text).ok_or_else(fault)
}

/// The first word of a line and what is behind it. Quotes hold a word together.
fn word(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    let mut quoted = false;
    let end = text.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        !quoted && letter.is_ascii_whitespace()
    });
    match end {
        Some((at, _)) => Ok(text.split_at(at)),
        None if text.is_empty() => Err("a line has principals, a kind of key and a key".to_owned()),
        None if quoted => Err("a quote is not closed".to_owned()),
        None => Ok((text, "")),
    }
}

/// The options of a word, which commas part; those in quotes do not.
fn options(word: &str) -> Vec<&str> {
    let mut quoted = false;
    word.split(|letter: char| {
        quoted ^= letter == '"';
        !quoted && letter == ','
    })
    .collect()
}
