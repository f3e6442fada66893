//! The agent under test: started with a policy, asked for its state, and cleared away after each check.

use super::{CheckError, Ctx};
use crate::run::{Background, Cmd, Outcome};
use guest::AGENT;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// An emulated machine proves within this time, or does not.
pub(super) const SOON: Duration = Duration::from_secs(100);

/// The uid that checks use beside root.
pub(super) const NOBODY: u32 = 65534;

/// The files that the checks fight over, below `/tmp/<id>`.
pub(super) struct Place {
    pub(super) dir: String,
    pub(super) secret: String,
    pub(super) neighbour: String,
    pub(super) tool: String,
    pub(super) policy: String,
}

impl Place {
    /// Makes a world-readable directory with two files and a program.
    pub(super) fn new(id: &str) -> Result<Self, CheckError> {
        let dir = format!("/tmp/{id}");
        let place = Self {
            secret: format!("{dir}/secret"),
            neighbour: format!("{dir}/neighbour"),
            tool: format!("{dir}/true"),
            policy: format!("{dir}/policy.conf"),
            dir,
        };
        let script = format!(
            "mkdir -m 755 {0} && echo secret >{1} && echo open >{2} && cp /bin/busybox {3} && chmod 644 {1} {2} && chmod 755 {3}",
            place.dir, place.secret, place.neighbour, place.tool
        );
        ends(&Cmd::sh(&script), 0)?;
        Ok(place)
    }

    /// Denies the secret (rule 1) and the tool (rule 2).
    pub(super) fn deny(&self, more: &str) -> Result<(), CheckError> {
        self.write(&format!("version=1\n[deny_path]\n{}\n{}\n{more}", self.secret, self.tool))
    }

    pub(super) fn write(&self, text: &str) -> Result<(), CheckError> {
        fs::write(&self.policy, text)
            .map_err(|source| CheckError::File { path: self.policy.clone().into(), source })
    }
}

/// `run`, so that each decision is told at once, as a JSON object of its own.
pub(super) const TELLING: [&str; 5] = ["run", "--log-format", "json", "--repeat-window", "0s"];

/// A running agent. Dropping it kills it and removes its pins.
pub(super) struct Agent(pub(super) Option<Background>);

impl Agent {
    /// `run` with JSON events, one for each decision, and `args`.
    pub(super) fn command(place: &Place, args: &[&str]) -> Cmd {
        let fixed = ["--policy", &place.policy, "--allow-unsigned-policy"];
        Cmd::new(AGENT).args(TELLING).args(fixed).args(args)
    }

    /// Starts it and waits until it has told its first state.
    pub(super) fn start(place: &Place, args: &[&str]) -> Result<Self, CheckError> {
        let mut agent = Self::command(place, args).spawn()?;
        agent.wait_for("\"type\":\"state_change\"", SOON)?;
        Ok(Self(Some(agent)))
    }

    pub(super) fn process(&mut self) -> Result<&mut Background, CheckError> {
        self.0.as_mut().ok_or(CheckError::Differs {
            what: "agent",
            want: "running".into(),
            got: "gone".into(),
        })
    }

    /// Waits for an event of this type whose line contains all of `parts`.
    pub(super) fn event(&mut self, kind: &str, parts: &[&str]) -> Result<Value, CheckError> {
        let kind = format!("\"type\":\"{kind}\"");
        let process = self.process()?;
        let end = Instant::now() + SOON;
        loop {
            let text = process.stdout();
            let found = text
                .lines()
                .find(|line| line.contains(&kind) && parts.iter().all(|part| line.contains(part)));
            if let Some(line) = found {
                return json(line);
            }
            if Instant::now() > end {
                let want = format!("{kind} with {parts:?}");
                return Err(CheckError::Differs { what: "event", want, got: text + &process.stderr() });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.take());
        let _ = Cmd::new(AGENT).args(["detach"]).run();
    }
}

/// The tier that the row is about.
pub(super) fn tier(ctx: &Ctx) -> &'static str {
    if ctx.boot.list("lsm").contains(&"bpf") { "bpf-lsm" } else { "modify-return" }
}

pub(super) fn json(text: &str) -> Result<Value, CheckError> {
    serde_json::from_str(text).map_err(|error| CheckError::Differs {
        what: "JSON",
        want: error.to_string(),
        got: text.to_owned(),
    })
}

/// Runs the agent's binary, wants this exit code, and reads its JSON.
pub(super) fn ask(args: &[&str], code: i32) -> Result<Value, CheckError> {
    json(&ends(&Cmd::new(AGENT).args(args), code)?.stdout)
}

/// The cgroup of those that no rule binds, in the policies that say so.
pub(super) const FREE: &str = "/sys/fs/cgroup/free";

/// What a policy has to say for [`freely`], at its end.
pub(super) const ALLOW_FREE: &str = "[allow_cgroup]\n/sys/fs/cgroup/free\n";

/// Runs a script as somebody whom no rule binds: a package manager, an operator.
pub(super) fn freely(script: &str) -> Result<(), CheckError> {
    fs::create_dir_all(FREE).map_err(|source| CheckError::File { path: FREE.into(), source })?;
    ends(&Cmd::sh(script).cgroup(FREE), 0).map(drop)
}

/// Runs a command and wants this exit code.
pub(super) fn ends(command: &Cmd, code: i32) -> Result<Outcome, CheckError> {
    let outcome = command.clone().run()?;
    if outcome.code() == code {
        return Ok(outcome);
    }
    Err(CheckError::Status { want: code, outcome: Box::new(outcome) })
}

/// Waits until something is so.
pub(super) fn in_time(
    what: &'static str,
    mut so: impl FnMut() -> Result<bool, CheckError>,
) -> Result<(), CheckError> {
    let end = Instant::now() + SOON;
    while !so()? {
        if Instant::now() > end {
            return Err(CheckError::Differs { what, want: "in time".into(), got: "not so".into() });
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Wants a value at a JSON pointer.
pub(super) fn at(value: &Value, pointer: &'static str, want: &Value) -> Result<(), CheckError> {
    match value.pointer(pointer) {
        Some(got) if got == want => Ok(()),
        got => Err(CheckError::Differs {
            what: pointer,
            want: want.to_string(),
            got: format!("{got:?} in {value}"),
        }),
    }
}

pub(super) fn contains(what: &'static str, text: &str, part: &str) -> Result<(), CheckError> {
    if text.contains(part) {
        return Ok(());
    }
    Err(CheckError::Differs { what, want: part.to_owned(), got: text.to_owned() })
}

/// Reads a file as a uid: `Ok(true)` when it could be read, `Ok(false)` when it answered EPERM.
pub(super) fn readable(path: &str, uid: u32) -> Result<bool, CheckError> {
    judge(&Cmd::new("/bin/cat").args([path]).uid(uid))
}

/// Executes the tool as a uid, answers as [`readable`] does.
pub(super) fn executable(path: &str, uid: u32) -> Result<bool, CheckError> {
    judge(&Cmd::sh(&format!("exec {path}")).uid(uid))
}

/// EPERM and nothing else: a permission bit would answer EACCES.
pub(super) fn judge(command: &Cmd) -> Result<bool, CheckError> {
    let outcome = command.clone().run()?;
    match outcome.code() {
        0 => Ok(true),
        _ if outcome.stderr.contains("Operation not permitted") => Ok(false),
        _ => Err(CheckError::Status { want: 0, outcome: Box::new(outcome) }),
    }
}

pub(super) fn want(what: &'static str, got: bool, want: bool) -> Result<(), CheckError> {
    if got == want {
        return Ok(());
    }
    Err(CheckError::Differs { what, want: want.to_string(), got: got.to_string() })
}

/// Nothing of ours is pinned.
pub(super) fn nothing_pinned() -> Result<(), CheckError> {
    want("pins", Path::new("/sys/fs/bpf/aegisbpf").exists(), false)
}
