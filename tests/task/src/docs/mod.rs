//! The documents that follow from the contracts, from the ways to a file, and from what was recorded of them.

pub(crate) mod bench;
mod benchmarks;
mod catalog;
mod chart;
mod checks;
mod command;
mod compatibility;
mod concepts;
mod contract;
mod degraded;
mod excerpts;
mod gates;
mod peers;
mod privileges;
mod readme;
mod sandbox;
mod sizes;
pub(crate) mod soak;
mod suite;
mod tiers;

use self::contract::Contracts;
use crate::bench::Bench;
use crate::paths;
use crate::record::Record;
use crate::reports;
use crate::results::{self, Results};
use crate::soak::Soak;
use crate::transcripts::Transcripts;
use anyhow::{Context as _, Result, anyhow};
use guest::{Scenario, scenarios};
use std::fs;

/// The ids of the checks that provoke a failure of the contracts.
pub(crate) fn provoking() -> Result<Vec<String>> {
    Ok(Contracts::read()?.failures.iter().flat_map(contract::Failure::provoking).collect())
}

/// A document, and what it has to be.
#[derive(Debug)]
pub(crate) struct Document {
    /// Below the top of the tree.
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

/// The reports as a page.
pub(crate) const PAGE: &str = "docs/compatibility.html";

/// All of them.
pub(crate) fn all() -> Result<Vec<Document>> {
    let ways = ways()?;
    let contracts = Contracts::read()?;
    let (page, table) = aegisbpf::cmd::render(&reports::all()?)?;
    let mut all = command::documents()?;
    let transcripts = Transcripts::read()?;
    let tables = [excerpts::kernels(&Record::read()?, ways.len()), excerpts::costs(&Bench::read()?)];
    all.extend([
        Document { path: concepts::PATH, text: concepts::page(&contracts)? },
        Document { path: readme::PATH, text: readme::text(&transcripts)? },
        Document {
            path: readme::README,
            text: readme::readme(&transcripts, &tables, &kept(readme::README)?)?,
        },
        Document {
            path: gates::PATH,
            text: gates::text(&kept(gates::PATH)?, &Bench::read()?, &Soak::read()?)?,
        },
        Document { path: tiers::PATH, text: tiers::picture(&contracts) },
        Document { path: benchmarks::PATH, text: benchmarks::text(&Bench::read()?, &Soak::read()?) },
        Document { path: bench::PICTURE, text: bench::picture(&Bench::read()?) },
        Document { path: soak::PICTURE, text: soak::picture(&Soak::read()?) },
        Document { path: catalog::PATH, text: catalog::text(&contracts, ways) },
        Document {
            path: degraded::PATH,
            text: degraded::text(&contracts, &Results::read(results::FAILURES)?),
        },
        Document { path: privileges::PATH, text: privileges::text(&Results::read(results::PRIVILEGES)?)? },
        Document { path: sandbox::PATH, text: sandbox::text(&Results::read(results::DRILL)?)? },
        Document { path: suite::PATH, text: suite::text(ways) },
        Document {
            path: compatibility::PATH,
            text: compatibility::text(&Record::read()?, ways.len(), &table)?,
        },
        Document { path: PAGE, text: page },
        Document { path: checks::PATH, text: checks::text() },
    ]);
    Ok(all)
}

/// A document as it is kept.
fn kept(path: &str) -> Result<String> {
    fs::read_to_string(paths::root()?.join(path)).with_context(|| path.to_owned())
}

/// The text of a document with something else between two marks.
fn between(path: &str, text: &str, [begin, end]: [&str; 2], inner: &str) -> Result<String> {
    let missing = |mark: &str| format!("{path} has no '{}'", mark.trim());
    let (before, rest) = text.split_once(begin).with_context(|| missing(begin))?;
    let (_, after) = rest.split_once(end).with_context(|| missing(end))?;
    Ok(format!("{before}{begin}{inner}{end}{after}"))
}

fn ways() -> Result<&'static [Scenario]> {
    scenarios().map_err(|text| anyhow!(text))
}

/// A row of a table.
fn row<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.as_ref().replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
fn head(names: &[&str]) -> String {
    row(names) + &row(&vec!["---"; names.len()])
}

/// Ids as code, with blanks between them.
fn codes<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" ")
}
