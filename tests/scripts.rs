//! The scripts of `dist/scripts/`: what they hand on to the binary, and what they end with.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A directory with a binary that says how it was called, and ends with 65 for a file whose name says so.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().expect("a scratch directory"));
        let binary = scene.path("aegisbpf");
        let script =
            "#!/bin/sh\necho \"$# $*\"\ncase $* in *invalid*) exit 65 ;; *broken*) exit 74 ;; esac\n";
        fs::write(&binary, script).expect("a script");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("a mode");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, script: &str, args: &[&str]) -> (Option<i32>, String) {
        let output = script_command(script).args(args).env("AEGIS_BIN", self.path("aegisbpf")).output();
        said(&output.expect("the script starts"))
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn script_command(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/scripts").join(name))
}

#[test]
fn shell_scripts_hand_everything_on() {
    let scene = Scene::new();
    assert_eq!(scene.run("verify_env.sh", &["--strict"]), (Some(0), "2 doctor --strict".to_owned()));
    let args = ["--out", "a b", "--", "true"];
    assert_eq!(scene.run("canary_gate.sh", &args), (Some(0), "5 canary --out a b -- true".to_owned()));
    assert_eq!(scene.run("canary_gate.sh", &["broken"]).0, Some(74));
}

#[test]
fn the_guard_and_the_variables_are_the_binary_s() {
    let gate = |name: &str, value: &str| {
        let out = tempfile::tempdir().expect("a scratch directory");
        let dir = out.path().join("evidence");
        let output = script_command("canary_gate.sh")
            .env("AEGIS_BIN", env!("CARGO_BIN_EXE_aegisbpf"))
            .env(name, value)
            .args(["--policy", "/nonexistent/policy", "--run-dir"])
            .arg(out.path())
            .arg("--out")
            .arg(&dir)
            .output()
            .expect("the script starts");
        assert!(!dir.exists(), "{name}={value}");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = gate("ENFORCE_SIGNAL", "kill");
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("ALLOW_SIGKILL_CANARY=1"), "{text}");
    for (name, value) in [
        ("PHASE", "both-of-them"),
        ("DURATION_SECONDS", "0"),
        ("MAX_RINGBUF_DROPS", "many"),
        ("MAX_EVENT_DROP_RATIO_PCT", "101"),
        ("MIN_TOTAL_DECISIONS", "-1"),
        ("MAX_RSS_GROWTH_KB", "1.5"),
        ("ENFORCE_SIGNAL", "hup"),
    ] {
        let (code, text) = gate(name, value);
        assert_eq!(code, Some(64), "{name}={value}: {text}");
    }
}

#[test]
fn events_are_validated_file_by_file() {
    let scene = Scene::new();
    for name in ["one.jsonl", "two.json", "notes.txt"] {
        fs::write(scene.path(name), "").expect("a file");
    }
    let dir = scene.0.path().to_str().expect("UTF-8");
    let (code, text) = scene.run("validate_event_schema.py", &["--schema", "x", "--samples", dir]);
    let wanted = ["one.jsonl", "two.json"].map(|name| format!("3 event validate {dir}/{name}")).join("\n");
    assert_eq!((code, text), (Some(0), wanted));
    let (code, text) = scene.run("validate_event_schema.py", &["invalid", "good", "--", "-odd"]);
    let wanted = "3 event validate invalid\n3 event validate good\n3 event validate ./-odd";
    assert_eq!((code, text.as_str()), (Some(65), wanted));
    assert_eq!(scene.run("validate_event_schema.py", &["invalid", "broken"]).0, Some(74));
    assert_eq!(scene.run("validate_event_schema.py", &[]).1, "3 event validate -");
}

#[test]
fn nothing_looked_at_is_no_success() {
    let scene = Scene::new();
    let empty = scene.path("empty");
    fs::create_dir(&empty).expect("a directory");
    let args = ["--samples", empty.to_str().expect("UTF-8")];
    assert_eq!(scene.run("validate_event_schema.py", &args).0, Some(2));
    let output =
        script_command("validate_event_schema.py").env("AEGIS_BIN", "/nonexistent/aegisbpf").output();
    assert_eq!(said(&output.expect("the script starts")).0, Some(74));
}

#[test]
fn standard_input_goes_through() {
    let scene = Scene::new();
    fs::write(scene.path("aegisbpf"), "#!/bin/sh\ncat\n").expect("a script");
    let mut child = script_command("validate_event_schema.py")
        .arg("-")
        .env("AEGIS_BIN", scene.path("aegisbpf"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the script starts");
    child.stdin.take().expect("a pipe").write_all(b"{}\n").expect("a write");
    assert_eq!(said(&child.wait_with_output().expect("its end")), (Some(0), "{}".to_owned()));
}
