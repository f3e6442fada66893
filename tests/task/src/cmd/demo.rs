//! `./dev demo`: what AegisBPF can do on this host, and, where that is less than enforcing, what it does in a VM.

use crate::artifacts;
use crate::kernels::{Selector, Store};
use crate::paths::MUSL;
use crate::rig::{LSM_WITH_BPF, Rig, Setup};
use crate::single;
use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;
use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The verdicts under which the host's own demo shows a real refusal.
const CAN_ENFORCE: [&str; 2] = ["ENFORCE-READY", "ENFORCING"];
const LIMIT: Duration = Duration::from_secs(180);

/// Runs the chore.
pub(crate) fn main() -> Result<ExitCode> {
    let agent = artifacts::release("aegisbpf", MUSL)?;
    let verdict = verdict(&agent)?;
    let status = as_root(&agent).arg("demo").status().context("cannot start the demo")?;
    let mut passed = status.success();
    if !passed {
        eprintln!("error: the demo on this host ended with {status}");
    }
    if !CAN_ENFORCE.contains(&verdict.as_str()) {
        println!("\nThis host says {verdict}: it cannot show a refusal. The same demo in a VM, which can:\n");
        let code = in_vm(&agent, &mut std::io::stdout())?;
        if code != 0 {
            eprintln!("error: the demo in the VM ended with status {code}");
        }
        passed &= code == 0;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the agent says about this host.
fn verdict(agent: &Path) -> Result<String> {
    let output =
        as_root(agent).args(["doctor", "--json"]).output().context("cannot start the agent's doctor")?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("doctor --json: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
    let verdict = report.get("verdict").and_then(serde_json::Value::as_str);
    Ok(verdict.context("doctor --json has no verdict")?.to_owned())
}

/// The demo on this host has to tell what it may do here.
pub(crate) fn check_host(agent: &Path) -> Result<()> {
    let output = as_root(agent).arg("demo").output().context("cannot start the demo")?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    println!("{text}");
    if !output.status.success() {
        bail!("the demo ended with {}", output.status);
    }
    if !["AUDIT-ONLY", "ENFORCE-READY"].iter().any(|word| text.contains(word)) {
        bail!("its output says neither AUDIT-ONLY nor ENFORCE-READY");
    }
    Ok(())
}

/// The demo in a VM has to show a real refusal.
pub(crate) fn check_vm(agent: &Path) -> Result<()> {
    let mut output = Vec::new();
    let code = in_vm(agent, &mut output)?;
    let text = String::from_utf8_lossy(&output);
    println!("{text}");
    if code != 0 {
        bail!("the demo ended with status {code}");
    }
    for word in ["ENFORCING", "EPERM"] {
        if !text.contains(word) {
            bail!("its output does not say {word}");
        }
    }
    Ok(())
}

fn in_vm(agent: &Path, out: &mut dyn Write) -> Result<i32> {
    let mut rig = Rig::new(Some(agent), None)?;
    let kernel = Store::open()?.get(&Selector::Newest(0))?;
    rig.settle_accel(&kernel)?;
    let plain = if std::io::stdout().is_terminal() { "" } else { "NO_COLOR=1 " };
    let setup = Setup {
        name: "demo".to_owned(),
        lsm: LSM_WITH_BPF.to_owned(),
        memory_mib: 1536,
        smp: 2,
        run: Some(format!("{plain}{} demo", guest::AGENT)),
        ..Setup::default()
    };
    let (machine, _media) = rig.machine(&kernel, &setup)?;
    single::run(&machine, LIMIT, out)
}

fn as_root(program: &Path) -> Command {
    if geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}
