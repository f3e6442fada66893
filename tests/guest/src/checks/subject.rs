//! Whom an event names: the process, those above it, who logged in, its cgroup and container.

use super::agent::{Agent, Place, at, contains, want};
use super::{Check, CheckError};
use crate::run::Cmd;
use serde_json::{Value, json};
use std::fs;

pub(super) const CHECKS: [Check; 1] = [Check { id: "event.subject", run: |_| subject() }];

/// As a container runtime names the cgroup of a pod's container.
const ID: &str = "5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5";

/// A shell in a container's cgroup, in which somebody logged in, starts another that reads the secret.
fn subject() -> Result<(), CheckError> {
    let place = Place::new("subject")?;
    place.deny("")?;
    let mut agent = Agent::start(&place, &["--enforce"])?;
    let pod =
        format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice", "0123_".repeat(7));
    let cgroup = format!("{pod}/cri-containerd-{ID}.scope");
    let dir = format!("/sys/fs/cgroup{cgroup}");
    fs::create_dir_all(&dir).map_err(|source| CheckError::File { path: dir.clone().into(), source })?;
    let script = format!(
        "echo 4321 >/proc/self/loginuid; echo me $$; cp /bin/busybox {0}/busybox-outer; exec {0}/busybox-outer sh -c \
         '/bin/sh -c \"/bin/busybox cat {1}; exit 7\"; exit 7'",
        place.dir, place.secret
    );
    let shell = super::agent::ends(&Cmd::sh(&script).cgroup(&dir), 7)?;
    let outer: u64 = shell.stdout.trim_start_matches("me ").trim().parse().unwrap_or(0);
    let event = agent.event("deny", &["\"operation\":\"read\"", "\"comm\":\"busybox\""])?;
    at(&event, "/login_uid", &json!(4321))?;
    at(&event, "/cgroup", &json!(cgroup))?;
    at(&event, "/container_id", &json!(ID))?;
    let lineage = event.pointer("/lineage").and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<&str> = lineage.iter().filter_map(|one| one.pointer("/exe")?.as_str()).collect();
    contains("the processes above", &names.join(" "), "busybox busybox-outer ")?;
    at(&event, "/lineage/1/pid", &json!(outer))?;
    at(&event, "/lineage/0/pid", event.pointer("/ppid").unwrap_or(&Value::Null))?;
    let last = lineage.last().and_then(|one| one.pointer("/pid")?.as_u64());
    want("the first of all, at the end", last == Some(1), true)?;
    // This process sits at the root, and nobody logged in.
    want("denied", fs::read(&place.secret).is_err(), true)?;
    let own = agent.event("deny", &["\"cgroup\":\"/\","])?;
    at(&own, "/pid", &json!(std::process::id()))?;
    want("a container or a login", own.get("container_id").or(own.get("login_uid")).is_some(), false)
}
