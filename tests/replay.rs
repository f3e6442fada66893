//! Policies and clocks that are older than what was accepted, the way out of both, and break-glass; where nothing is in
//! force, with the real `ssh-keygen`.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().expect("a scratch directory") };
        fs::create_dir_all(host.at("etc/keys")).expect("a directory");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(host.at("key"));
        assert!(keygen.status().expect("ssh-keygen (package openssh-client)").success());
        let key = fs::read_to_string(host.at("key.pub")).expect("a key");
        host.trust(&format!("ops@example.org {key}"));
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn trust(&self, text: &str) {
        let path = self.at("etc/keys/allowed_signers");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    }

    fn aegisbpf(&self, args: &[&str]) -> Output {
        let dir = |name: &str| self.at(name).display().to_string();
        Command::new(env!("CARGO_BIN_EXE_aegisbpf"))
            .args(args)
            .args(["--state-dir", &dir("state"), "--config-dir", &dir("etc"), "--run-dir", &dir("run")])
            .args(["--bpffs", &dir("bpffs")])
            .output()
            .expect("the binary runs")
    }

    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, words: &[&str]) -> String {
        let output = self.aegisbpf(args);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{args:?}: {words:?} in {text}");
        text
    }

    /// A policy without rules, told apart by its name, with these settings.
    fn policy(&self, name: &str, settings: &str, signed: bool) -> String {
        let path = self.at(name);
        fs::write(&path, format!("version=2\n# {name}\n[settings]\ndescription={name}\n{settings}\n"))
            .expect("a file");
        let path = path.display().to_string();
        drop(fs::remove_file(format!("{path}.sig")));
        if signed {
            let mut sign = Command::new("ssh-keygen");
            sign.args(["-q", "-Y", "sign", "-n", "policy@aegisbpf", "-f"]).arg(self.at("key")).arg(&path);
            assert!(sign.status().expect("ssh-keygen").success());
        }
        path
    }

    fn version(&self, version: u64) -> String {
        self.policy(&format!("v{version}"), &format!("policy_version={version}"), true)
    }

    fn floor(&self) -> Value {
        serde_json::from_slice(&fs::read(self.at("state/floor.json")).expect("a floor")).expect("JSON")
    }

    fn last_entry(&self) -> Value {
        let shown = self.aegisbpf(&["audit", "show", "--json", "-n", "1"]).stdout;
        serde_json::from_slice(&shown).expect("an entry")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

#[test]
fn versions_only_grow() {
    let host = Host::new();
    host.ends(&["policy", "apply", &host.version(3)], 0, &[]);
    assert_eq!(host.floor()["policy_version"], 3);
    host.ends(&["policy", "apply", &host.version(5)], 0, &[]);
    for old in [1, 3, 4] {
        let old = host.version(old);
        host.ends(
            &["policy", "apply", &old],
            78,
            &["replay", "version 5 was accepted", "hint:", "nothing was changed"],
        );
        assert_eq!(host.last_entry()["result"], "refused");
        // A question about a policy is not an attempt to apply it.
        host.ends(&["policy", "verify", &old], 0, &[]);
        host.ends(&["policy", "lint", &old], 0, &[]);
    }
    let other = host.policy("other", "policy_version=5", true);
    host.ends(&["policy", "apply", &other], 78, &["replay"]);
    // The very policy that is in force is no replay of it.
    host.ends(&["policy", "apply", &host.at("v5").display().to_string()], 0, &[]);
    // Leaving the version out does not get round it, for a policy that needs no exception to be enforced.
    let without = host.policy("without", "", true);
    host.ends(&["policy", "apply", &without], 78, &["has no policy_version"]);
    host.ends(&["policy", "rollback", "--to", "1"], 0, &[]);
    assert_eq!(host.floor()["policy_version"], 5, "going back does not lower it");
    host.ends(&["policy", "apply", &other], 78, &["replay"]);
    host.ends(&["policy", "apply", &host.version(6)], 0, &[]);
    host.ends(&["audit", "verify"], 0, &["sound"]);
}

#[test]
fn who_is_not_trusted_does_not_shut_out_who_is() {
    let host = Host::new();
    host.ends(&["policy", "apply", &host.version(2)], 0, &[]);
    let huge = host.policy("huge", "policy_version=18446744073709551615", false);
    host.ends(&["policy", "apply", &huge], 0, &[]);
    assert_eq!(host.floor()["policy_version"], 2);
    host.ends(&["policy", "apply", &host.version(3)], 0, &[]);
    // Nor does one that nobody signed come back with an old version.
    host.ends(&["policy", "apply", &host.policy("old", "policy_version=2", false)], 78, &["replay"]);
}

#[test]
fn a_floor_that_cannot_be_read_is_not_taken_for_none() {
    let host = Host::new();
    host.ends(&["policy", "apply", &host.version(2)], 0, &[]);
    fs::write(host.at("state/floor.json"), "{").expect("tampering");
    host.ends(&["policy", "apply", &host.version(3)], 74, &["floor.json"]);
    host.ends(&["reset", "--yes"], 0, &["forgotten", "audit log is kept"]);
    host.ends(&["policy", "apply", &host.version(1)], 0, &[]);
}

#[test]
fn a_clock_that_was_set_back_revives_nothing() {
    let host = Host::new();
    host.ends(&["policy", "apply", &host.version(1)], 0, &[]);
    assert!(host.floor()["last_seen"].as_u64().is_some_and(|seen| now() - seen < 120));
    // As if the clock had been two days ahead of now, and was set back.
    let seen = now() + 2 * 86_400;
    let floor = format!("{{\"schema_version\":1,\"policy_version\":1,\"last_seen\":{seen}}}");
    fs::write(host.at("state/floor.json"), floor).expect("a floor");
    let tomorrow = humantime::format_rfc3339_seconds(SystemTime::now() + std::time::Duration::from_hours(24));
    let expired = host.policy("expired", &format!("policy_version=2\nexpires={tomorrow}"), true);
    host.ends(&["policy", "apply", &expired], 78, &["behind the latest time", "does not hold here"]);
    let key = fs::read_to_string(host.at("key.pub")).expect("a key");
    let day = tomorrow.to_string().replace(['-', ':', 'T'], "");
    host.trust(&format!("ops@example.org valid-before=\"{day}\" {key}"));
    let signed = host.version(2);
    host.ends(&["policy", "apply", &signed], 0, &["the signature was not accepted"]);
    assert_eq!(host.floor()["policy_version"], 1);
    // The way out of a clock that was wrong before.
    host.ends(&["reset", "--clock"], 0, &[]);
    assert_eq!(host.last_entry()["what"], "clock_reset");
    assert!(host.floor()["last_seen"].as_u64().is_some_and(|seen| now() - seen < 120));
    assert_eq!(host.floor()["policy_version"], 1, "the rest of it stays");
    host.ends(&["policy", "apply", &expired], 0, &[]);
}

#[test]
fn a_reset_says_so_and_keeps_the_log() {
    let host = Host::new();
    host.ends(&["policy", "apply", &host.version(7)], 0, &[]);
    host.ends(&["reset"], 64, &["--yes"]);
    host.ends(&["reset", "--yes"], 0, &[]);
    host.ends(&["policy", "history"], 0, &["no policy was ever applied here"]);
    assert!(!host.at("state/floor.json").exists());
    assert_eq!(host.last_entry()["what"], "reset");
    assert_eq!(host.last_entry()["from"], 1);
    host.ends(&["policy", "apply", &host.version(1)], 0, &[]);
    let log = host.ends(&["audit", "show"], 0, &["reset"]);
    assert!(!log.contains("found"), "{log}");
    host.ends(&["audit", "verify"], 0, &["entries 1 to 5"]);
}

#[test]
fn break_glass_is_a_file_with_a_reason_and_two_entries() {
    let host = Host::new();
    host.ends(&["break-glass", "on"], 64, &["--reason"]);
    host.ends(&["break-glass", "on", "--reason", ""], 64, &["--reason"]);
    host.ends(&["break-glass", "status"], 0, &["off"]);
    host.ends(&["break-glass", "on", "--reason", "the mail server is locked out"], 0, &["is on"]);
    let file = fs::read_to_string(host.at("etc/break_glass")).expect("the file");
    assert!(file.contains("by uid ") && file.contains("the mail server is locked out"), "{file}");
    host.ends(&["break-glass", "status"], 1, &["on:", "the mail server"]);
    host.ends(&["break-glass", "on", "--reason", "again"], 0, &["already on"]);
    assert_eq!(fs::read_to_string(host.at("etc/break_glass")).expect("the file"), file);
    host.ends(&["break-glass", "off", "--reason", "mended"], 0, &["is off"]);
    assert!(!host.at("etc/break_glass").exists());
    host.ends(&["break-glass", "off", "--reason", "again"], 0, &["already off"]);
    let log = host.ends(&["audit", "show"], 0, &["break_glass_on", "break_glass_off", "mended"]);
    assert_eq!(log.lines().count(), 4, "{log}");
    // Where it cannot be recorded it is done, and said loudly.
    fs::remove_file(host.at("state/audit.log")).expect("a log");
    fs::create_dir(host.at("state/audit.log")).expect("a directory");
    host.ends(&["break-glass", "on", "--reason", "no log"], 0, &["WARNING", "NOT on record", "is on"]);
    assert!(host.at("etc/break_glass").exists());
}
