//! What doctor says, on hosts of which something is missing, and beside an agent.

use super::agent::{Agent, NOBODY, Place, ask, at, contains, ends, json, tier, want};
use super::{Check, CheckError, Ctx};
use crate::report;
use crate::run::{Cmd, Outcome};
use guest::{AGENT, Line};
use serde_json::{Value, json};
use std::time::Instant;

/// In the rows that enforce.
/// In every row that enforces.
pub(super) const OF_A_ROW: [Check; 3] = [
    Check { id: "doctor.report", run: report_of_this_host },
    Check { id: "doctor.schemas", run: schemas },
    Check { id: "doctor.ready", run: ready },
];

pub(super) const CHECKS: [Check; 9] = [
    Check { id: "doctor.writes-nothing", run: writes_nothing },
    Check { id: "doctor.unprivileged", run: unprivileged },
    Check { id: "doctor.no-bpffs", run: no_bpffs },
    Check { id: "doctor.no-btf", run: no_btf },
    Check { id: "doctor.filtered", run: filtered },
    Check { id: "doctor.user-namespace", run: user_namespace },
    Check { id: "doctor.enforcing", run: enforcing },
    Check { id: "doctor.misreporting", run: misreporting },
    Check { id: "doctor.foreign-pins", run: foreign_pins },
];

/// In the rows that observe: a host whose type information is not visible, as in many containers.
pub(super) const TRACED: [Check; 3] = [
    Check { id: "doctor.report", run: report_without_btf },
    Check { id: "doctor.schemas", run: schemas },
    Check { id: "doctor.unprivileged", run: unprivileged },
];

/// A document is what the schema says that the agent itself prints.
pub(super) fn valid(name: &str, document: &Value) -> Result<(), CheckError> {
    let schema = json(&ends(&Cmd::new(AGENT).args(["schema", name]), 0)?.stdout)?;
    let mut compiler = boon::Compiler::new();
    let mut schemas = boon::Schemas::new();
    let fault = compiler
        .add_resource(name, schema)
        .map_err(|error| error.to_string())
        .and_then(|()| compiler.compile(name, &mut schemas).map_err(|error| error.to_string()))
        .and_then(|index| schemas.validate(document, index).map_err(|error| error.to_string()));
    fault.map_err(|got| CheckError::Differs {
        what: "a document",
        want: format!("as the schema {name}"),
        got,
    })
}

/// Runs doctor and holds what it prints against its schema.
fn doctor(command: &Cmd, code: i32) -> Result<Value, CheckError> {
    let diagnosis = json(&ends(command, code)?.stdout)?;
    valid("doctor", &diagnosis)?;
    Ok(diagnosis)
}

fn plain() -> Cmd {
    Cmd::new(AGENT).args(["doctor", "--json"])
}

/// One check of a diagnosis.
fn check<'a>(diagnosis: &'a Value, id: &str) -> Result<&'a Value, CheckError> {
    let checks = diagnosis.pointer("/checks").and_then(Value::as_array);
    let found =
        checks.and_then(|checks| checks.iter().find(|check| check.pointer("/id") == Some(&json!(id))));
    found.ok_or_else(|| CheckError::Differs {
        what: "a check",
        want: id.to_owned(),
        got: diagnosis.to_string(),
    })
}

fn result(diagnosis: &Value, id: &str, want: &str) -> Result<(), CheckError> {
    at(check(diagnosis, id)?, "/result", &json!(want))
}

/// The report goes to whoever runs the matrix.
fn send_report(code: i32, verdict: &str) -> Result<(), CheckError> {
    let path = "/tmp/report.json";
    ends(&Cmd::new(AGENT).args(["doctor", "--report", path]), code)?;
    let text =
        std::fs::read_to_string(path).map_err(|source| CheckError::File { path: path.into(), source })?;
    let document = json(&text)?;
    valid("report", &document)?;
    at(&document, "/verdict", &json!(verdict))?;
    // A second one is the same to the letter: reports of a host can be compared.
    ends(&Cmd::new(AGENT).args(["doctor", "--report", "/tmp/again.json"]), code)?;
    ends(&Cmd::new("/bin/cmp").args([path, "/tmp/again.json"]), 0)?;
    report::send(&Line::Report(text));
    Ok(())
}

fn report_of_this_host(_: &Ctx) -> Result<(), CheckError> {
    send_report(0, "ENFORCE-READY")
}

fn report_without_btf(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::sh("mount -t tmpfs tmpfs /sys/kernel/btf"), 0)?;
    let sent = send_report(1, "AUDIT-ONLY");
    ends(&Cmd::sh("umount /sys/kernel/btf"), 0)?;
    sent
}

fn schemas(_: &Ctx) -> Result<(), CheckError> {
    doctor(&plain(), 0)?;
    valid("status", &ask(&["status", "--json"], 0)?)?;
    valid("status", &ask(&["health", "--json"], 1)?)?;
    // What is not as it says is refused.
    want("nothing is a diagnosis", valid("doctor", &json!({})).is_ok(), false)
}

/// The tier that the row is about is the one that doctor names, and a boot line that is missing `bpf` is mended by one that
/// keeps what is active.
fn ready(ctx: &Ctx) -> Result<(), CheckError> {
    let start = Instant::now();
    let diagnosis = doctor(&plain(), 0)?;
    report::send(&Line::Note(format!("doctor took {:?} on the emulated machine", start.elapsed())));
    at(&diagnosis, "/verdict", &json!("ENFORCE-READY"))?;
    let tier = tier(ctx);
    contains("L005", &check(&diagnosis, "L005")?.to_string(), tier)?;
    if tier == "bpf-lsm" {
        result(&diagnosis, "K002", "ok")?;
        return result(&diagnosis, "L002", "ok");
    }
    result(&diagnosis, "K002", "warn")?;
    result(&diagnosis, "L002", "warn")?;
    ends(&plain().args(["--strict"]), 1)?;
    let active = ctx.boot.list("lsm").join(",");
    contains("K002", &check(&diagnosis, "K002")?.to_string(), &format!("lsm={active},bpf"))
}

/// As root, with everything at hand: no file system of the host is newer than before.
fn writes_nothing(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::sh("touch /tmp/mark && sleep 1"), 0)?;
    let listing = "for d in /etc /run /tmp /var /sbin /bin /sys/fs/bpf; do [ -e $d ] && find $d -newer /tmp/mark; done; true";
    doctor(&plain(), 0)?;
    let changed = ends(&Cmd::sh(listing), 0)?.stdout;
    want("something newer", !changed.is_empty(), false)?;
    // A run that does write is seen in the same way.
    ends(&Cmd::new(AGENT).args(["doctor", "--report", "/tmp/written.json"]), 0)?;
    contains("what is newer", &ends(&Cmd::sh(listing), 0)?.stdout, "/tmp/written.json")
}

fn unprivileged(_: &Ctx) -> Result<(), CheckError> {
    let diagnosis = doctor(&plain().uid(NOBODY), 2)?;
    at(&diagnosis, "/verdict", &json!("CANNOT-RUN"))?;
    result(&diagnosis, "B001", "unknown")?;
    at(check(&diagnosis, "B001")?, "/causes/0/cause", &json!("CAPABILITY_MISSING"))?;
    ends(&plain().args(["--require", "audit"]).uid(NOBODY), 2).map(drop)
}

/// The very command that doctor prints mends it.
fn no_bpffs(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::sh("umount /sys/fs/bpf"), 0)?;
    let seen = without_bpffs();
    if seen.is_err() {
        ends(&Cmd::sh("mount -t bpf bpf /sys/fs/bpf"), 0)?;
    }
    seen
}

fn without_bpffs() -> Result<(), CheckError> {
    let diagnosis = doctor(&plain(), 1)?;
    at(&diagnosis, "/verdict", &json!("AUDIT-ONLY"))?;
    result(&diagnosis, "F001", "fail")?;
    doctor(&plain().args(["--require", "audit"]), 0)?;
    let fix =
        check(&diagnosis, "F001")?.pointer("/fix/0").and_then(Value::as_str).unwrap_or("false").to_owned();
    ends(&Cmd::sh(&fix), 0)?;
    at(&doctor(&plain(), 0)?, "/verdict", &json!("ENFORCE-READY"))
}

fn no_btf(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::sh("mount -t tmpfs tmpfs /sys/kernel/btf"), 0)?;
    let seen = doctor(&plain(), 1);
    ends(&Cmd::sh("umount /sys/kernel/btf"), 0)?;
    let diagnosis = seen?;
    at(&diagnosis, "/verdict", &json!("AUDIT-ONLY"))?;
    result(&diagnosis, "B004", "fail")?;
    result(&diagnosis, "L001", "skip")
}

/// Behind a filter that forbids bpf(2), whatever it answers, the filter is named as the cause.
fn filtered(_: &Ctx) -> Result<(), CheckError> {
    // EPERM, EACCES and ENOSYS
    for errno in ["1", "13", "38"] {
        let command = Cmd::new("/init").args(["filtered", errno, AGENT, "doctor", "--json"]);
        let diagnosis = doctor(&command, 2)?;
        at(&diagnosis, "/verdict", &json!("CANNOT-RUN"))?;
        result(&diagnosis, "B001", "fail")?;
        result(&diagnosis, "B005", "fail")?;
        result(&diagnosis, "C003", "fail")?;
        at(check(&diagnosis, "B001")?, "/causes/0/cause", &json!("SECCOMP_FILTER"))?;
        at(check(&diagnosis, "B001")?, "/causes/0/found", &json!(true))?;
        // A run says the same.
        let run = Cmd::new("/init").args(["filtered", errno, AGENT, "run", "--audit"]);
        contains("a run", &ends(&run, 69)?.stderr, "because SECCOMP_FILTER")?;
    }
    // Without the filter the same command has no such cause.
    result(&doctor(&plain(), 0)?, "B005", "ok")
}

/// Root of another user namespace has every capability, and none that counts.
fn user_namespace(_: &Ctx) -> Result<(), CheckError> {
    let command = Cmd::new("/bin/unshare").args(["-U", "-r", AGENT, "doctor", "--json"]);
    let diagnosis = doctor(&command, 2)?;
    result(&diagnosis, "C001", "warn")?;
    result(&diagnosis, "C005", "fail")?;
    at(check(&diagnosis, "B001")?, "/causes/0/cause", &json!("USER_NAMESPACE"))
}

fn denying(id: &str) -> Result<Agent, CheckError> {
    let place = Place::new(id)?;
    place.deny("")?;
    Agent::start(&place, &["--enforce"])
}

fn enforcing(_: &Ctx) -> Result<(), CheckError> {
    let _agent = denying("doctor-enforcing")?;
    let diagnosis = doctor(&plain(), 0)?;
    at(&diagnosis, "/verdict", &json!("ENFORCING"))?;
    for id in ["D001", "D002", "D004", "D005", "N001", "N002", "N003", "N004", "R007", "U001"] {
        result(&diagnosis, id, "ok")?;
    }
    valid("status", &ask(&["status", "--json"], 0)?)?;
    valid("status", &ask(&["health", "--json"], 0)?)
}

/// Somebody removes the links behind the agent's back.
fn misreporting(_: &Ctx) -> Result<(), CheckError> {
    let _agent = denying("doctor-misreporting")?;
    at(&doctor(&plain(), 0)?, "/verdict", &json!("ENFORCING"))?;
    ends(&Cmd::sh("rm /sys/fs/bpf/aegisbpf/*/links/*"), 0)?;
    let diagnosis = doctor(&plain(), 2)?;
    at(&diagnosis, "/verdict", &json!("MISREPORTING"))?;
    result(&diagnosis, "D002", "fail")?;
    let text: Outcome = ends(&Cmd::new(AGENT).args(["doctor", "--require", "audit"]), 2)?;
    let lines: Vec<&str> = text.stdout.lines().collect();
    let first_and_last = [lines.first(), lines.last()];
    let both = first_and_last.iter().all(|line| line.is_some_and(|line| line.starts_with("MISREPORTING")));
    want("the verdict first and last", both, true)
}

fn foreign_pins(_: &Ctx) -> Result<(), CheckError> {
    ends(&Cmd::sh("mkdir -p /sys/fs/bpf/aegisbpf/99/links && chmod 777 /sys/fs/bpf/aegisbpf"), 0)?;
    let diagnosis = doctor(&plain(), 0)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    result(&diagnosis, "N002", "fail")?;
    result(&diagnosis, "N003", "fail")
}
