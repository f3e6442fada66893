//! The command line on this host, as far as it needs no privilege: exit codes, messages, JSON.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn aegisbpf(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aegisbpf")).args(args).output().expect("the binary starts")
}

fn json(args: &[&str]) -> Value {
    serde_json::from_slice(&aegisbpf(args).stdout).expect("JSON on standard output")
}

fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let output = aegisbpf(args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?} printed data");
    for part in parts {
        assert!(text.contains(part), "{args:?} does not say {part:?}: {text}");
    }
}

fn policy(dir: &Path, text: &str) -> String {
    let path = dir.join("policy.conf");
    std::fs::write(&path, text).expect("a scratch file");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn wrong_usage_is_64() {
    for args in
        [&[][..], &["run", "--audit", "--enforce"], &["run", "--tier", "magic"], &["health", "--nonsense"]]
    {
        refused(args, 64, &[]);
    }
}

#[test]
fn denied_processes_get_no_signal() {
    for args in [
        &["run", "--enforce-signal", "term"][..],
        &["run", "--enforce-signal", "int"],
        &["run", "--enforce-signal", "kill"],
        &["run", "--enforce-signal", "kill", "--allow-sigkill"],
    ] {
        refused(args, 64, &["EPERM", "hint:", "none"]);
    }
    // Gets as far as the policy, which is not there.
    let none = ["run", "--enforce-signal", "none", "--seccomp", "--policy", "/nonexistent/policy"];
    refused(&none, 74, &["/nonexistent/policy"]);
}

#[test]
fn a_sandbox_is_not_asked_for_and_left_out() {
    refused(&["run", "--seccomp", "--no-sandbox"], 64, &["--no-sandbox"]);
}

#[test]
fn where_events_go_is_asked_for_in_one_way() {
    let file = ["run", "--log-file", "/nonexistent/events"];
    refused(&["run", "--event-format", "ocsf"], 64, &["--log-format json"]);
    refused(&["run", "--log-file-mode", "0640"], 64, &["--log-file"]);
    refused(&["run", "--log-file-group", "root"], 64, &["--log-file"]);
    refused(&[&file[..], &["--log-to", "journal"]].concat(), 64, &["--log-to both"]);
    refused(
        &[&file[..], &["--log-file-group", "no such group"]].concat(),
        64,
        &["no such group", "groupadd"],
    );
    for mode in ["0666", "0400", "4640", "0750", "rw", "640a", "-640"] {
        refused(&[&file[..], &[&format!("--log-file-mode={mode}")]].concat(), 64, &["0664"]);
    }
    let json = ["run", "--log-to", "journal", "--log-format", "json", "--event-format", "ecs"];
    refused(&json, 64, &["the journal"]);
    // The last word counts, and the policy is not there.
    let last = ["run", "--log-to", "journal", "--log-to", "stdout", "--policy", "/nonexistent/policy"];
    refused(&last, 74, &["/nonexistent/policy"]);
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let output = aegisbpf(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn faulty_input_names_the_place_and_the_way_out() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let bad = policy(dir.path(), "version=1\n[deny_paht]\n/etc/shadow\n");
    refused(&["run", "--enforce", "--policy", &bad], 65, &["policy.conf:2", "deny_path", "hint:"]);
    refused(&["run", "--policy", "/nonexistent/policy"], 74, &["/nonexistent/policy", "hint:"]);
}

#[test]
fn enforcement_wants_a_signature_and_the_right_file() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let good = policy(dir.path(), "version=1\n[deny_path]\n/etc/shadow\n");
    refused(&["run", "--enforce", "--policy", &good], 78, &["signed policy", "--allow-unsigned-policy"]);
    refused(&["run", "--audit", "--policy", &good, "--sha256", &"0".repeat(64)], 78, &["SHA-256", "hint:"]);
}

#[test]
fn contract_prints_every_tier() {
    let contract = json(&["contract", "--json"]);
    let names: Vec<&str> = contract["tiers"]
        .as_array()
        .expect("tiers")
        .iter()
        .filter_map(|tier| tier["tier"].as_str())
        .collect();
    assert_eq!(names, ["bpf-lsm", "modify-return", "tracepoint"]);
    let text = aegisbpf(&["contract", "--tier", "tracepoint"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("fail-open"));
}

#[test]
fn contract_answers_for_one_claim_or_one_failure() {
    let claim = json(&["contract", "--json", "--claim", "file.truncate", "--tier", "bpf-lsm"]);
    let tier = &claim["tiers"][0];
    assert_eq!(tier["claims"][0]["hooks"], serde_json::json!(["inode_setattr"]));
    assert_eq!((&tier["claims"][1], &tier["failures"][0]), (&Value::Null, &Value::Null));
    let failure = json(&["contract", "--json", "--failure", "policy-invalid"]);
    for tier in failure["tiers"].as_array().expect("tiers") {
        assert_eq!(tier["failures"][0]["exit"], 65, "{tier}");
        assert_eq!(tier["claims"], serde_json::json!([]));
    }
    let text = aegisbpf(&["contract", "--failure", "hook-optional-refused"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("health degraded"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    refused(&["contract", "--failure", "bad-weather"], 64, &["there is no such failure"]);
}

#[test]
fn doctor_says_one_of_its_words_and_writes_nothing() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let at = dir.path().to_str().expect("UTF-8");
    let report = json(&["doctor", "--json", "--run-dir", at, "--state-dir", at]);
    let verdict = report["verdict"].as_str().expect("a verdict");
    assert!(
        ["ENFORCING", "ENFORCE-READY", "AUDIT-ONLY", "CANNOT-RUN", "MISREPORTING"].contains(&verdict),
        "{verdict}"
    );
    let checks = report["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["evidence"].as_str().is_some_and(|text| !text.is_empty())));
    assert_eq!(std::fs::read_dir(dir.path()).expect("still there").count(), 0);
}

#[test]
fn health_without_an_agent_is_unhealthy() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let at = dir.path().to_str().expect("UTF-8");
    let args = ["health", "--json", "--run-dir", at, "--bpffs", at];
    assert_eq!(aegisbpf(&args).status.code(), Some(1));
    let health = json(&args);
    for key in [
        "schema_version",
        "status",
        "enforcing",
        "mode",
        "tier",
        "attach_state",
        "hooks",
        "uncovered",
        "policy",
        "events",
        "break_glass",
        "agent",
        "sandbox",
        "reasons",
    ] {
        assert!(health.get(key).is_some(), "health lacks {key}");
    }
    assert_eq!(health["enforcing"], Value::Bool(false));
}

#[test]
fn a_policy_that_does_not_hold_here_is_refused() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let late = policy(dir.path(), "version=2\n[settings]\nexpires=2001-01-01\n[deny_path]\n/etc/shadow\n");
    refused(&["run", "--audit", "--policy", &late], 78, &["expired", "2001-01-01"]);
    let elsewhere =
        policy(dir.path(), "version=2\n[settings]\nhost=no-such-host\n[deny_path]\n/etc/shadow\n");
    refused(&["run", "--audit", "--policy", &elsewhere], 78, &["no-such-host"]);
}

#[test]
fn lint_explains_and_fixes() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "x").expect("a scratch file");
    std::fs::hard_link(&secret, dir.path().join("other")).expect("a second name");
    let file = policy(dir.path(), &format!("version=2\n[deny_path]\n  {}   exec,read\n", secret.display()));
    let report = json(&["policy", "lint", "--json", &file]);
    assert_eq!(report["accepted"], Value::Bool(true));
    assert_eq!(report["diagnostics"][0]["code"], "P205");
    assert_eq!(aegisbpf(&["policy", "lint", "--fix", &file]).status.code(), Some(0));
    let fixed = std::fs::read_to_string(&file).expect("the fixed file");
    assert!(fixed.contains(&format!("\n{} read,exec\n", secret.display())), "{fixed}");
    let missing = policy(dir.path(), "version=1\n[deny_path]\n/nonexistent/file\n");
    refused(&["policy", "lint", &missing], 65, &["P201", "policy.conf:3", "/nonexistent/file"]);
    let doubtful = format!(
        "version=2\n[settings]\nexpires=2001-01-01\n[deny_inode]\n4095:1048575:7\n[deny_path]\n{} exec\n",
        dir.path().display()
    );
    let report = json(&["policy", "lint", "--json", &policy(dir.path(), &doubtful)]);
    let codes: Vec<&str> = report["diagnostics"]
        .as_array()
        .expect("diagnostics")
        .iter()
        .filter_map(|diagnostic| diagnostic["code"].as_str())
        .collect();
    assert!(["P204", "P207"].iter().all(|code| codes.contains(code)), "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "P204").count(), 2, "{codes:?}");
    let faulty = policy(dir.path(), "version=3\n");
    refused(&["policy", "lint", &faulty], 65, &["policy.conf:1"]);
}

/// What the binary publishes as the schema of what it prints.
fn schema(name: &str) -> Value {
    json(&["schema", name])
}

/// Fails when a document is not what its schema says.
fn valid(name: &str, document: &Value) {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource(name, schema(name)).expect("a schema");
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile(name, &mut schemas).expect("a schema that compiles");
    let fault = schemas.validate(document, index).err().map(|error| error.to_string());
    assert_eq!(fault, None, "{name}");
}

#[test]
fn what_is_printed_is_what_its_schema_says() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let at = dir.path().to_str().expect("UTF-8");
    valid("doctor", &json(&["doctor", "--json"]));
    valid("status", &json(&["status", "--json", "--run-dir", at, "--bpffs", at]));
    valid("status", &json(&["health", "--json", "--run-dir", at, "--bpffs", at]));
    let file = dir.path().join("report.json");
    let file = file.to_str().expect("UTF-8");
    aegisbpf(&["doctor", "--report", file]);
    let report: Value = serde_json::from_slice(&std::fs::read(file).expect("a report")).expect("JSON");
    valid("report", &report);
    let name = rustix::system::uname();
    let name = name.nodename().to_str().expect("UTF-8");
    let host = report["host"].as_object().expect("a host");
    assert!(host.values().all(|value| value != name), "a report names the host");
    // A schema that takes everything would show nothing.
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("report", schema("report")).expect("a schema");
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("report", &mut schemas).expect("a schema that compiles");
    for (pointer, wrong) in [("/verdict", "FINE"), ("/checks/0/result", "good"), ("/host/name", "x")] {
        let mut other = report.clone();
        match other.pointer_mut(pointer) {
            Some(value) => *value = wrong.into(),
            None => other["host"]["name"] = wrong.into(),
        }
        assert!(schemas.validate(&other, index).is_err(), "{pointer}");
    }
}

#[test]
fn doctor_shows_what_is_wanted() {
    let ids = |args: &[&str]| -> Vec<String> {
        let report = json(&[&["doctor", "--json"], args].concat());
        let checks = report["checks"].as_array().expect("checks").clone();
        checks.iter().map(|check| check["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert!(ids(&[]).len() >= 35);
    assert_eq!(ids(&["--only", "k002,R009"]), ["K002", "R009"]);
    assert_eq!(ids(&["--only", "observation"]), ["T001", "T002"]);
    assert_eq!(ids(&["--only", "observation", "--skip", "T001"]), ["T002"]);
    assert!(ids(&["--skip", "file-systems"]).iter().all(|id| !id.starts_with('F')));
    refused(&["doctor", "--only", "K0O2"], 64, &["K002"]);
    refused(&["doctor", "--skip", "enforcment"], 64, &["enforcement"]);
}

#[test]
fn strict_takes_no_doubt() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let at = dir.path().to_str().expect("UTF-8");
    let code = |args: &[&str]| aegisbpf(&[&["doctor", "--require", "audit"], args].concat()).status.code();
    let lenient = code(&["--config-dir", at]);
    // The verdict decides first; where it is good enough, the checks do.
    let only = |id| ["--config-dir", at, "--strict", "--only", id];
    assert_eq!(code(&only("R009")), lenient);
    std::fs::write(dir.path().join("break_glass"), "").expect("a file");
    assert_eq!(code(&only("D006")), if lenient == Some(0) { Some(1) } else { lenient });
}

#[test]
fn every_id_is_explained() {
    let report = json(&["doctor", "--json"]);
    for check in report["checks"].as_array().expect("checks") {
        let id = check["id"].as_str().expect("an id");
        let explained = json(&["explain", "--json", &id.to_lowercase()]);
        assert_eq!(explained["id"], id);
        assert!(explained["text"].as_array().is_some_and(|text| text.len() >= 2), "{id}");
    }
    for (topic, kind) in [
        ("SECCOMP_FILTER", "cause"),
        ("file.exec", "claim"),
        ("agent-killed", "failure"),
        ("p001", "fault of a policy"),
    ] {
        assert_eq!(json(&["explain", "--json", topic])["kind"], kind);
    }
    refused(&["explain", "K0002"], 64, &["K002"]);
    refused(&["explain", "\u{1b}[2J"], 64, &["\\u{1b}"]);
    refused(&["schema", "doctr"], 64, &["doctor"]);
}

/// Unprivileged and without an agent: what could not be looked at is unknown, with the cause. That it writes nothing is
/// shown in the VMs.
#[test]
fn doctor_needs_no_privilege() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    let dir = tempfile::tempdir().expect("a scratch directory");
    let binary = dir.path().join("aegisbpf");
    // Copied by another process: a file that this one has open for writing may be inherited by what another test starts,
    // and cannot be executed for that long.
    let copied =
        Command::new("cp").arg(env!("CARGO_BIN_EXE_aegisbpf")).arg(&binary).status().expect("cp starts");
    assert!(copied.success());
    for path in [dir.path(), &binary] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let mut command = Command::new(&binary);
    command.args(["doctor", "--json"]);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let start = std::time::Instant::now();
    let output = command.output().expect("it runs");
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    valid("doctor", &report);
    assert_eq!(report["verdict"], "CANNOT-RUN");
    let check = |id: &str| {
        let checks = report["checks"].as_array().expect("checks");
        checks.iter().find(|check| check["id"] == id).expect("a check").clone()
    };
    assert_eq!(check("B001")["result"], "unknown");
    assert_eq!(check("B001")["causes"][0]["cause"], "CAPABILITY_MISSING");
    assert_eq!(check("C001")["result"], "warn");
}

#[test]
fn a_page_is_made_of_reports_alone() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (report, html, markdown) = (path("this.json"), path("page.html"), path("page.md"));
    aegisbpf(&["doctor", "--report", &report]);
    let made = aegisbpf(&["doctor", "--render", &report, &report, "--html", &html, "--markdown", &markdown]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let page = std::fs::read_to_string(html).expect("a page");
    assert!(page.contains("2 hosts") && page.contains("<details"), "{page}");
    assert_eq!(std::fs::read_to_string(markdown).expect("a table").lines().count(), 4);
    let wrong = path("wrong.json");
    std::fs::write(&wrong, "{\"schema_version\":1}").expect("a file");
    refused(&["doctor", "--render", &report, &wrong], 65, &["wrong.json", "hint:"]);
    refused(&["doctor", "--render", &path("none.json")], 74, &["none.json"]);
    refused(&["doctor", "--html", &path("x.html")], 64, &["--render"]);
    assert!(!dir.path().join("x.html").exists());
}

/// What the binary prints is what is installed: the files of the tree.
#[test]
fn pages_and_completions_are_those_that_are_installed() {
    for (args, file) in [
        (&["man"][..], "dist/man/aegisbpf.8"),
        (&["man", "aegisbpf.8"], "dist/man/aegisbpf.8"),
        (&["man", "aegisbpf-policy"], "dist/man/aegisbpf-policy.5"),
        (&["man", "concepts"], "dist/man/aegisbpf-concepts.7"),
        (&["man", "7"], "dist/man/aegisbpf-concepts.7"),
        (&["completions", "bash"], "dist/completions/aegisbpf.bash"),
        (&["completions", "zsh"], "dist/completions/_aegisbpf"),
        (&["completions", "fish"], "dist/completions/aegisbpf.fish"),
    ] {
        let output = aegisbpf(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?} talks where nobody sees it");
        assert!(output.stdout == std::fs::read(file).expect(file), "{args:?} is not {file}");
    }
    let listed = String::from_utf8(aegisbpf(&["man", "--list"]).stdout).expect("UTF-8");
    for entry in std::fs::read_dir("dist/man").expect("pages") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let (page, section) = name.rsplit_once('.').expect("a section");
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(page));
        assert!(line.expect(page).contains(&format!("({section})")), "{listed}");
    }
    refused(&["man", "aegisbpf-polcy"], 64, &["aegisbpf-polcy", "did you mean policy?"]);
    refused(&["man", "3"], 64, &["aegisbpf man --list"]);
    refused(&["completions", "csh"], 64, &["csh", "zsh"]);
}
