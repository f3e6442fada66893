//! The least that each operation takes: it works with that, and without one of it it is refused by the name of what it
//! lacks, where the kernel asks for it.

use super::super::agent::{
    Agent, Place, SOON, TELLING, at, contains, ends, json, nothing_pinned, readable, tier, want,
};
use super::super::{Check, CheckError, Ctx};
use super::{kernel, text};
use crate::run::{Cmd, CmdError, Outcome};
use guest::{AGENT, CAP_SYS_PTRACE, Need, PRIVILEGED, Privileged, Who};
use serde_json::Value;
use std::sync::OnceLock;

pub(super) fn checks() -> Vec<Check> {
    static IDS: OnceLock<Vec<String>> = OnceLock::new();
    IDS.get_or_init(guest::privilege_checks).iter().map(|id| Check { id, run }).collect()
}

/// Whichever of them the running one is.
fn run(ctx: &Ctx) -> Result<(), CheckError> {
    for operation in &PRIVILEGED {
        if operation.check() == ctx.running {
            return suffices(ctx, operation);
        }
        if let Some(need) = operation.needs.iter().find(|need| operation.check_without(need) == ctx.running) {
            return lacks(ctx, operation, need);
        }
    }
    Err(differs("an operation", "one that is known", ctx.running.to_owned()))
}

fn differs(what: &'static str, want: &str, got: String) -> CheckError {
    CheckError::Differs { what, want: want.to_owned(), got }
}

fn suffices(ctx: &Ctx, operation: &Privileged) -> Result<(), CheckError> {
    match play(ctx, operation, None)? {
        None => Ok(()),
        Some(outcome) => Err(CheckError::Status { want: 0, outcome }),
    }
}

fn lacks(ctx: &Ctx, operation: &Privileged, need: &Need) -> Result<(), CheckError> {
    match (play(ctx, operation, Some(need))?, need.holds(kernel())) {
        (None, false) => Ok(()),
        (Some(outcome), true) if outcome.code() == 77 => {
            contains("message", &outcome.stderr, need.capability.name)?;
            contains("message", &outcome.stderr, "hint:")
        }
        // Nobody is told: the rule is taken like any other.
        (Some(outcome), true) if need.capability == CAP_SYS_PTRACE && outcome.code() == 0 => Ok(()),
        (Some(outcome), _) => Err(CheckError::Status { want: 77, outcome }),
        (None, true) => Err(differs("without it", "a refusal", "it worked".to_owned())),
    }
}

/// A refusal; `None`: it worked, by its effect.
type Came = Option<Box<Outcome>>;

fn play(ctx: &Ctx, operation: &Privileged, without: Option<&Need>) -> Result<Came, CheckError> {
    let left =
        operation.needs.iter().filter(|need| without.is_none_or(|lost| lost.capability != need.capability));
    let left: Vec<String> = left.map(|need| need.capability.number.to_string()).collect();
    let how = if operation.by == Who::User { "as" } else { "but" };
    let scene = Scene::new(operation, format!("{how}:{}", left.join(",")))?;
    let came = match operation.id {
        "run-tracepoint" => scene.run(&["--audit", "--tier", "tracepoint"]),
        "run-enforce" | "run-enforce-user" => scene.run(&["--enforce"]),
        "run-closed-path" => scene.closed_path(),
        "run-own-init" => scene.own_init(),
        "policy-apply" => scene.apply(&["--enforce"]),
        "policy-apply-tracepoint" => scene.apply(&["--audit", "--tier", "tracepoint"]),
        "detach" => scene.detach(),
        "status" => scene.status(ctx),
        other => Err(differs("an operation", "one that is known", other.to_owned())),
    };
    scene.clear()?;
    came
}

/// Files to fight over, directories for whoever does it, and what it lacks.
struct Scene {
    place: Place,
    lacking: String,
    own: Vec<String>,
}

impl Scene {
    fn new(operation: &Privileged, lacking: String) -> Result<Self, CheckError> {
        let place = Place::new("least")?;
        place.deny("")?;
        let dir = &place.dir;
        if operation.by == Who::Root {
            // What one of them applied is not to be what the next one begins with.
            let own = vec!["--state-dir".to_owned(), format!("{dir}/state-dir")];
            return Ok(Self { place, lacking, own });
        }
        // Who pins nothing does without a BPF file system.
        let flags = ["--run-dir", "--state-dir", "--config-dir", "--bpffs"].into_iter();
        let flags = flags.take(if operation.id == "run-tracepoint" { 3 } else { 4 });
        let own = flags.flat_map(|flag| [flag.to_owned(), format!("{dir}/{}", flag.trim_start_matches('-'))]);
        let own = own.collect();
        let script = format!(
            "cd {dir} && mkdir run-dir state-dir config-dir bpffs && mount -t bpf bpf bpffs && chown 65534:65534 run-dir state-dir config-dir bpffs"
        );
        ends(&Cmd::sh(&script), 0)?;
        Ok(Self { place, lacking, own })
    }

    fn clear(&self) -> Result<(), CheckError> {
        let dir = &self.place.dir;
        ends(&Cmd::new(AGENT).args(["detach"]).args(&self.own), 0)?;
        ends(&Cmd::sh(&format!("! grep -q {dir}/bpffs /proc/mounts || umount {dir}/bpffs; rm -r {dir}")), 0)?;
        nothing_pinned()
    }

    fn with<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        args.iter().copied().chain(self.own.iter().map(String::as_str)).collect()
    }

    /// The binary, with what is left.
    fn lacking(&self, args: &[&str]) -> Cmd {
        Cmd::new("/init").args(["lacking", &self.lacking, AGENT]).args(args).args(&self.own)
    }

    /// Runs until there is a first state, or no agent.
    fn start(&self, args: &[&str]) -> Result<Result<Agent, Box<Outcome>>, CheckError> {
        let fixed = ["--policy", &self.place.policy, "--allow-unsigned-policy"];
        let mut process = self.lacking(&[TELLING.as_slice(), &fixed, args].concat()).spawn()?;
        match process.wait_for("\"type\":\"state_change\"", SOON) {
            Ok(()) => Ok(Ok(Agent(Some(process)))),
            Err(CmdError::Silent { .. }) => Ok(Err(Box::new(process.wait(SOON)?))),
            Err(other) => Err(other.into()),
        }
    }

    /// An agent that decides, and says that all is well.
    fn run(&self, args: &[&str]) -> Result<Came, CheckError> {
        let mut agent = match self.start(args)? {
            Ok(agent) => agent,
            Err(outcome) => return Ok(Some(outcome)),
        };
        let enforces = args.contains(&"--enforce");
        want("secret readable", readable(&self.place.secret, 0)?, !enforces)?;
        want("neighbour readable", readable(&self.place.neighbour, 0)?, true)?;
        agent.event(if enforces { "deny" } else { "would_deny" }, &[&self.place.secret])?;
        let health = Cmd::new(AGENT).args(["health", "--json"]).args(&self.own);
        let health = json(&ends(&health, 0)?.stdout)?;
        at(&health, "/status", &Value::from("healthy"))?;
        at(&health, "/enforcing", &Value::from(enforces))?;
        contains("sandbox", &text(&health, "/sandbox"), "no_new_privs")?;
        Ok(None)
    }

    /// A rule on what only root may reach.
    fn closed_path(&self) -> Result<Came, CheckError> {
        let closed = format!("{}/closed", self.place.dir);
        ends(&Cmd::sh(&format!("mkdir -m 700 {closed} && echo closed >{closed}/file")), 0)?;
        self.place.deny(&format!("{closed}/file\n"))?;
        self.run(&["--enforce"])
    }

    /// PID 1 is a program that no list of ours has. Only reading it is denied: executing it is how these checks go on.
    fn own_init(&self) -> Result<Came, CheckError> {
        self.place.write("version=2\n[deny_path]\n/init read\n")?;
        match self.start(&["--enforce"])? {
            Err(outcome) if outcome.code() == 65 => {
                contains("message", &outcome.stderr, "/init")?;
                Ok(None)
            }
            Err(outcome) => Ok(Some(outcome)),
            Ok(mut agent) => {
                want("/init readable", readable("/init", 0)?, false)?;
                agent.process()?.signal(rustix::process::Signal::TERM)?;
                let ended = agent.0.take().map(|process| process.wait(SOON)).transpose()?;
                ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
                Ok(ended.map(Box::new))
            }
        }
    }

    /// Another policy for an agent that has every privilege.
    fn apply(&self, args: &[&str]) -> Result<Came, CheckError> {
        let mut agent = Agent::start(&self.place, &self.with(args))?;
        let other = format!("{}/other.conf", self.place.dir);
        let text = format!("version=1\n[deny_path]\n{}\n", self.place.neighbour);
        std::fs::write(&other, text)
            .map_err(|source| CheckError::File { path: other.clone().into(), source })?;
        let outcome = self.lacking(&["policy", "apply", &other, "--allow-unsigned-policy"]).run()?;
        let enforces = args.contains(&"--enforce");
        if outcome.code() != 0 {
            want(
                "neighbour readable, the policy being the old one",
                readable(&self.place.neighbour, 0)?,
                true,
            )?;
            return Ok(Some(Box::new(outcome)));
        }
        want("neighbour readable", readable(&self.place.neighbour, 0)?, !enforces)?;
        agent.event(if enforces { "deny" } else { "would_deny" }, &[&self.place.neighbour])?;
        Ok(None)
    }

    /// Ends what a killed agent left.
    fn detach(&self) -> Result<Came, CheckError> {
        let mut agent = Agent::start(&self.place, &self.with(&["--enforce"]))?;
        agent.process()?.signal(rustix::process::Signal::KILL)?;
        if let Some(process) = agent.0.take() {
            process.wait(SOON)?;
        }
        want("secret readable", readable(&self.place.secret, 0)?, false)?;
        let config = format!("{}/config", self.place.dir);
        for (command, then) in [
            (["break-glass", "on", "--reason", "trial", "--config-dir", &config].as_slice(), true),
            (&["break-glass", "off", "--reason", "trial", "--config-dir", &config], false),
            (&["detach"], true),
        ] {
            let outcome = self.lacking(command).run()?;
            if outcome.code() != 0 {
                want("secret readable, after a refusal", readable(&self.place.secret, 0)?, !then)?;
                return Ok(Some(Box::new(outcome)));
            }
            want("secret readable, after the command", readable(&self.place.secret, 0)?, then)?;
        }
        Ok(None)
    }

    /// Asked by somebody with no privilege of an agent of root's. What is pinned is not for everybody to look at, and
    /// that is said.
    fn status(&self, ctx: &Ctx) -> Result<Came, CheckError> {
        let _agent = Agent::start(&self.place, &["--enforce"])?;
        let asked =
            |command: &str| Cmd::new("/init").args(["lacking", &self.lacking, AGENT, command, "--json"]);
        let status = json(&ends(&asked("status"), 0)?.stdout)?;
        at(&status, "/agent/running", &Value::from(true))?;
        at(&status, "/tier", &Value::from(tier(ctx)))?;
        for (command, key) in [("health", "status"), ("doctor", "verdict")] {
            let outcome = asked(command).run()?;
            let said = json(&outcome.stdout)?;
            want("an answer", said.get(key).is_some(), true)?;
        }
        Ok(None)
    }
}
