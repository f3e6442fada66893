//! PID 1: mounts, loads the modules, starts what this boot is for, reaps orphans until it ends, powers off.

use crate::boot::Boot;
use crate::{image, mounts, report, selinux};
use guest::{Line, MODULE_LIST, PARAM_ROW, PARAM_SHELL, RECORD_MARK, RUN_FILE};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use rustix::system::{RebootCommand, finit_module, reboot, sethostname};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// What this boot is for.
enum Job {
    Shell,
    Run,
    Row(String),
}

/// Never returns on a working machine: it powers off.
pub(crate) fn main() -> ExitCode {
    let mut faults = mounts::proc();
    let boot = Boot::read().unwrap_or_default();
    if image::is_there() {
        // Nothing is there yet to report to: the console takes it, and the row fails for want of an end.
        let fault = image::hand_over();
        eprintln!("the image could not be made the root: {fault}");
        let _ = reboot(RebootCommand::PowerOff);
        return ExitCode::FAILURE;
    }
    faults.extend(mounts::rest(&boot));
    report::report_panics("init");
    faults.extend(mounts::unknown(&boot).into_iter().map(|name| format!("no mount is called '{name}'")));
    faults.extend(load_modules());
    faults.extend(selinux::begin());
    let _ = sethostname(b"guest");
    for detail in faults {
        report::send(&Line::Fail { id: "init".into(), detail });
    }
    if let Err(fault) = start(&boot) {
        report::send(&Line::Fail { id: "init".into(), detail: fault.to_string() });
    }
    let _ = reboot(RebootCommand::PowerOff);
    ExitCode::FAILURE
}

/// What `main` does once everything is set up, under another init that has done so.
pub(crate) fn hosted() -> ExitCode {
    report::report_panics("hosted");
    if let Err(fault) = start(&Boot::read().unwrap_or_default()) {
        report::send(&Line::Fail { id: "hosted".into(), detail: fault.to_string() });
    }
    let _ = reboot(RebootCommand::PowerOff);
    ExitCode::FAILURE
}

fn start(boot: &Boot) -> io::Result<()> {
    let job = job(boot);
    if !matches!(job, Job::Shell) {
        report::make_raw()?;
    }
    let port = report::open()?;
    let mut command = command(&job, boot);
    command.env_clear().envs([("PATH", "/sbin:/bin"), ("HOME", "/root"), ("TERM", "linux")]);
    command.current_dir("/root").stdout(port.try_clone()?).stderr(port);
    let child = command.spawn()?;
    let status = reap_until(Pid::from_child(&child))?;
    finish(&job, status);
    Ok(())
}

fn job(boot: &Boot) -> Job {
    if boot.value(PARAM_SHELL).is_some() {
        Job::Shell
    } else if Path::new(RUN_FILE).exists() {
        Job::Run
    } else {
        Job::Row(boot.value(PARAM_ROW).unwrap_or("rig").to_owned())
    }
}

fn command(job: &Job, boot: &Boot) -> Command {
    match job {
        Job::Shell => {
            let (rows, columns) =
                boot.value(PARAM_SHELL).and_then(|s| s.split_once('x')).unwrap_or(("24", "80"));
            let mut command = Command::new("/bin/busybox");
            let script = format!(
                "exec <{port} >{port} 2>&1; stty rows {rows} cols {columns}; exec sh -l",
                port = report::PORT
            );
            // A session of its own: the port becomes its controlling terminal, so that Ctrl-C works.
            command
                .args(["setsid", "-c", "sh", "-c", &script])
                .stdin(report::open().map_or(Stdio::null(), Into::into));
            command
        }
        Job::Run => {
            let mut command = Command::new("/bin/busybox");
            command.args(["sh", RUN_FILE]).stdin(Stdio::null());
            command
        }
        Job::Row(name) => {
            let mut command = Command::new("/init");
            command.args(["row", name]).stdin(Stdio::null());
            command
        }
    }
}

/// Collects every process that ends, orphans too, until `child` does.
fn reap_until(child: Pid) -> io::Result<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(source) => return Err(source.into()),
        }
    }
}

fn finish(job: &Job, status: WaitStatus) {
    let code =
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1);
    match job {
        Job::Shell => {}
        Job::Run => report::send_text(&format!("{RECORD_MARK}{}\n", Line::Exit(code))),
        // The row prints its own `@done`; it ends with success whatever its checks said.
        Job::Row(_) if code == 0 => {}
        Job::Row(_) => {
            let detail = format!("the process that runs the checks ended with status {code}");
            report::send(&Line::Fail { id: "init".into(), detail });
        }
    }
}

/// Loads what the list names, in its order; returns one text for each module that the kernel refused.
fn load_modules() -> Vec<String> {
    let Ok(list) = fs::read_to_string(MODULE_LIST) else {
        return Vec::new();
    };
    list.lines()
        .filter_map(|path| load(path).err().map(|source| format!("module {path}: {source}")))
        .collect()
}

fn load(path: &str) -> io::Result<()> {
    match finit_module(File::open(path)?, c"", 0) {
        // EEXIST: built in, or loaded as a dependency.
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(source) => Err(source.into()),
    }
}
