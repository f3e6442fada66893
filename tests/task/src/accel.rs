//! Whether KVM may be used. A device that opens proves nothing: under some hosts a stock kernel hangs in it. So one
//! kernel has to boot in time first; the verdict holds until the host reboots or qemu changes.

use crate::arch::Arch;
use crate::initramfs::{Content, Initramfs};
use crate::kernels::Kernel;
use crate::userland::Userland;
use crate::vm::{Accel, End, Machine};
use anyhow::Result;
use guest::{Line, RECORD_MARK};
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Several times what a boot takes where KVM works.
const LIMIT: Duration = Duration::from_secs(20);

/// The fastest accelerator that is known to work here.
pub(crate) fn choose(cache: &Path, logs: &Path, kernel: &Kernel, guest: &Path) -> Result<Accel> {
    if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Accel::Tcg);
    }
    let file = cache.join("kvm-verdict");
    let key = key();
    let known = fs::read_to_string(&file).unwrap_or_default();
    if let Some(verdict) = known.strip_prefix(&key) {
        return Ok(if verdict.trim() == "boots" { Accel::Kvm } else { Accel::Tcg });
    }
    eprintln!("trying whether a kernel boots under KVM here (once, at most {} s)", LIMIT.as_secs());
    let boots = trial(logs, kernel, guest)?;
    fs::write(&file, format!("{key}{}\n", if boots { "boots" } else { "hangs" }))?;
    eprintln!("KVM {}", if boots { "works" } else { "does not work: the VMs are emulated" });
    Ok(if boots { Accel::Kvm } else { Accel::Tcg })
}

/// What a verdict holds for.
fn key() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let qemu = Command::new("qemu-system-x86_64").arg("--version").output().map(|output| output.stdout);
    let qemu =
        String::from_utf8_lossy(&qemu.unwrap_or_default()).lines().next().unwrap_or_default().to_owned();
    format!("{}\n{qemu}\n", boot.trim())
}

fn trial(logs: &Path, kernel: &Kernel, guest: &Path) -> Result<bool> {
    // The guest stands in for the agent: the trial starts neither.
    let userland = Userland::of_this_host()?;
    let content = Content {
        guest,
        agent: guest,
        userland: &userland,
        modules: &[],
        files: &[],
        run: Some("true"),
        image: None,
        peers: None,
        packages: &[],
    };
    let initramfs = Initramfs::build(&content)?;
    let machine = Machine {
        arch: Arch::Amd64,
        image: kernel.image(),
        initrd: initramfs.path(),
        disks: Vec::new(),
        lsm: "capability".to_owned(),
        params: Vec::new(),
        memory_mib: 1024,
        smp: 2,
        counted: false,
        reboots: false,
        accel: Accel::Kvm,
        console: crate::vm::console_path(logs, "kvm-trial"),
        trial: true,
    };
    let mut seen = Vec::new();
    let end = machine.run(LIMIT, &mut |bytes| seen.extend_from_slice(bytes))?;
    let exit = format!("{RECORD_MARK}{}\n", Line::Exit(0));
    Ok(matches!(end, End::Exited(_)) && String::from_utf8_lossy(&seen).contains(&exit))
}
