//! What is kept of the past: the audit log, the highest policy version, the latest time; in the state directory and in the
//! kernel, so that losing one of them is noticed.

use super::agent::{Agent, Place, SOON, TELLING, at, contains, ends, json, nothing_pinned, readable, want};
use super::{Check, CheckError};
use crate::run::{Cmd, Outcome};
use guest::AGENT;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::Duration;

pub(super) const CHECKS: [Check; 8] = [
    Check { id: "ledger.what-was-done", run: |_| what_was_done() },
    Check { id: "ledger.tampering-is-found", run: |_| tampering() },
    Check { id: "ledger.replay-without-state", run: |_| replay("rm -rf DIR/state", false) },
    Check { id: "ledger.replay-without-pins", run: |_| replay("AGENT detach", true) },
    Check { id: "ledger.revoked-key-at-start", run: |_| revoked() },
    Check { id: "ledger.clock-set-back", run: |_| clock_set_back() },
    Check { id: "ledger.full-disk", run: |_| full_disk() },
    Check { id: "ledger.reset", run: |_| reset() },
];

const FILES: [(&str, &str); 7] = [
    ("v1.conf", include_str!("../../data/versions/v1.conf")),
    ("v1.conf.sig", include_str!("../../data/versions/v1.conf.sig")),
    ("v2.conf", include_str!("../../data/versions/v2.conf")),
    ("v2.conf.sig", include_str!("../../data/versions/v2.conf.sig")),
    ("v3.conf", include_str!("../../data/versions/v3.conf")),
    ("v3.conf.sig", include_str!("../../data/versions/v3.conf.sig")),
    ("etc/keys/allowed_signers", include_str!("../../data/versions/allowed_signers")),
];

/// A place with directories of its own: what these checks leave behind is nobody else's past.
pub(super) struct Own {
    pub(super) place: Place,
}

impl Own {
    /// `/tmp/ledger`, which the signed policies are about, with the state below `state`.
    pub(super) fn new() -> Result<Self, CheckError> {
        ends(&Cmd::sh("umount /tmp/ledger/state; rm -rf /tmp/ledger; true"), 0)?;
        let own = Self { place: Place::new("ledger")? };
        ends(&own.sh("mkdir -p -m 755 DIR/etc/keys && mkdir DIR/state DIR/run"), 0)?;
        for (name, text) in FILES {
            own.write(name, text)?;
        }
        Ok(own)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), CheckError> {
        let path = format!("{}/{name}", self.place.dir);
        fs::write(&path, text).map_err(|source| CheckError::File { path: path.into(), source })
    }

    /// A script; `DIR` is the place, `AGENT` the binary with the place's directories behind the first words.
    pub(super) fn sh(&self, script: &str) -> Cmd {
        Cmd::sh(&script.replace("DIR", &self.place.dir).replace("AGENT", AGENT))
    }

    pub(super) fn command(&self, args: &[&str]) -> Cmd {
        Cmd::new(AGENT).args(args).args(self.dirs())
    }

    pub(super) fn dirs(&self) -> [String; 6] {
        let dir = |name: &str| format!("{}/{name}", self.place.dir);
        [
            "--config-dir".into(),
            dir("etc"),
            "--state-dir".into(),
            dir("state"),
            "--run-dir".into(),
            dir("run"),
        ]
    }

    pub(super) fn ends(&self, args: &[&str], code: i32) -> Result<Outcome, CheckError> {
        ends(&self.command(args), code)
    }

    /// Applies a version; wants this exit code, and this in what it says.
    fn apply(&self, version: u32, code: i32, why: &str) -> Result<(), CheckError> {
        let file = format!("{}/v{version}.conf", self.place.dir);
        let outcome = self.ends(&["policy", "apply", &file], code)?;
        contains("the answer", &outcome.stderr, why)
    }

    /// An enforcing agent with a signed policy.
    pub(super) fn start(&self, version: u32) -> Result<Agent, CheckError> {
        let file = format!("{}/v{version}.conf", self.place.dir);
        let run = [TELLING.as_slice(), &["--enforce", "--policy", &file]].concat();
        let mut process = self.command(&run).spawn()?;
        process.wait_for("\"type\":\"state_change\"", SOON)?;
        want("secret readable", readable(&self.place.secret, 0)?, false)?;
        Ok(Agent(Some(process)))
    }

    /// What and result of each entry, in order.
    pub(super) fn entries(&self) -> Result<Vec<String>, CheckError> {
        let shown = self.ends(&["audit", "show", "--json", "-n", "10000"], 0)?.stdout;
        let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entry =
            |line| json(line).map(|entry| format!("{} {}", word(&entry, "what"), word(&entry, "result")));
        shown.lines().map(entry).collect()
    }

    /// The log is sound, and nothing of it is beyond being checked.
    pub(super) fn sound(&self) -> Result<(), CheckError> {
        let report = json(&self.ends(&["audit", "verify", "--json"], 0)?.stdout)?;
        at(&report, "/sound", &json!(true))?;
        at(&report, "/notes", &json!([]))
    }
}

fn same(what: &'static str, got: &[String], want: &[&str]) -> Result<(), CheckError> {
    if got == want {
        return Ok(());
    }
    Err(CheckError::Differs { what, want: want.join(", "), got: got.join(", ") })
}

/// Ends an agent and leaves what it pinned.
fn end(agent: &mut Agent, signal: Signal) -> Result<(), CheckError> {
    agent.process()?.signal(signal)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    Ok(())
}

/// Commands and the sandboxed agent write one chain: what was applied, taken back and refused, a trial that ended by
/// itself, the glass broken by hand, the end of the agent and of enforcement.
fn what_was_done() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(1)?;
    own.apply(2, 0, "")?;
    own.ends(&["policy", "rollback"], 0)?;
    own.apply(1, 0, "")?;
    own.ends(&["policy", "apply", "/nonexistent"], 74)?;
    let trial = format!("{}/v3.conf", own.place.dir);
    own.ends(&["policy", "apply", &trial, "--confirm-within", "3s"], 0)?;
    agent.event("policy_change", &["\"provisional\":true"])?;
    thread::sleep(Duration::from_secs(5));
    own.ends(&["policy", "reload"], 0)?;
    ends(&own.sh("touch DIR/etc/break_glass; sleep 2; rm DIR/etc/break_glass; sleep 2"), 0)?;
    end(&mut agent, Signal::TERM)?;
    own.sound()?;
    own.ends(&["detach"], 0)?;
    let wanted = [
        "run_start intended",
        "run_start done",
        "apply intended",
        "apply done",
        "rollback intended",
        "rollback done",
        "apply intended",
        "apply done",
        "apply refused",
        "apply intended",
        "apply done",
        "trial_ended done",
        "reload intended",
        "reload done",
        "break_glass_on done",
        "break_glass_off done",
        "run_stop done",
        "detach done",
    ];
    same("the entries", &own.entries()?, &wanted)?;
    own.sound()
}

/// The kernel alone knows the end of the log: what is cut off or put in its place is found.
fn tampering() -> Result<(), CheckError> {
    let own = Own::new()?;
    let _agent = own.start(1)?;
    let forget = own.sh("rm -f DIR/run/audit.head");
    ends(&forget, 0)?;
    own.sound()?;
    own.apply(2, 0, "")?;
    ends(&forget, 0)?;
    own.sound()?;
    ends(&own.sh("cp -a DIR/state/audit.log DIR/log"), 0)?;
    for (what, script) in [
        ("the last line", "sed '$d' DIR/log"),
        ("a line in between", "sed 2d DIR/log"),
        ("two lines", "(sed -n 1p DIR/log; sed -n 3p DIR/log; sed -n 2p DIR/log; sed 1,3d DIR/log)"),
        ("the last line's reason", "sed '$s/\"done\"/\"dane\"/' DIR/log"),
        ("everything", "true"),
    ] {
        ends(&own.sh(&format!("{script} >DIR/state/audit.log")), 0)?;
        let outcome = own.command(&["audit", "verify"]).run()?;
        want(what, outcome.code() == 78, true)?;
    }
    ends(&own.sh("rm DIR/state/audit.log"), 0)?;
    let outcome = own.ends(&["audit", "verify"], 78)?;
    contains("the refusal", &outcome.stderr, "the kernel knows entry")?;
    // It goes on, and stays wrong.
    own.ends(&["policy", "rollback"], 0)?;
    own.ends(&["audit", "verify"], 78)?;
    ends(&own.sh("cp -a DIR/log DIR/state/audit.log"), 0)?;
    own.ends(&["audit", "verify"], 78)?;
    Ok(())
}

/// A version that was accepted stays so when either memory of it is lost; the denial stays whatever is refused.
fn replay(lose: &str, again: bool) -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(1)?;
    own.apply(3, 0, "")?;
    own.apply(2, 78, "replay")?;
    end(&mut agent, Signal::KILL)?;
    ends(&own.sh(lose), 0)?;
    own.apply(2, 78, "replay")?;
    let file = format!("{}/v2.conf", own.place.dir);
    let outcome = own.ends(&["run", "--enforce", "--policy", &file], 78)?;
    contains("the refusal of a run", &outcome.stderr, "replay")?;
    want("secret readable", readable(&own.place.secret, 0)?, again)?;
    // The policy that is in force, or was, is no replay of itself.
    let _agent = own.start(3)?;
    own.apply(2, 78, "replay")?;
    let floor = fs::read_to_string(format!("{}/state/floor.json", own.place.dir)).unwrap_or_default();
    at(&json(&floor)?, "/policy_version", &json!(3))
}

/// A kept policy whose key was revoked is not enforced anew; what is pinned stays as it was.
fn revoked() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(1)?;
    end(&mut agent, Signal::KILL)?;
    let (_, line) = FILES[6];
    let key = line.split_once(' ').map_or("", |(_, key)| key);
    own.write("etc/keys/revoked_keys", key)?;
    let default = own.sh("cp DIR/v1.conf DIR/etc/policy.conf && rm DIR/v1.conf.sig");
    ends(&default, 0)?;
    let file = format!("{}/v1.conf", own.place.dir);
    // By its file nobody signed it any more; the one that was kept had a signature.
    let run = ["run", "--enforce", "--policy", &file];
    own.ends(&run, 78)?;
    own.write("v1.conf.sig", FILES[1].1)?;
    let outcome = own.ends(&run, 78)?;
    contains("the refusal", &outcome.stderr, "was revoked")?;
    own.apply(2, 78, "was revoked")?;
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    own.write("etc/keys/revoked_keys", "")?;
    let _agent = own.start(1)?;
    own.sound()
}

/// Sets the clock to so many seconds after 1970.
fn set_clock(seconds: u64) -> Result<(), CheckError> {
    ends(&Cmd::sh(&format!("date -s @{seconds}")), 0).map(drop)
}

fn clock() -> Result<u64, CheckError> {
    let now = ends(&Cmd::sh("date +%s"), 0)?.stdout;
    Ok(now.trim().parse().unwrap_or(0))
}

/// A clock that was set back does not bring back what has expired; that is said, and there is a way out.
fn clock_set_back() -> Result<(), CheckError> {
    let own = Own::new()?;
    let start = clock()?;
    let result = set_back(&own, start);
    set_clock(start + 60)?;
    result
}

fn set_back(own: &Own, start: u64) -> Result<(), CheckError> {
    let expires = start + 3600;
    let day = ends(&Cmd::sh(&format!("date -u -d @{expires} +%Y-%m-%dT%H:%M:%SZ")), 0)?.stdout;
    let text = format!(
        "version=2\n[settings]\npolicy_version=9\nexpires={}\n[deny_path]\n{}\n",
        day.trim(),
        own.place.neighbour
    );
    own.write("ends.conf", &text)?;
    let file = format!("{}/ends.conf", own.place.dir);
    let apply = ["policy", "apply", &file, "--allow-unsigned-policy"];
    let mut agent = own.start(1)?;
    own.ends(&apply, 0)?;
    own.ends(&["policy", "rollback"], 0)?;
    set_clock(start + 7200)?;
    own.ends(&apply, 78)?;
    thread::sleep(Duration::from_secs(3));
    set_clock(start)?;
    let outcome = own.ends(&apply, 78)?;
    contains("the refusal", &outcome.stderr, "behind the latest time that was seen")?;
    agent.event("state_change", &["degraded", "behind the latest time"])?;
    let status = json(&own.ends(&["status", "--json"], 0)?.stdout)?;
    contains("the status", &status.to_string(), "behind the latest time")?;
    // Neither memory alone forgets it.
    ends(&own.sh("rm DIR/state/floor.json"), 0)?;
    own.ends(&apply, 78)?;
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    own.ends(&["reset", "--clock"], 0)?;
    own.ends(&apply, 0)?;
    own.sound()
}

/// Without room for an entry nothing changes, but for the ways out: those work, and say loudly what they could not record.
fn full_disk() -> Result<(), CheckError> {
    let own = Own::new()?;
    ends(&own.sh("mount -t tmpfs -o size=256k,mode=0700 tmpfs DIR/state"), 0)?;
    let agent = own.start(1)?;
    ends(&own.sh("dd if=/dev/zero of=DIR/state/fill bs=4096 2>/dev/null; true"), 0)?;
    // The last page of the log still has room.
    for _ in 0..30 {
        if own.ends(&["break-glass", "off", "--reason", "to fill"], 0)?.stderr.contains("NOT on record") {
            break;
        }
    }
    let file = format!("{}/v2.conf", own.place.dir);
    let outcome = own.ends(&["policy", "apply", &file], 74)?;
    contains("the refusal", &outcome.stderr, "hint:")?;
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    for (word, readable_then) in [("on", true), ("off", false), ("on", true)] {
        let outcome = own.ends(&["break-glass", word, "--reason", "a full disk"], 0)?;
        contains("what it says", &outcome.stderr, "NOT on record")?;
        want("secret readable", readable(&own.place.secret, 0)?, readable_then)?;
    }
    let outcome = own.ends(&["detach"], 0)?;
    contains("what detach says", &outcome.stderr, "NOT on record")?;
    drop(agent);
    ends(&own.sh("rm DIR/state/fill"), 0)?;
    own.ends(&["break-glass", "off", "--reason", "room again"], 0)?;
    own.ends(&["audit", "verify"], 0)?;
    ends(&own.sh("umount DIR/state"), 0).map(drop)
}

/// Nothing is forgotten under an agent; without one everything is but the log, and enforcement has ended.
fn reset() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(3)?;
    own.ends(&["reset", "--yes"], 75)?;
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    end(&mut agent, Signal::KILL)?;
    own.ends(&["reset", "--yes"], 0)?;
    nothing_pinned()?;
    want("secret readable", readable(&own.place.secret, 0)?, true)?;
    want("the last entry", own.entries()?.last().is_some_and(|entry| entry == "reset done"), true)?;
    // An older version is a new beginning.
    let _agent = own.start(1)?;
    own.sound()
}
