//! An event of each kind, as the agent writes them.

use serde_json::{Value, json};

const HOST: &str = "node1";
const BOOT: &str = "3b0f8e6a-0c4d-4b61-9a42-6f1d2c3e4a5b";
const POLICY: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const CONTAINER: &str = "3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b3f9c0a1b";

/// `first` with the keys of `second`; those that are null there are taken away.
fn with(first: &Value, second: &Value) -> Value {
    let mut all = first.clone();
    let (Some(keys), Some(more)) = (all.as_object_mut(), second.as_object()) else { return all };
    for (key, value) in more {
        if value.is_null() {
            keys.remove(key);
        } else {
            keys.insert(key.clone(), value.clone());
        }
    }
    all
}

fn line(kind: &str, rest: &Value) -> Value {
    let head = json!({
        "schema_version": 1, "time": "2026-03-04T05:06:07.000000891Z", "boot_id": BOOT, "seq": 7,
        "host": HOST, "tier": "bpf-lsm", "type": kind,
    });
    with(&head, rest)
}

fn deny() -> Value {
    let decision = json!({
        "mode": "enforce", "operation": "read", "count": 1, "hook": "file_open", "errno": 1,
        "path": "/etc/shadow", "path_cut": false, "too_deep": false, "unplaced": false, "leaves_scope": false, "device": "8:1",
        "inode": 9_007_199_254_740_993_u64, "generation": 12, "rule": 3, "policy_sha256": POLICY,
        "policy_generation": 2, "pid": 4711, "tid": 4712, "ppid": 4000, "uid": 1000, "gid": 100,
        "comm": "cat", "exe": "/usr/bin/cat", "login_uid": 1000,
        "lineage": [{"pid": 4000, "exe": "bash"}, {"pid": 1, "exe": "systemd"}],
        "cgroup_id": 8123, "cgroup": "/user.slice/session-3.scope", "mount_ns": 4_026_531_841_u32,
        "pid_ns": 4_026_531_836_u32,
    });
    line("deny", &decision)
}

/// Each with its name.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let passed = json!({"type": "would_deny", "mode": "audit", "errno": 0});
    let repeated = json!({"count": 17, "since": "2026-03-04T05:05:57.000000891Z"});
    let hostile =
        json!({"path": "…/a\\x0ab\\\\\"c\u{202e}", "path_cut": true, "comm": "\\x1b[31m", "exe": null});
    let program = json!({"operation": "exec", "path": "/opt/tool", "container_id": CONTAINER});
    let guard = json!({
        "operation": "guard", "hook": "bpf_map", "path": "", "guarded": 77, "rule": 0, "device": "0:0",
        "inode": 0,
    });
    let guarded_file =
        json!({"operation": "guard", "hook": "guard_open", "path": "/sys/fs/bpf/aegisbpf/x", "rule": 0});
    let guarded_process =
        json!({"operation": "guard", "hook": "task_kill", "path": "", "guarded": 42, "rule": 0});
    let traced = json!({
        "tier": "tracepoint", "hook": "trace_open", "path": "secret", "device": null, "inode": null,
        "generation": null, "ppid": null, "exe": null, "login_uid": null, "lineage": [], "cgroup": null,
        "mount_ns": null, "pid_ns": null,
    });
    let traced_program = json!({"operation": "exec", "hook": "trace_exec", "path": "/opt/tool"});
    let traced = with(&with(&deny(), &passed), &traced);
    vec![
        ("a path denied", deny()),
        ("several denied", with(&deny(), &repeated)),
        ("hostile names", with(&deny(), &hostile)),
        ("an inode denied", with(&deny(), &json!({"path": "/srv/copy", "rule": 9, "policy_sha256": null}))),
        (
            "too deep to tell",
            with(&deny(), &json!({"path": "…/x", "path_cut": true, "too_deep": true, "rule": 0})),
        ),
        ("a program denied", with(&deny(), &program)),
        ("attributes denied", with(&deny(), &json!({"operation": "write", "hook": "inode_setattr"}))),
        ("a map guarded", with(&deny(), &guard)),
        ("a file guarded", with(&deny(), &guarded_file)),
        ("a process guarded", with(&deny(), &guarded_process)),
        ("a path that would be denied", with(&deny(), &passed)),
        ("a program that would be denied", with(&with(&deny(), &program), &passed)),
        ("an open that was traced", traced.clone()),
        ("an exec that was traced", with(&traced, &traced_program)),
        ("a state", state("degraded", &json!(["file_receive: \"x\"\nno such hook"]))),
        ("a healthy state", state("healthy", &json!([]))),
        ("an unhealthy state", state("unhealthy", &json!(["a hook did not refuse"]))),
        ("the last state", state("stopped", &json!(["the agent stopped"]))),
        ("a policy", line("policy_change", &policy())),
        ("no policy", nothing()),
        ("a proof", line("proof", &json!({"hook": "file_open", "proven": true, "detail": "refused"}))),
        ("no proof", line("proof", &json!({"hook": "policy", "proven": false, "detail": "changed"}))),
        ("a loss", line("lost", &json!({"events": 5, "total": u64::MAX, "reason": "kernel"}))),
    ]
}

fn state(status: &str, reasons: &Value) -> Value {
    let state = json!({
        "status": status, "enforcing": status != "unhealthy", "mode": "enforce", "attach_state": "partial",
        "uncovered": ["fd.received"], "reasons": reasons,
    });
    line("state_change", &state)
}

fn policy() -> Value {
    json!({"generation": 3, "sha256": POLICY, "rules": 12, "before": 2, "provisional": true})
}

/// Here null is a value.
fn nothing() -> Value {
    let mut change = line("policy_change", &policy());
    for key in ["generation", "sha256", "before"] {
        if let Some(value) = change.get_mut(key) {
            *value = Value::Null;
        }
    }
    change
}
