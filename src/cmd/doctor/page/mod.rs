//! Reports of many hosts as one page. The reports come from other hosts: whatever they hold is text, and is escaped.

mod html;
mod markdown;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::Deserialize;

use super::write_whole;
use crate::{
    cli::DoctorArgs,
    exit::{Exit, Failure},
};

/// Longer than any report of ours; more is not read.
const MAX_BYTES: u64 = 1024 * 1024;
/// So many fit on a page that somebody will read.
const MAX_REPORTS: usize = 1000;
/// The version of reports that this reads.
const SCHEMA_VERSION: u32 = 1;

/// What a page says of a host: of a report, the part that it needs.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    /// The name of the file, without its ending.
    #[serde(skip)]
    name: String,
    schema_version: u32,
    version: String,
    host: Host,
    verdict: String,
    #[serde(default)]
    reasons: Vec<String>,
    lsm: Option<Vec<String>>,
    tiers: Vec<Tier>,
    probes: Vec<Probe>,
    checks: Vec<Check>,
}

#[derive(Clone, Debug, Deserialize)]
struct Host {
    os: String,
    kernel: String,
    arch: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Tier {
    #[serde(rename = "tier")]
    name: String,
    enforces: bool,
    works: bool,
    #[serde(default)]
    reasons: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Probe {
    name: String,
    answer: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Check {
    id: String,
    title: String,
    result: String,
    evidence: String,
    #[serde(default)]
    causes: Vec<Cause>,
    #[serde(default)]
    fix: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Cause {
    #[serde(rename = "cause")]
    code: String,
    found: bool,
    text: String,
}

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It could not be read.
    #[error("{0}: the report could not be read")]
    Unreadable(String, #[source] io::Error),
    /// It is longer than any report.
    #[error("{0}: longer than any report ({MAX_BYTES} bytes)")]
    TooLong(String),
    /// It is something else.
    #[error("{0}: no report of `aegisbpf doctor --report`")]
    NoReport(String, #[source] serde_json::Error),
    /// It is of another version.
    #[error("{0}: a report of version {1}; this reads version {SCHEMA_VERSION}")]
    Version(String, u32),
    /// There are too many.
    #[error("{0} reports; a page holds {MAX_REPORTS}")]
    TooMany(usize),
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let exit = if matches!(error, ReportError::Unreadable(..)) { Exit::Io } else { Exit::Input };
        Self::new(exit, error).hint("`aegisbpf doctor --report FILE` writes a report")
    }
}

/// Writes what was asked for.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let (html, markdown) = render(&args.render)?;
    if let Some(path) = &args.html {
        write_whole(path, html.as_bytes())?;
    }
    match &args.markdown {
        Some(path) => write_whole(path, markdown.as_bytes())?,
        None if args.html.is_none() => crate::cmd::print(&markdown)?,
        None => {}
    }
    Ok(Exit::Done)
}

/// The page in HTML, and the table in Markdown, of these reports.
pub fn render(reports: &[impl AsRef<Path>]) -> Result<(String, String), ReportError> {
    if reports.len() > MAX_REPORTS {
        return Err(ReportError::TooMany(reports.len()));
    }
    let seen: Vec<Seen> = reports.iter().map(|path| read(path.as_ref())).collect::<Result<_, _>>()?;
    Ok((html::page(&seen), markdown::table(&seen)))
}

/// Reads a report.
fn read(path: &Path) -> Result<Seen, ReportError> {
    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| ReportError::Unreadable(shown.clone(), source))?;
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    parse(&stem, &shown, &bytes)
}

fn parse(name: &str, shown: &str, bytes: &[u8]) -> Result<Seen, ReportError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReportError::TooLong(shown.to_owned()));
    }
    let seen: Seen =
        serde_json::from_slice(bytes).map_err(|source| ReportError::NoReport(shown.to_owned(), source))?;
    match seen.schema_version {
        SCHEMA_VERSION => Ok(Seen { name: name.to_owned(), ..seen }),
        other => Err(ReportError::Version(shown.to_owned(), other)),
    }
}

/// The columns: every tier and every probe that any report names, in the order in which they come.
fn columns<'a>(seen: &'a [Seen], names: impl Fn(&'a Seen) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut known = BTreeSet::new();
    seen.iter().flat_map(names).filter(|name| known.insert(*name)).collect()
}

fn tiers(seen: &[Seen]) -> Vec<&str> {
    columns(seen, |one| one.tiers.iter().map(|tier| tier.name.as_str()).collect())
}

fn probes(seen: &[Seen]) -> Vec<&str> {
    columns(seen, |one| one.probes.iter().map(|probe| probe.name.as_str()).collect())
}

impl Tier {
    /// What it does on a host, in a word.
    fn word(&self) -> &'static str {
        match (self.works, self.enforces) {
            (true, true) => "enforces",
            (true, false) => "observes",
            (false, _) => "no",
        }
    }
}

/// Without what steers a terminal, a browser or the direction of text.
fn harmless(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|letter| match letter {
        '\n' | '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => '\u{fffd}',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    })
}

#[cfg(test)]
mod tests;
