//! Enforcement on one kernel and boot line: the right tier, proven, and every claim of its contract.

use super::agent::{
    ALLOW_FREE, Agent, NOBODY, Place, ask, at, ends, executable, freely, judge, readable, tier, want,
};
use super::{Check, CheckError, Ctx, guard_checks};
use crate::run::Cmd;
use guest::{AGENT, Expect};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// What does not rest on the checks of other modules.
pub(super) const OF_A_TIER: [Check; 14] = [
    Check { id: "enforce.tier-and-proof", run: tier_and_proof },
    Check { id: "enforce.read-by-root", run: |_| read_by(0) },
    Check { id: "enforce.read-by-nobody", run: |_| read_by(NOBODY) },
    Check { id: "enforce.write", run: write },
    Check { id: "enforce.exec", run: exec },
    Check { id: "enforce.exec-script", run: exec_script },
    Check { id: "enforce.other-names", run: other_names },
    Check { id: "enforce.allow-cgroup", run: allow_cgroup },
    Check { id: "enforce.path-replaced", run: path_replaced },
    Check { id: "enforce.scope-cgroup", run: scope_cgroup },
    Check { id: "enforce.inode-rule", run: inode_rule },
    Check { id: "enforce.event", run: event },
    Check { id: "enforce.audit-lets-pass", run: audit_lets_pass },
    Check { id: "enforce.permission-hook", run: permission_hook },
];

/// Every claim of the contract has a check that shows it.
pub(super) const CLAIMS: [Check; 1] = [Check { id: "enforce.claims-proven", run: claims_proven }];

fn enforcing(id: &str, more: &str) -> Result<(Place, Agent), CheckError> {
    let place = Place::new(id)?;
    place.deny(more)?;
    // Positive controls: all of it works before the rule.
    for uid in [0, NOBODY] {
        want("read before", readable(&place.secret, uid)?, true)?;
        want("exec before", executable(&place.tool, uid)?, true)?;
    }
    let agent = Agent::start(&place, &["--enforce"])?;
    Ok((place, agent))
}

fn tier_and_proof(ctx: &Ctx) -> Result<(), CheckError> {
    let (_place, _agent) = enforcing("tier", "")?;
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/tier", &json!(tier(ctx)))?;
    at(&status, "/enforcing", &json!(true))?;
    at(&status, "/mode", &json!("enforce"))?;
    at(&status, "/attach_state", &json!("full"))?;
    at(&status, "/policy/rules", &json!(2))?;
    at(&status, "/agent/running", &json!(true))?;
    let hooks = status.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
    // In modify-return each program has a second copy.
    let copies = if tier(ctx) == "modify-return" { 2 } else { 1 };
    let opens = hooks.iter().filter(|hook| {
        hook.pointer("/name").and_then(Value::as_str).is_some_and(|name| name.starts_with("file_open"))
    });
    want("hooks", opens.count() == copies && hooks.len() >= 15 * copies, true)?;
    for hook in &hooks {
        want("hook proven", hook.pointer("/proven_at").is_some_and(Value::is_string), true)?;
    }
    let health = ask(&["health", "--json", "--require", "enforce"], 0)?;
    at(&health, "/status", &json!("healthy"))?;
    at(&ask(&["doctor", "--json"], 0)?, "/verdict", &json!("ENFORCING"))
}

fn read_by(uid: u32) -> Result<(), CheckError> {
    let (place, _agent) = enforcing(&format!("read-{uid}"), "")?;
    want("secret readable", readable(&place.secret, uid)?, false)?;
    want("neighbour readable", readable(&place.neighbour, uid)?, true)
}

fn write(_: &Ctx) -> Result<(), CheckError> {
    let (place, _agent) = enforcing("write", "")?;
    let into = |path: &str| judge(&Cmd::sh(&format!("echo more >>{path}")));
    want("secret writable", into(&place.secret)?, false)?;
    want("neighbour writable", into(&place.neighbour)?, true)?;
    let over = |path: &str| judge(&Cmd::sh(&format!(": >{path}")));
    want("secret truncated", over(&place.secret)?, false)?;
    want("neighbour truncated", over(&place.neighbour)?, true)
}

fn exec(_: &Ctx) -> Result<(), CheckError> {
    let (place, _agent) = enforcing("exec", "")?;
    let copy = format!("{}/copy/true", place.dir);
    ends(&Cmd::sh(&format!("mkdir {0}/copy && cp /bin/busybox {copy} && chmod 755 {copy}", place.dir)), 0)?;
    for uid in [0, NOBODY] {
        want("tool executable", executable(&place.tool, uid)?, false)?;
        want("its neighbour executable", executable(&copy, uid)?, true)?;
    }
    Ok(())
}

/// A script whose interpreter is denied, and a denied script.
fn exec_script(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("script")?;
    let (script, other) = (format!("{}/script", place.dir), format!("{}/other", place.dir));
    let make = format!(
        "printf '#!{0}\\n' >{script} && printf '#!/bin/busybox true\\n' >{other} && chmod 755 {script} {other}",
        place.tool
    );
    ends(&Cmd::sh(&make), 0)?;
    place.write(&format!("version=1\n[deny_path]\n{}\n{other}\n", place.tool))?;
    want("interpreter before", executable(&script, 0)?, true)?;
    want("script before", executable(&other, 0)?, true)?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    want("script of a denied interpreter", executable(&script, 0)?, false)?;
    want("denied script", executable(&other, 0)?, false)
}

fn other_names(_: &Ctx) -> Result<(), CheckError> {
    freely("true")?;
    let (place, _agent) = enforcing("names", ALLOW_FREE)?;
    let Place { dir, secret, .. } = &place;
    freely(&format!(
        "ln -s {secret} {dir}/symlink && ln {secret} {dir}/hard && touch {dir}/bound && mount --bind {secret} {dir}/bound"
    ))?;
    for name in ["symlink", "hard", "bound", "../names/secret"] {
        want("readable by another name", readable(&format!("{dir}/{name}"), 0)?, false)?;
    }
    want(
        "readable after a rename",
        {
            freely(&format!("umount {dir}/bound; mv {secret} {dir}/moved"))?;
            readable(&format!("{dir}/moved"), 0)?
        },
        false,
    )
}

fn allow_cgroup(_: &Ctx) -> Result<(), CheckError> {
    let cgroup = "/sys/fs/cgroup/allowed";
    fs::create_dir_all("/sys/fs/cgroup/allowed/below")
        .map_err(|source| CheckError::File { path: cgroup.into(), source })?;
    let (place, _agent) = enforcing("cgroup", &format!("[allow_cgroup]\n{cgroup}\n"))?;
    let from = |cgroup: &str| judge(&Cmd::new("/bin/cat").args([&place.secret]).cgroup(cgroup));
    want("from the allow-listed cgroup", from(cgroup)?, true)?;
    want("from a cgroup below it", from("/sys/fs/cgroup/allowed/below")?, true)?;
    want("from elsewhere", readable(&place.secret, 0)?, false)
}

/// Whatever is put at the denied path is denied at its first open, and what was moved away stays denied.
fn path_replaced(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("replaced")?;
    let Place { dir, secret, neighbour, .. } = &place;
    let later = format!("{dir}/later");
    freely("true")?;
    place.write(&format!("version=1\n[deny_path]\n{secret}\n{later}\n{ALLOW_FREE}"))?;
    want("read before", readable(secret, 0)?, true)?;
    let _agent = Agent::start(&place, &["--enforce", "--allow-missing"])?;
    let then = freely;
    then(&format!("echo new >{dir}/new && mv {dir}/new {secret}"))?;
    want("renamed over", readable(secret, NOBODY)?, false)?;
    then(&format!("rm {secret} && mv {neighbour} {dir}/other && ln {dir}/other {secret}"))?;
    want("removed and linked anew", readable(secret, 0)?, false)?;
    want("the same file under its own name", readable(&format!("{dir}/other"), 0)?, true)?;
    then(&format!("rm {secret} && ln -s {dir}/other {secret}"))?;
    want("a link put there leads to a file that is not denied", readable(secret, 0)?, true)?;
    want("missing when applied", judge(&Cmd::sh(&format!("echo made >{later}")))?, false)?;
    then(&format!("rm -f {later} && cp {dir}/other {dir}/made && mv {dir}/made {later}"))?;
    want("made later", readable(&later, 0)?, false)?;
    then(&format!("echo a >{dir}/a && rm {secret} && echo x >{dir}/x && mv {dir}/x {secret}"))?;
    then(&format!("/init exchange {dir}/a {secret}"))?;
    want("exchanged in", readable(secret, 0)?, false)?;
    want("exchanged out, under its new name", readable(&format!("{dir}/a"), 0)?, true)
}

/// `[scope_cgroup]`: the rules bind the processes in it and below it, and nobody else.
fn scope_cgroup(_: &Ctx) -> Result<(), CheckError> {
    let cgroup = "/sys/fs/cgroup/scope";
    fs::create_dir_all(cgroup).map_err(|source| CheckError::File { path: cgroup.into(), source })?;
    let place = Place::new("scope")?;
    place.write(&format!("version=2\n[deny_path]\n{}\n[scope_cgroup]\n{cgroup}\n", place.secret))?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    let below = format!("{cgroup}/made-later");
    fs::create_dir_all(&below).map_err(|source| CheckError::File { path: below.clone().into(), source })?;
    let from = |cgroup: &str| judge(&Cmd::new("/bin/cat").args([&place.secret]).cgroup(cgroup));
    want("from the scope", from(cgroup)?, false)?;
    want("from a cgroup made later below it", from(&below)?, false)?;
    want("from elsewhere", readable(&place.secret, 0)?, true)
}

/// `[deny_inode]` with the numbers as `stat` prints them, which on tmpfs are those of the kernel.
fn inode_rule(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("inode")?;
    let numbers = ends(&Cmd::new("/bin/stat").args(["-c", "%d:%i", &place.secret]), 0)?.stdout;
    place.write(&format!("version=1\n[deny_inode]\n{numbers}"))?;
    want("read before", readable(&place.secret, 0)?, true)?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    want("neighbour readable", readable(&place.neighbour, 0)?, true)
}

fn event(ctx: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("event", "")?;
    want("secret readable", readable(&place.secret, NOBODY)?, false)?;
    want("tool executable", executable(&place.tool, 0)?, false)?;
    let read = agent.event("deny", &[&place.secret])?;
    for (pointer, wanted) in [
        ("/schema_version", json!(1)),
        ("/tier", json!(tier(ctx))),
        ("/mode", json!("enforce")),
        ("/operation", json!("read")),
        ("/hook", json!("file_open")),
        ("/errno", json!(1)),
        ("/path", json!(place.secret)),
        ("/rule", json!(1)),
        ("/uid", json!(NOBODY)),
        ("/gid", json!(NOBODY)),
        ("/comm", json!("cat")),
        ("/exe", json!("/bin/busybox")),
    ] {
        at(&read, pointer, &wanted)?;
    }
    let exec = agent.event("deny", &[&place.tool])?;
    at(&exec, "/rule", &json!(2))?;
    at(&exec, "/operation", &json!("exec"))?;
    // The text form, from an agent of its own.
    drop(agent);
    let mut process = Cmd::new(AGENT)
        .args(["run", "--enforce", "--policy", &place.policy, "--allow-unsigned-policy"])
        .spawn()?;
    process.wait_for("STATE healthy enforcing", super::agent::SOON)?;
    want("secret readable", readable(&place.secret, 0)?, false)?;
    process.wait_for(&format!("DENY read {} rule=1", place.secret), super::agent::SOON)?;
    let _cleared = Agent(Some(process));
    Ok(())
}

fn audit_lets_pass(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("audit")?;
    place.deny("")?;
    let mut agent = Agent::start(&place, &["--audit"])?;
    want("secret readable", readable(&place.secret, 0)?, true)?;
    want("tool executable", executable(&place.tool, 0)?, true)?;
    let read = agent.event("would_deny", &[&place.secret])?;
    at(&read, "/errno", &json!(0))?;
    at(&read, "/mode", &json!("audit"))?;
    at(&read, "/rule", &json!(1))?;
    agent.event("would_deny", &[&place.tool])?;
    at(&ask(&["status", "--json"], 0)?, "/enforcing", &json!(false))
}

/// What `--lsm-hook inode` adds, and that it is not there without.
fn permission_hook(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("permission")?;
    let dir = format!("{}/directory", place.dir);
    ends(&Cmd::sh(&format!("mkdir {dir} && echo x >{dir}/f")), 0)?;
    place.deny(&format!("{dir}\n"))?;
    let asks = || match rustix::fs::access(&place.secret, rustix::fs::Access::READ_OK) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::PERM) => Ok(false),
        Err(errno) => Err(CheckError::File { path: place.secret.clone().into(), source: errno.into() }),
    };
    // Asking for what is in a directory passes through it.
    let passes = || judge(&Cmd::new("/bin/stat").args([&format!("{dir}/f")]));
    let agent = Agent::start(&place, &["--enforce"])?;
    want("access(2) without it", asks()?, true)?;
    want("passing through without it", passes()?, true)?;
    drop(agent);
    let _agent = Agent::start(&place, &["--enforce", "--lsm-hook", "inode"])?;
    want("access(2) with it", asks()?, false)?;
    want("passing through with it", passes()?, false)?;
    want("the neighbour", readable(&place.neighbour, 0)?, true)
}

/// The contract denies no more and no less than what the scenarios show: each has its own check in this row.
fn claims_proven(ctx: &Ctx) -> Result<(), CheckError> {
    let contract = ask(&["contract", "--json", "--tier", tier(ctx)], 0)?;
    let claims = contract.pointer("/tiers/0/claims").and_then(Value::as_array).cloned().unwrap_or_default();
    let denied: BTreeSet<&str> = claims
        .iter()
        .filter(|claim| claim.pointer("/verdict") == Some(&json!("denies")))
        .filter_map(|claim| claim.pointer("/id").and_then(Value::as_str))
        .collect();
    let data = guest::scenarios().map_err(|error| CheckError::Differs {
        what: "scenarios",
        want: "data".to_owned(),
        got: error.to_string(),
    })?;
    let shown = data.iter().filter(|scenario| scenario.expect == Expect::Denied);
    // The claims of the self-guard are about no file: a row of its own has a check by the name of each.
    let guarded = guard_checks().iter().map(|check| check.id).filter(|id| denied.contains(id));
    let proven: BTreeSet<&str> = shown.map(|scenario| scenario.claim.as_str()).chain(guarded).collect();
    if denied == proven {
        return Ok(());
    }
    Err(CheckError::Differs { what: "claims", want: format!("{proven:?}"), got: format!("{denied:?}") })
}
