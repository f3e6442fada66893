//! The BPF file system: gone, read-only, or with what others have put there.

use super::super::agent::{Agent, Place, ask, at, contains, ends};
use super::super::{Check, CheckError, Ctx};
use super::{enforcing, health, health_comes, holds, kill, nothing_holds, observing, refused, seen, sh};
use crate::run::Cmd;
use guest::AGENT;
use serde_json::json;

pub(super) const CHECKS: [Check; 3] = [
    Check { id: "failure.bpffs-unmounted", run: unmounted },
    Check { id: "failure.bpffs-read-only", run: read_only },
    Check { id: "failure.bpffs-foreign", run: foreign },
];

const OURS: &str = "/sys/fs/bpf/aegisbpf";

/// The programs live as long as the agent, which holds them; health does not take its word for more.
fn unmounted(_: &Ctx) -> Result<(), CheckError> {
    let (place, mut agent) = enforcing("unmounted", &[])?;
    sh("umount -l /sys/fs/bpf")?;
    let result = without_pins(&place, &mut agent);
    sh("mount -t bpf -o mode=0700 bpf /sys/fs/bpf")?;
    result?;
    drop(agent);
    // The observing tier does without.
    let mut observer = observing(&place, &[])?;
    sh("umount -l /sys/fs/bpf")?;
    let result = seen(&place, &mut observer).and_then(|()| health(0, "healthy").map(drop));
    sh("mount -t bpf -o mode=0700 bpf /sys/fs/bpf")?;
    result?;
    drop(observer);
    let _next = Agent::start(&place, &["--enforce"])?;
    holds(&place)?;
    health(0, "healthy").map(drop)
}

fn without_pins(place: &Place, agent: &mut Agent) -> Result<(), CheckError> {
    holds(place)?;
    let said = ask(&["health", "--json"], 2)?;
    at(&said, "/status", &json!("unhealthy"))?;
    contains("reasons", &super::reasons(&said), "nothing is pinned")?;
    kill(agent)?;
    at(&health(1, "unhealthy")?, "/enforcing", &json!(false))?;
    health_comes(&[], 1, "unhealthy", "nothing is enforced")?;
    nothing_holds(place)
}

fn read_only(_: &Ctx) -> Result<(), CheckError> {
    let place = Place::new("pins-read-only")?;
    place.deny("")?;
    let tried = || {
        sh("mount -o remount,ro /sys/fs/bpf")?;
        refused(&Agent::command(&place, &["--enforce"]), 69, "Read-only file system")?;
        observing(&place, &[])?;
        health(1, "unhealthy").map(drop)
    };
    let result = tried();
    sh("mount -o remount,rw /sys/fs/bpf")?;
    result?;
    super::super::agent::nothing_pinned()?;
    nothing_holds(&place)?;
    // What an earlier run pinned goes on.
    let (place, mut agent) = enforcing("pins-read-only-later", &[])?;
    kill(&mut agent)?;
    sh("mount -o remount,ro /sys/fs/bpf")?;
    let result = refused(&Agent::command(&place, &["--enforce"]), 69, "Read-only file system")
        .and_then(|()| holds(&place))
        .and_then(|()| {
            contains("reasons", &super::reasons(&health(1, "unhealthy")?), "Read-only file system")
        });
    sh("mount -o remount,rw /sys/fs/bpf")?;
    result
}

/// What is laid among the pins of an earlier run; each stays where it is, and keeps the next run out.
const STRANGERS: [(&str, &str); 6] = [
    ("mkdir AT/notes", "notes"),
    ("mkdir AT/VERSION/else", "else"),
    ("mkdir AT/VERSION/links/file_open_of_others", "file_open_of_others"),
    ("ln -s /sys/fs/bpf/others/map AT/VERSION/maps/theirs", "theirs"),
    // A pin under a name of ours that is of another kind.
    ("mv AT/VERSION/links/inode_rmdir AT/VERSION/programs/inode_link", "inode_link"),
    ("rm AT/VERSION/links/inode_rmdir && mkdir AT/VERSION/links/inode_rmdir", "inode_rmdir"),
];

fn foreign(_: &Ctx) -> Result<(), CheckError> {
    for (number, (script, name)) in STRANGERS.iter().enumerate() {
        let (place, mut agent) = enforcing(&format!("foreign-{number}"), &[])?;
        kill(&mut agent)?;
        let version = ends(&Cmd::sh(&format!("ls {OURS}")), 0)?.stdout;
        let at = format!("{OURS}/{}", version.trim());
        sh(&script.replace("AT/VERSION", &at).replace("AT", OURS))?;
        refused(&Agent::command(&place, &["--enforce"]), 76, name)?;
        refused(&Agent::command(&place, &["--audit", "--tier", "tracepoint"]), 76, name)?;
        holds(&place)?;
        contains("reasons", &super::reasons(&health(1, "unhealthy")?), name)?;
        let detach = ends(&Cmd::new(AGENT).args(["detach"]), 76)?;
        contains("detach", &detach.stderr, name)?;
        nothing_holds(&place)?;
        sh(&format!("found=$(find {OURS} -name {name}) && [ -n \"$found\" ] && rm -r {OURS}"))?;
    }
    Ok(())
}
