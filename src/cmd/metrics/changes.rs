//! What became of changes of the policy, from the audit log.

use std::time::SystemTime;

use crate::{
    audit::{Log, Outcome, What},
    cli::Places,
};

/// The changes that the kept log knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// Those that were done.
    pub(super) done: Past,
    /// Those that were refused.
    pub(super) refused: Past,
}

/// Changes with one result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Past {
    /// How many.
    pub(super) count: u64,
    /// When the last one was, in seconds since 1970.
    pub(super) last: Option<f64>,
}

impl Changes {
    /// Reads the log, of which no more is kept than some thousand entries; `None` where this process may not.
    pub(super) fn on_record(places: &Places) -> Option<Self> {
        let mut changes = Self::default();
        for entry in Log::at(&places.state_dir, &places.run_dir).latest() {
            let entry = entry.ok()?;
            let past = match (entry.deed.what, entry.deed.result) {
                (What::Apply | What::Reload | What::Rollback, Outcome::Done) => &mut changes.done,
                (What::Apply | What::Reload | What::Rollback, Outcome::Refused) => &mut changes.refused,
                _ => continue,
            };
            past.count += 1;
            // The latest comes first.
            past.last = past.last.or_else(|| seconds(&entry.time));
        }
        Some(changes)
    }
}

/// Seconds since 1970 of a time as RFC 3339 has it.
pub(super) fn seconds(time: &str) -> Option<f64> {
    let time = humantime::parse_rfc3339(time).ok()?;
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
}
