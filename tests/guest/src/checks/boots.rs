//! What the kernel command line switches, and what lasts through a reboot without a goodbye.

use super::agent::{
    Agent, Place, SOON, TELLING, ask, at, contains, ends, json, nothing_pinned, readable, want,
};
use super::filesystems::mount_disk;
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use rustix::system::{RebootCommand, reboot};
use serde_json::json;
use std::fs;

/// Booted with `aegisbpf.off`.
pub(super) const OFF: [Check; 1] = [Check { id: "boot.off-starts-nothing", run: |_| off() }];

/// Booted with `aegisbpf.mode=audit`.
pub(super) const AUDIT: [Check; 1] = [Check { id: "boot.audit-denies-nothing", run: |_| audit() }];

/// Boots again with the same disks.
pub(super) const REBOOT: [Check; 1] = [Check { id: "boot.what-lasts", run: |_| lasts() }];

fn off() -> Result<(), CheckError> {
    let place = Place::new("off")?;
    place.deny("")?;
    for mode in ["--enforce", "--audit"] {
        let outcome = ends(&Agent::command(&place, &[mode]), 0)?;
        contains("what it says", &outcome.stderr, "aegisbpf.off stands on the kernel command line")?;
    }
    nothing_pinned()?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    let status = ask(&["status", "--json"], 0)?;
    contains("the status", &status.to_string(), "aegisbpf.off stands on the kernel command line")
}

fn audit() -> Result<(), CheckError> {
    let place = Place::new("audit")?;
    place.deny("")?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    agent.event("would_deny", &[&place.secret])?;
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/status", &json!("degraded"))?;
    at(&status, "/enforcing", &json!(false))?;
    at(&status, "/mode", &json!("audit"))?;
    contains("the status", &status.to_string(), "aegisbpf.mode=audit stands on the kernel command line")?;
    ask(&["health", "--json", "--require", "enforce"], 1)?;
    drop(agent);
    // Auditing is what was asked for: that is not degraded.
    let _agent = Agent::start(&place, &["--audit"])?;
    at(&ask(&["status", "--json"], 0)?, "/status", &json!("healthy"))
}

const DISK: &str = "/mnt/ext4";

fn dirs() -> [String; 4] {
    ["--config-dir", &format!("{DISK}/etc"), "--state-dir", &format!("{DISK}/state")].map(str::to_owned)
}

fn command(args: &[&str]) -> Cmd {
    Cmd::new(AGENT).args(args).args(dirs())
}

/// The files lie on the disk, and so do the configuration and the state.
fn lasts() -> Result<(), CheckError> {
    mount_disk("ext4", DISK)?;
    let marker = format!("{DISK}/booted");
    let [secret, first, second] = ["secret", "first", "second"].map(|name| format!("{DISK}/{name}"));
    let run = [TELLING.as_slice(), &["--enforce", "--allow-unsigned-policy", "--policy", &first]].concat();
    if fs::exists(&marker).is_ok_and(|there| there) {
        return after(&secret, &second, &run);
    }
    let write = |path: &str, text: &str| {
        fs::write(path, text).map_err(|source| CheckError::File { path: path.into(), source })
    };
    write(&secret, "secret\n")?;
    write(&first, "version=1\n[deny_path]\n/etc/nothing\n")?;
    write(&second, &format!("version=1\n[deny_path]\n{secret}\n"))?;
    write(&marker, "")?;
    ends(&Cmd::sh("sync"), 0)?;
    // From here on nothing is on the disk but what the product itself puts there for good.
    let mut agent = command(&run).args(["--allow-missing"]).spawn()?;
    agent.wait_for("\"type\":\"state_change\"", SOON)?;
    ends(&command(&["policy", "apply", &second, "--allow-unsigned-policy"]), 0)?;
    want("secret readable", readable(&secret, 0)?, false)?;
    ends(&command(&["break-glass", "on", "--reason", "before the reboot"]), 0)?;
    want("secret readable with break-glass", readable(&secret, 0)?, true)?;
    let failed = reboot(RebootCommand::Restart);
    Err(CheckError::Differs { what: "reboot", want: "no return".into(), got: format!("{failed:?}") })
}

fn after(secret: &str, second: &str, run: &[&str]) -> Result<(), CheckError> {
    nothing_pinned()?;
    want("secret readable before a run", readable(secret, 0)?, true)?;
    let verified = json(&ends(&command(&["audit", "verify", "--json"]), 0)?.stdout)?;
    contains("what verify could not check", &verified.to_string(), "could not be checked")?;
    let log = ends(&command(&["audit", "show"]), 0)?.stdout;
    contains("the log", &log, "before the reboot")?;
    let glass = ends(&command(&["break-glass", "status"]), 1)?.stdout;
    contains("the file", &glass, "before the reboot")?;
    // The policy of before, suspended as before.
    let mut process = command(run).args(["--allow-missing"]).spawn()?;
    process.wait_for("break-glass is on", SOON)?;
    let _agent = Agent(Some(process));
    let shown = json(&ends(&command(&["policy", "show", "--json"]), 0)?.stdout)?;
    at(&shown, "/origin", &json!(second))?;
    want("secret readable with break-glass", readable(secret, 0)?, true)?;
    ends(&command(&["break-glass", "off", "--reason", "after the reboot"]), 0)?;
    want("secret readable", readable(secret, 0)?, false)?;
    let verified = json(&ends(&command(&["audit", "verify", "--json"]), 0)?.stdout)?;
    at(&verified, "/notes", &json!([]))
}
