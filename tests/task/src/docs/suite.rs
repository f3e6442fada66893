//! `docs/EDGE_CASE_COMPLIANCE_SUITE.md`: every way to a file, as its entry describes it.

use super::{head, row};
use guest::{Expect, Rule, Scenario, Trace};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/EDGE_CASE_COMPLIANCE_SUITE.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from tests/surface/*.toml. -->
# The edge-case compliance suite

";

const TEXT: &str = "
An entry in [`tests/surface/`](../tests/surface) says what a way is, which rule is to hold it, and where it has to end; a
function in `tests/guest/src/ways/` goes it, as root, in a process and a cgroup of its own, on ext4. In each row of the
matrix every way is gone several times:

1. Without a rule: it has to lead to the file. A way that leads nowhere proves nothing.
2. With a rule that denies the one operation of its entry, in enforce mode: it has to end as its entry says, and where it
   is denied, an event has to name its cgroup.
3. With the same rules in audit mode: it has to lead to the file again, and exactly what enforcement denies is reported
   (`surface.audit-reports-what-enforce-denies`).
4. In rows of the observing tier: it has to lead to the file, and is reported or not as its entry says (`trace.ID`).

A way ends in one of four manners: *denied* by us (`EPERM`, with an event), *reached*, denied by *something else* (another
error, or `EPERM` without an event: that is always a failure), or *not possible here*, where the kernel itself has no such
thing; then it has to end in the same error without a rule and with one. Where each claim of the contracts is shown is in
[BYPASS_CATALOG.md](BYPASS_CATALOG.md), on which kernels in [COMPATIBILITY.md](COMPATIBILITY.md).

In the tables, *rule* is what the policy denies: a file by its path, a *place* where nothing is, a *tree*, the file of a
*layer* below an overlay, or a file as it is *merged*. *Before* means that the process began before there was a rule.
";

const COLUMNS: [&str; 8] = ["id", "way", "rule", "denies", "claim", "ends", "tracepoint", "not possible on"];

pub(super) fn text(ways: &[Scenario]) -> String {
    let mut out = HEAD.to_owned();
    let denied = ways.iter().filter(|way| way.expect == Expect::Denied).count();
    let _ = writeln!(
        out,
        "{} ways to a file: {denied} that a rule has to close, and {} that stay open by nature, which is shown as well.",
        ways.len(),
        ways.len() - denied
    );
    out.push_str(TEXT);
    for family in families(ways) {
        let members: Vec<&Scenario> = ways.iter().filter(|way| self::family(way) == family).collect();
        let _ = write!(out, "\n## {family} ({})\n\n{}", members.len(), head(&COLUMNS));
        for way in members {
            out.push_str(&line(way));
        }
    }
    out
}

/// In the order of the data.
fn families(ways: &[Scenario]) -> Vec<&str> {
    let mut families: Vec<&str> = ways.iter().map(family).collect();
    families.dedup();
    families
}

fn family(way: &Scenario) -> &str {
    way.id.split('.').next().unwrap_or(&way.id)
}

fn line(way: &Scenario) -> String {
    let rule = match way.rule {
        Rule::Path => "path",
        Rule::Place => "place",
        Rule::Tree => "tree",
        Rule::Layer => "layer",
        Rule::Merged => "merged",
    };
    let ends = match way.expect {
        Expect::Denied => "denied",
        Expect::Reached => "reached",
    };
    let trace = match (way.trace, way.unseen.is_empty()) {
        (Trace::Missed, _) => "missed".to_owned(),
        (Trace::Seen, true) => "seen".to_owned(),
        (Trace::Seen, false) => format!("seen, but not on {}", kernels(&way.unseen)),
    };
    row(&[
        format!("`{}`", way.id),
        way.text.clone(),
        format!("{rule}{}", if way.before { ", before" } else { "" }),
        way.op.name().to_owned(),
        format!("`{}`", way.claim),
        ends.to_owned(),
        trace,
        kernels(&way.lacks),
    ])
}

fn kernels(reasons: &BTreeMap<String, String>) -> String {
    reasons.iter().map(|(series, reason)| format!("{series}: {reason}")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_one_table() {
        let ways = super::super::ways().expect("the ways");
        let mut families = families(ways);
        let count = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), count, "a family is scattered over several files");
    }
}
