//! `aegisbpf keys list`

use serde::Serialize;

use crate::{
    cli::{JsonArgs, Places},
    cmd::{print, print_json},
    exit::{Exit, Failure},
    provenance,
};

#[derive(Serialize)]
struct Keys {
    schema_version: u32,
    signers: Vec<Signer>,
}

#[derive(Serialize)]
struct Signer {
    principals: String,
    key: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    namespaces: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_before: Option<String>,
    revoked: bool,
}

/// Lists who is trusted to sign policies, as the agent reads it.
pub(super) fn list(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let directory = super::directory(places);
    let trust = provenance::load(&directory)?;
    let signers: Vec<Signer> = trust
        .signers
        .iter()
        .map(|signer| Signer {
            principals: signer.principals.clone(),
            key: signer.key.to_string(),
            namespaces: signer.namespaces.clone(),
            valid_after: signer.valid_after.map(|time| time.to_string()),
            valid_before: signer.valid_before.map(|time| time.to_string()),
            revoked: trust.revoked.contains(&signer.key),
        })
        .collect();
    if args.json {
        print_json(&Keys { schema_version: 1, signers })?;
        return Ok(Exit::Done);
    }
    if signers.is_empty() {
        print(&format!("{}: nobody is trusted to sign policies\n", directory.display()))?;
    }
    for Signer { principals, key, namespaces, valid_after, valid_before, revoked } in signers {
        let window = [("from", valid_after), ("until", valid_before)];
        let window = window.iter().filter_map(|(word, time)| Some(format!(", {word} {}", time.as_ref()?)));
        let purpose =
            if namespaces.is_empty() { String::new() } else { format!(", for {}", namespaces.join(" ")) };
        let revoked = if revoked { ", REVOKED" } else { "" };
        print(&format!("{principals}  {key}{purpose}{}{revoked}\n", window.collect::<String>()))?;
    }
    Ok(Exit::Done)
}
