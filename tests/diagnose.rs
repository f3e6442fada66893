//! From a recorded event to the rule, the reason and the change, on this host and without privilege.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use aegisbpf::policy::Digest;
use serde_json::{Value, json};

/// A directory with a policy, and what is asked there.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(policy: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a scratch directory") };
        desk.write("policy.conf", policy);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a scratch file");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegisbpf"));
        command.args(args).arg("--state-dir").arg(self.path("state")).current_dir(self.dir.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    fn text(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat(), code)).expect("JSON")
    }

    /// Writes events, each a decision with some keys changed.
    fn log(&self, changes: &[Value]) {
        let lines = (1..).zip(changes).map(|(seq, change)| format!("{}\n", self.event(seq, change)));
        self.write("events.json", &lines.collect::<String>());
    }

    fn event(&self, seq: u64, change: &Value) -> Value {
        let name = rustix::system::uname();
        let mut event = json!({
            "schema_version": 1, "time": "2026-01-02T03:04:05.000000006Z", "boot_id": "b", "seq": seq,
            "host": name.nodename().to_str().expect("UTF-8"), "tier": "bpf-lsm", "type": "deny", "mode": "enforce",
            "operation": "read", "count": 1, "hook": "file_open", "errno": 1, "path": "/srv/key", "path_cut": false,
            "too_deep": false, "unplaced": false, "leaves_scope": false, "device": "8:1", "inode": 42, "generation": 1,
            "rule": 1, "policy_sha256": self.sha256(), "policy_generation": 3, "pid": 70, "tid": 70, "ppid": 60,
            "uid": 1000, "gid": 1000, "comm": "cat", "exe": "/usr/bin/cat", "login_uid": 1000,
            "lineage": [{"pid": 60, "exe": "sh"}, {"pid": 1, "exe": "init"}], "cgroup_id": 900,
            "cgroup": "/system.slice/backup.service", "mount_ns": 1, "pid_ns": 1
        });
        let (all, new) = (event.as_object_mut().expect("an object"), change.as_object().expect("an object"));
        all.extend(new.clone());
        event
    }

    fn sha256(&self) -> String {
        Digest::of(&fs::read(self.path("policy.conf")).expect("the policy")).to_string()
    }
}

const POLICY: &str = "version=2\n# keys\n[deny_path]\n/srv/key  # ours\n[deny_tree]\n/srv/tree exec\n[allow_cgroup]\n/sys/fs/cgroup/other\n";

#[test]
fn a_denial_is_explained_by_its_rule() {
    let desk = Desk::new(POLICY);
    desk.log(&[json!({}), json!({"type": "lost", "events": 1, "total": 2, "reason": "kernel"})]);
    let trace = desk.json(&["explain", "events.json", "--policy", "policy.conf"], 0);
    assert_eq!(trace["rule"], json!({"id": 1, "line": 4, "text": "/srv/key  # ours"}));
    assert_eq!((&trace["seq"], &trace["policy"]["remark"]), (&json!(1), &Value::Null));
    assert_eq!(
        (&trace["exemptions"][0]["line"], &trace["exemptions"][0]["applies"]),
        (&json!(8), &json!(false))
    );
    let add = |number: usize| trace["would_allow"][number]["add"][0].as_str().unwrap_or_default().to_owned();
    assert!(add(0).ends_with("/system.slice/backup.service"), "{trace}");
    assert_eq!(add(1), "/srv/key write,exec  # ours");
    let text = desk.text(&["explain", "events.json", "--policy", "policy.conf"], 0);
    for part in [
        "/usr/bin/cat (cat, pid 70, uid 1000, logged in as uid 1000), in the cgroup /system.slice/backup.service",
        "started by sh (pid 60) < init (pid 1), was refused read of /srv/key: EPERM",
        "rule      1 (line 4): /srv/key  # ours",
        "no [scope_cgroup]",
        "exempt?   line 8, /sys/fs/cgroup/other: the process is neither in it nor below",
        "next      `aegisbpf policy simulate --path /srv/key --op read --cgroup",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let lost = desk.text(&["explain", "events.json", "--seq", "2"], 0);
    assert!(lost.contains("1 events could not be told") && lost.contains("aegisbpf metrics"), "{lost}");
}

#[test]
fn a_policy_that_is_not_at_hand_is_said_to_be_missing() {
    let desk = Desk::new(POLICY);
    let line = desk.event(1, &json!({"policy_sha256": "0".repeat(64)})).to_string();
    let trace = desk.json(&["explain", &line], 0);
    assert_eq!(trace["rule"], json!({"id": 1, "line": null, "text": null}));
    let remark = trace["policy"]["remark"].as_str().expect("a remark");
    assert!(remark.contains("not at hand") && remark.contains("--policy"), "{remark}");
    let trace = desk.json(&["explain", &line, "--policy", "policy.conf"], 0);
    assert!(trace["why"].to_string().contains("another policy (sha256"), "{trace}");
    assert!(trace["why"].to_string().contains("would deny it as well, by rule 1"), "{trace}");
}

#[test]
fn what_no_rule_decided_is_explained_too() {
    let desk = Desk::new(POLICY);
    let explained = |change: Value| {
        let line = desk.event(1, &change).to_string();
        desk.text(&["explain", &line, "--policy", "policy.conf"], 0)
    };
    for (change, parts) in [
        (json!({"rule": 0, "too_deep": true}), ["directories deep", "add     "]),
        (json!({"rule": 0, "unplaced": true}), ["opened by a handle", "add     "]),
        (json!({"rule": 0, "leaves_scope": true}), ["left [scope_cgroup]", "add     "]),
        (
            json!({"operation": "guard", "hook": "bpf_map", "guarded": 7, "rule": 0, "path": ""}),
            ["the agent's map 7", "guard status"],
        ),
        (
            json!({"type": "proof", "proven": false, "detail": "x"}),
            ["the proof of file_open failed", "doctor"],
        ),
        (
            json!({"type": "state_change", "status": "degraded", "enforcing": false, "attach_state": "full",
                   "uncovered": [], "reasons": ["break-glass is on: nothing is denied"]}),
            ["does not enforce", "break-glass off"],
        ),
        (
            json!({"type": "policy_change", "generation": 4, "sha256": null, "rules": 1, "before": 3, "provisional": true}),
            ["policy diff 3 4", "policy confirm"],
        ),
        (
            json!({"type": "would_deny", "mode": "audit", "errno": 0}),
            ["which enforce mode would refuse", "rule      1"],
        ),
        (json!({"count": 12, "since": "2026-01-01T00:00:00Z"}), ["12 times since 2026-01-01", "rule      1"]),
    ] {
        let text = explained(change);
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
    }
}

#[test]
fn hostile_names_steer_nothing() {
    let desk = Desk::new(POLICY);
    let escape = "/x\u{1b}[2J\u{202e}\u{9b}31m";
    let change = json!({"path": escape, "exe": escape, "comm": escape, "cgroup": escape, "time": escape, "host": escape,
                        "lineage": [{"pid": 1, "exe": escape}]});
    let line = desk.event(1, &change).to_string();
    desk.write("events.json", &line);
    for args in [
        &["explain", "events.json", "--policy", "policy.conf"][..],
        &["policy", "simulate", "--events", "events.json", "--policy", "policy.conf"],
        &["policy", "suggest", "--events", "events.json", "--policy", "policy.conf"],
    ] {
        let Output { stdout, stderr, .. } = desk.run(args);
        let text = String::from_utf8([stdout, stderr].concat()).expect("UTF-8");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{args:?}: {text:?}");
    }
}

#[test]
fn input_that_is_no_event_says_so() {
    let desk = Desk::new(POLICY);
    desk.write("bad", "nonsense\n{}\n");
    desk.write("empty", "");
    for (args, code, part) in [
        (&["explain", "bad"][..], 65, "line 1"),
        (&["explain", "empty"], 65, "there is no event"),
        (&["explain", "{}"], 65, "no event"),
        (&["explain", "/nonexistent/log"], 74, "/nonexistent/log"),
        (&["explain", "."], 74, "directory"),
        (&["policy", "simulate", "--events", "bad", "--policy", "policy.conf"], 65, "no line is an event"),
        (&["policy", "simulate", "--events", "empty"], 65, "no policy was ever applied"),
        (&["policy", "simulate", "--events", "bad", "--path", "/x", "--op", "read"], 64, "--path"),
        (&["policy", "simulate"], 64, "--path"),
    ] {
        let output = desk.run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(part), "{args:?} does not say {part:?}: {text}");
    }
    desk.log(&[json!({})]);
    let output = desk.run(&["explain", "events.json", "--seq", "9"]);
    assert_eq!(output.status.code(), Some(65));
}

#[test]
fn a_log_is_answered_in_three_ways() {
    let desk = Desk::new(POLICY);
    desk.log(&[
        json!({"count": 5}),
        json!({"path": "/elsewhere"}),
        json!({"path": "/elsewhere", "host": "another"}),
        json!({"cgroup": "/other/below", "exe": null}),
        json!({"operation": "guard", "rule": 0, "path": ""}),
        json!({"type": "lost", "events": 1, "total": 2, "reason": "kernel"}),
    ]);
    // Rule 1 is not what is at /elsewhere in the second and third: another policy decided those.
    let text = fs::read_to_string(desk.path("events.json")).expect("the log");
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if line.contains("/elsewhere") {
                line.replace(&desk.sha256(), &"0".repeat(64))
            } else {
                line.into()
            }
        })
        .collect();
    desk.write("events.json", &(lines.join("\n") + "\nnonsense\n"));
    let args = ["policy", "simulate", "--events", "events.json", "--policy", "policy.conf"];
    let report = desk.json(&args, 1);
    for (key, wanted) in [
        ("denied", 5),
        ("allowed", 2),
        ("unknown", 1),
        ("self_guard", 1),
        ("other_events", 1),
        ("bad_lines", 1),
    ] {
        assert_eq!(report[key], wanted, "{key}: {report}");
    }
    assert_eq!((&report["by_rule"][0]["rule"], &report["by_rule"][0]["decisions"]), (&json!(1), &json!(5)));
    assert!(
        report["unknown_because"][0]["why"].as_str().is_some_and(|why| why.contains("event's host")),
        "{report}"
    );
    let text = desk.text(&args, 1);
    assert!(text.contains("would deny 5, allow 2, and of 1 it cannot be told"), "{text}");
    assert!(text.contains("        5  rule 1: /srv/key  # ours"), "{text}");
    desk.write("none.conf", "version=1\n");
    desk.text(&["policy", "simulate", "--events", "events.json", "--policy", "none.conf"], 0);
}

#[test]
fn what_is_suggested_is_a_patch_that_is_enough() {
    let desk = Desk::new(POLICY);
    desk.log(&[
        json!({"count": 7}),
        json!({"cgroup": "/user.slice/a b.scope"}),
        json!({"path": "/srv/tree/x", "operation": "exec", "rule": 2, "cgroup": "/", "cgroup_id": 1}),
    ]);
    let args = ["policy", "suggest", "--events", "events.json", "--policy", "policy.conf"];
    let report = desk.json(&args, 0);
    assert_eq!(
        (&report["denied"], &report["left"], report["suggestions"].as_array().map(Vec::len)),
        (&json!(9), &json!(0), Some(3))
    );
    let diff = report["diff"].as_str().expect("a diff");
    for line in [
        "-/srv/tree exec\n",
        "+/sys/fs/cgroup/system.slice/backup.service\n",
        "+\"/sys/fs/cgroup/user.slice/a b.scope\"\n",
    ] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    // As it is printed, with the words before it.
    let mut patch =
        match Command::new("patch").arg("-s").current_dir(desk.dir.path()).stdin(Stdio::piped()).spawn() {
            Ok(patch) => patch,
            Err(error) => panic!("patch(1): {error}"),
        };
    patch.stdin.take().expect("a pipe").write_all(desk.text(&args, 0).as_bytes()).expect("it reads");
    assert!(patch.wait().expect("it ends").success());
    let again = desk.json(&["policy", "simulate", "--events", "events.json", "--policy", "policy.conf"], 0);
    assert_eq!((&again["denied"], &again["allowed"]), (&json!(0), &json!(9)), "{again}");
    assert_eq!(desk.json(&args, 0)["suggestions"], json!([]));
}

#[test]
fn a_rule_on_two_lines_is_not_half_changed() {
    let desk = Desk::new("version=2\n[deny_path]\n/srv/key read\n/srv/key write\n/srv/key read\n");
    desk.log(&[json!({"cgroup": "/", "cgroup_id": 1})]);
    let output = desk.run(&["policy", "suggest", "--events", "events.json", "--policy", "policy.conf"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).contains("lint --fix"));
}

#[test]
fn status_is_shown_again_until_it_is_stopped() {
    let desk = Desk::new(POLICY);
    let at = desk.dir.path().to_str().expect("UTF-8").to_owned();
    let args = ["status", "--watch", "100ms", "--run-dir", &at, "--bpffs", &at, "--config-dir", &at];
    let child = desk.command(&args).stdout(Stdio::piped()).spawn().expect("it starts");
    std::thread::sleep(Duration::from_millis(900));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.matches("\nUNHEALTHY: nothing is in force\n").count() >= 2, "{text}");
    assert!(text.starts_with("--- 20") && !text.contains('\u{1b}'), "{text}");
    let one = desk.text(&["status", "--run-dir", &at, "--bpffs", &at, "--config-dir", &at], 0);
    assert!(one.starts_with("UNHEALTHY: nothing is in force\nbecause    no agent is running"), "{one}");
    assert!(one.contains("\nnext       `systemctl start aegisbpf`"), "{one}");
}
