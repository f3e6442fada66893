//! Everything that the checks look at, gathered once.

use std::time::SystemTime;

use procfs::process::MountInfo;

use crate::{
    agent::{self, AgentError, Source},
    cli::Places,
    cmd::status::{self, Picture},
    kernel::{self, Answer, Answers, Host, Kernel, LsmList, Probe, Surroundings},
};

/// What is known of this host.
pub(super) struct Facts<'a> {
    pub(super) places: &'a Places,
    pub(super) kernel: &'a Kernel,
    pub(super) host: Host,
    pub(super) answers: Answers,
    pub(super) lsm: Option<LsmList>,
    pub(super) around: Surroundings,
    /// The kernel's command line; empty where it cannot be read.
    pub(super) cmdline: String,
    pub(super) mounts: Vec<MountInfo>,
    /// What is in force; `None`: that cannot be told.
    pub(super) picture: Picture,
    /// The policy file of the configuration directory.
    pub(super) source: Result<Source, AgentError>,
    /// Seconds since 1970.
    pub(super) now: i64,
}

impl<'a> Facts<'a> {
    /// Looks at everything, and writes nothing.
    pub(super) fn gather(places: &'a Places, kernel: &'a Kernel) -> Self {
        let lsm = LsmList::current();
        let mounts = procfs::process::Process::myself().and_then(|process| process.mountinfo());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            places,
            kernel,
            host: Host::current(),
            answers: kernel.probe(&places.bpffs),
            around: Surroundings::current(lsm.as_ref()),
            lsm,
            cmdline: kernel::read("/proc/cmdline").unwrap_or_default(),
            mounts: mounts.map(|mounts| mounts.0).unwrap_or_default(),
            picture: status::look(places),
            source: Source::read(&places.config_dir.join(agent::POLICY), false),
            now: i64::try_from(now).unwrap_or(i64::MAX),
        }
    }

    /// Whether any program of a tier that enforces loads: what confines this process lets it.
    pub(super) fn programs_load(&self) -> bool {
        [Probe::LsmLoad, Probe::FmodRetLoad].iter().any(|probe| self.answers.get(probe) == Some(&Answer::Yes))
    }
}
