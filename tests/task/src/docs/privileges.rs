//! The part of `SECURITY.md` about privileges: what each operation takes, and where that was seen.

use super::{head, row};
use crate::paths;
use crate::results::Results;
use anyhow::{Context as _, Result};
use guest::{Need, PRIVILEGED, Privileged, Who};
use std::fs;

pub(super) const PATH: &str = "SECURITY.md";

/// Between these lines the document is written by us.
const BEGIN: &str = "<!-- From here on written by `./dev docs`, from tests/guest/src/privileges.rs and docs/capabilities.json. -->\n";
const END: &str = "<!-- Up to here. -->\n";

const COLUMNS: [&str; 6] = ["what", "as", "takes", "for", "kernels", "shown by, and observed on"];

/// The document as it is, with the part in it as it has to be.
pub(super) fn text(record: &Results) -> Result<String> {
    let kept = fs::read_to_string(paths::root()?.join(PATH)).context(PATH)?;
    let (before, rest) = kept.split_once(BEGIN).with_context(|| format!("{PATH} lacks the line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PATH} lacks the line {END}"))?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", table(record)))
}

fn table(record: &Results) -> String {
    PRIVILEGED.iter().fold(head(&COLUMNS), |table, operation| table + &lines(operation, record))
}

/// One line for an operation, and one for each capability that it takes.
fn lines(operation: &Privileged, record: &Results) -> String {
    let by = match operation.by {
        Who::Root => "root",
        Who::User => "a user",
    };
    let takes = if operation.needs.is_empty() { "nothing" } else { "these alone:" };
    let whole = [operation.text, by, takes, "", "", &shown(&operation.check(), record)];
    let each = operation.needs.iter().map(|need| {
        let check = shown(&operation.check_without(need), record);
        row(&["", "", &format!("`{}`", need.capability.name), need.why, &kernels(need), &check])
    });
    std::iter::once(row(&whole)).chain(each).collect()
}

fn kernels(need: &Need) -> String {
    need.until.map_or_else(|| "all".to_owned(), |(major, minor)| format!("before {major}.{minor}"))
}

fn shown(check: &str, record: &Results) -> String {
    let (passed, of) = record.passed(check);
    match of {
        0 => format!("`{check}`: not recorded"),
        _ if passed.len() == of => format!("`{check}`: {}", passed.join(", ")),
        _ => format!("`{check}`: {} of {of}", passed.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_has_a_line() {
        let table = table(&Results::default());
        let needs = PRIVILEGED.iter().map(|operation| 1 + operation.needs.len()).sum::<usize>();
        assert_eq!(table.lines().count(), 2 + needs);
        assert!(table.contains("| `CAP_SYS_RESOURCE` | lifting"), "{table}");
    }
}
