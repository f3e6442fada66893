//! The soak in `docs/BENCHMARKS.md`, and its picture.

use super::chart::{GAP, LEFT, PANEL, RIGHT, STYLE, Scale, TOP, WIDTH};
use super::{benchmarks, head, row};
use crate::bench::Bench;
use crate::paths;
use crate::soak::{Soak, seconds};
use anyhow::{Context as _, Result};
use guest::{SOAK_INTERVAL, SoakRates, SoakSample};
use std::fmt::Write as _;
use std::fs;

pub(super) const PICTURE: &str = "docs/soak.svg";

/// Writes what follows from a soak that was just recorded.
pub(crate) fn write(soak: &Soak) -> Result<()> {
    let text = benchmarks::text(&Bench::read()?, soak);
    for (path, text) in [(benchmarks::PATH, text), (PICTURE, picture(soak))] {
        fs::write(paths::root()?.join(path), text).context(path)?;
    }
    Ok(())
}

/// The section.
pub(super) fn section(soak: &Soak) -> String {
    let mut out = "## Soak\n\n".to_owned();
    if soak.samples.is_empty() {
        return out + "Not recorded: `./dev soak` does that.\n";
    }
    let SoakRates { opens_a_second, denials_a_second, execs_a_second, seconds_a_policy } = soak.rates;
    let verdict = match (soak.passed(), soak.interrupted) {
        (true, _) => "It kept to every bound.",
        (false, true) => "It was interrupted.",
        (false, false) => "**It did not keep to every bound.**",
    };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "The agent in its default configuration, with its sandbox, in the tier `{}` on Linux {}, in a VM with {}: {:.1} \
         minutes of up to {opens_a_second} opens, {denials_a_second} denials and {execs_a_second} execs a second, with another policy \
         applied or rolled back every {seconds_a_policy} s. A sample every {SOAK_INTERVAL} s. {verdict}\n\n\
         ![memory, descriptors and latency over time](soak.svg)\n\n",
        soak.host.tier,
        soak.host.kernel,
        soak.machine,
        seconds(soak.seconds()) / 60.0,
    );
    out += &head(&["bound", "limit", "measured", "kept"]);
    for bound in &soak.bounds {
        let kept = if bound.kept { "yes" } else { "**no**" };
        out += &row(&[bound.what.as_str(), &bound.limit, &bound.measured, kept]);
    }
    out + &figures(soak) + NOTES
}

const NOTES: &str = "
The rise is that of the line with the least squares through the samples after the first minute, over the whole run, so that a
longer run is held to a slower rise. Latencies are of an open that is denied, as the program that makes it sees them. Emulated
processors are slow, and stand still while their host does something else: the figures hold that as well. `./dev soak --hours 6` measures it anew, and ends
with a status other than 0 when a bound is broken.
";

fn figures(soak: &Soak) -> String {
    let Some(last) = soak.samples.last() else { return String::new() };
    let mut out = String::new();
    let worst = |value: fn(&SoakSample) -> u64| soak.samples.iter().map(value).max().unwrap_or(0);
    let own = worst(|s| s.own_kib);
    let (low, high) = (soak.samples.iter().map(|s| s.rss_kib).min().unwrap_or(0), worst(|s| s.rss_kib));
    let _ = write!(
        out,
        "\n{} operations passed and {} were denied; {} events were submitted, {} lost; {} changes of policy. The resident \
         memory was {low} to {high} KiB, of which at most {own} KiB are the agent's own and the rest mapped files and the ring buffer; its \
         line rises by {:.0} KiB an hour. The agent used {:.1} % of a processor. A denied open \
         took at most {} µs in half of the cases and {} µs in 99 of 100 in the worst interval, {} µs in the worst case.\n",
        last.free,
        last.denied,
        last.submitted,
        last.lost,
        last.changes,
        soak.kib_an_hour,
        seconds(last.cpu_ms) / 10.0 / seconds(last.seconds.max(1)),
        worst(|s| s.p50_ns) / 1000,
        worst(|s| s.p99_ns) / 1000,
        worst(|s| s.max_ns) / 1000,
    );
    out
}

/// One line of a panel.
struct Series {
    name: &'static str,
    class: &'static str,
    value: fn(&SoakSample) -> f64,
}

struct Panel {
    title: &'static str,
    logarithmic: bool,
    series: &'static [Series],
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "memory, KiB",
        logarithmic: false,
        series: &[
            Series { name: "resident", class: "a", value: |sample| seconds(sample.rss_kib) },
            Series { name: "its own", class: "b", value: |sample| seconds(sample.own_kib) },
        ],
    },
    Panel {
        title: "descriptors and threads",
        logarithmic: false,
        series: &[
            Series { name: "descriptors", class: "a", value: |sample| seconds(sample.descriptors) },
            Series { name: "threads", class: "b", value: |sample| seconds(sample.threads) },
        ],
    },
    Panel {
        title: "a denied open, µs (logarithmic)",
        logarithmic: true,
        series: &[
            Series { name: "half", class: "a", value: |sample| seconds(sample.p50_ns) / 1000.0 },
            Series { name: "99 of 100", class: "b", value: |sample| seconds(sample.p99_ns) / 1000.0 },
            Series { name: "worst", class: "c", value: |sample| seconds(sample.max_ns) / 1000.0 },
        ],
    },
];

/// The picture: an SVG that needs nothing else.
pub(super) fn picture(soak: &Soak) -> String {
    let height = TOP + (PANEL + GAP) * 3.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>The agent at steady work: memory, descriptors, latency</title>\n{STYLE}"
    );
    let mut top = TOP;
    for panel in &PANELS {
        out += &drawn(panel, &soak.samples, top);
        top += PANEL + GAP;
    }
    out + "</svg>\n"
}

fn drawn(panel: &Panel, samples: &[SoakSample], top: f64) -> String {
    let length = samples.last().map_or(1.0, |sample| seconds(sample.seconds.max(1)));
    let values = || panel.series.iter().flat_map(|series| samples.iter().map(series.value));
    let scale = Scale::of(values().fold(0.0, f64::max), values().fold(f64::MAX, f64::min), panel.logarithmic);
    let x = |sample: &SoakSample| LEFT + seconds(sample.seconds) / length * (WIDTH - LEFT - RIGHT);
    let (right, bottom) = (WIDTH - RIGHT, top + PANEL);
    let mut out = scale.panel(panel.title, top);
    for (index, series) in panel.series.iter().enumerate() {
        let points: Vec<String> = samples
            .iter()
            .map(|sample| {
                format!("{:.1},{:.1}", x(sample), bottom - scale.place((series.value)(sample)) * PANEL)
            })
            .collect();
        let (class, name) = (series.class, series.name);
        let from = right - 110.0 * seconds((panel.series.len() - index) as u64);
        let _ = writeln!(
            out,
            "<polyline class=\"{class}\" points=\"{}\"/>\n<polyline class=\"{class}\" points=\"{from},{2} {1},{2}\"/>\
             <text x=\"{3}\" y=\"{4}\">{name}</text>",
            points.join(" "),
            from + 24.0,
            top - 14.0,
            from + 30.0,
            top - 10.0
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {top}V{bottom}H{right}\"/><text x=\"{LEFT}\" y=\"{0}\">0</text>\
         <text x=\"{right}\" y=\"{0}\" text-anchor=\"end\">{1:.1} min</text>",
        bottom + 16.0,
        length / 60.0
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::tests::{soak, steady};

    #[test]
    fn the_picture_holds_every_line() {
        let picture = picture(&soak(&steady(30, 1), None));
        assert_eq!(picture.matches("<polyline").count(), 14, "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        assert!(picture.contains("prefers-color-scheme: dark"));
        assert!(super::picture(&Soak::default()).ends_with("</svg>\n"));
    }

    #[test]
    fn the_section_says_what_was_broken() {
        assert!(section(&Soak::default()).contains("Not recorded"));
        let text = section(&soak(&steady(120, 10), Some(guest::SoakEnd::default())));
        assert!(text.contains("**It did not keep to every bound.**"), "{text}");
    }
}
