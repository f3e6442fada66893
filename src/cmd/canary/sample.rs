//! How the agent is at one moment.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{
    cli::Places,
    cmd::status::{self, Picture},
    event::rfc3339,
    state::Health,
};

/// One sample.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    schema_version: u32,
    /// RFC 3339.
    time: String,
    /// Since the phase began.
    pub(super) seconds: f64,
    /// The verdict of `health`.
    pub(super) status: Health,
    /// Whether denied operations are refused, as last proven.
    pub(super) enforcing: bool,
    /// Whether the kernel contradicts the agent.
    pub(super) misreporting: bool,
    /// Why the status is not healthy, and what else there is to know.
    pub(super) reasons: Vec<String>,
    /// The agent.
    pub(super) pid: Option<u32>,
    /// Events handed over.
    pub(super) submitted: u64,
    /// Events that could not be handed over.
    pub(super) lost: u64,
    /// The agent's resident memory; `null`: it could not be looked at.
    pub(super) rss_kb: Option<u64>,
    /// Its open descriptors.
    pub(super) descriptors: Option<usize>,
    /// Its threads.
    threads: Option<u64>,
}

impl Sample {
    /// Takes one.
    pub(super) fn take(places: &Places, since: Duration) -> Self {
        let Picture { status, misreporting } = status::look(places);
        let pid = status.agent.pid;
        let process = pid.and_then(|pid| procfs::process::Process::new(pid.cast_signed()).ok());
        let memory = process.as_ref().and_then(|process| process.status().ok());
        Self {
            schema_version: 1,
            time: rfc3339(SystemTime::now()),
            seconds: since.as_secs_f64(),
            status: status.status,
            enforcing: status.enforcing,
            misreporting,
            reasons: status.reasons,
            pid,
            submitted: status.events.submitted,
            lost: status.events.lost,
            rss_kb: memory.as_ref().and_then(|memory| memory.vmrss),
            descriptors: process.and_then(|process| process.fd_count().ok()),
            threads: memory.map(|memory| memory.threads),
        }
    }

    /// A line for a person.
    pub(super) fn line(&self) -> String {
        let unknown = || "?".to_owned();
        let does = if self.enforcing { "enforcing" } else { "not enforcing" };
        format!(
            "{:5.0} s  {} {does}  {} events, {} lost  RSS {} KiB  {} descriptors",
            self.seconds,
            self.status.word(),
            self.submitted,
            self.lost,
            self.rss_kb.map_or_else(unknown, |kb| kb.to_string()),
            self.descriptors.map_or_else(unknown, |count| count.to_string()),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of a healthy agent.
    pub(in super::super) fn healthy(submitted: u64, lost: u64, rss_kb: u64) -> Sample {
        Sample {
            schema_version: 1,
            time: String::new(),
            seconds: 1.0,
            status: Health::Healthy,
            enforcing: true,
            misreporting: false,
            reasons: Vec::new(),
            pid: Some(7),
            submitted,
            lost,
            rss_kb: Some(rss_kb),
            descriptors: Some(20),
            threads: Some(3),
        }
    }
}
