//! A real collector and the configuration of `docs/SIEM.md`: what the agent writes arrives as it was written, also when the
//! file is renamed and a new one begun.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use crate::samples;

const DOCUMENT: &str = include_str!("../../docs/SIEM.md");

/// A collector looks at its files every few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The configuration of the document, with the file and the address of this test.
fn configuration(file: &Path, port: u16, work: &Path) -> String {
    let block = DOCUMENT.split("```rsyslog\n").nth(1).and_then(|rest| rest.split_once("```"));
    let block = block.expect("a configuration in the document").0;
    for replaced in ["/var/log/aegisbpf/events.json", "siem.example.org", "6514"] {
        assert_eq!(block.matches(replaced).count(), 1, "{replaced}");
    }
    let block = block
        .replace("/var/log/aegisbpf/events.json", &file.display().to_string())
        .replace("siem.example.org", "127.0.0.1")
        .replace("6514", &port.to_string());
    format!("global(workDirectory=\"{}\" maxMessageSize=\"64k\")\n{block}", work.display())
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file of events");
    file.write_all(text.as_bytes()).expect("written");
}

fn arrive(lines: &Receiver<String>, want: &str) {
    for want in want.lines() {
        let got = lines.recv_timeout(PATIENCE).expect("a line arrives in time");
        assert_eq!(got, want);
    }
}

#[test]
fn rsyslog_hands_on_every_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, work) = (dir.path().join("events.json"), dir.path().join("work"));
    fs::create_dir(&work).expect("a directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let path = dir.path().join("rsyslog.conf");
    fs::write(&path, configuration(&file, port, &work)).expect("written");
    let lines: Vec<String> = samples::all().iter().map(|(_, event)| event.to_string()).collect();
    let events = lines.join("\n") + "\n";
    append(&file, &events);
    let rsyslog = Command::new("/usr/sbin/rsyslogd")
        .args(["-n", "-i"])
        .arg(dir.path().join("pid"))
        .arg("-f")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("rsyslogd (package rsyslog): {error}"));
    let _rsyslog = Rsyslog(rsyslog);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    arrive(&lines, &events);
    // As logrotate does, and as the agent does at SIGUSR1.
    append(&file, &events);
    fs::rename(&file, dir.path().join("events.json.1")).expect("renamed");
    append(&file, &events);
    arrive(&lines, &events);
    arrive(&lines, &events);
}
