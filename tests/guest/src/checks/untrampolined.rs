//! A kernel that attaches no BPF program to a function: what the agent says of it, and what it still does there.

use super::agent::{Agent, Place, ask, at, contains, ends, nothing_pinned, readable, want};
use super::{Check, CheckError, Ctx};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::{Value, json};

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "untrampolined.enforce-is-refused", run: refused },
    Check { id: "untrampolined.observes", run: observes },
    Check { id: "untrampolined.doctor", run: doctor },
];

/// The kernel's answer to attaching.
const REASON: &str = "ENOTSUPP (524)";

fn refused(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("untrampolined")?;
    place.deny("")?;
    let args = ["run", "--enforce", "--policy", &place.policy, "--allow-unsigned-policy"];
    let outcome = ends(&Cmd::new(AGENT).args(args), 69)?;
    for part in ["bpf-lsm", "modify-return", REASON, "hint:"] {
        contains("message", &outcome.stderr, part)?;
    }
    nothing_pinned()
}

fn observes(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("observed")?;
    place.deny("")?;
    let mut agent = Agent::start(&place, &["--enforce", "--on-degraded", "audit"])?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    agent.event("would_deny", &[&place.secret])?;
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/tier", &json!("tracepoint"))?;
    at(&status, "/status", &json!("degraded"))?;
    at(&status, "/enforcing", &json!(false))
}

fn doctor(_: &Ctx) -> Result<(), CheckError> {
    let diagnosis = ask(&["doctor", "--json"], 1)?;
    at(&diagnosis, "/verdict", &json!("AUDIT-ONLY"))?;
    // By trial: everything that a configuration says of this kernel speaks for it.
    for number in ["/reasons/0", "/reasons/1"] {
        let reason = diagnosis.pointer(number).and_then(Value::as_str).unwrap_or_default();
        contains(number, reason, REASON)?;
    }
    Ok(())
}
