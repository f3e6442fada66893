//! Events as the Open Cybersecurity Schema Framework has them, version 1.8.0 (`ocsf/ocsf-schema`). 1.9.0 changes nothing
//! of these classes but to deprecate `app`, which consumers of earlier versions require.
//!
//! A decision is of the class whose object it is about: an exec Process Activity, what the self-guard keeps and is no
//! file Kernel or Process Activity, all others File System Activity. What the agent says of itself, also of its losses, is
//! all of one class, Application Lifecycle, apart from decisions: whoever routes by class finds it in one place. The
//! whole native event is kept in `unmapped`, so nothing is lost.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Decision, Event, Line, show::statement};

/// `metadata.version`
const VERSION: &str = "1.8.0";

/// A class and what happened, by number and caption.
#[derive(Clone, Copy, Debug)]
struct Kind {
    category: (u32, &'static str),
    class: (u32, &'static str),
    activity: (u32, &'static str),
}

const SYSTEM: (u32, &str) = (1, "System Activity");
const APPLICATION: (u32, &str) = (6, "Application Activity");
const OTHER: u32 = 99;

impl Kind {
    const fn system(class: (u32, &'static str), activity: (u32, &'static str)) -> Self {
        Self { category: SYSTEM, class, activity }
    }

    const fn file(activity: (u32, &'static str)) -> Self {
        Self::system((1001, "File System Activity"), activity)
    }

    const fn process(activity: (u32, &'static str)) -> Self {
        Self::system((1007, "Process Activity"), activity)
    }

    const fn agent(activity: (u32, &'static str)) -> Self {
        Self { category: APPLICATION, class: (6002, "Application Lifecycle"), activity }
    }
}

/// How bad it is, and how it ended.
struct Judged {
    severity: (u32, &'static str),
    status: (u32, &'static str),
}

const INFORMATIONAL: (u32, &str) = (1, "Informational");
const LOW: (u32, &str) = (2, "Low");
const MEDIUM: (u32, &str) = (3, "Medium");
const HIGH: (u32, &str) = (4, "High");
const SUCCESS: (u32, &str) = (1, "Success");
const FAILURE: (u32, &str) = (2, "Failure");

/// The event of a line.
pub fn ocsf(line: &Line<'_>) -> Value {
    let (kind, judged, own) = match &*line.event {
        Event::Deny(decision) => {
            let severity = if decision.operation == "guard" { HIGH } else { MEDIUM };
            let control = json!({
                "action_id": 2, "action": "Denied", "disposition_id": 2, "disposition": "Blocked", "is_alert": true,
                "status_code": decision.errno.to_string(),
            });
            of_decision(decision, Judged { severity, status: FAILURE }, &control)
        }
        Event::WouldDeny(decision) => {
            let control = json!({
                "action_id": 3, "action": "Observed", "disposition_id": 17, "disposition": "Logged", "is_alert": false,
            });
            of_decision(decision, Judged { severity: LOW, status: SUCCESS }, &control)
        }
        event => (of_agent(event), judged(event), json!({ "app": product() })),
    };
    let profiles =
        if kind.category == SYSTEM { ["security_control", "container"].as_slice() } else { &["host"] };
    let (class, activity) = (kind.class, kind.activity);
    let common = json!({
        "metadata": {
            "version": VERSION, "product": product(), "profiles": profiles, "log_name": "aegisbpf",
            "event_code": line.event.kind(), "sequence": line.seq, "original_time": line.time,
        },
        "time": milliseconds(&line.time),
        "category_uid": kind.category.0, "category_name": kind.category.1,
        "class_uid": class.0, "class_name": class.1,
        "activity_id": activity.0, "activity_name": activity.1,
        "type_uid": class.0 * 100 + activity.0, "type_name": format!("{}: {}", class.1, activity.1),
        "severity_id": judged.severity.0, "severity": judged.severity.1,
        "status_id": judged.status.0, "status": judged.status.1,
        "message": statement(line),
        "device": { "hostname": line.host, "type_id": 0, "type": "Unknown", "boot_uid": line.boot_id },
    });
    let mut event = lean(joined(common, own));
    if let Value::Object(keys) = &mut event {
        keys.insert("unmapped".to_owned(), serde_json::to_value(line).unwrap_or_default());
    }
    event
}

fn product() -> Value {
    json!({ "name": "AegisBPF", "vendor_name": "AegisBPF", "version": env!("CARGO_PKG_VERSION") })
}

/// A time as OCSF counts it.
fn milliseconds(time: &str) -> u64 {
    let time = humantime::parse_rfc3339(time).unwrap_or(SystemTime::UNIX_EPOCH);
    let since: Duration = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What the agent says of itself.
fn of_agent(event: &Event) -> Kind {
    Kind::agent(match event {
        Event::StateChange(state) if state.status == "stopped" => (4, "Stop"),
        Event::PolicyChange(_) => (OTHER, "Policy Change"),
        Event::Proof(_) => (OTHER, "Proof"),
        Event::Lost(_) => (OTHER, "Loss"),
        _ => (OTHER, "State Change"),
    })
}

fn judged(event: &Event) -> Judged {
    let (severity, status) = match event {
        Event::StateChange(state) => match &*state.status {
            "healthy" => (INFORMATIONAL, SUCCESS),
            "stopped" => (LOW, SUCCESS),
            "degraded" => (MEDIUM, (OTHER, "Degraded")),
            _ => (HIGH, FAILURE),
        },
        Event::Proof(proof) if !proof.proven => (HIGH, FAILURE),
        Event::Lost(_) => (MEDIUM, FAILURE),
        _ => (INFORMATIONAL, SUCCESS),
    };
    Judged { severity, status }
}

/// What was decided, and about what.
fn of_decision(decision: &Decision, judged: Judged, control: &Value) -> (Kind, Judged, Value) {
    let (kind, object) = about(decision);
    let who = json!({
        "actor": { "process": actor(decision), "user": user(decision) },
        "policy": {
            "name": "aegisbpf", "uid": decision.policy_sha256, "version": decision.policy_generation.to_string(),
        },
        "status_detail": format!("rule {}", decision.rule),
        "count": decision.count,
        "start_time": decision.since.as_deref().map(milliseconds),
    });
    (kind, judged, joined(joined(who, control.clone()), object))
}

/// The class of a decision, and the object that it is about.
fn about(decision: &Decision) -> (Kind, Value) {
    let hook = &*decision.hook;
    let is_mapped = matches!(hook, "mmap_file" | "file_mprotect");
    if decision.operation == "guard" && decision.path.is_empty() {
        return kept(decision);
    }
    if decision.operation.contains("exec") && !is_mapped {
        let process = json!({
            "pid": decision.pid, "name": name(&decision.path), "file": file(&decision.path, decision.inode),
            "user": user(decision),
        });
        return (Kind::process((1, "Launch")), json!({ "process": process }));
    }
    (Kind::file(activity(hook)), json!({ "file": file(&decision.path, decision.inode) }))
}

/// What the self-guard kept, and is no file.
fn kept(decision: &Decision) -> (Kind, Value) {
    let activity = match &*decision.hook {
        "ptrace_access_check" => Some((3, "Open")),
        "task_kill" => Some((OTHER, "Signal")),
        "task_prctl" => Some((OTHER, "Change")),
        _ => None,
    };
    if let (Some(activity), Some(pid)) = (activity, decision.guarded) {
        return (Kind::process(activity), json!({ "process": { "pid": pid } }));
    }
    let what = match &*decision.hook {
        "bpf_map" => "BPF map",
        "bpf_prog" => "BPF program",
        other => other,
    };
    let number = decision.guarded.map(|number| format!(" {number}")).unwrap_or_default();
    let kernel = json!({ "name": format!("{what}{number}"), "type_id": OTHER, "type": what });
    (Kind::system((1003, "Kernel Activity"), (OTHER, "Access")), json!({ "kernel": kernel }))
}

/// What a hook is asked about, in File System Activity.
fn activity(hook: &str) -> (u32, &'static str) {
    match hook {
        "inode_create" | "inode_mkdir" | "inode_mknod" | "inode_symlink" | "inode_link" => (1, "Create"),
        "inode_unlink" | "inode_rmdir" => (4, "Delete"),
        "inode_rename" => (5, "Rename"),
        "inode_setattr" | "inode_file_setattr" | "inode_setxattr" | "inode_removexattr" | "file_ioctl" => {
            (6, "Set Attributes")
        }
        "inode_set_acl" | "inode_remove_acl" => (7, "Set Security"),
        "sb_mount" | "move_mount" => (12, "Mount"),
        "sb_umount" => (13, "Unmount"),
        _ => (14, "Open"),
    }
}

fn actor(decision: &Decision) -> Value {
    let ancestry: Vec<Value> =
        decision.lineage.iter().map(|one| json!({ "pid": one.pid, "name": one.exe })).collect();
    let parent = decision
        .ppid
        .map(|pid| json!({ "pid": pid, "name": decision.lineage.first().map(|parent| parent.exe.as_str()) }));
    json!({
        "pid": decision.pid, "tid": decision.tid, "name": decision.comm,
        "file": decision.exe.as_deref().map(|exe| file(exe, None)),
        "parent_process": parent,
        "ancestry": (!ancestry.is_empty()).then_some(ancestry),
        "container": decision.container_id.as_deref().map(|id| json!({ "uid": id })),
    })
}

fn user(decision: &Decision) -> Value {
    json!({ "uid": decision.uid.to_string(), "groups": [{ "uid": decision.gid.to_string() }] })
}

fn file(path: &str, inode: Option<u64>) -> Value {
    json!({
        "name": name(path), "path": path, "type_id": 0, "type": "Unknown",
        "uid": inode.map(|inode| inode.to_string()),
    })
}

/// The last component; of the root directory the whole.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').find(|name| !name.is_empty()).unwrap_or("/")
}

/// One object with the keys of both.
fn joined(mut first: Value, second: Value) -> Value {
    if let (Value::Object(keys), Value::Object(more)) = (&mut first, second) {
        keys.extend(more);
    }
    first
}

/// Without keys that say nothing.
pub(super) fn lean(value: Value) -> Value {
    match value {
        Value::Object(keys) => keys
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, lean(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(lean).collect(),
        other => other,
    }
}
