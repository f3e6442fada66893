//! Signed policies under live enforcement: accepted without an exception, refused when they were changed or their key
//! revoked, and nothing that is refused touches the policy in force.

use super::agent::{Agent, Place, TELLING, ask, at, contains, ends, json, readable, want};
use super::load::{self, Met, opens};
use super::{Check, CheckError};
use crate::killer::{self, End};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub(super) const CHECKS: [Check; 1] = [Check { id: "policy.signed", run: |_| drill() }];

pub(super) const DRILLS: [Check; 2] = [
    Check { id: "policy.key-drill", run: |_| key_drill() },
    Check { id: "policy.keys-killed", run: |_| keys_killed() },
];

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
    let run = [TELLING.as_slice(), &["--enforce", "--policy", &a]].concat();
    let mut process = command(&run).spawn()?;
    process.wait_for("\"type\":\"state_change\"", super::agent::SOON)?;
    let _agent = Agent(Some(process));
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/policy/signed_by", &json!("ops@example.org"))?;
    // How the agent of another check ended is no reproach.
    let reasons = status.pointer("/reasons").and_then(Value::as_array).cloned().unwrap_or_default();
    let earlier =
        |reason: &Value| reason.as_str().is_some_and(|reason| reason.starts_with("the previous run"));
    want("a reason to complain", reasons.iter().all(earlier), true)?;
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

/// How often the drill is gone through, each time with another key.
const ROTATIONS: usize = 3;

/// Keys that are rotated and revoked under live enforcement, by the commands that an operator has.
struct Drill {
    place: Place,
    etc: String,
}

impl Drill {
    fn command(&self, args: &[&str]) -> Cmd {
        Cmd::new(AGENT).args(args).args(["--config-dir", &self.etc])
    }

    fn done(&self, args: &[&str]) -> Result<Value, CheckError> {
        json(&ends(&self.command(&[args, &["--json"]].concat()), 0)?.stdout)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.place.dir)
    }

    /// Makes a key; its fingerprint.
    fn key(&self, name: &str) -> Result<String, CheckError> {
        let made = self.done(&["keys", "generate", "--output", &self.path(name), "--comment", name])?;
        Ok(made.pointer("/fingerprint").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn trust(&self, name: &str) -> Result<(), CheckError> {
        let public = self.path(&format!("{name}.pub"));
        let added = self.done(&["keys", "add", &public, "--principal", name])?;
        at(&added, "/changed", &json!(true))
    }

    /// A policy that denies the secret, and the tool as well where it says so, signed with a key.
    fn policy(&self, name: &str, tool: bool, key: &str) -> Result<String, CheckError> {
        let path = self.path(name);
        let tool = if tool { &self.place.tool } else { "" };
        let text = format!("version=1\n# by {key}\n[deny_path]\n{}\n{tool}\n", self.place.secret);
        fs::write(&path, text).map_err(|source| CheckError::File { path: path.clone().into(), source })?;
        let sign = ["policy", "sign", &path, "--key", &self.path(key), "--force"];
        ends(&self.command(&sign), 0).map(|_| path)
    }

    fn applies(&self, policy: &str, by: &str, tool: bool) -> Result<(), CheckError> {
        self.done(&["policy", "apply", policy])?;
        self.holds(by, tool)
    }

    fn refuses(&self, policy: &str, why: &str) -> Result<(), CheckError> {
        let outcome = ends(&self.command(&["policy", "apply", policy]), 78)?;
        contains("the refusal", &outcome.stderr, why)
    }

    /// The policy in force is one that this key signed, and does what it says.
    fn holds(&self, by: &str, tool: bool) -> Result<(), CheckError> {
        let shown = self.done(&["policy", "show"])?;
        at(&shown, "/state", &json!("in force"))?;
        at(&shown, "/signed_by", &json!(by))?;
        want("the secret", opens(&self.place.secret) == Some(false), true)?;
        want("the tool", opens(&self.place.tool) == Some(!tool), true)
    }

    /// From one key to the next: both valid, the old one revoked while what it signed is in force, and gone.
    fn rotation(&self, old: &str, fingerprint: &str, new: &str) -> Result<String, CheckError> {
        let next = self.key(new)?;
        let of_new = self.policy("new.conf", true, new)?;
        self.refuses(&of_new, "no line of allowed_signers names the key")?;
        self.holds(old, false)?;
        self.trust(new)?;
        self.applies(&of_new, new, true)?;
        let of_old = self.policy("old.conf", false, old)?;
        self.applies(&of_old, old, false)?;
        let revoked = self.done(&["keys", "revoke", fingerprint])?;
        at(&revoked, "/changed", &json!(true))?;
        // What the key signed stays in force; nothing more of it is taken, not even the same again.
        self.holds(old, false)?;
        self.refuses(&self.policy("late.conf", true, old)?, "was revoked")?;
        self.refuses(&of_old, "was revoked")?;
        self.holds(old, false)?;
        self.applies(&self.policy("same.conf", false, new)?, new, false)?;
        ends(&self.command(&["keys", "check"]), 0)?;
        ends(&Cmd::new(AGENT).args(["health", "--require", "enforce"]), 0)?;
        Ok(next)
    }

    /// The agent dies and is begun anew: not with what a revoked key signed, and what is in force stays meanwhile.
    fn restart(&self, agent: &mut Agent, by: &str) -> Result<Agent, CheckError> {
        drop(agent.0.take());
        let run = ["run", "--enforce", "--policy", &self.path("late.conf")];
        contains("the refusal", &ends(&self.command(&run), 78)?.stderr, "was revoked")?;
        self.holds(by, false)?;
        self.begin("same.conf")
    }

    fn begin(&self, policy: &str) -> Result<Agent, CheckError> {
        let (policy, etc) = (self.path(policy), &self.etc);
        load::unheard(&format!("exec {AGENT} run --enforce --policy {policy} --config-dir {etc} >/dev/null"))
    }
}

fn key_drill() -> Result<(), CheckError> {
    let place = Place::new("key-drill")?;
    let drill = Drill { etc: format!("{}/etc", place.dir), place };
    let mut fingerprint = drill.key("key-0")?;
    drill.trust("key-0")?;
    drill.policy("first.conf", false, "key-0")?;
    let mut agent = drill.begin("first.conf")?;
    let (_agent, Met { tries, wrong }) = load::under_readers(&drill.place, || {
        for round in 1..=ROTATIONS {
            let (old, new) = (format!("key-{}", round - 1), format!("key-{round}"));
            fingerprint = drill.rotation(&old, &fingerprint, &new)?;
        }
        drill.restart(&mut agent, &format!("key-{ROTATIONS}"))
    })?;
    report::send(&Line::Note(format!(
        "{ROTATIONS} keys rotated and revoked, and an agent killed, under 4 readers: {tries} opens, {wrong} wrong answers"
    )));
    want("readers that tried", tries > 100 * ROTATIONS as u64, true)?;
    want("wrong answers", wrong != 0, false)
}

/// `keys add` and `keys revoke` die at each of their steps: who is trusted is what it was or what it was to be, whole, and
/// the same command brings it about.
fn keys_killed() -> Result<(), CheckError> {
    let place = Place::new("keys-killed")?;
    let drill = Drill { etc: format!("{}/etc", place.dir), place };
    for name in ["one", "two"] {
        drill.key(name)?;
    }
    let public = drill.path("two.pub");
    let text = fs::read_to_string(&public)
        .map_err(|source| CheckError::File { path: public.clone().into(), source })?;
    let key = text.split(' ').nth(1).unwrap_or_default();
    for (args, file) in [
        (["keys", "add", &public, "--principal", "two"].as_slice(), "allowed_signers"),
        (["keys", "revoke", &public].as_slice(), "revoked_keys"),
    ] {
        let args = [args, &["--config-dir", &drill.etc]].concat();
        let (mut steps, mut kept, mut changed) = (0, 0, 0);
        loop {
            ends(&Cmd::new("/bin/rm").args(["-rf", &drill.etc]), 0)?;
            drill.trust("one")?;
            let end = killer::run(AGENT, &args, steps + 1)
                .map_err(|source| CheckError::File { path: AGENT.into(), source })?;
            ends(&drill.command(&["keys", "check"]), 0)?;
            let lines = || fs::read_to_string(format!("{}/keys/{file}", drill.etc)).unwrap_or_default();
            let of_two = |text: &str| text.lines().filter(|line| line.contains(key)).count();
            if of_two(&lines()) == 0 {
                kept += 1;
            } else {
                changed += 1;
            }
            ends(&Cmd::new(AGENT).args(&args), 0)?;
            want("one line of the key", of_two(&lines()) == 1, true)?;
            want("a file left behind", Path::new(&format!("{}/keys/{file}.new", drill.etc)).exists(), false)?;
            if end != End::Killed {
                want("the last run to its end", end == End::Exited(0), true)?;
                break;
            }
            steps += 1;
        }
        report::send(&Line::Note(format!(
            "a change of {file} killed at each of {steps} steps: {kept} times nothing was changed, {changed} times all was"
        )));
        want("steps on both sides of the rename", kept > 1 && changed > 1, true)?;
    }
    Ok(())
}
