//! The service, installed and started by the commands of the document.

use super::super::CheckError;
use super::super::agent::{Place, contains, ends};
use super::super::load::opens;
use crate::run::{Cmd, Outcome};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const POLICY: &str = "/etc/aegisbpf/policy.conf";
const DOCUMENT: &str = include_str!("../../../../../docs/DEPLOYMENT.md");
const OVERRIDE: &str = "/etc/systemd/system/aegisbpf.service.d";
/// The binary as it came with the image, where nobody looks for one; what is installed goes away again.
pub(super) const BINARY: &str = "/root/aegisbpf";

/// A start under emulation, on a busy host, with all its proofs.
pub(super) const LONG: Duration = Duration::from_secs(300);

/// An installed service. Dropping it removes it.
pub(super) struct Service {
    pub(super) place: Place,
}

impl Service {
    /// Installs it, with a signed policy that denies the secret.
    pub(super) fn install(id: &str) -> Result<Self, CheckError> {
        take_aside()?;
        let service = Self { place: Place::new(id)? };
        does("Install")?;
        deny(&[&service.place.secret])?;
        does("Policy")?;
        Ok(service)
    }

    /// Installs it and lets it enforce.
    pub(super) fn enforcing(id: &str) -> Result<Self, CheckError> {
        let service = Self::install(id)?;
        does("Start")?;
        does("Enforce")?;
        Ok(service)
    }

    /// While `work` is done, somebody tries all the time: the secret is denied throughout, its neighbour never.
    pub(super) fn without_a_gap<T>(
        &self,
        work: impl FnOnce() -> Result<T, CheckError>,
    ) -> Result<T, CheckError> {
        let (stop, tries, wrong) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let done = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let right = opens(&self.place.secret) == Some(false)
                        && opens(&self.place.neighbour) == Some(true);
                    tries.fetch_add(1, Ordering::Relaxed);
                    wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
                    // Each denial is a line in the journal.
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let done = work();
            stop.store(true, Ordering::Relaxed);
            done
        })?;
        let (tries, wrong) = (tries.into_inner(), wrong.into_inner());
        if tries >= 20 && wrong == 0 {
            return Ok(done);
        }
        let got = format!("{wrong} wrong answers in {tries}");
        Err(CheckError::Differs {
            what: "answers meanwhile",
            want: "20 or more, none of them wrong".into(),
            got,
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A check that removed it has nothing left to remove.
        let _ = does("Remove");
        let _ = Cmd::sh(&format!(
            "systemctl stop aegisbpf; systemctl reset-failed aegisbpf; {BINARY} detach; \
             rm -rf /root/policy.key /root/policy.key.pub /etc/aegisbpf /var/lib/aegisbpf /run/aegisbpf {OVERRIDE}"
        ))
        .run();
    }
}

/// What came with the image was put there by nobody.
pub(super) fn take_aside() -> Result<(), CheckError> {
    if Path::new(BINARY).exists() {
        return Ok(());
    }
    ends(&Cmd::sh(&format!("mv /usr/sbin/aegisbpf {BINARY}")), 0).map(drop)
}

/// A binary that does the same, and is another.
pub(super) fn next_version(path: &str) -> Result<(), CheckError> {
    ends(&Cmd::sh(&format!("cp {BINARY} {path} && echo next >>{path}")), 0).map(drop)
}

/// Runs what the document has under a heading.
pub(super) fn does(heading: &'static str) -> Result<(), CheckError> {
    does_of(DOCUMENT, heading)
}

/// Runs what another document has under a heading.
pub(super) fn does_of(document: &'static str, heading: &'static str) -> Result<(), CheckError> {
    ends(&Cmd::sh(&format!("set -e\n{}", commands(document, heading)?)).cwd("/root").timeout(LONG), 0)
        .map(drop)
}

pub(super) fn deny(paths: &[&str]) -> Result<(), CheckError> {
    write_policy(&format!("version=1\n[deny_path]\n{}\n", paths.join("\n")))
}

pub(super) fn write_policy(text: &str) -> Result<(), CheckError> {
    file(POLICY, text)
}

/// Runs it with these options from the next start on.
pub(super) fn options(options: &str) -> Result<(), CheckError> {
    drop_in("options", &format!("Environment=\"AEGISBPF_OPTIONS={options}\""))
}

/// One more drop-in.
pub(super) fn drop_in(name: &str, line: &str) -> Result<(), CheckError> {
    ends(&Cmd::sh(&format!("mkdir -p {OVERRIDE}")), 0)?;
    file(&format!("{OVERRIDE}/{name}.conf"), &format!("[Service]\n{line}\n"))?;
    ends(&Cmd::new("systemctl").args(["daemon-reload"]), 0).map(drop)
}

/// Wants a line in the journal with all of `parts`.
pub(super) fn logs(parts: &[&str]) -> Result<(), CheckError> {
    let mut said = String::new();
    let seen = eventually("the journal", || {
        said = ends(&Cmd::new("journalctl").args(["-u", "aegisbpf", "-o", "cat", "--no-pager"]), 0)?.stdout;
        Ok(said.lines().any(|line| parts.iter().all(|part| line.contains(part))))
    });
    seen.or_else(|_| contains("the journal", &said, &parts.join(" … ")))
}

/// What stands in the block of commands under a heading.
fn commands(document: &'static str, heading: &'static str) -> Result<&'static str, CheckError> {
    let section = document.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let block = section.and_then(|section| section.split_once("```sh\n")?.1.split_once("```"));
    block.map(|(commands, _)| commands).ok_or_else(|| CheckError::Differs {
        what: heading,
        want: "commands".into(),
        got: "none in the document".into(),
    })
}

fn file(path: &str, text: &str) -> Result<(), CheckError> {
    fs::write(path, text).map_err(|source| CheckError::File { path: path.into(), source })
}

/// A property of the unit.
pub(super) fn show(property: &str) -> Result<String, CheckError> {
    let Outcome { stdout, .. } =
        ends(&Cmd::new("systemctl").args(["show", "--value", "--property", property, "aegisbpf"]), 0)?;
    Ok(stdout.trim_end().to_owned())
}

/// Waits until it is so.
pub(super) fn eventually(
    what: &'static str,
    mut so: impl FnMut() -> Result<bool, CheckError>,
) -> Result<(), CheckError> {
    let end = Instant::now() + LONG;
    while !so()? {
        if Instant::now() > end {
            let status = Cmd::new("systemctl").args(["status", "--no-pager", "aegisbpf"]).run()?.stdout;
            return Err(CheckError::Differs { what, want: "in time".into(), got: status });
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Whether another service can open a file; EPERM is the only other answer.
pub(super) fn opened_by_a_service(path: &str) -> Result<bool, CheckError> {
    let unit =
        format!("[Service]\nType=oneshot\nExecStart=/bin/sh -c 'cat {path} >/dev/null 2>/run/reader.said'\n");
    file("/run/systemd/system/reader.service", &unit)?;
    ends(&Cmd::new("systemctl").args(["daemon-reload"]), 0)?;
    let outcome = Cmd::new("systemctl").args(["start", "reader"]).run()?;
    let said = fs::read_to_string("/run/reader.said").unwrap_or_default();
    match outcome.code() {
        0 => Ok(true),
        _ => contains("what the service said", &said, "Operation not permitted").map(|()| false),
    }
}
