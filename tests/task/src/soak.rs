//! What came of a soak, kept in the tree, and whether that is good.

use crate::record;
use anyhow::Result;
use guest::{SoakBegin, SoakEnd, SoakRates, SoakSample};
use serde::{Deserialize, Serialize};

/// The file, below the top of the tree.
pub(crate) const RECORD: &str = "docs/soak.json";

/// So many samples are kept: more would be no better a picture.
const KEPT: usize = 360;
/// Before that the agent is still getting its memory.
const WARM_UP: u64 = 60;
/// By so much the line through the resident memory may rise from the warm-up to the end.
const RISE_KIB: f64 = 1024.0;
/// More memory of its own than this is too much in any case.
const MOST_KIB: u64 = 16 * 1024;
/// By so many the open descriptors may exceed those after the warm-up.
const MORE_DESCRIPTORS: u64 = 4;

/// A soak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Soak {
    /// Where it ran.
    pub(crate) host: SoakBegin,
    /// How the processor was made, and how many there were.
    pub(crate) machine: String,
    /// How long it was to be.
    pub(crate) asked_seconds: u64,
    /// Whether somebody ended it before.
    pub(crate) interrupted: bool,
    pub(crate) rates: SoakRates,
    /// What it had to keep to.
    pub(crate) bounds: Vec<Bound>,
    /// How the line through the resident memory rises.
    pub(crate) kib_an_hour: f64,
    /// None where it was interrupted.
    pub(crate) end: Option<SoakEnd>,
    pub(crate) samples: Vec<SoakSample>,
}

/// One thing that it had to keep to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    pub(crate) what: String,
    pub(crate) limit: String,
    pub(crate) measured: String,
    pub(crate) kept: bool,
}

impl Bound {
    fn new(what: &str, limit: String, measured: String, kept: bool) -> Self {
        Self { what: what.to_owned(), limit, measured, kept }
    }

    fn at_most(what: &str, limit: u64, measured: u64) -> Self {
        Self::new(what, limit.to_string(), measured.to_string(), measured <= limit)
    }
}

impl Soak {
    /// Judges what was measured, and keeps as much of it as a picture needs.
    pub(crate) fn new(
        host: SoakBegin,
        machine: String,
        asked: u64,
        samples: &[SoakSample],
        end: Option<SoakEnd>,
    ) -> Self {
        let (bounds, kib_an_hour) = judge(samples, end);
        Self {
            host,
            machine,
            asked_seconds: asked,
            interrupted: end.is_none(),
            rates: guest::SOAK_RATES,
            bounds,
            kib_an_hour,
            end,
            samples: thinned(samples),
        }
    }

    /// Whether it ran to its end, and kept to everything.
    pub(crate) fn passed(&self) -> bool {
        !self.interrupted && !self.samples.is_empty() && self.bounds.iter().all(|bound| bound.kept)
    }

    /// How long it was.
    pub(crate) fn seconds(&self) -> u64 {
        self.samples.last().map_or(0, |sample| sample.seconds)
    }

    /// Reads the record; one that is not there yet is empty.
    pub(crate) fn read() -> Result<Self> {
        record::read(RECORD)
    }

    /// Puts it in the place of what was recorded before.
    pub(crate) fn keep(&self) -> Result<()> {
        record::write(RECORD, self)
    }
}

/// The samples from the end of the warm-up on.
fn warm(samples: &[SoakSample]) -> &[SoakSample] {
    let from = samples.iter().position(|sample| sample.seconds >= WARM_UP).unwrap_or(0);
    samples.get(from..).unwrap_or_default()
}

fn judge(samples: &[SoakSample], end: Option<SoakEnd>) -> (Vec<Bound>, f64) {
    let warm = warm(samples);
    let (Some(first), Some(last)) = (warm.first(), warm.last()) else { return (Vec::new(), 0.0) };
    let most = |value: fn(&SoakSample) -> u64| samples.iter().map(value).max().unwrap_or(0);
    let slope = slope(warm);
    let rise = slope * seconds(last.seconds - first.seconds);
    let (own, threads) = (most(|sample| sample.own_kib), most(|sample| sample.threads));
    let (descriptors, enough) = (most(|sample| sample.descriptors), first.descriptors + MORE_DESCRIPTORS);
    let wrong = end.map_or(last.wrong, |end| end.wrong);
    let gone = end.map_or(last.lost, |end| end.lost);
    let ill = samples.iter().filter(|sample| sample.health != "healthy" || !sample.enforcing).count();
    let in_kib = |value: f64| format!("{value:.0} KiB");
    let mut bounds = vec![
        Bound::new(
            "rise of the resident memory, linear fit",
            in_kib(RISE_KIB),
            in_kib(rise),
            rise <= RISE_KIB,
        ),
        Bound::at_most("most memory of its own (RssAnon), KiB", MOST_KIB, own),
        Bound::at_most("most open descriptors", enough, descriptors),
        Bound::at_most("most threads", first.threads, threads),
        Bound::at_most("operations that ended otherwise than they should", 0, wrong),
        Bound::at_most("samples in which it was not healthy and enforcing", 0, ill as u64),
        Bound::at_most("events lost", last.submitted / 1000, gone),
    ];
    if let Some(SoakEnd { denied, told, lost, .. }) = end {
        let unexplained = denied.abs_diff(told + lost);
        bounds.push(Bound::at_most("denials neither told nor counted as lost", 0, unexplained));
    }
    (bounds, slope * 3600.0)
}

/// KiB a second, of the line with the least squares.
fn slope(samples: &[SoakSample]) -> f64 {
    let count = seconds(samples.len() as u64);
    let mean = |value: fn(&SoakSample) -> u64| {
        samples.iter().map(|s| seconds(value(s))).sum::<f64>() / count.max(1.0)
    };
    let (x, y) = (mean(|sample| sample.seconds), mean(|sample| sample.rss_kib));
    let (mut above, mut below) = (0.0, 0.0);
    for sample in samples {
        let (dx, dy) = (seconds(sample.seconds) - x, seconds(sample.rss_kib) - y);
        above += dx * dy;
        below += dx * dx;
    }
    if below > 0.0 { above / below } else { 0.0 }
}

/// The numbers here are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn seconds(value: u64) -> f64 {
    value as f64
}

/// One sample for several: the last of them, with the worst of each that is no count.
fn thinned(samples: &[SoakSample]) -> Vec<SoakSample> {
    let size = samples.len().div_ceil(KEPT).max(1);
    let worst = |group: &[SoakSample]| {
        let most = |value: fn(&SoakSample) -> u64| group.iter().map(value).max().unwrap_or(0);
        let ill = group.iter().find(|sample| sample.health != "healthy" || !sample.enforcing);
        let last = group.last().cloned().unwrap_or_default();
        let state = ill.cloned().unwrap_or_else(|| last.clone());
        SoakSample {
            rss_kib: most(|s| s.rss_kib),
            own_kib: most(|s| s.own_kib),
            descriptors: most(|s| s.descriptors),
            threads: most(|s| s.threads),
            p50_ns: most(|s| s.p50_ns),
            p99_ns: most(|s| s.p99_ns),
            max_ns: most(|s| s.max_ns),
            health: state.health,
            enforcing: state.enforcing,
            ..last
        }
    };
    samples.chunks(size).map(worst).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn steady(count: u64, kib_a_sample: u64) -> Vec<SoakSample> {
        let sample = |n: u64| SoakSample {
            seconds: n * 10,
            rss_kib: 5000 + n * kib_a_sample,
            own_kib: 1000,
            descriptors: 30,
            threads: 3,
            submitted: n * 400,
            denied: n * 400,
            p50_ns: 20_000,
            p99_ns: 90_000 + n,
            max_ns: 4_000_000,
            health: "healthy".to_owned(),
            enforcing: true,
            ..SoakSample::default()
        };
        (1..=count).map(sample).collect()
    }

    fn end(samples: &[SoakSample]) -> SoakEnd {
        let denied = samples.last().map_or(0, |sample| sample.denied);
        SoakEnd { denied, told: denied, ..SoakEnd::default() }
    }

    pub(crate) fn soak(samples: &[SoakSample], end: Option<SoakEnd>) -> Soak {
        let host = SoakBegin { kernel: "6.12.1".to_owned(), tier: "bpf-lsm".to_owned() };
        Soak::new(host, "2 processors".to_owned(), 1200, samples, end)
    }

    fn broken(soak: &Soak) -> Vec<&str> {
        soak.bounds.iter().filter(|bound| !bound.kept).map(|bound| bound.what.as_str()).collect()
    }

    #[test]
    fn what_stays_as_it_is_passes() {
        let samples = steady(120, 0);
        assert!(soak(&samples, Some(end(&samples))).passed());
        assert!(!soak(&samples, None).passed(), "interrupted");
        assert!(!soak(&[], None).passed(), "nothing was measured");
    }

    #[test]
    fn a_leak_is_found() {
        let samples = steady(120, 10);
        let soak = soak(&samples, Some(end(&samples)));
        assert_eq!(broken(&soak), ["rise of the resident memory, linear fit"]);
        assert!((soak.kib_an_hour - 3600.0).abs() < 1e-6, "{}", soak.kib_an_hour);
    }

    #[test]
    fn each_fault_breaks_its_bound() {
        let samples = steady(120, 0);
        let with = |change: fn(&mut SoakSample)| {
            let mut samples = samples.clone();
            samples.get_mut(60).map(change);
            let soak = soak(&samples, Some(end(&samples)));
            broken(&soak).join("; ")
        };
        assert_eq!(with(|sample| sample.descriptors = 35), "most open descriptors");
        assert_eq!(with(|sample| sample.threads = 4), "most threads");
        assert_eq!(
            with(|sample| sample.health = "degraded".to_owned()),
            "samples in which it was not healthy and enforcing"
        );
        let unexplained = SoakEnd { told: 1, ..end(&samples) };
        assert_eq!(broken(&soak(&samples, Some(unexplained))), ["denials neither told nor counted as lost"]);
        let wrong = SoakEnd { wrong: 1, ..end(&samples) };
        assert_eq!(
            broken(&soak(&samples, Some(wrong))),
            ["operations that ended otherwise than they should"]
        );
    }

    #[test]
    fn long_ones_are_thinned_by_their_worst() {
        let mut samples = steady(2160, 0);
        if let Some(sample) = samples.get_mut(1000) {
            (sample.descriptors, sample.enforcing) = (99, false);
        }
        let kept = thinned(&samples);
        assert_eq!(kept.len(), 360);
        assert_eq!(kept.last().map(|sample| sample.seconds), Some(21_600));
        assert_eq!(kept.iter().filter(|sample| sample.descriptors == 99 && !sample.enforcing).count(), 1);
    }
}
