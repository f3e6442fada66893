//! `aegisbpf keys add|revoke`

use std::path::Path;

use serde::Serialize;

use crate::{
    agent::{AgentError, Journal},
    audit::{Deed, Outcome, What},
    cli::{AddArgs, Places, RevokeArgs},
    cmd::{print, print_json},
    exit::{self, Exit, Failure},
    policy::Timestamp,
    provenance::{self, Keyring, NAMESPACE, PublicKey, Signer, Trust},
    store::{Store, StoreError},
};

/// What became of who is trusted.
#[derive(Serialize)]
struct Change {
    schema_version: u32,
    /// `added` or `revoked`.
    action: &'static str,
    fingerprint: String,
    /// Whose key it is; empty when no line of `allowed_signers` names it.
    principals: Vec<String>,
    /// `false`: it was so before.
    changed: bool,
    /// The generations on disk that these principals signed.
    signed: Vec<u64>,
    /// That of them which is in force, or taken by the next run.
    current: Option<u64>,
}

/// Trusts a key.
pub(super) fn add(args: &AddArgs, places: &Places) -> Result<Exit, Failure> {
    if let (Some(after), Some(before)) = (args.valid_after, args.valid_before)
        && after >= before
    {
        return Err(Failure::new(Exit::Usage, "--valid-after is not before --valid-before")
            .hint("such a line would never hold"));
    }
    let signer = Signer {
        principals: args.principal.clone(),
        namespaces: vec![NAMESPACE.to_owned()],
        valid_after: args.valid_after,
        valid_before: args.valid_before,
        key: provenance::read_public(&args.file)?,
    };
    let changed = Keyring::open(&super::directory(places))?.add(&signer)?;
    let change = Change {
        schema_version: 1,
        action: "added",
        fingerprint: signer.key.to_string(),
        principals: vec![signer.principals],
        changed,
        signed: Vec::new(),
        current: None,
    };
    done(&change, args.json, places)
}

/// Trusts nothing any more that a key signed.
pub(super) fn revoke(args: &RevokeArgs, places: &Places) -> Result<Exit, Failure> {
    let directory = super::directory(places);
    let trust = provenance::load(&directory)?;
    let key = key(&args.key, &trust)?;
    let lines = trust.signers.iter().filter(|signer| signer.key == key);
    let principals: Vec<String> = lines.map(|signer| signer.principals.clone()).collect();
    let when = Timestamp::from_unix(super::now()).map(|time| format!("revoked {time}")).unwrap_or_default();
    let remark = [&principals.join(" "), &*when].join(" ");
    let changed = Keyring::open(&directory)?.revoke(&key, &remark)?;
    // It is revoked, whatever can be told of what it signed.
    let (signed, current) = signed_by(&principals, places).unwrap_or_else(|error| {
        exit::note(&format!("what the key signed was not looked for: {}", AgentError::from(error).chain()));
        (Vec::new(), None)
    });
    let change = Change {
        schema_version: 1,
        action: "revoked",
        fingerprint: key.to_string(),
        principals,
        changed,
        signed,
        current,
    };
    done(&change, args.json, places)
}

/// The key with a fingerprint, or that of a file.
fn key(named: &Path, trust: &Trust) -> Result<PublicKey, Failure> {
    let Some(fingerprint) = named.to_str().filter(|name| name.starts_with("SHA256:")) else {
        return Ok(provenance::read_public(named)?);
    };
    let known = trust.signers.iter().map(|signer| signer.key).chain(trust.revoked.iter().copied());
    known.into_iter().find(|key| key.to_string() == fingerprint).ok_or_else(|| {
        Failure::new(Exit::Input, format!("no line of allowed_signers names the key {fingerprint}"))
            .hint("`aegisbpf keys list` shows those that do; a file of the public key will do as well")
    })
}

/// The generations on disk that somebody signed, and which of them is the current one.
fn signed_by(principals: &[String], places: &Places) -> Result<(Vec<u64>, Option<u64>), StoreError> {
    let store = Store::at(&places.state_dir);
    let is_theirs = |generation: &u64| {
        let record = store.record(*generation).ok();
        record.and_then(|record| record.signed_by).is_some_and(|by| principals.contains(&by))
    };
    let signed: Vec<u64> = store.numbers()?.into_iter().filter(is_theirs).collect();
    let current = store.current()?.filter(|current| signed.contains(current));
    Ok((signed, current))
}

/// The end of every change of who is trusted, once it is on disk: records it, and says what was done.
fn done(change: &Change, json: bool, places: &Places) -> Result<Exit, Failure> {
    let Change { action, fingerprint, principals, changed, signed, current, .. } = change;
    if *changed {
        let what = format!("{action} {fingerprint} {}", principals.join(" "));
        let deed = Deed::new(What::KeyChange, Outcome::Done).because(what.trim_end());
        let recorded = Journal::of(&places.dirs()).record(deed);
        recorded
            .map_err(|error| Failure::from(error).hint(format!("{fingerprint} was {action} all the same")))?;
    }
    if json {
        print_json(change)?;
        return Ok(Exit::Done);
    }
    let whose = if principals.is_empty() { String::new() } else { format!(", of {}", principals.join(", ")) };
    let before = if *changed { "" } else { " before; nothing was changed" };
    let mut lines = vec![format!("{fingerprint}{whose}: {action}{before}\n")];
    if !signed.is_empty() {
        let numbers: Vec<String> = signed.iter().map(u64::to_string).collect();
        lines.push(format!("generations that {} signed: {}\n", principals.join(", "), numbers.join(", ")));
    }
    if let Some(current) = current {
        lines.push(format!(
            "generation {current} stays current: sign that policy with another key, and apply it\n"
        ));
    }
    print(&lines.concat())?;
    Ok(Exit::Done)
}
