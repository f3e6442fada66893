//! What is refused: with which exit code, with what remedy, and without a trace left behind.

use super::agent::{Agent, NOBODY, Place, ask, at, contains, ends, nothing_pinned, readable, want};
use super::{Check, CheckError, Ctx};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::json;

pub(super) const CHECKS: [Check; 11] = [
    Check { id: "refuse.unprivileged", run: unprivileged },
    Check { id: "refuse.unsigned-policy", run: unsigned },
    Check { id: "refuse.wrong-hash", run: wrong_hash },
    Check { id: "refuse.unknown-section", run: unknown_section },
    Check { id: "refuse.missing-path", run: missing_path },
    Check { id: "refuse.unreadable-policy", run: unreadable },
    Check { id: "refuse.usage", run: usage },
    Check { id: "refuse.pins-of-another-version", run: other_version },
    Check { id: "refuse.no-bpffs", run: no_bpffs },
    Check { id: "refuse.no-btf", run: no_btf },
    Check { id: "refuse.unproven-tier", run: unproven_tier },
];

/// The run ends with this code and this hint, and leaves no pin.
fn refused(command: &Cmd, code: i32, hint: &str) -> Result<String, CheckError> {
    let outcome = ends(command, code)?;
    contains("message", &outcome.stderr, hint)?;
    contains("message", &outcome.stderr, "hint:")?;
    nothing_pinned()?;
    Ok(outcome.stderr)
}

fn denying(id: &str) -> Result<Place, CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    Ok(place)
}

fn unprivileged(_: &Ctx) -> Result<(), CheckError> {
    let place = denying("unprivileged")?;
    let dir = format!("{}/own", place.dir);
    ends(&Cmd::sh(&format!("mkdir -m 777 {dir}")), 0)?;
    let command = Agent::command(&place, &["--enforce", "--run-dir", &dir, "--state-dir", &dir]).uid(NOBODY);
    refused(&command, 77, "CAP_BPF")?;
    // Nor may it say that nothing is pinned where it could not look.
    let detach = ends(&Cmd::new(AGENT).args(["detach"]).uid(NOBODY), 77)?;
    contains("detach", &detach.stderr, "could not be listed")?;
    // Doctor works all the same, and says that it could not find out.
    let doctor = ends(&Cmd::new(AGENT).args(["doctor"]).uid(NOBODY), 2)?;
    contains("doctor", &doctor.stdout, "[????]")?;
    contains("doctor", &doctor.stdout, "CANNOT-RUN")
}

fn unsigned(_: &Ctx) -> Result<(), CheckError> {
    let place = denying("unsigned")?;
    let command = Cmd::new(AGENT).args(["run", "--enforce", "--policy", &place.policy]);
    refused(&command, 78, "--allow-unsigned-policy").map(drop)
}

fn wrong_hash(_: &Ctx) -> Result<(), CheckError> {
    let place = denying("hash")?;
    let wrong = "0".repeat(64);
    refused(&Agent::command(&place, &["--enforce", "--sha256", &wrong]), 78, "SHA-256").map(drop)
}

fn unknown_section(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("section")?;
    place.write("version=1\n[deny_paht]\n/etc/shadow\n")?;
    let message = refused(&Agent::command(&place, &["--enforce"]), 65, "[deny_paht]")?;
    contains("the line", &message, "policy.conf:2")?;
    contains("the fix", &message, "deny_path")
}

fn missing_path(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("missing")?;
    place.write("version=1\n[deny_path]\n/tmp/missing/nothing\n")?;
    let message = refused(&Agent::command(&place, &["--enforce"]), 65, "--allow-missing")?;
    contains("the path", &message, "line 3: /tmp/missing/nothing does not exist")
}

fn unreadable(_: &Ctx) -> Result<(), CheckError> {
    let command = Cmd::new(AGENT).args(["run", "--policy", "/tmp/no-such-policy"]);
    refused(&command, 74, "/tmp/no-such-policy").map(drop)
}

fn usage(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::new(AGENT).args(["run", "--enforce", "--audit"]), 64)?;
    ends(&Cmd::new(AGENT).args(["run", "--tier", "magic"]), 64)?;
    ends(&Cmd::new(AGENT), 64).map(drop)
}

fn other_version(_: &Ctx) -> Result<(), CheckError> {
    let place = denying("version")?;
    ends(&Cmd::sh("mkdir -p /sys/fs/bpf/aegisbpf/99/links"), 0)?;
    let outcome = ends(&Agent::command(&place, &["--enforce"]), 76)?;
    contains("message", &outcome.stderr, "aegisbpf detach")?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    nothing_pinned()
}

fn no_bpffs(_: &Ctx) -> Result<(), CheckError> {
    let place = denying("bpffs")?;
    ends(&Cmd::sh("umount /sys/fs/bpf"), 0)?;
    let result = refused(&Agent::command(&place, &["--enforce"]), 69, "is not a mounted BPF file system");
    ends(&Cmd::sh("mount -t bpf bpf /sys/fs/bpf"), 0)?;
    result.map(drop)
}

/// Without type information nothing can enforce: 69, or the tracepoint tier where that was accepted.
fn no_btf(_: &Ctx) -> Result<(), CheckError> {
    let place = denying("btf")?;
    ends(&Cmd::sh("mount -t tmpfs tmpfs /sys/kernel/btf"), 0)?;
    let result = without_btf(&place);
    ends(&Cmd::sh("umount /sys/kernel/btf"), 0)?;
    result
}

fn without_btf(place: &Place) -> Result<(), CheckError> {
    refused(&Agent::command(place, &["--enforce"]), 69, "/sys/kernel/btf/vmlinux")?;
    let mut agent = Agent::start(place, &["--enforce", "--on-degraded", "audit"])?;
    let health = ask(&["health", "--json"], 0)?;
    at(&health, "/status", &json!("degraded"))?;
    at(&health, "/tier", &json!("tracepoint"))?;
    at(&health, "/enforcing", &json!(false))?;
    ask(&["health", "--json", "--require", "enforce"], 1)?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    let event = agent.event("would_deny", &[&place.secret])?;
    at(&event, "/tier", &json!("tracepoint"))?;
    at(&event, "/rule", &json!(1))?;
    drop(agent);
    nothing_pinned()
}

/// A tier that was asked for by name never falls back; where the kernel does not call BPF LSM programs, asking for
/// them fails, although they load and attach.
fn unproven_tier(ctx: &Ctx) -> Result<(), CheckError> {
    let place = denying("unproven")?;
    let command = Agent::command(&place, &["--enforce", "--tier", "bpf-lsm"]);
    if !ctx.boot.list("lsm").contains(&"bpf") {
        return refused(&command, 69, "the kernel never called it").map(drop);
    }
    refused(&Agent::command(&place, &["--enforce", "--tier", "tracepoint"]), 69, "no enforce mode").map(drop)
}
