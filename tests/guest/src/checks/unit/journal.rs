//! What the journal of systemd has of the events of the service.

use super::super::agent::{ask, contains, ends, json, want};
use super::super::load::opens;
use super::super::{Check, CheckError};
use super::service::{Service, eventually, logs};
use crate::run::Cmd;
use serde_json::Value;

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "unit.journal-has-fields-and-catalog", run: |_| fields() },
    Check { id: "unit.journal-restarted", run: |_| restarted() },
];

/// What `journalctl` prints of the service.
fn printed(args: &[&str]) -> Result<String, CheckError> {
    let fixed = ["-u", "aegisbpf", "--no-pager"];
    Ok(ends(&Cmd::new("journalctl").args(fixed).args(args), 0)?.stdout)
}

/// Waits for an entry of a denial of this path.
fn denial(path: &str) -> Result<Value, CheckError> {
    let mut found = None;
    eventually("an entry", || {
        let text = printed(&["-o", "json", "AEGISBPF_TYPE=deny", &format!("AEGISBPF_PATH={path}")])?;
        found = text.lines().next_back().map(json).transpose()?;
        Ok(found.is_some())
    })?;
    Ok(found.unwrap_or_default())
}

fn fields() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-fields")?;
    let catalog = "cd /root && install -D -m 644 dist/systemd/aegisbpf.catalog \
        /usr/lib/systemd/catalog/aegisbpf.catalog && journalctl --update-catalog";
    ends(&Cmd::sh(catalog), 0)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    let entry = denial(&service.place.secret)?;
    let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    for (name, wanted) in [
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "aegisbpf"),
        ("AEGISBPF_MODE", "enforce"),
        ("AEGISBPF_ERRNO", "1"),
        ("AEGISBPF_TIER", "bpf-lsm"),
        ("_SYSTEMD_UNIT", "aegisbpf.service"),
        ("_TRANSPORT", "journal"),
    ] {
        contains("a field", &format!("{name}={}", field(name)), &format!("{name}={wanted}"))?;
    }
    contains("the message", field("MESSAGE"), "DENY read")?;
    let id = format!("MESSAGE_ID={}", field("MESSAGE_ID"));
    let explained = printed(&["-x", &id])?;
    contains("the catalog", &explained, &format!("Subject: read of {} was denied", service.place.secret))?;
    contains("the catalog", &explained, "aegisbpf policy rollback")?;
    // No other event is explained by that text.
    let other = printed(&["-x", "AEGISBPF_TYPE=proof"])?;
    contains("the catalog", &other, "Enforcement was put to the proof")?;
    want("the text of a denial", other.contains("was denied"), false)
}

/// Events go on to arrive in a journal that was started anew.
fn restarted() -> Result<(), CheckError> {
    let service = Service::enforcing("unit-restarted")?;
    ends(&Cmd::new("systemctl").args(["restart", "systemd-journald"]), 0)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    denial(&service.place.secret)?;
    let status = ask(&["status", "--json"], 0)?;
    want("trouble with the journal", status.to_string().contains("the journal does not take"), false)?;
    logs(&["DENY", &service.place.secret])
}
