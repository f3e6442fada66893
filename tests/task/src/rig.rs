//! What every VM of a run shares: the binaries, the cache of kernels, the accelerator, the logs.

use crate::accel;
use crate::arch::Arch;
use crate::artifacts;
use crate::before;
use crate::disks::{self, Disk};
use crate::image::{OF_PEERS, SYSTEM};
use crate::initramfs::{Content, Initramfs};
use crate::kernels::{Kernel, Store};
use crate::modules;
use crate::packages;
use crate::paths;
use crate::peers;
use crate::profiles::{self, Profile};
use crate::userland::Userland;
use crate::vm::{self, Accel, Machine};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The list of a host where BPF LSM programs take part.
pub(crate) const LSM_WITH_BPF: &str = "lockdown,capability,landlock,yama,apparmor,bpf";
/// The list of most distributions.
pub(crate) const LSM_WITHOUT_BPF: &str = "lockdown,capability,landlock,yama,apparmor";

/// The list of a host where `AppArmor` confines the agent, and one where `SELinux` does.
pub(crate) const LSM_APPARMOR: &str = "landlock,lockdown,yama,integrity,apparmor,bpf";
pub(crate) const LSM_SELINUX: &str = "landlock,lockdown,yama,integrity,selinux,bpf";

/// How one VM differs from another.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Setup {
    /// Names the VM's log.
    pub(crate) name: String,
    pub(crate) lsm: String,
    pub(crate) params: Vec<String>,
    pub(crate) modules: Vec<String>,
    /// Give it a disk with each file system.
    pub(crate) disks: bool,
    pub(crate) memory_mib: u32,
    pub(crate) smp: u32,
    /// Whether the guest's clock counts instructions: figures repeat, and one processor is all there is.
    pub(crate) counted: bool,
    /// Boot a whole system, with systemd as init, and run there what is to be run.
    pub(crate) image: bool,
    /// Take along the programs that others guard hosts with.
    pub(crate) peers: bool,
    /// Take along the packages of this tree, of this version and of one before it.
    pub(crate) packages: bool,
    /// Take along the agent as it was before the ABI of its pins last changed.
    pub(crate) before: bool,
    /// What confines the agent there.
    pub(crate) profile: Option<Profile>,
    /// Whether a reboot boots it again, with the disks as they are then.
    pub(crate) reboots: bool,
    /// A command for the shell, instead of a row of checks.
    pub(crate) run: Option<String>,
}

/// What a VM boots from, in memory.
#[derive(Debug)]
pub(crate) struct Media {
    _initramfs: Initramfs,
    _disks: Vec<Disk>,
}

/// What runs in a VM.
#[derive(Debug)]
struct Programs {
    guest: PathBuf,
    agent: PathBuf,
    userland: Userland,
}

/// Everything that is made once.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) guest: PathBuf,
    programs: Programs,
    /// Made when the first VM of that kind is.
    on_arm64: OnceLock<Programs>,
    logs: PathBuf,
    cache: PathBuf,
    accel: Option<Accel>,
}

impl Rig {
    /// Builds the binaries. The agent can be given instead; so can the accelerator.
    pub(crate) fn new(agent: Option<&Path>, accel: Option<Accel>) -> Result<Self> {
        let agent = artifacts::agent(agent)?;
        let guest = artifacts::release("guest", Arch::Amd64.target())?;
        let programs = Programs { guest: guest.clone(), agent, userland: Userland::of_this_host()? };
        let logs = paths::target_dir()?.join("vm-logs");
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { guest, programs, on_arm64: OnceLock::new(), logs, cache: paths::cache_dir()?, accel })
    }

    /// Builds what VMs with this processor run, unless that is done.
    pub(crate) fn build_for(&self, arch: Arch) -> Result<()> {
        if arch == Arch::Arm64 && self.on_arm64.get().is_none() {
            let programs = Programs {
                agent: artifacts::release("aegisbpf", arch.target())?,
                guest: artifacts::release("guest", arch.target())?,
                userland: Userland::of_arm64(&self.cache)?,
            };
            self.on_arm64.get_or_init(|| programs);
        }
        Ok(())
    }

    fn programs(&self, arch: Arch) -> Result<&Programs> {
        match arch {
            Arch::Amd64 => Ok(&self.programs),
            Arch::Arm64 => self.on_arm64.get().context("nothing was built for arm64"),
        }
    }

    /// Decides on the accelerator, if that was left to us.
    pub(crate) fn settle_accel(&mut self, kernel: &Kernel) -> Result<Accel> {
        let accel = match self.accel {
            _ if kernel.release.arch() != Arch::Amd64 => Accel::Tcg,
            Some(accel) => accel,
            None => accel::choose(&self.cache, &self.logs, kernel, &self.guest)?,
        };
        self.accel = Some(accel);
        Ok(accel)
    }

    /// The size of the agent's file.
    pub(crate) fn agent_bytes(&self) -> Result<u64> {
        let file =
            fs::metadata(&self.programs.agent).with_context(|| self.programs.agent.display().to_string())?;
        Ok(file.len())
    }

    /// A VM ready to boot. What it boots from goes away with the second value.
    pub(crate) fn machine(&self, kernel: &Kernel, setup: &Setup) -> Result<(Machine, Media)> {
        let drivers = if setup.disks { disks::DRIVERS.as_slice() } else { &[] };
        let modules = modules::closure(&kernel.modules(), &setup.modules, drivers)?;
        let disks = if setup.disks { disks::make()? } else { Vec::new() };
        let run = setup.run.as_deref();
        let image = if setup.image { Some(Store::open()?.image(&SYSTEM)?) } else { None };
        let peers = if setup.peers { Some(Store::open()?.image(&OF_PEERS)?) } else { None };
        let packages = if setup.packages { packages::for_upgrade()? } else { Vec::new() };
        let mut files = setup.profile.map(profiles::files).transpose()?.unwrap_or_default();
        if setup.peers {
            files.push(peers::profile()?);
        }
        if setup.before {
            files.push((guest::AGENT_BEFORE, fs::read(before::binary()?)?));
        }
        let arch = kernel.release.arch();
        let programs = self.programs(arch)?;
        let content = Content {
            guest: &programs.guest,
            agent: &programs.agent,
            userland: &programs.userland,
            modules: &modules,
            files: &files,
            run,
            image: image.as_deref(),
            peers: peers.as_deref(),
            packages: &packages,
        };
        let initramfs = Initramfs::build(&content)?;
        let emulated = setup.counted || arch != Arch::Amd64;
        let machine = Machine {
            arch,
            image: kernel.image(),
            initrd: initramfs.path(),
            disks: disks.iter().map(|disk| (disk.name, disk.path())).collect(),
            lsm: setup.lsm.clone(),
            params: setup.params.clone(),
            memory_mib: setup.memory_mib,
            smp: setup.smp,
            counted: setup.counted,
            reboots: setup.reboots,
            accel: if emulated { Accel::Tcg } else { self.accel.unwrap_or(Accel::Tcg) },
            console: vm::console_path(&self.logs, &setup.name),
            trial: false,
        };
        Ok((machine, Media { _initramfs: initramfs, _disks: disks }))
    }
}
