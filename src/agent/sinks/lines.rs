//! Events to numbered lines.

use std::{borrow::Cow, time::SystemTime};

use crate::{
    event::{Event, Line, SCHEMA_VERSION, ecs, ocsf, rfc3339, text_line},
    kernel::Host,
};

/// How to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// A line for a person.
    Text,
    /// A JSON object a line.
    Json,
    /// The same, as OCSF has it.
    Ocsf,
    /// The same, as ECS has it.
    Ecs,
}

impl Talk {
    /// A line as it is written, without its line feed.
    pub(super) fn text(self, line: &Line<'_>) -> String {
        match self {
            Self::Text => text_line(line),
            Self::Json => serde_json::to_string(line).unwrap_or_default(),
            Self::Ocsf => ocsf(line).to_string(),
            Self::Ecs => ecs(line).to_string(),
        }
    }
}

/// Makes lines.
#[derive(Debug)]
pub struct Lines {
    host: Host,
    tier: &'static str,
    seq: u64,
}

impl Lines {
    /// For events of this tier.
    pub fn new(tier: &'static str) -> Self {
        Self { host: Host::current(), tier, seq: 0 }
    }

    /// The next line.
    pub fn next<'a>(&'a mut self, event: &'a Event) -> Line<'a> {
        self.seq += 1;
        Line {
            schema_version: SCHEMA_VERSION,
            time: rfc3339(event.at().unwrap_or_else(SystemTime::now)),
            boot_id: Cow::Borrowed(&self.host.boot_id),
            seq: self.seq,
            host: Cow::Borrowed(&self.host.name),
            tier: Cow::Borrowed(self.tier),
            event: Cow::Borrowed(event),
        }
    }
}
