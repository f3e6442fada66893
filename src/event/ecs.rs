//! Events in the Elastic Common Schema, version 9.0.0. The fields of ECS hold what has a field there; the whole native
//! event stands below `aegisbpf`, so nothing is lost.

use serde_json::{Value, json};

use super::{
    Decision, Event, Line,
    ocsf::{lean, name},
    show::statement,
};

/// `ecs.version`
const VERSION: &str = "9.0.0";

/// The four fields by which ECS sorts events. Where an outcome makes no sense, there is none.
struct Sorted {
    kind: &'static str,
    category: &'static str,
    kinds: &'static str,
    outcome: Option<&'static str>,
}

impl Sorted {
    const fn new(
        kind: &'static str,
        category: &'static str,
        kinds: &'static str,
        outcome: Option<&'static str>,
    ) -> Self {
        Self { kind, category, kinds, outcome }
    }
}

/// The event of a line.
pub fn ecs(line: &Line<'_>) -> Value {
    let Sorted { kind, category, kinds, outcome } = sorted(&line.event);
    let common = json!({
        "@timestamp": line.time,
        "ecs": { "version": VERSION },
        "message": statement(line),
        "event": {
            "kind": kind, "category": [category], "type": [kinds], "outcome": outcome,
            "action": line.event.kind(), "module": "aegisbpf", "dataset": "aegisbpf.events", "provider": "aegisbpf",
            "sequence": line.seq,
        },
        "host": { "name": line.host, "boot": { "id": line.boot_id } },
        "observer": {
            "vendor": "AegisBPF", "product": "AegisBPF", "type": "hids", "version": env!("CARGO_PKG_VERSION"),
        },
    });
    let decision = match &*line.event {
        Event::Deny(decision) | Event::WouldDeny(decision) => of_decision(decision),
        _ => Value::Null,
    };
    let mut event = lean(common);
    if let Value::Object(keys) = &mut event {
        if let Value::Object(more) = lean(decision) {
            keys.extend(more);
        }
        keys.insert("aegisbpf".to_owned(), serde_json::to_value(line).unwrap_or_default());
    }
    event
}

fn sorted(event: &Event) -> Sorted {
    let outcome = |good| Some(if good { "success" } else { "failure" });
    match event {
        Event::Deny(decision) => Sorted::new("alert", category(decision), "denied", outcome(false)),
        // It passed: neither denied, nor a failure.
        Event::WouldDeny(decision) => Sorted::new("alert", category(decision), "info", outcome(true)),
        Event::StateChange(state) if state.status == "stopped" => Sorted::new("state", "host", "end", None),
        Event::StateChange(_) => Sorted::new("state", "host", "change", None),
        Event::PolicyChange(_) => Sorted::new("event", "configuration", "change", None),
        Event::Proof(proof) => Sorted::new("event", "host", "info", outcome(proof.proven)),
        Event::Lost(_) => Sorted::new("pipeline_error", "host", "error", None),
    }
}

fn category(decision: &Decision) -> &'static str {
    if is_file(decision) && !decision.operation.contains("exec") { "file" } else { "process" }
}

/// The self-guard keeps what is no file as well.
fn is_file(decision: &Decision) -> bool {
    decision.operation != "guard" || !decision.path.is_empty()
}

fn of_decision(decision: &Decision) -> Value {
    let file = is_file(decision).then(|| {
        json!({
            "path": decision.path, "name": name(&decision.path),
            "inode": decision.inode.map(|inode| inode.to_string()),
        })
    });
    let rule = decision.rule.to_string();
    let everywhere = decision.policy_sha256.as_deref().map(|sha256| format!("{sha256}:{rule}"));
    let parent = decision
        .ppid
        .map(|pid| json!({ "pid": pid, "name": decision.lineage.first().map(|parent| parent.exe.as_str()) }));
    json!({
        "file": file,
        "process": {
            "pid": decision.pid, "thread": { "id": decision.tid }, "name": decision.comm,
            "executable": decision.exe, "parent": parent,
        },
        "user": { "id": decision.uid.to_string() },
        "group": { "id": decision.gid.to_string() },
        "container": decision.container_id.as_deref().map(|id| json!({ "id": id })),
        "rule": {
            "id": rule, "uuid": everywhere, "ruleset": decision.policy_sha256,
            "version": decision.policy_generation.to_string(),
        },
    })
}
