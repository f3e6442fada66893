//! The agent in a container such as `dist/kubernetes` makes one: namespaces of its own, a read-only root with one file in
//! it, three capabilities, and of the node what the manifests mount.

use super::agent::{Agent, Place, SOON, at, contains, ends, json, nothing_pinned, readable, want};
use super::{Check, CheckError, Ctx};
use crate::run::{Cmd, CmdError};
use guest::AGENT;
use serde_json::Value;

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "container.enforces", run: enforces },
    Check { id: "container.keeps-the-floor", run: keeps_the_floor },
];

/// The container's root.
const ROOT: &str = "/tmp/pod";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What the manifests mount, and what a runtime does.
const MADE: &str = "\
    mkdir -p /tmp/pod /etc/aegisbpf /var/lib/aegisbpf /run/aegisbpf && \
    mount -t tmpfs -o mode=755 pod /tmp/pod && cd /tmp/pod && cp /sbin/aegisbpf . && \
    mkdir -p proc sys dev policy etc/aegisbpf run/aegisbpf var/lib/aegisbpf lib64 tmp/container && \
    mount -t tmpfs dev dev && mknod -m 666 dev/null c 1 3 && \
    mount -t sysfs -o ro sys sys && mount --bind /tmp/container/policy policy && \
    for d in sys/fs/bpf sys/kernel/security sys/fs/cgroup etc/aegisbpf var/lib/aegisbpf run/aegisbpf lib64 tmp/container; \
    do mount --bind /$d $d || exit 1; done && \
    for d in policy sys/kernel/security sys/fs/cgroup lib64 tmp/container; \
    do mount -o bind,remount,ro $d || exit 1; done && mount -o remount,ro /tmp/pod";
const REMOVED: &str = "\
    cd / && for d in $(awk '{print $2}' /proc/mounts | grep ^/tmp/pod | sort -r); do umount $d || exit 1; done; \
    rmdir /tmp/pod && rm -rf /etc/aegisbpf /var/lib/aegisbpf /run/aegisbpf /tmp/container";

/// Files of the node to fight over, and the container's root.
fn prepare(rules: &str) -> Result<Place, CheckError> {
    let place = Place::new("container")?;
    ends(&Cmd::sh("mkdir /tmp/container/policy"), 0)?;
    let text = format!("version=1\n[deny_path]\n{rules}");
    std::fs::write("/tmp/container/policy/policy.conf", text)
        .map_err(|source| CheckError::File { path: "/tmp/container/policy/policy.conf".into(), source })?;
    ends(&Cmd::sh(MADE), 0)?;
    Ok(place)
}

fn remove() -> Result<(), CheckError> {
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    ends(&Cmd::sh(REMOVED), 0)?;
    nothing_pinned()
}

/// With the arguments of the manifests, in namespaces of its own. The shell is what has the number 1 there.
fn started() -> Cmd {
    let script = format!(
        "mount -t proc proc {ROOT}/proc && /init lacking pod:{ROOT} /aegisbpf run --enforce --on-degraded exit \
         --policy /policy/policy.conf --log-format json --allow-unsigned-policy; exit $?"
    );
    Cmd::new("/bin/unshare").args(["-m", "-p", "-f", "/bin/sh", "-c", &script])
}

/// What a probe does: the command, in the namespaces of the agent.
fn inside(args: &str) -> Cmd {
    // Of all processes of that name the last in the list is the first that there was.
    let script = format!(
        "for p in $(pidof aegisbpf); do a=$p; done; exec nsenter -t $a -m -p /init lacking pod:{ROOT} /aegisbpf {args}"
    );
    Cmd::sh(&script)
}

fn enforces(_: &Ctx) -> Result<(), CheckError> {
    let place = prepare("/tmp/container/secret\n")?;
    let mut pod = started().spawn()?;
    pod.wait_for("\"type\":\"state_change\"", SOON)?;
    let mut agent = Agent(Some(pod));
    want("secret readable", readable(&place.secret, 0)?, false)?;
    want("neighbour readable", readable(&place.neighbour, 0)?, true)?;
    // Named as the node has it, and by the node's number of the process.
    let event = agent.event("deny", &[&place.secret])?;
    at(&event, "/exe", &Value::from("/bin/busybox"))?;
    for asked in [inside("health --require enforce --json"), Cmd::new(AGENT).args(["health", "--json"])] {
        let health = json(&ends(&asked, 0)?.stdout)?;
        at(&health, "/enforcing", &Value::from(true))?;
        at(&health, "/attach_state", &Value::from("full"))?;
        at(&health, "/agent/running", &Value::from(true))?;
        contains("sandbox", &health.to_string(), "no_new_privs")?;
    }
    // The pod goes, and what is denied stays so.
    drop(agent.0.take());
    want("a process of the pod", Cmd::sh("pidof aegisbpf").run()?.code() == 0, false)?;
    want("secret readable, without the pod", readable(&place.secret, 0)?, false)?;
    remove()
}

/// A rule on the node's dynamic loader is refused as it is on the node.
fn keeps_the_floor(_: &Ctx) -> Result<(), CheckError> {
    prepare(&format!("{LOADER}\n"))?;
    let mut pod = started().spawn()?;
    let refused = match pod.wait_for("\"type\":\"state_change\"", SOON) {
        Err(CmdError::Silent { .. }) => pod.wait(SOON)?,
        Ok(()) => {
            drop(pod);
            remove()?;
            return want("a rule on the loader accepted", true, false);
        }
        Err(other) => return Err(other.into()),
    };
    want("refused as invalid", refused.code() == 65, true)?;
    contains("message", &refused.stderr, LOADER)?;
    remove()
}
