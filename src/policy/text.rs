//! How bytes are written: plain words, quoted strings, and the escapes that make both reversible.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character shows as nothing, as a space, or changes the direction of what follows. A path with one of
/// these reads as another path, so they are pointed out and always printed as escapes.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xA0 | 0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x1680 | 0x17B4..=0x17B5 | 0x180B..=0x180F
            | 0x2000..=0x200F | 0x2028..=0x202F | 0x205F..=0x206F | 0x3000 | 0x3164 | 0xFE00..=0xFE0F
            | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF
    )
}

/// The bytes as UTF-8 text: a backslash is doubled, and what is not UTF-8, a control or an invisible character is
/// written as `\xNN`. Nothing is lost: the escapes of a quoted string give the bytes back.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    push_escaped(&mut out, bytes, false);
    out
}

/// The bytes as an entry of the language: as they are where nobody can misread them, else in quotes.
pub fn quote(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && !text.is_empty()
        && !text.starts_with(['"', '#', '['])
        && !text.chars().any(|c| matches!(c, '\\' | ' ' | '*' | '?') || c.is_control() || is_invisible(c))
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(quoted(bytes))
}

/// The bytes as a quoted string.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    push_escaped(&mut out, bytes, true);
    out.push('"');
    out
}

/// The text of a message: at most 60 characters of what the file says.
pub(super) fn clip(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}

/// The bytes as an entry, for a fix that repeats it; nothing if that is too long to be read.
pub(super) fn example(bytes: &[u8]) -> Option<String> {
    const READABLE: usize = 120;
    Some(quoted(bytes)).filter(|text| text.len() <= READABLE)
}

fn push_escaped(out: &mut String, bytes: &[u8], quotes: bool) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' if quotes => out.push_str("\\\""),
                _ if c.is_control() || is_invisible(c) => {
                    push_hex(out, c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => out.push(c),
            }
        }
        push_hex(out, chunk.invalid());
    }
}

/// Each byte as `\xNN`.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    push_hex(&mut out, bytes);
    out
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_as_they_are() {
        assert_eq!(quote(b"/etc/shadow"), "/etc/shadow");
        assert_eq!(quote("/srv/a#b,c\"dé".as_bytes()), "/srv/a#b,c\"dé");
    }

    #[test]
    fn what_a_word_cannot_say_is_quoted() {
        assert_eq!(quote(b"/a b"), r#""/a b""#);
        assert_eq!(quote(b"/a\\x2d"), r#""/a\\x2d""#);
        assert_eq!(quote(b"/*.so"), r#""/*.so""#);
        assert_eq!(quote(b"\"x"), r#""\"x""#);
        assert_eq!(quote(b"/caf\xe9\n"), r#""/caf\xE9\x0A""#);
        assert_eq!(quote("/a\u{200b}b".as_bytes()), r#""/a\xE2\x80\x8Bb""#);
        assert_eq!(quote(b""), r#""""#);
    }

    #[test]
    fn long_text_is_clipped_at_a_character() {
        assert_eq!(clip("é"), "é");
        let clipped = clip(&"é".repeat(100));
        assert_eq!(clipped.chars().count(), 61);
    }
}
