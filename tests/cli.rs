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
