//! Numbered lines to standard output.

use std::{
    io::{self, Write as _},
    time::SystemTime,
};

use crate::{
    event::{Event, Line, SCHEMA_VERSION, rfc3339, text_line},
    kernel::Host,
};

/// How to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// A line for a person.
    Text,
    /// A JSON object a line.
    Json,
}

/// Where events go.
#[derive(Debug)]
pub struct Output {
    talk: Talk,
    host: Host,
    tier: &'static str,
    seq: u64,
}

impl Output {
    /// To standard output.
    pub fn new(talk: Talk, tier: &'static str) -> Self {
        Self { talk, host: Host::current(), tier, seq: 0 }
    }

    /// Writes one line, at once: a line that waits in a buffer is lost with the process.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.seq += 1;
        let text = self.line(event);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    }

    /// The line, without its line feed.
    pub fn line(&self, event: &Event) -> String {
        let line = Line {
            schema_version: SCHEMA_VERSION,
            time: rfc3339(event.at().unwrap_or_else(SystemTime::now)),
            boot_id: &self.host.boot_id,
            seq: self.seq,
            host: &self.host.name,
            tier: self.tier,
            event,
        };
        match self.talk {
            Talk::Text => text_line(&line),
            Talk::Json => serde_json::to_string(&line).unwrap_or_default(),
        }
    }
}
