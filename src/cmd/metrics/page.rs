//! The text format of Prometheus: each metric once, with its help and type, and a sample a line.

use std::fmt::Write as _;

/// A text that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Grows, and begins anew at times.
    Counter,
}

/// Labels and value.
pub(super) type Sample = (String, f64);

impl Page {
    /// A metric; one without samples is left out.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str, samples: &[Sample]) {
        if samples.is_empty() {
            return;
        }
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP aegisbpf_{name} {help}\n# TYPE aegisbpf_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "aegisbpf_{name}{labels} {value}");
        }
    }

    /// A gauge without labels; one without a value is left out.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        self.metric(name, Kind::Gauge, help, &bare(value.into()));
    }

    /// A counter without labels; one without a value is left out.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        self.metric(name, Kind::Counter, help, &bare(value.into()));
    }

    /// The whole text, which ends with a line feed.
    pub(super) fn text(self) -> String {
        self.0
    }
}

fn bare(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| (String::new(), value)).into_iter().collect()
}

/// One sample for each state that there could be, of which one is 1.
pub(super) fn stateset(label: &str, states: &[(&str, bool)]) -> Vec<Sample> {
    states.iter().map(|(word, on)| (labels(&[(label, word)]), flag(*on))).collect()
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

pub(super) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Prometheus has no other numbers than these; counts stay exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(labels(&[("a", "x\"y\\z\n")]), r#"{a="x\"y\\z\n"}"#);
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        let mut page = Page::default();
        page.gauge("a", "A.", None);
        page.counter("b_total", "B.", 2.5);
        assert_eq!(
            page.text(),
            "# HELP aegisbpf_b_total B.\n# TYPE aegisbpf_b_total counter\naegisbpf_b_total 2.5\n"
        );
    }
}
