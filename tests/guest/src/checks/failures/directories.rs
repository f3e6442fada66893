//! The directories of the agent: read-only, full, with what no agent left there; and the policy it is to begin with.

use super::super::agent::{Agent, Place, TELLING, ask, at, contains, ends, want};
use super::super::{Check, CheckError, Ctx};
use super::{
    enforcing, health, health_comes, health_of, holds, kill, lives, nothing_holds, refused, seen, sh,
};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::json;
use std::thread;
use std::time::Duration;

pub(super) const CHECKS: [Check; 7] = [
    Check { id: "failure.run-dir-read-only", run: run_read_only },
    Check { id: "failure.run-dir-full", run: run_full },
    Check { id: "failure.run-dir-foreign", run: run_foreign },
    Check { id: "failure.state-dir-read-only", run: state_read_only },
    Check { id: "failure.state-dir-full", run: state_full },
    Check { id: "failure.policy-unreadable", run: policy_unreadable },
    Check { id: "failure.policy-invalid", run: policy_invalid },
];

/// A place with two small file systems of its own, for the runtime and the state directory.
struct Small {
    place: Place,
    run: String,
    state: String,
}

impl Small {
    fn new(id: &str) -> Result<Self, CheckError> {
        let place = Place::new(id)?;
        place.deny("")?;
        let (run, state) = (format!("{}/run", place.dir), format!("{}/state", place.dir));
        for dir in [&run, &state] {
            sh(&format!("mkdir {dir} && mount -t tmpfs -o size=1m small {dir}"))?;
        }
        Ok(Self { place, run, state })
    }

    fn places(&self) -> [&str; 4] {
        ["--run-dir", &self.run, "--state-dir", &self.state]
    }

    fn enforce(&self) -> Vec<&str> {
        [["--enforce"].as_slice(), &self.places()].concat()
    }

    fn start(&self) -> Result<Agent, CheckError> {
        let agent = Agent::start(&self.place, &self.enforce())?;
        holds(&self.place)?;
        health_of(&self.places(), 0, "healthy")?;
        Ok(agent)
    }

    /// Refused at the start, with nothing in force and with what an earlier run pinned; both tiers.
    fn refused(&self, words: &str, break_it: &str, mend: &str) -> Result<(), CheckError> {
        let run = Agent::command(&self.place, &self.enforce());
        let observe = [["--audit", "--tier", "tracepoint"].as_slice(), &self.places()].concat();
        sh(break_it)?;
        refused(&run, 74, words)?;
        refused(&Agent::command(&self.place, &observe), 74, words)?;
        nothing_holds(&self.place)?;
        super::super::agent::nothing_pinned()?;
        health_of(&self.places(), 1, "unhealthy")?;
        sh(mend)?;
        let mut agent = self.start()?;
        kill(&mut agent)?;
        sh(break_it)?;
        refused(&run, 74, words)?;
        holds(&self.place)?;
        at(&health_of(&self.places(), 0, "degraded")?, "/enforcing", &json!(true))?;
        sh(mend)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = sh(&format!("umount -l {} {}; {AGENT} detach", self.run, self.state));
    }
}

fn fill(dir: &str) -> String {
    format!(
        "dd if=/dev/zero of={dir}/filler bs=4k 2>/dev/null; [ \"$(df {dir} | awk 'END {{ print $4 }}')\" = 0 ]"
    )
}

fn run_read_only(_: &Ctx) -> Result<(), CheckError> {
    let small = Small::new("run-read-only")?;
    let run = &small.run;
    let (close, open) = (format!("mount -o remount,ro {run}"), format!("mount -o remount,rw {run}"));
    small.refused("the directory cannot be used", &close, &open)?;
    // While it runs: nothing but the file is missing. The lock is open for writing, so a mount goes over it.
    let mut agent = small.start()?;
    let pid = agent.process()?.pid();
    sh(&format!("mount --bind {run} {run} && mount -o remount,ro,bind {run}"))?;
    thread::sleep(Duration::from_secs(7));
    lives(&mut agent)?;
    holds(&small.place)?;
    let said = health_of(&small.places(), 0, "healthy")?;
    at(&said, "/agent/pid", &json!(pid))
}

/// The agent that runs goes on to prove and to report, and says what it cannot write.
fn run_full(_: &Ctx) -> Result<(), CheckError> {
    let small = Small::new("run-full")?;
    let run = &small.run;
    small.refused("No space left", &fill(run), &format!("rm {run}/filler"))?;
    let mut agent = small.start()?;
    sh(&fill(run))?;
    agent
        .event("state_change", &["could not be written", "\"status\":\"degraded\"", "\"enforcing\":true"])?;
    holds(&small.place)?;
    agent.event("deny", &[&small.place.secret])?;
    health_comes(&small.places(), 0, "degraded", "nothing was heard of the agent")?;
    lives(&mut agent)?;
    sh(&format!("rm {run}/filler"))?;
    health_comes(&small.places(), 0, "healthy", "")
}

/// What lies in the runtime directory in the place of an agent's files: garbage, links, pipes, too much.
const STRANGERS: [&str; 6] = [
    "echo '{\"status\":\"healthy\",\"enforcing\":true}' >FILE",
    "printf '\\377\\000' >FILE",
    "mkfifo FILE",
    "ln -s /dev/zero FILE",
    "mkdir FILE",
    "dd if=/dev/zero of=FILE bs=1M count=3 2>/dev/null",
];

fn run_foreign(_: &Ctx) -> Result<(), CheckError> {
    let run = "/run/aegisbpf";
    let (place, mut agent) = enforcing("run-foreign", &[])?;
    for stranger in STRANGERS {
        // Beside an agent, whose word it seems to be: believed for no moment, and replaced at the next beat.
        if !stranger.starts_with("mkdir") {
            sh(&format!(
                "rm {run}/state.json && {}",
                stranger.replace("FILE", &format!("{run}/state.json"))
            ))?;
            let said = ask(&["status", "--json"], 0)?;
            at(&said, "/agent/running", &json!(true))?;
            health_comes(&[], 0, "healthy", "")?;
        }
    }
    kill(&mut agent)?;
    for stranger in STRANGERS {
        for name in ["state.json", "lock"] {
            sh(&format!(
                "mkdir -p {run} && rm -rf {run}/{name} && {}",
                stranger.replace("FILE", &format!("{run}/{name}"))
            ))?;
            at(&health(0, "degraded")?, "/agent/running", &json!(false))?;
        }
        holds(&place)?;
        sh(&format!("rm -rf {run}"))?;
    }
    // On the way of an agent that begins.
    sh(&format!(
        "mkdir {run} && echo kept >{}/kept && ln -s {}/kept {run}/state.json.new",
        place.dir, place.dir
    ))?;
    let mut next = Agent::start(&place, &["--enforce"])?;
    health(0, "healthy")?;
    contains(
        "what the link led to",
        &ends(&Cmd::new("/bin/cat").args([format!("{}/kept", place.dir)]), 0)?.stdout,
        "kept",
    )?;
    kill(&mut next)?;
    sh(&format!("rm {run}/lock && mkfifo {run}/lock"))?;
    refused(&Agent::command(&place, &["--enforce"]), 74, "the directory cannot be used")?;
    holds(&place)?;
    sh(&format!("rm -r {run}"))
}

fn state_read_only(_: &Ctx) -> Result<(), CheckError> {
    let small = Small::new("state-read-only")?;
    let state = &small.state;
    let (close, open) = (format!("mount -o remount,ro {state}"), format!("mount -o remount,rw {state}"));
    small.refused("Read-only file system", &close, &open)?;
    let mut agent = small.start()?;
    sh(&close)?;
    no_change(&small, "Read-only file system")?;
    lives(&mut agent)?;
    sh(&open)
}

fn state_full(_: &Ctx) -> Result<(), CheckError> {
    let small = Small::new("state-full")?;
    let state = &small.state;
    small.refused("No space left", &fill(state), &format!("rm {state}/filler"))?;
    let mut agent = small.start()?;
    sh(&fill(state))?;
    no_change(&small, "No space left")?;
    lives(&mut agent)
}

/// The policy cannot be changed, and the active one stays.
fn no_change(small: &Small, words: &str) -> Result<(), CheckError> {
    let other = format!("{}/other", small.place.dir);
    sh(&format!("printf 'version=1\\n[deny_path]\\n{}\\n' >{other}", small.place.neighbour))?;
    let args = ["policy", "apply", &other, "--allow-unsigned-policy"];
    refused(&Cmd::new(AGENT).args(args).args(small.places()), 74, words)?;
    holds(&small.place)?;
    health_of(&small.places(), 0, "healthy").map(drop)
}

/// What an earlier run pinned stays when the next one finds no policy, and a default that has gone ends nothing.
fn policy_unreadable(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("policy-gone", &[])?;
    kill(&mut agent)?;
    sh(&format!("mv {0} {0}.away", place.policy))?;
    refused(&Agent::command(&place, &["--enforce"]), 74, "the policy could not be read")?;
    sh(&format!("mkdir {}", place.policy))?;
    refused(&Agent::command(&place, &["--enforce"]), 74, "the policy could not be read")?;
    holds(&place)?;
    health(0, "degraded")?;
    drop(agent);
    // The default one.
    let etc = format!("{}/etc", place.dir);
    sh(&format!("mkdir {etc} && cp {}.away {etc}/policy.conf", place.policy))?;
    let args = ["--enforce", "--allow-unsigned-policy", "--config-dir", &etc];
    for round in 0..2 {
        let mut process = Cmd::new(AGENT).args(TELLING).args(args).spawn()?;
        process.wait_for("\"status\":\"healthy\"", super::SOON)?;
        let mut agent = Agent(Some(process));
        holds(&place)?;
        health(0, "healthy")?;
        kill(&mut agent)?;
        std::mem::forget(agent);
        want("rounds", round < 2, true)?;
        sh(&format!("rm -f {etc}/policy.conf"))?;
    }
    holds(&place)?;
    sh(&format!("{AGENT} detach"))
}

fn policy_invalid(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("policy-invalid", &[])?;
    kill(&mut agent)?;
    for (text, words) in [
        ("version=1\n[deny_paht]\n/etc/shadow\n", "[deny_paht]"),
        ("version=1\n[deny_path]\nrelative\n", "relative"),
        ("version=9\n", "version"),
        ("\u{0}\u{1}\u{2}", "policy.conf:1"),
    ] {
        place.write(text)?;
        refused(&Agent::command(&place, &["--enforce"]), 65, words)?;
        refused(&Agent::command(&place, &["--audit", "--tier", "tracepoint"]), 65, words)?;
        holds(&place)?;
    }
    health(0, "degraded")?;
    drop(agent);
    place.deny("")?;
    let mut observer = super::observing(&place, &[])?;
    place.write("version=9\n")?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy]), 65)?;
    seen(&place, &mut observer)
}
