//! Events from a file that anybody may have written: line by line, none longer than agreed, and none that stops the rest.

use std::io::{self, BufRead};

use super::{Line, SCHEMA_VERSION};

/// Bytes of one line. The agent's own stay below: a path, an executable and a cgroup of 4 KiB each, every byte as `\xNN`.
pub const LINE_BYTES: usize = 64 * 1024;

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadLine {
    /// Longer than any event.
    #[error("it is longer than {LINE_BYTES} bytes")]
    TooLong,
    /// Not what the agent writes with `--log-format json`.
    #[error("it is no event")]
    Event(#[from] serde_json::Error),
    /// Of another version.
    #[error("its schema_version is {0}, and this reads {SCHEMA_VERSION}")]
    Version(u32),
}

/// A line with its number, from 1.
#[derive(Debug)]
pub struct Numbered<T> {
    /// Its number.
    pub number: u64,
    /// What stands there, or why that is none.
    pub line: Result<T, BadLine>,
}

/// Reads events one by one, in the memory of one line.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Reads from there.
    pub fn of(input: R) -> Self {
        Self { input, number: 0, buffer: Vec::new() }
    }

    /// The event of the next line that is not empty; `None` at the end.
    pub fn read(&mut self) -> io::Result<Option<Numbered<Line<'static>>>> {
        while let Some(Numbered { number, line }) = self.next_line()? {
            let text = line.map(<[u8]>::trim_ascii);
            if !matches!(text, Ok([])) {
                return Ok(Some(Numbered { number, line: text.and_then(parse) }));
            }
        }
        Ok(None)
    }

    /// The next line as it stands, without its line feed; `None` at the end.
    pub fn next_line(&mut self) -> io::Result<Option<Numbered<&[u8]>>> {
        self.buffer.clear();
        let Some(whole) = self.fill()? else { return Ok(None) };
        self.number += 1;
        let line = if whole { Ok(self.buffer.as_slice()) } else { Err(BadLine::TooLong) };
        Ok(Some(Numbered { number: self.number, line }))
    }

    /// Takes a line into the buffer, and says whether it had room; `None` at the end of the input. What does not fit is
    /// read all the same: the next line begins behind it.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        let mut read_any = false;
        let mut whole = true;
        loop {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if available.is_empty() {
                return Ok(read_any.then_some(whole));
            }
            read_any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let (part, used) = end.map_or((available, available.len()), |end| {
                (available.get(..end).unwrap_or_default(), end + 1)
            });
            whole &= self.buffer.len() + part.len() <= LINE_BYTES;
            if whole {
                self.buffer.extend_from_slice(part);
            }
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(whole));
            }
        }
    }
}

/// One event.
pub fn parse(text: &[u8]) -> Result<Line<'static>, BadLine> {
    if text.len() > LINE_BYTES {
        return Err(BadLine::TooLong);
    }
    let line: Line<'static> = serde_json::from_slice(text)?;
    if line.schema_version == SCHEMA_VERSION { Ok(line) } else { Err(BadLine::Version(line.schema_version)) }
}

/// The bytes behind a name in an event: `\xNN` and `\\` are what they stand for. `None`: no agent wrote it.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let (one, after) = match (byte, after) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'x', high, low, after @ ..]) => (digit(*high)? << 4 | digit(*low)?, after),
            (b'\\', _) => return None,
            (plain, after) => (*plain, after),
        };
        out.push(one);
        rest = after;
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: &str = r#"{"schema_version":1,"time":"t","boot_id":"b","seq":7,"host":"h","tier":"bpf-lsm","type":"lost","events":2,"total":3,"reason":"kernel"}"#;

    fn read(text: &[u8]) -> Vec<(u64, Result<u64, String>)> {
        // A small buffer, so that lines come in parts.
        let mut lines = Lines::of(io::BufReader::with_capacity(7, text));
        let mut found = Vec::new();
        while let Some(Numbered { number, line }) = lines.read().expect("a slice is read") {
            found.push((number, line.map(|line| line.seq).map_err(|why| why.to_string())));
        }
        found
    }

    #[test]
    fn a_bad_line_does_not_stop_the_rest() {
        let long = format!("\"{}\"", "x".repeat(LINE_BYTES));
        let other = LOST.replace("\"schema_version\":1", "\"schema_version\":9");
        let text = format!("{LOST}\n\n{long}\nnonsense\r\n{other}\n  {LOST}");
        let found = read(text.as_bytes());
        let numbers: Vec<u64> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 3, 4, 5, 6]);
        assert_eq!((&found[0].1, &found[4].1), (&Ok(7), &Ok(7)));
        assert!(found[1].1.as_ref().is_err_and(|why| why.contains("longer")), "{found:?}");
        assert!(found[3].1.as_ref().is_err_and(|why| why.contains("schema_version is 9")), "{found:?}");
    }

    #[test]
    fn a_line_of_the_longest_is_still_read() {
        let room = " ".repeat(LINE_BYTES - LOST.len());
        assert_eq!(read(format!("{LOST}{room}\n{LOST}").as_bytes()).len(), 2);
        assert!(read(format!("{LOST}{room} \n").as_bytes())[0].1.is_err());
    }

    #[test]
    fn names_come_back_as_they_were() {
        assert_eq!(unescape("/a\\x0a\\xff\\\\\"é").as_deref(), Some(b"/a\n\xff\\\"\xc3\xa9".as_slice()));
        for wrong in ["\\", "\\x", "\\x1", "\\xg0", "\\n", "\\x+1", "\\xé"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            drop(read(&bytes));
        }

        #[test]
        fn any_text_is_unescaped_or_refused(text: String) {
            drop(unescape(&text));
        }
    }
}
