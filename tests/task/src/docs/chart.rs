//! What the pictures share: measures, colours, scales.

use std::fmt::Write as _;

/// In user units; the picture takes the width that there is.
pub(super) const WIDTH: f64 = 800.0;
pub(super) const LEFT: f64 = 80.0;
pub(super) const RIGHT: f64 = 16.0;
pub(super) const PANEL: f64 = 150.0;
pub(super) const GAP: f64 = 54.0;
pub(super) const TOP: f64 = 34.0;

/// Colours for light and for dark surroundings; lines differ in their dashes as well.
pub(super) const STYLE: &str = "\
<style>
svg { font: 12px system-ui, sans-serif; background: #fff; color: #1f2328 }
text { fill: currentColor } .axis { stroke: #8c959f; fill: none } .grid { stroke: #d0d7de; stroke-width: .5 }
polyline { fill: none; stroke-width: 1.6 } .a { stroke: #0969da } .b { stroke: #bc4c00; stroke-dasharray: 6 3 }
.c { stroke: #8250df; stroke-dasharray: 2 2 }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; color: #e6edf3 } .grid { stroke: #30363d }
.a { stroke: #58a6ff } .b { stroke: #ffa657 } .c { stroke: #d2a8ff }
}
</style>
";

/// From values to heights between 0 and 1.
#[derive(Debug)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    pub(super) fn of(most: f64, least: f64, logarithmic: bool) -> Self {
        if logarithmic {
            let (from, to) = (least.max(1.0).log10().floor(), most.max(10.0).log10().ceil());
            return Self { from, to: to.max(from + 1.0), logarithmic };
        }
        // The next of 1, 2, 5 times a power of ten that holds it all.
        let power = 10_f64.powf(most.max(1.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0];
        let to = steps.iter().map(|step| step * power).find(|to| *to >= most).unwrap_or(most);
        Self { from: 0.0, to, logarithmic }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(1.0).log10() } else { value };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// The title of a panel that begins at `top`, and its lines across, each with its value.
    pub(super) fn panel(&self, title: &str, top: f64) -> String {
        let (right, bottom) = (WIDTH - RIGHT, top + PANEL);
        let mut out = format!("<text x=\"{LEFT}\" y=\"{}\">{title}</text>\n", top - 10.0);
        for mark in self.marks() {
            let y = bottom - self.place(mark) * PANEL;
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{mark}</text>",
                LEFT - 6.0,
                y + 4.0
            );
        }
        out
    }

    fn marks(&self) -> Vec<f64> {
        if self.logarithmic {
            let mut marks = Vec::new();
            let mut at = self.from;
            while at <= self.to {
                marks.push(10_f64.powf(at));
                at += 1.0;
            }
            return marks;
        }
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| part * self.to).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_their_values() {
        assert_eq!(Scale::of(5200.0, 0.0, false).marks(), [0.0, 2500.0, 5000.0, 7500.0, 10_000.0]);
        assert_eq!(Scale::of(4000.0, 20.0, true).marks(), [10.0, 100.0, 1000.0, 10_000.0]);
        assert!((Scale::of(4000.0, 20.0, true).place(100.0) - 1.0 / 3.0).abs() < 1e-9);
    }
}
