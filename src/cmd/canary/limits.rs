//! What a phase has to keep to; pure.

use serde::Serialize;

use super::sample::Sample;
use crate::{cli::CanaryArgs, state::Health, tier::Mode};

/// A rollback that takes longer is none to rely on.
const MAX_ROLLBACK_MS: f64 = 5000.0;

/// The limits that can be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Events that may be lost.
    pub(super) drops: u64,
    /// The same in percent of all.
    pub(super) drop_ratio_pct: f64,
    /// Decisions that there have to be.
    pub(super) decisions: u64,
    /// By how much the resident memory may grow.
    pub(super) rss_growth_kb: u64,
}

impl Limits {
    /// As they were given.
    pub(super) fn of(args: &CanaryArgs) -> Self {
        Self {
            drops: args.max_ringbuf_drops,
            drop_ratio_pct: args.max_event_drop_ratio_pct,
            decisions: args.min_total_decisions,
            rss_growth_kb: args.max_rss_growth_kb,
        }
    }
}

/// Whether a limit is one above or one below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// No more than the limit.
    AtMost,
    /// No less.
    AtLeast,
}

/// A limit, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Threshold {
    /// Its name.
    pub(super) name: &'static str,
    /// On which side of the limit it has to be.
    pub(super) side: Side,
    /// The limit.
    pub(super) limit: f64,
    /// What was measured; `null`: that could not be, and so it is not kept.
    pub(super) measured: Option<f64>,
    /// Whether it was kept.
    pub(super) pass: bool,
}

impl Threshold {
    fn new(name: &'static str, side: Side, limit: f64, measured: Option<f64>) -> Self {
        let pass = measured.is_some_and(|measured| match side {
            Side::AtMost => measured <= limit,
            Side::AtLeast => measured >= limit,
        });
        Self { name, side, limit, measured, pass }
    }

    fn at_most(name: &'static str, limit: f64, measured: Option<f64>) -> Self {
        Self::new(name, Side::AtMost, limit, measured)
    }
}

/// The rollback drill, as far as it is judged: how long going back took, when everything about it was as it should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drilled {
    /// It is no part of this phase.
    No,
    /// So long, in milliseconds; `None`: something was not as it should be.
    Took(Option<f64>),
}

/// The decisions of a phase: events handed over, and events lost.
pub(super) fn counted(samples: &[Sample]) -> Option<(u64, u64)> {
    let (first, last) = (samples.first()?, samples.last()?);
    // A counter that fell is of other maps: what they had counted before is not known.
    Some((last.submitted.checked_sub(first.submitted)?, last.lost.checked_sub(first.lost)?))
}

/// Holds the samples against the limits. `stayed`: whether the agent was there to the end.
pub(super) fn judge(
    limits: &Limits,
    mode: Mode,
    samples: &[Sample],
    stayed: bool,
    drilled: Drilled,
) -> Vec<Threshold> {
    let counted = counted(samples);
    let number = |pick: fn((u64, u64)) -> u64| counted.map(|both| float(pick(both)));
    let bad = |is_bad: &dyn Fn(&Sample) -> bool| {
        let count = samples.iter().filter(|sample| is_bad(sample)).count();
        (!samples.is_empty()).then(|| float(count as u64))
    };
    let pid = samples.first().and_then(|sample| sample.pid);
    let gone = bad(&|sample| sample.pid != pid).map(|count| count + f64::from(u8::from(!stayed)));
    let mut all = vec![
        Threshold::at_most("max_ringbuf_drops", float(limits.drops), number(|(_, lost)| lost)),
        Threshold::at_most("max_event_drop_ratio_pct", limits.drop_ratio_pct, counted.map(ratio)),
        Threshold::new(
            "min_total_decisions",
            Side::AtLeast,
            float(limits.decisions),
            number(|(submitted, lost)| submitted + lost),
        ),
        Threshold::at_most("max_rss_growth_kb", float(limits.rss_growth_kb), growth(samples)),
        Threshold::at_most("max_unhealthy_samples", 0.0, bad(&|sample| sample.status == Health::Unhealthy)),
        Threshold::at_most("max_misreporting_samples", 0.0, bad(&|sample| sample.misreporting)),
        Threshold::at_most("max_agent_exits", 0.0, gone),
    ];
    if mode == Mode::Enforce {
        let idle = bad(&|sample| !sample.enforcing);
        all.push(Threshold::at_most("max_samples_not_enforcing", 0.0, idle));
    }
    if let Drilled::Took(time) = drilled {
        all.push(Threshold::at_most("max_rollback_ms", MAX_ROLLBACK_MS, time));
    }
    all
}

/// Percent of all events that were lost.
fn ratio((submitted, lost): (u64, u64)) -> f64 {
    match submitted + lost {
        0 => 0.0,
        all => float(lost) * 100.0 / float(all),
    }
}

/// By how much the resident memory was above the first sample at most.
fn growth(samples: &[Sample]) -> Option<f64> {
    let first = samples.first()?.rss_kb?;
    let most = samples.iter().filter_map(|sample| sample.rss_kb).max()?;
    Some(float(most - first))
}

/// Counts here stay far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::{super::sample::tests::healthy, *};

    const LIMITS: Limits = Limits { drops: 100, drop_ratio_pct: 0.1, decisions: 100, rss_growth_kb: 1000 };

    fn broken(samples: &[Sample], stayed: bool, drilled: Drilled) -> Vec<&'static str> {
        let all = judge(&LIMITS, Mode::Enforce, samples, stayed, drilled);
        all.into_iter().filter(|one| !one.pass).map(|one| one.name).collect()
    }

    fn with(change: fn(&mut Sample)) -> Vec<&'static str> {
        let mut samples = [healthy(50, 3, 5000), healthy(120, 3, 6000), healthy(1150, 3, 5500)];
        change(&mut samples[1]);
        broken(&samples, true, Drilled::Took(Some(3.0)))
    }

    #[test]
    fn what_is_as_it_should_be_passes() {
        assert!(with(|_| {}).is_empty());
    }

    #[test]
    fn each_fault_breaks_its_threshold() {
        assert_eq!(with(|sample| sample.rss_kb = Some(6001)), ["max_rss_growth_kb"]);
        assert_eq!(with(|sample| sample.status = Health::Unhealthy), ["max_unhealthy_samples"]);
        assert_eq!(with(|sample| sample.misreporting = true), ["max_misreporting_samples"]);
        assert_eq!(with(|sample| sample.pid = Some(8)), ["max_agent_exits"]);
        assert_eq!(with(|sample| sample.enforcing = false), ["max_samples_not_enforcing"]);
        let samples = [healthy(0, 0, 1), healthy(100, 0, 1)];
        assert_eq!(broken(&samples, false, Drilled::No), ["max_agent_exits"]);
        assert_eq!(broken(&samples, true, Drilled::Took(None)), ["max_rollback_ms"]);
        assert_eq!(broken(&samples, true, Drilled::Took(Some(5001.0))), ["max_rollback_ms"]);
    }

    #[test]
    fn losses_and_decisions_are_those_of_the_phase() {
        let few = [healthy(1000, 500, 1), healthy(1099, 500, 1)];
        assert_eq!(broken(&few, true, Drilled::No), ["min_total_decisions"]);
        let some = [healthy(1000, 0, 1), healthy(2000, 2, 1)];
        assert_eq!(broken(&some, true, Drilled::No), ["max_event_drop_ratio_pct"]);
        let many = [healthy(0, 0, 1), healthy(1_000_000, 101, 1)];
        assert_eq!(broken(&many, true, Drilled::No), ["max_ringbuf_drops"]);
    }

    #[test]
    fn what_was_not_measured_was_not_kept() {
        let all = judge(&LIMITS, Mode::Audit, &[], true, Drilled::No);
        assert!(all.iter().all(|one| !one.pass && one.measured.is_none()), "{all:?}");
        let mut blind = healthy(0, 0, 1);
        blind.rss_kb = None;
        assert!(broken(&[blind, healthy(200, 0, 1)], true, Drilled::No).contains(&"max_rss_growth_kb"));
        let other_maps = [healthy(500, 0, 1), healthy(200, 0, 1)];
        assert_eq!(broken(&other_maps, true, Drilled::No).len(), 3);
    }
}
