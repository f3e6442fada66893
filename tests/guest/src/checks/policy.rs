//! Changing the policy of a running system: apply, roll back, trial, trees, simulation, cgroups that come and go.

use super::agent::{
    ALLOW_FREE, Agent, NOBODY, Place, SOON, ask, at, contains, ends, executable, freely, judge, readable,
    want,
};
use super::{Check, CheckError, Ctx};
use crate::run::Cmd;
use guest::AGENT;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::Duration;

pub(super) const CHECKS: [Check; 12] = [
    Check { id: "policy.apply-and-rollback", run: apply_and_rollback },
    Check { id: "policy.trial-ends-by-itself", run: trial },
    Check { id: "policy.survives-a-restart", run: restart },
    Check { id: "policy.unsigned-later", run: unsigned_later },
    Check { id: "policy.trees", run: trees },
    Check { id: "policy.trees-too-deep", run: too_deep },
    Check { id: "policy.survival-floor", run: floor },
    Check { id: "policy.simulate", run: simulate },
    Check { id: "policy.cgroup-made-anew", run: cgroup_made_anew },
    Check { id: "policy.hybrid-cgroups", run: hybrid_cgroups },
    Check { id: "policy.v1-cgroups", run: v1_cgroups },
    Check { id: "policy.tracepoint-follows", run: tracepoint },
];

fn policy(place: &Place, name: &str, text: &str) -> Result<String, CheckError> {
    let path = format!("{}/{name}", place.dir);
    fs::write(&path, text).map_err(|source| CheckError::File { path: path.clone().into(), source })?;
    Ok(path)
}

fn change(args: &[&str]) -> Result<Value, CheckError> {
    ask(&[&["policy"], args, &["--json"]].concat(), 0)
}

fn apply(file: &str, more: &[&str]) -> Result<Value, CheckError> {
    change(&[&["apply", file, "--allow-unsigned-policy"], more].concat())
}

fn sh(script: &str) -> Result<(), CheckError> {
    ends(&Cmd::sh(script), 0).map(drop)
}

/// A place whose secret and tool are denied, and a second policy that denies its neighbour instead.
fn two(id: &str) -> Result<(Place, Agent, String), CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    let other = policy(&place, "other", &format!("version=2\n[deny_path]\n{} read\n", place.neighbour))?;
    let agent = Agent::start(&place, &["--enforce"])?;
    Ok((place, agent, other))
}

fn first_holds(place: &Place) -> Result<(), CheckError> {
    want("secret readable, first policy", readable(&place.secret, 0)?, false)?;
    want("neighbour readable, first policy", readable(&place.neighbour, NOBODY)?, true)
}

fn second_holds(place: &Place) -> Result<(), CheckError> {
    want("secret readable, second policy", readable(&place.secret, 0)?, true)?;
    want("neighbour readable, second policy", readable(&place.neighbour, NOBODY)?, false)
}

/// With an agent and without one.
fn apply_and_rollback(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent, other) = two("apply")?;
    first_holds(&place)?;
    let applied = apply(&other, &[])?;
    second_holds(&place)?;
    at(&applied, "/in_force", &json!(true))?;
    let generation = applied.pointer("/generation").cloned().unwrap_or_default();
    agent.event("policy_change", &[&format!("\"generation\":{generation}")])?;
    at(&ask(&["status", "--json"], 0)?, "/policy/generation", &generation)?;
    agent.event("deny", &[&place.neighbour, &format!("\"policy_generation\":{generation}")])?;
    // A policy that is refused changes nothing.
    let bad = policy(&place, "bad", "version=2\n[deny_path]\n/nonexistent/file\n")?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &bad, "--allow-unsigned-policy"]), 65)?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy]), 78)?;
    second_holds(&place)?;
    change(&["rollback"])?;
    first_holds(&place)?;
    agent.process()?.signal(Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    apply(&other, &[])?;
    second_holds(&place)?;
    at(&change(&["show"])?, "/state", &json!("in force"))?;
    at(&ask(&["status", "--json"], 0)?, "/policy/rules", &json!(1))?;
    change(&["rollback"])?;
    first_holds(&place)?;
    // What the kernel has let go is built anew from disk: four policies fill its room.
    for _ in 0..4 {
        apply(&other, &[])?;
    }
    let history = ask(&["policy", "history", "--json"], 0)?;
    let first = history.pointer("/generations").and_then(Value::as_array).cloned().unwrap_or_default();
    let first = first.iter().find(|entry| entry.pointer("/rules") == Some(&json!(2)));
    let first = first.and_then(|entry| entry.pointer("/generation")).cloned().unwrap_or_default();
    change(&["rollback", "--to", &first.to_string()])?;
    first_holds(&place)
}

/// Nobody but the programs is there to end it.
fn trial(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent, other) = two("trial")?;
    apply(&other, &["--confirm-within", "4s"])?;
    agent.event("policy_change", &["\"provisional\":true"])?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &other, "--allow-unsigned-policy"]), 75)?;
    agent.process()?.signal(Signal::KILL)?;
    if let Some(process) = agent.0.take() {
        process.wait(SOON)?;
    }
    thread::sleep(Duration::from_secs(5));
    first_holds(&place)?;
    at(&change(&["show"])?, "/rules", &json!(2))?;
    ends(&Cmd::new(AGENT).args(["policy", "confirm"]), 65)?;
    // Taken back early.
    apply(&other, &["--confirm-within", "1h"])?;
    second_holds(&place)?;
    change(&["rollback"])?;
    first_holds(&place)?;
    // Confirmed; and an agent that begins while it is on trial does not confirm it.
    apply(&other, &["--confirm-within", "1h"])?;
    let current = || fs::read_to_string("/var/lib/aegisbpf/current").unwrap_or_default();
    let before = current();
    let _agent = Agent::start(&place, &["--enforce"])?;
    second_holds(&place)?;
    let status = ask(&["status", "--json"], 0)?;
    want(
        "a time to confirm before",
        status.pointer("/policy/confirm_before").is_some_and(Value::is_string),
        true,
    )?;
    want("what a reboot brings back, still the old", current() == before, true)?;
    change(&["confirm"])?;
    want("what a reboot brings back, now the new", current() == before, false)?;
    second_holds(&place)
}

/// What was applied where nothing was enforced needs no signature; to enforce it does.
fn unsigned_later(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("unsigned-later")?;
    place.write("version=1\n")?;
    let rules = policy(&place, "rules", &format!("version=1\n[deny_path]\n{}\n", place.secret))?;
    let run = |mode: &str| Cmd::new(AGENT).args(["run", mode, "--policy", &place.policy]);
    let mut agent = Agent(Some(run("--audit").spawn()?));
    agent.process()?.wait_for("STATE healthy", SOON)?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", &rules]), 0)?;
    drop(agent);
    let refused = ends(&run("--enforce"), 78)?;
    contains("the refusal", &refused.stderr, "--allow-unsigned-policy")?;
    want("secret readable", readable(&place.secret, 0)?, true)
}

/// The last word holds: what was applied, until the file that the agent is started with says something new.
fn restart(_: &Ctx) -> Result<(), CheckError> {
    let (place, agent, other) = two("restart")?;
    apply(&other, &[])?;
    drop(agent);
    let agent = Agent::start(&place, &["--enforce"])?;
    second_holds(&place)?;
    drop(agent);
    place.deny("# another word\n")?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    first_holds(&place)
}

fn trees(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("trees")?;
    let dir = &place.dir;
    sh(&format!(
        "mkdir -p {dir}/tree/a/b {dir}/out {dir}/code && echo x >{dir}/tree/f && echo x >{dir}/tree/a/b/f && \
         echo x >{dir}/tree/a/b/leaves && echo x >{dir}/out/f && cp /bin/busybox {dir}/code/true && \
         mkdir {dir}/view {dir}/tree/mounted && mount --bind {dir}/tree/a {dir}/view && ln {dir}/tree/f {dir}/link && \
         mount -t tmpfs none {dir}/tree/mounted && echo x >{dir}/tree/mounted/f"
    ))?;
    freely("true")?;
    let text = format!("version=2\n[deny_tree]\n{dir}/tree read,write\n{dir}/code exec\n{ALLOW_FREE}");
    place.write(&text)?;
    for file in ["tree/f", "tree/a/b/f", "view/b/f", "tree/mounted/f"] {
        want("read before", readable(&format!("{dir}/{file}"), 0)?, true)?;
    }
    want("exec before", executable(&format!("{dir}/code/true"), 0)?, true)?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    let denied = |what, file: &str| want(what, readable(&format!("{dir}/{file}"), 0)?, false);
    let free = |what, file: &str| want(what, readable(&format!("{dir}/{file}"), 0)?, true);
    denied("at the top of the tree", "tree/f")?;
    denied("deep in the tree", "tree/a/b/f")?;
    denied("in a part of it that is mounted elsewhere", "view/b/f")?;
    denied("on what is mounted below it", "tree/mounted/f")?;
    agent.event("deny", &[&format!("{dir}/tree/a/b/f"), "\"rule\":1"])?;
    want("the directory listed", judge(&Cmd::new("/bin/ls").args([&format!("{dir}/tree")]))?, false)?;
    free("beside it", "out/f")?;
    free("by a name outside, which a tree does not bind", "link")?;
    want("exec in a tree of exec", executable(&format!("{dir}/code/true"), NOBODY)?, false)?;
    free("read in a tree of exec", "code/true")?;
    want("made in the tree", judge(&Cmd::sh(&format!("echo x >{dir}/tree/new")))?, false)?;
    // What goes in is bound, what goes out is not, and both by one rename.
    freely(&format!("mv {dir}/out/f {dir}/tree/came && mv {dir}/tree/a/b/leaves {dir}/out/left"))?;
    denied("moved in", "tree/came")?;
    free("moved out", "out/left")?;
    // The tree moved away stays denied, and so is what takes its place.
    freely(&format!(
        "umount {dir}/view && umount {dir}/tree/mounted && mv {dir}/tree {dir}/moved && mkdir {dir}/fresh && \
         echo x >{dir}/fresh/f && mv {dir}/fresh {dir}/tree"
    ))?;
    denied("in the tree that was moved away", "moved/a/b/f")?;
    denied("in what took its place", "tree/f")
}

/// A decision looks up 64 levels. What lies deeper could be in the tree, so it is denied, and the event says why.
fn too_deep(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("deep")?;
    let dir = &place.dir;
    let down = |levels: usize| "/d".repeat(levels);
    // `dir` is two levels deep, and the file is one itself.
    let (inside, beyond) = (format!("{dir}{}", down(58)), format!("{dir}{}", down(70)));
    sh(&format!(
        "mkdir -p {beyond} {dir}/tree && echo x >{inside}/f && echo x >{beyond}/f && echo x >{dir}/tree/f"
    ))?;
    place.write(&format!("version=2\n[deny_tree]\n{dir}/tree read\n"))?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    want("in the tree", readable(&format!("{dir}/tree/f"), 0)?, false)?;
    want("outside, within what is walked", readable(&format!("{inside}/f"), 0)?, true)?;
    want("deeper than that", readable(&format!("{beyond}/f"), 0)?, false)?;
    agent.event("deny", &["\"too_deep\":true", "\"rule\":0"])?;
    want("deeper, what no tree denies", judge(&Cmd::sh(&format!("echo x >>{beyond}/f")))?, true)?;
    // A tree that begins deeper than half of that is refused.
    let deep = format!("{dir}{}", down(40));
    let refused = policy(&place, "refused", &format!("version=2\n[deny_tree]\n{deep}\n"))?;
    let outcome = ends(&Cmd::new(AGENT).args(["policy", "apply", &refused, "--allow-unsigned-policy"]), 65)?;
    contains("the refusal", &outcome.stderr, "at most 32 deep")
}

/// Init, the loader and the agent stay usable in a denied tree, also when they are replaced.
fn floor(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("floor")?;
    let cgroup = "/sys/fs/cgroup/floor";
    sh(&format!("mkdir -p {cgroup}; cp /bin/busybox /sbin/other"))?;
    let scope = format!("[scope_cgroup]\n{cgroup}\n");
    let text = format!("version=2\n[deny_path]\n{AGENT} exec\n{scope}");
    let refused = policy(&place, "refused", &text)?;
    place.write(&format!("version=2\n[deny_tree]\n/sbin read,exec\n{scope}"))?;
    let agent = Agent::start(&place, &["--enforce"])?;
    let run = |program: &str, arg: &str| {
        judge(&Cmd::new("/bin/busybox").args(["sh", "-c", &format!("exec {program} {arg}")]).cgroup(cgroup))
    };
    want("exec in the tree", run("/sbin/other", "true")?, false)?;
    want("the agent in the tree", run(AGENT, "version")?, true)?;
    sh(&format!("cp {AGENT} /sbin/new && mv /sbin/new {AGENT}"))?;
    want("the agent, replaced", run(AGENT, "version")?, true)?;
    let outcome = ends(&Cmd::new(AGENT).args(["policy", "apply", &refused, "--allow-unsigned-policy"]), 65)?;
    contains("the refusal", &outcome.stderr, "--allow-critical")?;
    apply(&refused, &["--allow-critical"])?;
    want("the agent, on purpose", run(AGENT, "version")?, false)?;
    drop(agent);
    sh("rm /sbin/other")
}

/// The answer is that of the real operation, and asking changes nothing.
fn simulate(_: &Ctx) -> Result<(), CheckError> {
    let cgroup = "/sys/fs/cgroup/simulated";
    sh(&format!("mkdir -p {cgroup}"))?;
    let place = Place::new("simulate")?;
    let text = format!(
        "version=2\n[deny_path]\n{} write\n[deny_tree]\n/tmp/simulate/tree\n[allow_cgroup]\n{cgroup}\n",
        place.secret
    );
    sh("mkdir -p /tmp/simulate/tree && echo x >/tmp/simulate/tree/f")?;
    place.write(&text)?;
    let asked = |path: &str, op: &str, more: &[&str], denied: bool| -> Result<Value, CheckError> {
        let args = [&["policy", "simulate", "--json", "--path", path, "--op", op], more].concat();
        // Programs may have to be attached for the question.
        let command = Cmd::new(AGENT).args(&args).timeout(4 * SOON);
        let answer = super::agent::json(&ends(&command, i32::from(denied))?.stdout)?;
        at(&answer, "/denied", &json!(denied))?;
        Ok(answer)
    };
    // Nothing is in force: the programs are attached for the question.
    let text = &["--policy", place.policy.as_str()];
    asked(&place.secret, "write", text, true)?;
    asked(&place.secret, "read", text, false)?;
    want("pins", fs::exists("/sys/fs/bpf/aegisbpf").unwrap_or(true), false)?;
    let other = policy(&place, "other", &format!("version=2\n[deny_path]\n{} exec\n", place.tool))?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    at(&asked(&place.secret, "write", &[], true)?, "/rule", &json!(1))?;
    asked(&place.secret, "read", &[], false)?;
    asked("/tmp/simulate/tree/f", "exec", &[], true)?;
    let exempt = asked(&place.secret, "write", &["--cgroup", cgroup], false)?;
    at(&exempt, "/exempt", &json!(true))?;
    at(&exempt, "/rule", &json!(1))?;
    asked(&place.tool, "exec", &[], false)?;
    at(&asked(&place.tool, "exec", &["--policy", &other], true)?, "/rule", &json!(1))?;
    want("the tool runs all the same", executable(&place.tool, 0)?, true)?;
    want("the secret still denied", judge(&Cmd::sh(&format!("echo x >>{}", place.secret)))?, false)?;
    agent.event("deny", &[&place.secret])?;
    let denials = agent.process()?.stdout().matches("\"type\":\"deny\"").count();
    want("an event for the real operation alone", denials == 1, true)
}

fn cgroup_made_anew(_: &Ctx) -> Result<(), CheckError> {
    let cgroup = "/sys/fs/cgroup/anew";
    sh(&format!("mkdir -p {cgroup}"))?;
    let place = Place::new("anew")?;
    place.deny(&format!("[allow_cgroup]\n{cgroup}\n"))?;
    let mut agent = Agent::start(&place, &["--enforce", "--proof-interval", "1s"])?;
    let from = || judge(&Cmd::new("/bin/cat").args([&place.secret]).cgroup(cgroup));
    want("from the allow-listed cgroup", from()?, true)?;
    sh(&format!("rmdir {cgroup} && mkdir {cgroup}"))?;
    agent.event("state_change", &["was made anew", "policy reload"])?;
    want("from the one of that name now", from()?, false)?;
    change(&["reload"])?;
    want("after a reload", from()?, true)?;
    agent.event("state_change", &["\"status\":\"healthy\""])?;
    Ok(())
}

/// The layout of hybrid hosts: cgroup v2 aside, and paths of policies as people write them.
fn hybrid_cgroups(_: &Ctx) -> Result<(), CheckError> {
    sh("umount /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/unified && \
        mount -t cgroup2 none /sys/fs/cgroup/unified && mkdir -p /sys/fs/cgroup/unified/hybrid")?;
    let result = hybrid();
    sh("umount /sys/fs/cgroup/unified && umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup")?;
    result
}

/// Where there is no cgroup v2 at all, a policy that names cgroups is refused, with what would mend it.
fn v1_cgroups(_: &Ctx) -> Result<(), CheckError> {
    sh("umount /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/old")?;
    let result = Place::new("v1").and_then(|place| {
        place.deny("[allow_cgroup]\n/sys/fs/cgroup/old\n")?;
        let refused = ends(&Agent::command(&place, &["--enforce"]).timeout(4 * SOON), 69)?;
        contains("the refusal", &refused.stderr, "mount -t cgroup2")?;
        want("secret readable", readable(&place.secret, 0)?, true)
    });
    sh("umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup")?;
    result
}

fn hybrid() -> Result<(), CheckError> {
    let place = Place::new("hybrid")?;
    place.deny("[allow_cgroup]\n/sys/fs/cgroup/hybrid\n")?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    let from = Cmd::new("/bin/cat").args([&place.secret]).cgroup("/sys/fs/cgroup/unified/hybrid");
    want("from the allow-listed cgroup", judge(&from)?, true)?;
    want("from elsewhere", readable(&place.secret, 0)?, false)
}

/// The observing tier pins nothing: its maps are reached through the running agent.
fn tracepoint(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("traced")?;
    let dir = &place.dir;
    sh(&format!("mkdir {dir}/tree && echo x >{dir}/tree/f"))?;
    place.deny("")?;
    let other = policy(
        &place,
        "other",
        &format!("version=2\n[deny_path]\n{}\n[deny_tree]\n{dir}/tree read\n", place.neighbour),
    )?;
    let mut agent = Agent::start(&place, &["--audit", "--tier", "tracepoint"])?;
    readable(&place.secret, 0)?;
    agent.event("would_deny", &[&place.secret])?;
    at(&change(&["apply", &other])?, "/in_force", &json!(true))?;
    readable(&place.neighbour, 0)?;
    readable(&format!("{dir}/tree/f"), 0)?;
    agent.event("would_deny", &[&place.neighbour, "\"rule\":1"])?;
    agent.event("would_deny", &[&format!("{dir}/tree/f"), "\"rule\":2"])?;
    agent.event("policy_change", &["\"rules\":2", "\"before\""])?;
    change(&["rollback"])?;
    thread::sleep(Duration::from_secs(1));
    let before = agent.process()?.stdout().matches(&place.neighbour).count();
    readable(&place.neighbour, 0)?;
    readable(&place.secret, NOBODY)?;
    agent.event("would_deny", &[&place.secret, "\"uid\":65534"])?;
    want(
        "the neighbour observed after the rollback",
        agent.process()?.stdout().matches(&place.neighbour).count() == before,
        true,
    )
}
