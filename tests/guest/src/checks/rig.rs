//! Whether the helpers that the other checks rely on do what they say: a `uid()` without effect would turn every
//! check about another uid into a check about root.

use super::{Check, CheckError, Ctx};
use crate::run::{Cmd, CmdError};
use guest::MODULE_LIST;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) const CHECKS: [Check; 7] = [
    Check { id: "rig.command", run: command },
    Check { id: "rig.uid", run: uid },
    Check { id: "rig.cgroup", run: cgroup },
    Check { id: "rig.time-limit", run: time_limit },
    Check { id: "rig.background", run: background },
    Check { id: "rig.orphans-are-reaped", run: orphans_are_reaped },
    Check { id: "rig.modules-are-loaded", run: modules_are_loaded },
];

const SOON: Duration = Duration::from_secs(10);

fn same(what: &'static str, got: &str, want: &str) -> Result<(), CheckError> {
    if got == want {
        return Ok(());
    }
    Err(CheckError::Differs { what, want: want.to_owned(), got: got.to_owned() })
}

fn command(_: &Ctx) -> Result<(), CheckError> {
    let script = "cat; pwd; echo $NAME; echo complaint >&2; exit 7";
    let outcome = Cmd::sh(script).stdin("in\n").cwd("/etc").env("NAME", "value").run()?;
    same("exit code", &outcome.code().to_string(), "7")?;
    same("stdout", &outcome.stdout, "in\n/etc\nvalue\n")?;
    same("stderr", &outcome.stderr, "complaint\n")
}

fn uid(_: &Ctx) -> Result<(), CheckError> {
    let outcome = Cmd::sh("id -u; id -g; id -G").uid(65534).run()?;
    same("ids", &outcome.stdout, "65534\n65534\n65534\n")
}

fn cgroup(_: &Ctx) -> Result<(), CheckError> {
    let path = Path::new("/sys/fs/cgroup/rig");
    let file = |source| CheckError::File { path: path.into(), source };
    fs::create_dir_all(path).map_err(file)?;
    let outcome = Cmd::sh("cat /proc/self/cgroup; id -u").cgroup(path).uid(65534).run()?;
    same("cgroup and uid", &outcome.stdout, "0::/rig\n65534\n")?;
    fs::remove_dir(path).map_err(file)
}

fn time_limit(_: &Ctx) -> Result<(), CheckError> {
    let start = Instant::now();
    // The sleep is the child of the shell: the limit has to end both.
    let result = Cmd::sh("echo begun; sleep 60; echo over").timeout(Duration::from_millis(500)).run();
    match result {
        Err(CmdError::Timeout { stdout, .. }) if start.elapsed() < SOON => same("stdout", &stdout, "begun\n"),
        Err(error) => Err(error.into()),
        Ok(outcome) => Err(CheckError::Status { want: -1, outcome: Box::new(outcome) }),
    }
}

fn background(_: &Ctx) -> Result<(), CheckError> {
    let mut shell = Cmd::sh("trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done").spawn()?;
    shell.wait_for("ready", SOON)?;
    let stat = PathBuf::from(format!("/proc/{}/stat", shell.pid()));
    fs::metadata(&stat).map_err(|source| CheckError::File { path: stat, source })?;
    shell.signal(Signal::TERM)?;
    let outcome = shell.wait(SOON)?;
    same("exit code", &outcome.code().to_string(), "5")
}

fn orphans_are_reaped(_: &Ctx) -> Result<(), CheckError> {
    let outcome = Cmd::sh("sleep 0.1 >/dev/null 2>&1 & echo $!").run()?;
    let orphan = Path::new("/proc").join(outcome.stdout.trim());
    let end = Instant::now() + SOON;
    while orphan.exists() {
        if Instant::now() > end {
            let status = fs::read_to_string(orphan.join("status")).unwrap_or_default();
            return Err(CheckError::Differs {
                what: "an orphan that ended",
                want: "gone".into(),
                got: status,
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn modules_are_loaded(_: &Ctx) -> Result<(), CheckError> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|source| CheckError::File { path: path.into(), source })
    };
    let (asked, loaded) = (read(MODULE_LIST)?, read("/proc/modules")?);
    for path in asked.lines() {
        let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !loaded.lines().any(|line| line.split(' ').next() == Some(&name)) {
            return Err(CheckError::Differs { what: "modules", want: name, got: loaded });
        }
    }
    Ok(())
}
