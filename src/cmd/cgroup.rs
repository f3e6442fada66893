//! A cgroup of a command's own, for what it starts, and the one that it is in.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::enforce;

/// How often, and how long apart, the end of its members is waited for.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The members of a cgroup.
const PROCS: &str = "cgroup.procs";

/// A cgroup that goes with this value.
#[derive(Debug)]
pub(super) struct OwnCgroup(PathBuf);

impl OwnCgroup {
    /// Makes it, at the root of the hierarchy. `None`: there is no such hierarchy, or it takes a privilege.
    pub(super) fn make(name: &str) -> Option<Self> {
        let dir = enforce::cgroup_root().ok()?.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&dir).ok().map(|()| Self(dir))
    }

    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Does something as a member of it; what is started there stays in it. `None`: this process cannot become one.
    pub(super) fn inside<T>(&self, work: impl FnOnce() -> T) -> Option<io::Result<T>> {
        let home = home()?;
        let me = std::process::id().to_string();
        fs::write(self.0.join(PROCS), &me).ok()?;
        let done = work();
        Some(fs::write(home.join(PROCS), &me).map(|()| done))
    }

    /// Ends whatever is still in it, but for this process, should it have no way back.
    pub(super) fn kill(&self) {
        let me = getpid();
        for _ in 0..TRIES {
            let members = fs::read_to_string(self.0.join(PROCS)).unwrap_or_default();
            let members = members.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw);
            let members: Vec<Pid> = members.filter(|pid| *pid != me).collect();
            if members.is_empty() {
                return;
            }
            for pid in members {
                // Who is gone by now need not be killed.
                let _ = kill_process(pid, Signal::KILL);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // Whoever was killed is still in it for a moment.
        for _ in 0..TRIES {
            if fs::remove_dir(&self.0).err().is_none_or(|error| error.kind() != io::ErrorKind::ResourceBusy) {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// The cgroup of this process.
fn home() -> Option<PathBuf> {
    let groups = procfs::process::Process::myself().ok()?.cgroups().ok()?;
    let unified = groups.0.into_iter().find(|group| group.hierarchy == 0)?;
    Some(enforce::cgroup_root().ok()?.join(unified.pathname.trim_start_matches('/')))
}
