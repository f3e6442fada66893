//! Policies that come and go, where nothing is in force: what is kept, and what the next run takes.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        fs::write(dir.path().join("secret"), "x").expect("a scratch file");
        Self { dir }
    }

    fn at(&self) -> &Path {
        self.dir.path()
    }

    fn aegisbpf(&self, args: &[&str]) -> Output {
        let at = self.at().to_str().expect("UTF-8");
        Command::new(env!("CARGO_BIN_EXE_aegisbpf"))
            .args(args)
            .args(["--state-dir", &format!("{at}/state"), "--config-dir", at, "--run-dir", at, "--bpffs", at])
            .output()
            .expect("the binary runs")
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.aegisbpf(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.done(args)).expect("JSON")
    }

    fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let output = self.aegisbpf(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{args:?}: {words:?} in {stderr}");
    }

    /// A policy with one rule, told apart by a comment.
    fn policy(&self, name: &str, more: &str) -> String {
        let path = self.at().join(name);
        let text = format!("version=2\n# {name}\n[deny_path]\n{}/secret\n{more}", self.at().display());
        fs::write(&path, text).expect("a scratch file");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn current(&self) -> String {
        fs::read_to_string(self.at().join("state/current")).expect("a current generation")
    }
}

#[test]
fn applied_and_taken_back() {
    let host = Host::new();
    assert_eq!(host.done(&["policy", "history"]), "no policy was ever applied here\n");
    host.refused(&["policy", "show"], 65, &["no policy was ever applied"]);
    host.refused(&["policy", "rollback"], 65, &["no earlier generation"]);
    let (one, two) = (host.policy("one", ""), host.policy("two", "/etc/hostname read\n"));
    let applied = host.json(&["policy", "apply", &one, "--json"]);
    assert_eq!((&applied["generation"], &applied["in_force"]), (&1.into(), &false.into()));
    host.done(&["policy", "apply", &two, "--allow-missing"]);
    assert_eq!(host.current(), "2\n");
    let shown = host.json(&["policy", "show", "--json"]);
    assert_eq!(
        (&shown["generation"], &shown["previous"], &shown["rules"]),
        (&2.into(), &1.into(), &2.into())
    );
    assert_eq!(shown["state"], "next run");
    assert_eq!(host.done(&["policy", "export", "1"]), fs::read_to_string(&one).expect("the file"));
    let diff = host.aegisbpf(&["policy", "diff", "1", &two]);
    assert_eq!(diff.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&diff.stdout), "+ [deny_path] /etc/hostname read\n");
    assert_eq!(host.aegisbpf(&["policy", "diff", "1", &one]).status.code(), Some(0));
    host.done(&["policy", "rollback"]);
    assert_eq!(host.current(), "1\n");
    host.refused(&["policy", "rollback"], 65, &["no earlier generation"]);
    host.refused(&["policy", "rollback", "--to", "9"], 65, &["no generation 9", "policy history"]);
    host.done(&["policy", "rollback", "--to", "2"]);
    // A number is never used twice.
    assert_eq!(host.json(&["policy", "apply", &one, "--json"])["generation"], 3);
    let history = host.json(&["policy", "history", "--json"]);
    let numbers: Vec<u64> = history["generations"]
        .as_array()
        .expect("generations")
        .iter()
        .filter_map(|one| one["generation"].as_u64())
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
}

#[test]
fn a_refused_policy_changes_nothing() {
    let host = Host::new();
    host.done(&["policy", "apply", &host.policy("one", "")]);
    let missing = host.policy("missing", "/nonexistent/file\n");
    host.refused(&["policy", "apply", &missing], 65, &["/nonexistent/file", "--allow-missing"]);
    let cgroup = host.policy("cgroup", "[allow_cgroup]\n/nonexistent/cgroup\n");
    host.refused(&["policy", "apply", &cgroup], 65, &["no cgroup /nonexistent/cgroup"]);
    let faulty = host.policy("faulty", "[no_such_section]\n");
    host.refused(&["policy", "apply", &faulty], 65, &["no_such_section", "^"]);
    let zeros = "0".repeat(64);
    host.refused(&["policy", "apply", &faulty, "--sha256", "ab"], 64, &["64 hexadecimal digits"]);
    let two = host.policy("two", "/etc/hostname\n");
    host.refused(&["policy", "apply", &two, "--sha256", &zeros], 78, &[&zeros]);
    let own = format!("{}/secret", host.at().display());
    let init = host.policy("tree", &format!("[deny_tree]\n{own}\n"));
    host.refused(&["policy", "apply", &init], 65, &["is not a directory"]);
    let agent = fs::canonicalize(env!("CARGO_BIN_EXE_aegisbpf")).expect("the binary");
    let critical = host.policy("critical", &format!("{} exec\n", agent.display()));
    host.refused(&["policy", "apply", &critical], 65, &["does not run without", "--allow-critical"]);
    host.refused(&["policy", "apply", &two, "--confirm-within", "1m"], 69, &["nothing is in force"]);
    host.refused(&["policy", "confirm"], 65, &["no policy waits"]);
    assert_eq!(host.current(), "1\n");
    assert_eq!(host.json(&["policy", "history", "--json"])["generations"].as_array().map(Vec::len), Some(1));
    host.done(&["policy", "apply", &critical, "--allow-critical"]);
}

#[test]
fn the_hash_in_a_file_is_that_of_the_policy() {
    let host = Host::new();
    let (one, two) = (host.policy("one", ""), host.policy("two", "/etc/hostname\n"));
    let sums = host.at().join("one.sha256");
    let sum = Command::new("sha256sum").arg(&one).output().expect("sha256sum runs");
    fs::write(&sums, sum.stdout).expect("a scratch file");
    let sums = sums.to_str().expect("UTF-8");
    host.done(&["policy", "apply", &one, "--sha256-file", sums]);
    host.refused(&["policy", "apply", &two, "--sha256-file", sums], 78, &["SHA-256"]);
    host.refused(&["policy", "apply", &two, "--sha256-file", &two], 78, &["64 hexadecimal digits"]);
}

#[test]
fn what_an_interrupted_apply_left_is_gone_after_the_next_command() {
    let host = Host::new();
    let (one, two) = (host.policy("one", ""), host.policy("two", "/etc/hostname\n"));
    host.done(&["policy", "apply", &one]);
    let state = host.at().join("state");
    // As if the second apply had died after its record was there and before it was current.
    host.done(&["policy", "apply", &two]);
    fs::write(state.join("changing"), "2\n").expect("the journal");
    fs::write(state.join("current"), "1\n").expect("the pointer");
    fs::write(state.join("policies/abc.new"), "half").expect("a half-written file");
    host.done(&["policy", "apply", &one]);
    assert_eq!(host.current(), "2\n");
    assert!(!state.join("changing").exists());
    assert_eq!(fs::read_dir(state.join("policies")).expect("texts").count(), 1);
    assert_eq!(host.json(&["policy", "history", "--json"])["generations"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_text_that_was_changed_is_not_taken() {
    let host = Host::new();
    host.done(&["policy", "apply", &host.policy("one", "")]);
    let text =
        fs::read_dir(host.at().join("state/policies")).expect("texts").next().expect("one").expect("it");
    fs::write(text.path(), "version=1\n").expect("tampering");
    host.refused(&["policy", "show"], 78, &["not the one that was applied"]);
    host.refused(&["policy", "export"], 78, &["not the one that was applied"]);
    fs::write(host.at().join("state/generations/1.json"), "{").expect("tampering");
    host.refused(&["policy", "show"], 74, &["no record of a generation"]);
}

#[test]
fn one_at_a_time() {
    let host = Host::new();
    let one = host.policy("one", "");
    host.done(&["policy", "apply", &one]);
    let lock = fs::File::open(host.at().join("state/apply.lock")).expect("the lock");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody else has it");
    host.refused(&["policy", "apply", &one], 75, &["another process is changing the policy"]);
    host.refused(&["policy", "rollback"], 75, &["another process is changing the policy"]);
}

#[test]
fn old_generations_are_let_go() {
    let host = Host::new();
    let one = host.policy("one", "");
    for _ in 0..6 {
        host.done(&["policy", "apply", &one, "--keep", "3"]);
    }
    let history = host.json(&["policy", "history", "--json"]);
    assert_eq!(history["generations"].as_array().map(Vec::len), Some(3));
    assert_eq!(history["generations"][0]["generation"], 6);
}
