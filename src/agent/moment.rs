//! The time that policies and keys are held against. A clock that was set back does not bring back what has expired.

use std::time::{Duration, SystemTime};

use super::{AgentError, Dirs, Journal};

/// A clock that is corrected goes back by less.
const TOLERANCE: Duration = Duration::from_mins(10);

/// A time, and how far the clock is behind the latest one that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since 1970.
    pub now: i64,
    behind: Option<Duration>,
}

impl Moment {
    /// Of a host.
    pub fn of(dirs: &Dirs) -> Result<Self, AgentError> {
        Ok(Self::after(Journal::of(dirs).floor()?.last_seen))
    }

    /// The time now, or the latest one that was seen where the clock is far behind it.
    pub(super) fn after(last_seen: u64) -> Self {
        let clock = clock();
        let behind = Duration::from_secs(last_seen.saturating_sub(clock));
        let (now, behind) = if behind > TOLERANCE { (last_seen, Some(behind)) } else { (clock, None) };
        Self { now: i64::try_from(now).unwrap_or(i64::MAX), behind }
    }

    /// What whoever reads the status has to know.
    pub fn remark(&self) -> Option<String> {
        let behind = humantime::format_duration(self.behind?);
        Some(format!(
            "the clock is {behind} behind the latest time that was seen: policies and keys are held against that time; `aegisbpf reset --clock` if the clock of now is right"
        ))
    }
}

/// What the clock says, seconds since 1970.
pub(super) fn clock() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_not_followed() {
        let now = clock();
        let right = Moment::after(now + TOLERANCE.as_secs() - 5);
        assert!(right.now.unsigned_abs() < now + 60 && right.remark().is_none());
        let set_back = Moment::after(now + 86_400);
        assert_eq!(set_back.now.unsigned_abs(), now + 86_400);
        assert!(set_back.remark().is_some_and(|remark| remark.contains("23h") || remark.contains("1day")));
    }
}
