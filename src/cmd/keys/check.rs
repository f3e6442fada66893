//! `aegisbpf keys check`

use std::{error::Error, path::PathBuf};

use serde::Serialize;

use crate::{
    cli::{JsonArgs, Places},
    cmd::{print, print_json},
    exit::{Exit, Failure},
    provenance::{self, Signer, Standing, Trust},
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    /// `ok`, `warn` or `fail`.
    status: &'static str,
    paths: Vec<Place>,
    keys: Vec<Key>,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Place {
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Serialize)]
struct Key {
    principals: String,
    #[serde(rename = "key")]
    fingerprint: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_before: Option<String>,
}

/// Looks at every step to the keys, and at every key.
pub(super) fn check(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let directory = super::directory(places);
    let steps = provenance::inspect(&directory);
    let paths: Vec<Place> = steps
        .into_iter()
        .map(|step| Place { fault: step.fault.as_ref().map(|fault| why(fault)), path: step.path })
        .collect();
    let mut reasons: Vec<String> = paths.iter().filter_map(|place| place.fault.clone()).collect();
    let mut status = if reasons.is_empty() { "ok" } else { "fail" };
    let mut keys = Vec::new();
    match provenance::load(&directory) {
        Ok(trust) => {
            keys.extend(trust.signers.iter().map(|signer| key(&trust, signer)));
            let warnings = warnings(&keys);
            if !warnings.is_empty() && status == "ok" {
                status = "warn";
            }
            reasons.extend(warnings);
        }
        // A step that was well when it was looked at, and is not any more.
        Err(error) if status == "ok" => return Err(error.into()),
        Err(_) => {}
    }
    let report = Report { schema_version: 1, status, paths, keys, reasons };
    if args.json { print_json(&report) } else { print(&text(&report)) }?;
    Ok(match status {
        "ok" => Exit::Done,
        "warn" => Exit::Negative,
        _ => Exit::Trust,
    })
}

/// A fault with its causes, in one line.
fn why(fault: &dyn Error) -> String {
    match fault.source() {
        Some(source) => format!("{fault}: {}", why(source)),
        None => fault.to_string(),
    }
}

fn key(trust: &Trust, signer: &Signer) -> Key {
    Key {
        principals: signer.principals.clone(),
        fingerprint: signer.key.to_string(),
        state: match trust.standing(signer, super::now()) {
            Standing::Valid => "valid",
            Standing::Expiring => "expires soon",
            Standing::Expired => "expired",
            Standing::Early => "not yet valid",
            Standing::Revoked => "revoked",
            Standing::Elsewhere => "for other purposes",
        },
        valid_after: signer.valid_after.map(|time| time.to_string()),
        valid_before: signer.valid_before.map(|time| time.to_string()),
    }
}

/// What needs somebody: keys that will not or do not hold any more, and nobody left who can sign. A key that was revoked
/// or waits for its time is as it was meant to be.
fn warnings(keys: &[Key]) -> Vec<String> {
    let late = keys.iter().filter(|key| matches!(key.state, "expires soon" | "expired"));
    let until = |key: &Key| key.valid_before.clone().unwrap_or_default();
    let mut warnings: Vec<String> = late
        .map(|key| format!("{} {} {} ({})", key.principals, key.fingerprint, key.state, until(key)))
        .collect();
    if !keys.iter().any(|key| matches!(key.state, "valid" | "expires soon")) {
        warnings.push("nobody can sign policies now".to_owned());
    }
    warnings
}

fn text(report: &Report) -> String {
    let places = report.paths.iter().map(|Place { path, fault }| match fault {
        None => format!("ok    {}\n", path.display()),
        Some(fault) => format!("fail  {fault}\n"),
    });
    let keys = report.keys.iter().map(|Key { principals, fingerprint, state, valid_after, valid_before }| {
        let window = [("from", valid_after), ("until", valid_before)];
        let window = window.iter().filter_map(|(word, time)| Some(format!(", {word} {}", time.as_ref()?)));
        format!("      {principals}  {fingerprint}: {state}{}\n", window.collect::<String>())
    });
    let warnings = report.reasons.iter().filter(|_| report.status == "warn");
    places.chain(keys).chain(warnings.map(|warning| format!("warn  {warning}\n"))).collect()
}
