//! `stats` and `metrics` on this host, as far as they need no privilege: what is read, what is written, who is answered.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

fn command(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegisbpf"));
    command.args(args);
    for option in ["--run-dir", "--state-dir", "--config-dir", "--bpffs"] {
        command.arg(option).arg(dir);
    }
    command
}

fn aegisbpf(args: &[&str], dir: &Path) -> Output {
    command(args, dir).output().expect("the binary starts")
}

fn refused(args: &[&str], dir: &Path, code: i32, part: &str) {
    let output = aegisbpf(args, dir);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.contains(part) && text.contains("hint:"), "{args:?} does not say {part:?}: {text}");
}

/// What an agent writes.
fn stats() -> Value {
    let table = |row: Value| json!({ "rows": [row], "other": { "deny": 2, "would_deny": 0 }, "let_go": 0 });
    json!({
        "schema_version": 1,
        "since": "2026-01-01T00:00:00.000000000Z",
        "written": "2026-01-01T00:00:05.000000000Z",
        "decisions": { "deny": 7, "would_deny": 3 },
        "by": {
            "hook": table(json!({ "hook": "file_open", "deny": 5, "would_deny": 3 })),
            "cgroup": table(json!({ "cgroup_id": 4, "cgroup": "/a", "deny": 5, "would_deny": 3 })),
            "rule": table(json!({ "policy_generation": 2, "rule": 1, "deny": 5, "would_deny": 3 })),
            "inode": table(json!({ "device": "8:1", "inode": 9, "generation": 0, "deny": 5, "would_deny": 3 })),
            "path": table(json!({ "path": "/etc/\u{1b}[2Jshadow", "deny": 5, "would_deny": 3 })),
        },
    })
}

fn put(dir: &Path, stats: &Value) {
    fs::write(dir.join("stats.json"), stats.to_string()).expect("a file");
}

#[test]
fn stats_are_shown_as_their_schema_says() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    put(dir.path(), &stats());
    let schema = aegisbpf(&["schema", "stats"], dir.path()).stdout;
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("stats", serde_json::from_slice(&schema).expect("JSON")).expect("a schema");
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("stats", &mut schemas).expect("a schema that compiles");
    for args in [&["stats", "--json"][..], &["stats", "--json", "--by", "path", "--top", "0"]] {
        let shown: Value = serde_json::from_slice(&aegisbpf(args, dir.path()).stdout).expect("JSON");
        assert!(schemas.validate(&shown, index).is_ok(), "{shown}");
        assert_eq!(shown["running"], json!(false));
    }
    // The file itself does not know whether its agent runs.
    assert!(schemas.validate(&stats(), index).is_err());
    let shown = aegisbpf(&["stats", "--json", "--by", "path", "--top", "0"], dir.path()).stdout;
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    assert_eq!(shown["by"]["path"]["other"], json!({ "deny": 7, "would_deny": 3 }));
    assert_eq!(shown["by"].as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn nothing_in_the_file_reaches_the_terminal_as_it_is() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    put(dir.path(), &stats());
    let text = String::from_utf8(aegisbpf(&["stats", "--by", "path"], dir.path()).stdout).expect("UTF-8");
    assert!(text.contains("     5         3  /etc/\\u{1b}[2Jshadow\n"), "{text}");
    assert!(text.contains("     2         0  all others\n"), "{text}");
    assert!(text.contains("7 denied, 3 would be denied"), "{text}");
}

#[test]
fn a_file_that_is_not_an_agents_is_refused() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("stats.json");
    refused(&["stats"], dir.path(), 69, "no agent has counted");
    for text in ["", "null", "{}", "\u{0}", &"[".repeat(100_000)] {
        fs::write(&file, text).expect("a file");
        refused(&["stats"], dir.path(), 65, "stats.json");
    }
    let mut wrong = stats();
    wrong["by"]["rule"]["other"]["deny"] = json!(3);
    put(dir.path(), &wrong);
    refused(&["stats", "--json"], dir.path(), 65, "does not add up");
    fs::write(&file, vec![b' '; 5 * 1024 * 1024]).expect("a file");
    refused(&["stats"], dir.path(), 74, "stats.json");
    fs::remove_file(&file).expect("removed");
    symlink("/etc/passwd", &file).expect("a link");
    refused(&["stats"], dir.path(), 74, "stats.json");
    fs::remove_file(&file).expect("removed");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a pipe");
    refused(&["stats"], dir.path(), 74, "not a regular file");
}

/// What Prometheus itself thinks of it.
fn linted(text: &[u8]) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the package prometheus");
    promtool.stdin.take().expect("a pipe").write_all(text).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_textfile_is_there_as_a_whole() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("aegisbpf.prom");
    let name = file.to_str().expect("UTF-8");
    // What lies in the place of the new file is not written to.
    let victim = dir.path().join("victim");
    fs::write(&victim, "untouched").expect("a file");
    fs::hard_link(&victim, dir.path().join("aegisbpf.prom.new")).expect("a link");
    let output = aegisbpf(&["metrics", "--textfile", name], dir.path());
    assert!(output.status.success() && output.stdout.is_empty());
    let text = fs::read(&file).expect("the file");
    assert!(text.ends_with(b"\n"));
    assert_eq!(file.metadata().expect("the file").permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_to_string(&victim).expect("the victim"), "untouched");
    assert!(!dir.path().join("aegisbpf.prom.new").exists());
    linted(&text);
    // In the working directory as well.
    let mut relative = command(&["metrics", "--textfile", "here.prom"], dir.path());
    assert!(relative.current_dir(dir.path()).status().expect("it starts").success());
    assert!(dir.path().join("here.prom").is_file());
    refused(&["metrics", "--textfile", "/nonexistent/a.prom"], dir.path(), 74, "/nonexistent/a.prom");
}

/// A server, ended by SIGTERM.
struct Server(Child);

impl Server {
    fn start(socket: &Path, dir: &Path) -> Self {
        let socket = socket.to_str().expect("UTF-8");
        let child =
            command(&["metrics", "--socket", socket], dir).stderr(Stdio::null()).spawn().expect("it starts");
        let end = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(socket).is_err() {
            assert!(Instant::now() < end, "nobody answers");
            thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }

    fn end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        assert!(self.0.wait().expect("it ends").success());
    }
}

fn answer(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    // One that is too long is answered before it has been read.
    drop(stream.write_all(request));
    let mut text = Vec::new();
    drop(stream.read_to_end(&mut text));
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn requests_are_answered_anew_whoever_asked_before() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let socket = dir.path().join("metrics.sock");
    let mut server = Server::start(&socket, dir.path());
    let get = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let text = answer(&socket, get);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.contains("aegisbpf_break_glass 0\n"), "{body}");
    linted(body.as_bytes());
    fs::write(dir.path().join("break_glass"), "").expect("a file");
    assert!(answer(&socket, get).contains("aegisbpf_break_glass 1\n"));
    // Whoever says nothing, leaves, or says too much, keeps nobody else from an answer.
    let silent = UnixStream::connect(&socket).expect("it listens");
    drop(UnixStream::connect(&socket).expect("it listens"));
    for (request, status) in [
        (b"POST /metrics HTTP/1.1\r\n\r\n".as_slice(), "405"),
        (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"\0\xff\n\n", "400"),
    ] {
        assert!(answer(&socket, request).starts_with(&format!("HTTP/1.1 {status} ")), "{status}");
    }
    drop(answer(&socket, &vec![b'a'; 1024 * 1024]));
    assert!(answer(&socket, b"HEAD /metrics HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n"));
    assert!(answer(&socket, get).contains("aegisbpf_build_info"));
    drop(silent);
    refused(&["metrics", "--socket", socket.to_str().expect("UTF-8")], dir.path(), 75, "somebody answers");
    server.end();
    assert!(!socket.exists());
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let socket = dir.path().join("metrics.sock");
    let mut server = Server::start(&socket, dir.path());
    server.0.kill().expect("killed");
    server.0.wait().expect("it ended");
    assert!(socket.exists());
    let mut server = Server::start(&socket, dir.path());
    // What somebody else puts there meanwhile stays.
    fs::remove_file(&socket).expect("removed");
    fs::write(&socket, "mine").expect("a file");
    server.end();
    assert_eq!(fs::read_to_string(&socket).expect("still there"), "mine");
}
