//! `docs/tiers.svg`: the tiers in one picture, as their contracts state them.

use super::chart::{STYLE, WIDTH};
use super::contract::{Contracts, Tier, Verdict};
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/tiers.svg";

const LEFT: u32 = 12;
const BOX: u32 = 96;
const GAP: u32 = 40;
const LINE: u32 = 19;

/// One below the other, as they are tried.
pub(super) fn picture(contracts: &Contracts) -> String {
    let count = u32::try_from(contracts.tiers.len()).unwrap_or(0);
    let height = (BOX + GAP) * count + 24;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>The tiers, in the order in which they are tried</title>\n{STYLE}"
    );
    let mut top = 4;
    for (at, tier) in contracts.tiers.iter().enumerate() {
        out += &frame(contracts, tier, top);
        top += BOX;
        let next = match contracts.tiers.get(at + 1) {
            None => "nothing can be had: doctor says CANNOT-RUN",
            Some(next) if tier.enforces() && !next.enforces() => {
                "a trial or the proof fails: exit 69 where enforcing was asked for, but with --on-degraded audit"
            }
            Some(_) => "a trial or the proof fails",
        };
        let (middle, text) = (LEFT + 24, top + GAP / 2 + 4);
        let _ = writeln!(
            out,
            "<path class=\"axis\" d=\"M{middle} {top}v{}m-5 -7l5 7l5 -7\"/><text x=\"{}\" y=\"{text}\">{next}</text>",
            GAP - 2,
            middle + 12
        );
        top += GAP;
    }
    out + "</svg>\n"
}

fn frame(contracts: &Contracts, tier: &Tier, top: u32) -> String {
    let of = |wanted: fn(Verdict<'_>) -> bool| {
        contracts.claims.iter().filter(|claim| tier.verdict(&claim.id).is_some_and(wanted)).count()
    };
    let all = contracts.claims.len();
    let does = if tier.enforces() {
        format!("denies {} of {all} claims with EPERM", of(|verdict| verdict == Verdict::Denies))
    } else {
        format!("denies nothing, observes {} of {all} claims", of(|verdict| verdict == Verdict::Observes))
    };
    let dead = contracts.behaviour(tier, "agent-killed").map_or("", |behaviour| &behaviour.does);
    let class = if tier.enforces() { "a" } else { "b" };
    let (width, mut y) = (WIDTH - 2.0 * f64::from(LEFT), top + 22);
    let mut out = format!(
        "<rect class=\"{class}\" fill=\"none\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{BOX}\" rx=\"6\"/>\n\
         <text x=\"{}\" y=\"{y}\" font-weight=\"bold\">{}: {does}</text>\n",
        LEFT + 14,
        tier.name
    );
    for (word, text) in
        [("how", tier.mechanism.as_str()), ("needs", &tier.needs.join(", ")), ("when the agent dies", dead)]
    {
        y += LINE;
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\">{word}: {text}</text>", LEFT + 14);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;

    /// What a line of text may take at 12 units, so that it stays in its frame.
    const COLUMNS: usize = 120;

    #[test]
    fn every_tier_is_in_its_frame() -> Result<()> {
        let contracts = Contracts::read()?;
        let picture = picture(&contracts);
        for tier in &contracts.tiers {
            assert!(picture.contains(&format!(">{}: denies ", tier.name)), "{picture}");
        }
        for line in picture.lines().filter(|line| line.contains("<text")) {
            let shown = line.rsplit_once("</text>").map_or("", |(text, _)| text);
            let shown = shown.rsplit('>').next().unwrap_or_default();
            assert!(shown.chars().count() <= COLUMNS, "{shown}");
        }
        Ok(())
    }
}
