//! Signed policies under live enforcement: accepted without an exception, refused when they were changed or their key
//! revoked, and nothing that is refused touches the policy in force.

use super::agent::{Agent, Place, ask, at, contains, ends, readable, want};
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::json;
use std::fs;

pub(super) const CHECKS: [Check; 1] = [Check { id: "policy.signed", run: |_| drill() }];

/// Signs for the secret alone, and for its neighbour as well.
const FILES: [(&str, &str); 5] = [
    ("a.conf", include_str!("../../data/signed/a.conf")),
    ("a.conf.sig", include_str!("../../data/signed/a.conf.sig")),
    ("b.conf", include_str!("../../data/signed/b.conf")),
    ("b.conf.sig", include_str!("../../data/signed/b.conf.sig")),
    ("etc/keys/allowed_signers", include_str!("../../data/signed/allowed_signers")),
];

fn drill() -> Result<(), CheckError> {
    let place = Place::new("signed")?;
    let dir = &place.dir;
    ends(&Cmd::sh(&format!("mkdir -p -m 755 {dir}/etc/keys")), 0)?;
    let write = |name: &str, text: &str| {
        let path = format!("{dir}/{name}");
        fs::write(&path, text).map_err(|source| CheckError::File { path: path.into(), source })
    };
    for (name, text) in FILES {
        write(name, text)?;
    }
    let etc = format!("{dir}/etc");
    let command = |args: &[&str]| Cmd::new(AGENT).args(args).args(["--config-dir", &etc]);
    let (a, b) = (format!("{dir}/a.conf"), format!("{dir}/b.conf"));
    let mut process = command(&["run", "--enforce", "--log-format", "json", "--policy", &a]).spawn()?;
    process.wait_for("\"type\":\"state_change\"", super::agent::SOON)?;
    let _agent = Agent(Some(process));
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/policy/signed_by", &json!("ops@example.org"))?;
    at(&status, "/reasons", &json!([]))?;
    let holds = |both: bool| {
        want("the secret", readable(&place.secret, 0)?, false)?;
        want("its neighbour", readable(&place.neighbour, 0)?, !both)
    };
    holds(false)?;
    let apply = |code: i32, why: &str| {
        let outcome = ends(&command(&["policy", "apply", &b]), code)?;
        contains("the refusal", &outcome.stderr, why)
    };
    // Changed after it was signed; without a signature; with a key that was revoked.
    write("b.conf", &format!("{}# one more line\n", FILES[2].1))?;
    apply(78, "it is not one of these bytes")?;
    holds(false)?;
    write("b.conf", FILES[2].1)?;
    fs::remove_file(format!("{dir}/b.conf.sig"))
        .map_err(|source| CheckError::File { path: b.clone().into(), source })?;
    apply(78, "enforce mode needs a signed policy")?;
    holds(false)?;
    write("b.conf.sig", FILES[3].1)?;
    let key = FILES[4].1.split_once(' ').map_or("", |(_, key)| key);
    write("etc/keys/revoked_keys", key)?;
    apply(78, "was revoked")?;
    holds(false)?;
    write("etc/keys/revoked_keys", "")?;
    apply(0, "")?;
    holds(true)?;
    at(&ask(&["status", "--json"], 0)?, "/policy/signed_by", &json!("ops@example.org"))
}
