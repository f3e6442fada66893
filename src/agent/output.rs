//! Events to numbered lines.

use std::{borrow::Cow, time::SystemTime};

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

/// Makes lines.
#[derive(Debug)]
pub struct Lines {
    talk: Talk,
    host: Host,
    tier: &'static str,
    seq: u64,
}

impl Lines {
    /// For events of this tier.
    pub fn new(talk: Talk, tier: &'static str) -> Self {
        Self { talk, host: Host::current(), tier, seq: 0 }
    }

    /// The next line, without its line feed.
    pub fn next(&mut self, event: &Event) -> String {
        self.seq += 1;
        let line = Line {
            schema_version: SCHEMA_VERSION,
            time: rfc3339(event.at().unwrap_or_else(SystemTime::now)),
            boot_id: Cow::Borrowed(&self.host.boot_id),
            seq: self.seq,
            host: Cow::Borrowed(&self.host.name),
            tier: Cow::Borrowed(self.tier),
            event: Cow::Borrowed(event),
        };
        match self.talk {
            Talk::Text => text_line(&line),
            Talk::Json => serde_json::to_string(&line).unwrap_or_default(),
        }
    }
}
