//! Every way to a file, from `ways`: gone without a rule it leads there, gone with one it ends in EPERM.
//!
//! All share one agent, whose policy denies the files of each; each has its own result.

use super::agent::{Agent, Place, ends};
use super::{Check, CheckError};
use crate::run::Cmd;
use crate::ways::{self, CONTENT, End, Way};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;

const EPERM: i32 = 1;

/// How far each way leads without a rule, and with one.
type Results = BTreeMap<&'static str, (End, End)>;

/// One check a way.
pub(super) fn checks() -> Vec<Check> {
    ways::all().map(|way| Check { id: way.id, run: |ctx| shown(ctx.running) }).collect()
}

/// The directory of a way; the ways know its name.
fn dir(way: &Way) -> String {
    format!("/srv/surface/{}/way", way.id)
}

fn shown(id: &'static str) -> Result<(), CheckError> {
    static RESULTS: OnceLock<Result<Results, String>> = OnceLock::new();
    let results = RESULTS.get_or_init(|| play().map_err(|error| crate::row::chain(&error)));
    let got = match results {
        Ok(results) => format!("{:?}", results.get(id)),
        Err(error) => error.clone(),
    };
    let want = format!("{:?}", Some((End::Reached, End::Errno(EPERM))));
    if got == want {
        Ok(())
    } else {
        Err(CheckError::Differs { what: "without a rule, with one", want, got })
    }
}

fn play() -> Result<Results, CheckError> {
    let mut rules = "version=2\n[deny_path]\n".to_owned();
    let mut before = BTreeMap::new();
    for way in ways::all() {
        prepare(way)?;
        before.insert(way.id, go(way)?);
        // Anew: going it may have changed everything.
        prepare(way)?;
        let _ = writeln!(rules, "{0}/secret\n{0}/true", dir(way));
    }
    let place = Place::new("surface")?;
    place.write(&rules)?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    before.into_iter().map(|(id, before)| Ok((id, (before, go(find(id)?)?)))).collect()
}

fn find(id: &'static str) -> Result<&'static Way, CheckError> {
    let missing = || CheckError::Differs { what: "way", want: id.to_owned(), got: "none".to_owned() };
    ways::all().find(|way| way.id == id).ok_or_else(missing)
}

fn prepare(way: &Way) -> Result<(), CheckError> {
    let (dir, id) = (dir(way), way.id);
    let script = format!(
        "rm -rf /srv/surface/{id} && mkdir -p {dir} && printf '%s' '{CONTENT}' >{dir}/secret && \
         cp /bin/busybox {dir}/true && chmod 644 {dir}/secret && chmod 755 {dir}/true"
    );
    ends(&Cmd::sh(&script), 0).map(drop)
}

fn go(way: &Way) -> Result<End, CheckError> {
    let me = fs::read_link("/proc/self/exe")
        .map_err(|source| CheckError::File { path: "/proc/self/exe".into(), source })?;
    let outcome = Cmd::new(me).args(["way", way.id, &dir(way)]).run()?;
    Ok(match outcome.code() {
        0 => End::Reached,
        code => End::Errno(code),
    })
}
