//! Every way to a file, from `ways`: gone without a rule it leads there; gone with one it leads as far as its entry in
//! `tests/surface` says. All share one agent, whose policy denies the files of each; each has its own result.

mod play;
mod prepare;

use self::play::{Mode, Results, Seen};
use super::{Check, CheckError, Ctx};
use crate::report;
use crate::ways::{self, End};
use guest::{Expect, Line, Scenario, scenarios};
use std::sync::OnceLock;

const EPERM: i32 = 1;
const AUDIT: &str = "surface.audit-reports-what-enforce-denies";
const TRACE: &str = "trace.";

/// How far a way led, as its entry puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// To EPERM, with an event that says so.
    Denied,
    /// To EPERM, and nobody was told.
    DeniedSilently,
    /// To the file.
    Reached,
    /// To another error.
    Other(i32),
    /// The kernel has no such way.
    NotPossible,
}

/// One check a way, and one for all in audit mode.
pub(super) fn checks() -> Vec<Check> {
    let each = ways::all().map(|way| Check { id: way.id, run: enforced });
    each.chain([Check { id: AUDIT, run: audited }]).collect()
}

/// One check a way, with the tier that only observes.
pub(super) fn traced() -> Vec<Check> {
    static IDS: OnceLock<Vec<String>> = OnceLock::new();
    let ids = IDS.get_or_init(|| ways::all().map(|way| format!("{TRACE}{}", way.id)).collect());
    ids.iter().map(|id| Check { id, run: observed }).collect()
}

/// What is played once for all checks, or why it could not be.
type Played = OnceLock<Result<Results, String>>;

fn played(ctx: &Ctx, cell: &'static Played, mode: Mode) -> Result<&'static Results, CheckError> {
    let results = cell.get_or_init(|| {
        let results = play::play(ctx, mode).map_err(|error| crate::row::chain(&error))?;
        if mode == Mode::Enforce {
            report::send(&Line::Note(summary(controls(ctx).ok(), &results)));
        }
        Ok(results)
    });
    results.as_ref().map_err(|error| differs("the ways gone", format!("{mode:?}"), error.clone()))
}

/// Every way without a rule.
fn controls(ctx: &Ctx) -> Result<&'static Results, CheckError> {
    static CONTROLS: Played = OnceLock::new();
    played(ctx, &CONTROLS, Mode::Control)
}

fn enforced(ctx: &Ctx) -> Result<(), CheckError> {
    static ENFORCED: Played = OnceLock::new();
    let scenario = find(ctx.running)?;
    let control = seen(controls(ctx)?, scenario)?;
    let got = seen(played(ctx, &ENFORCED, Mode::Enforce)?, scenario)?;
    let expected = match scenario.expect {
        Expect::Denied => Outcome::Denied,
        Expect::Reached => Outcome::Reached,
    };
    same("without a rule, with one", scenario, (control, got), &expected, |seen| outcome(scenario, seen))
}

fn observed(ctx: &Ctx) -> Result<(), CheckError> {
    static OBSERVED: Played = OnceLock::new();
    let scenario = find(ctx.running.trim_start_matches(TRACE))?;
    let control = seen(controls(ctx)?, scenario)?;
    let got = seen(played(ctx, &OBSERVED, Mode::Trace)?, scenario)?;
    let expected = (Outcome::Reached, play::is_traced(scenario));
    same("without observation, with it", scenario, (control, got), &expected, |seen| {
        (outcome(scenario, seen), seen.reported)
    })
}

/// Audit mode lets pass what enforcement denies, and reports that and nothing else.
fn audited(ctx: &Ctx) -> Result<(), CheckError> {
    static AUDITED: Played = OnceLock::new();
    let (control, got) = (controls(ctx)?, played(ctx, &AUDITED, Mode::Audit)?);
    let mut differences = Vec::new();
    for scenario in scenarios().map_err(broken)? {
        let (control, got) = (seen(control, scenario)?, seen(got, scenario)?);
        let expected = play::is_possible(scenario) && scenario.expect == Expect::Denied;
        if (got.end, got.reported) != (control.end, expected) {
            let reported = if got.reported { "reported" } else { "not reported" };
            differences.push(format!("{} {:?} {reported}", scenario.id, got.end));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(differs(
        "ways in audit mode",
        "as without a rule, and reported where denied".to_owned(),
        differences.join("; "),
    ))
}

/// Wants a way to lead to the file without a rule, and as far as expected with one; where the kernel has no such way, to
/// the same error with a rule as without.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &'static str,
    scenario: &Scenario,
    (control, got): (&Seen, &Seen),
    expected: &T,
    of: impl Fn(&Seen) -> T,
) -> Result<(), CheckError> {
    let (want, fine) = if play::is_possible(scenario) {
        let fine = control.end == End::Reached && of(got) == *expected;
        (format!("Reached, {expected:?}"), fine)
    } else {
        let fine = control.end != End::Reached && got.end == control.end;
        ("an error of the kernel, the same".to_owned(), fine)
    };
    if fine {
        return Ok(());
    }
    let words = format!("{:?}, {:?}; it says: {}{}", control.end, of(got), control.stderr, got.stderr);
    Err(differs(what, want, words))
}

fn outcome(scenario: &Scenario, seen: &Seen) -> Outcome {
    match seen.end {
        End::Reached => Outcome::Reached,
        End::Errno(EPERM) if seen.reported => Outcome::Denied,
        End::Errno(EPERM) => Outcome::DeniedSilently,
        End::Errno(_) if !play::is_possible(scenario) => Outcome::NotPossible,
        End::Errno(errno) => Outcome::Other(errno),
    }
}

fn summary(controls: Option<&Results>, results: &Results) -> String {
    let all = scenarios().unwrap_or_default();
    let pairs: Vec<_> = all.iter().filter_map(|one| Some((one, results.get(one.id.as_str())?))).collect();
    let count = |wanted| pairs.iter().filter(|(one, seen)| outcome(one, seen) == wanted).count();
    let failed = controls.map_or(0, |all| all.values().filter(|seen| seen.end != End::Reached).count());
    format!(
        "surface: {} denied, {} reached, {} not possible here; {failed} of {} do not lead to the file without a rule",
        count(Outcome::Denied),
        count(Outcome::Reached),
        count(Outcome::NotPossible),
        pairs.len()
    )
}

fn find(id: &str) -> Result<&'static Scenario, CheckError> {
    let found = scenarios().map_err(broken)?.iter().find(|scenario| scenario.id == id);
    found.ok_or_else(|| differs("entry of tests/surface", id.to_owned(), "none".to_owned()))
}

fn seen<'a>(results: &'a Results, scenario: &Scenario) -> Result<&'a Seen, CheckError> {
    let found = results.get(scenario.id.as_str());
    found.ok_or_else(|| differs("way gone", scenario.id.clone(), "none".to_owned()))
}

fn broken(text: &str) -> CheckError {
    differs("data", "readable".to_owned(), text.to_owned())
}

fn differs(what: &'static str, want: String, got: String) -> CheckError {
    CheckError::Differs { what, want, got }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_entry_has_a_way_and_each_way_an_entry() {
        let ways: BTreeSet<&str> = ways::all().map(|way| way.id).collect();
        let entries: BTreeSet<&str> =
            scenarios().expect("readable").iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ways.len(), ways::all().count(), "a way is there twice");
        assert_eq!(entries.difference(&ways).collect::<Vec<_>>(), Vec::<&&str>::new(), "without a way");
        assert_eq!(ways.difference(&entries).collect::<Vec<_>>(), Vec::<&&str>::new(), "without an entry");
    }
}
