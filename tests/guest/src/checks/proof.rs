//! Enforcement that is taken away behind the agent's back, by what root can do: each is found at the next proof.

use super::agent::{Agent, Place, SOON, ask, at, contains, ends, nothing_pinned, readable, tier, want};
use super::{Check, CheckError, Ctx};
use crate::bpf::{self, Shared};
use crate::killer;
use crate::run::Cmd;
use guest::AGENT;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 9] = [
    Check { id: "proof.link-detached", run: link_detached },
    Check { id: "proof.one-copy-detached", run: one_copy_detached },
    Check { id: "proof.rules-removed", run: |_| rules_gone("proof-removed", &bpf::take) },
    Check { id: "proof.rules-replaced", run: |_| rules_gone("proof-replaced", &replace) },
    Check { id: "proof.control-overwritten", run: control_overwritten },
    Check { id: "proof.filter-overwritten", run: filter_overwritten },
    Check { id: "proof.mode-switched", run: mode_switched },
    Check { id: "proof.pins-removed", run: pins_removed },
    Check { id: "proof.strict-ends-the-run", run: strict },
];

const PINS: &str = "/sys/fs/bpf/aegisbpf";

/// Offsets in `struct aegis_control` and `struct aegis_slot` (`bpf-lsm/abi.h`).
const MODE: usize = 4;
const ACTIVE: usize = 8;
const SLOTS: usize = 72;
const SLOT_BYTES: usize = 64;
const SLOT_OPS: usize = 20;
/// What a policy of few rules takes of the filter (`src/enforce/filter.rs`).
const LEAST_FILTER_WORDS: usize = 8;
const AUDIT: u32 = 1;
const ENFORCE: u32 = 2;

fn kernel<T>(what: &str, result: io::Result<T>) -> Result<T, CheckError> {
    result.map_err(|source| CheckError::File { path: what.into(), source })
}

/// The pins of the one version that is pinned.
fn pins() -> Result<String, CheckError> {
    let entry = kernel(PINS, fs::read_dir(PINS))?.next();
    match entry {
        Some(entry) => Ok(kernel(PINS, entry)?.path().display().to_string()),
        None => Err(CheckError::Differs { what: "pins", want: "some".into(), got: "none".into() }),
    }
}

fn map(name: &str) -> Result<OwnedFd, CheckError> {
    kernel(name, bpf::open(&format!("{}/maps/{name}", pins()?)))
}

fn control() -> Result<Shared, CheckError> {
    kernel("control", Shared::new(&map("control")?))
}

/// The slot of the policy that decides.
fn active(control: &Shared) -> u32 {
    (control.read(ACTIVE) & 0x7f).saturating_sub(1)
}

fn proving(id: &str, interval: &str, more: &[&str]) -> Result<(Place, Agent), CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    let args = [&["--enforce", "--proof-interval", interval], more].concat();
    let agent = Agent::start(&place, &args)?;
    at(&ask(&["health", "--json"], 0)?, "/status", &json!("healthy"))?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    Ok((place, agent))
}

/// Waits until `health` ends with this code, and returns what it says.
fn health(code: i32) -> Result<Value, CheckError> {
    let end = Instant::now() + SOON;
    loop {
        let outcome = Cmd::new(AGENT).args(["health", "--json"]).run()?;
        if outcome.code() == code {
            return super::agent::json(&outcome.stdout);
        }
        if Instant::now() > end {
            return Err(CheckError::Status { want: code, outcome: Box::new(outcome) });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn unhealthy(why: &str) -> Result<(), CheckError> {
    let said = health(1)?;
    at(&said, "/status", &json!("unhealthy"))?;
    at(&said, "/enforcing", &json!(false))?;
    contains("reasons", &said.to_string(), why)
}

/// A tracer lets the agent close the links of a hook, once their pins are gone: that hook does nothing any more.
fn detach(agent: &mut Agent, copies: &[&str]) -> Result<(), CheckError> {
    let (pins, pid) = (pins()?, agent.process()?.pid());
    for copy in copies {
        let program = kernel(copy, bpf::open(&format!("{pins}/programs/{copy}")))?;
        let own = kernel("fdinfo", fs::read_to_string(format!("/proc/self/fdinfo/{}", fd(&program))))?;
        let id = own.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok());
        let links = kernel("fdinfo", bpf::links(pid))?;
        let Some((link, _)) = links.into_iter().find(|(_, program)| Some(*program) == id) else {
            return Err(CheckError::Differs { what: "link", want: format!("{id:?}"), got: "none".into() });
        };
        kernel(copy, fs::remove_file(format!("{pins}/links/{copy}")))?;
        kernel("close", killer::close(pid, link))?;
    }
    Ok(())
}

fn link_detached(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = proving("proof-link", "1s", &[])?;
    let copies: &[&str] =
        if tier(ctx) == "modify-return" { &["file_open", "file_open_again"] } else { &["file_open"] };
    detach(&mut agent, copies)?;
    agent.event("proof", &["\"hook\":\"file_open\"", "\"proven\":false"])?;
    unhealthy("file_open is attached and let the denied canary through")?;
    agent.event("state_change", &["\"status\":\"unhealthy\"", "\"enforcing\":false"])?;
    drop(agent);
    // The next run mends it.
    let _agent = Agent::start(&place, &["--enforce"])?;
    at(&health(0)?, "/status", &json!("healthy"))?;
    want("secret readable", readable(&place.secret, 0)?, false)
}

/// In modify-return the other copy decides for one that is gone, and the proof finds it all the same.
fn one_copy_detached(ctx: &Ctx) -> Result<(), CheckError> {
    if tier(ctx) != "modify-return" {
        let (_place, _agent) = proving("proof-copy", "1s", &[])?;
        return want("a second copy", Path::new(&pins()?).join("links/file_open_again").exists(), false);
    }
    for copy in ["file_open", "file_open_again"] {
        let (place, mut agent) = proving(&format!("proof-{copy}"), "1s", &[])?;
        detach(&mut agent, &[copy])?;
        agent.event("proof", &[&format!("\"hook\":\"{copy}\""), "\"proven\":false"])?;
        unhealthy(&format!("{copy} is attached and let the denied canary through"))?;
        want("secret readable", readable(&place.secret, 0)?, false)?;
    }
    Ok(())
}

fn fd(file: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd as _;
    file.as_raw_fd()
}

/// Puts an empty map of the same shape into the slot.
fn replace(outer: &OwnedFd, slot: u32) -> io::Result<()> {
    bpf::put(outer, slot, &bpf::like(outer, slot)?)
}

fn rules_gone(id: &str, how: &dyn Fn(&OwnedFd, u32) -> io::Result<()>) -> Result<(), CheckError> {
    let (place, mut agent) = proving(id, "1s", &[])?;
    let slot = active(&control()?);
    for name in ["objects", "names"] {
        kernel(name, how(&map(name)?, slot))?;
    }
    // The canary has a rule of its own, and is refused as before; the secret is not.
    want("secret readable", readable(&place.secret, 0)?, true)?;
    agent.event("proof", &["\"hook\":\"policy\"", "\"proven\":false", "the map objects of generation"])?;
    unhealthy("the map objects of generation")?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy, "--allow-unsigned-policy"]), 0)?;
    at(&health(0)?, "/enforcing", &json!(true))?;
    agent.event("state_change", &["\"status\":\"healthy\""])?;
    want("secret readable again", readable(&place.secret, 0)?, false)
}

/// What the programs look at before they look into a map.
fn control_overwritten(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = proving("proof-control", "1s", &[])?;
    let control = control()?;
    let ops = SLOTS + active(&control) as usize * SLOT_BYTES + SLOT_OPS;
    let before = control.read(ops);
    control.write(ops, 0);
    want("secret readable", readable(&place.secret, 0)?, true)?;
    agent.event("proof", &["\"hook\":\"policy\"", "\"proven\":false", "the control block"])?;
    unhealthy("what the control block says of generation")?;
    control.write(ops, before);
    at(&health(0)?, "/enforcing", &json!(true))?;
    want("secret readable again", readable(&place.secret, 0)?, false)
}

/// What every operation is put to first, and most leave by.
fn filter_overwritten(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = proving("proof-filter", "1s", &[])?;
    let filter = kernel("filter", Shared::new(&map("filter")?))?;
    for word in 0..LEAST_FILTER_WORDS {
        filter.write(word * 8, 0);
        filter.write(word * 8 + 4, 0);
    }
    want("secret readable", readable(&place.secret, 0)?, true)?;
    agent
        .event("proof", &["\"hook\":\"policy\"", "\"proven\":false", "the filter in front of generation"])?;
    unhealthy("the filter in front of generation")?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy, "--allow-unsigned-policy"]), 0)?;
    at(&health(0)?, "/enforcing", &json!(true))?;
    want("secret readable again", readable(&place.secret, 0)?, false)
}

fn mode_switched(_: &Ctx) -> Result<(), CheckError> {
    let (place, _agent) = proving("proof-mode", "1h", &[])?;
    let control = control()?;
    want("the mode where it is looked for", control.read(MODE) == ENFORCE, true)?;
    control.write(MODE, AUDIT);
    want("secret readable", readable(&place.secret, 0)?, true)?;
    // Found within a tick, without a proof; until then the kernel contradicts the agent.
    let end = Instant::now() + SOON;
    while Cmd::new(AGENT).args(["health"]).run()?.code() == 2 && Instant::now() < end {}
    unhealthy("switched the programs out of enforce mode")?;
    control.write(MODE, ENFORCE);
    at(&health(0)?, "/enforcing", &json!(true))?;
    want("secret readable again", readable(&place.secret, 0)?, false)
}

/// The agent holds its links itself: what goes is what would outlive it.
fn pins_removed(_: &Ctx) -> Result<(), CheckError> {
    let (place, agent) = proving("proof-pins", "1s", &[])?;
    let link = format!("{}/links/file_open", pins()?);
    let foreign = kernel("hash", bpf::hash(4, 4))?;
    let told = |what, why| {
        want(what, readable(&place.secret, 0)?, false)?;
        let said = health(1)?;
        at(&said, "/status", &json!("unhealthy"))?;
        contains("reasons", &said.to_string(), why)
    };
    kernel(&link, fs::remove_file(&link))?;
    told("secret readable without the pin", "the pins of file_open are gone or not ours")?;
    kernel(&link, bpf::pin(&foreign, &link))?;
    let result = told("secret readable with another pin", "this is not a pin of ours");
    // What is not ours is removed by whoever put it there.
    kernel(&link, fs::remove_file(&link))?;
    result?;
    drop(agent);
    nothing_pinned()
}

fn strict(_: &Ctx) -> Result<(), CheckError> {
    let (_place, mut agent) = proving("proof-strict", "1s", &["--strict"])?;
    kernel("objects", bpf::take(&map("objects")?, active(&control()?)))?;
    agent.event("proof", &["\"hook\":\"policy\"", "\"proven\":false"])?;
    let Some(process) = agent.0.take() else { return Ok(()) };
    let outcome = process.wait(SOON)?;
    want("exit code 69", outcome.code() == 69, true)?;
    contains("message", &outcome.stderr, "the proof failed")
}
