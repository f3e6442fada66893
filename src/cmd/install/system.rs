//! What the system at hand has, and telling it what changed.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use serde::Serialize;

use crate::{
    exit::Failure,
    install::{APPARMOR_PROFILE, InstallError, Prefix},
    kernel::LsmList,
    sys::rooted::Root,
};

/// Labelled by the module of `SELinux`; some of them are there only once the service has run.
const LABELLED: [&str; 5] =
    ["/usr/sbin/aegisbpf", "/etc/aegisbpf", "/var/lib/aegisbpf", "/var/log/aegisbpf", "/run/aegisbpf"];

/// A program that was run, and why it failed.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    pub(super) command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
}

/// What is there.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug)]
pub(super) struct System {
    /// Whether systemd can be installed for.
    pub(super) systemd: bool,
    /// Whether it runs, and is this host's.
    pub(super) booted: bool,
    pub(super) apparmor: bool,
    pub(super) selinux: bool,
    live: bool,
}

impl System {
    /// Looks at the root; at the kernel as well where it is this host's.
    pub(super) fn look(root: &Root, live: bool) -> Result<Self, Failure> {
        let has_dir = |path: &str| {
            root.has_dir(Path::new(path)).map_err(|source| InstallError::File {
                path: path.to_owned(),
                action: "looked at",
                source,
            })
        };
        let booted = live && Path::new("/run/systemd/system").is_dir();
        let lsm = if live { LsmList::current() } else { None };
        let active = |name: &str| !live || lsm.iter().flat_map(|list| &list.names).any(|known| known == name);
        Ok(Self {
            systemd: booted || has_dir("/usr/lib/systemd/system")? || has_dir("/lib/systemd/system")?,
            booted,
            apparmor: active("apparmor") && has_dir("/etc/apparmor.d")?,
            selinux: active("selinux") && has_dir("/etc/selinux")?,
            live,
        })
    }

    /// What is to be run once files are there.
    pub(super) fn after_install(self, prefix: Prefix) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        if self.systemd {
            commands.push(words(&["systemd-tmpfiles", "--create", "aegisbpf.conf"]));
            commands.extend(reloads());
        }
        if self.apparmor {
            commands.push(words(&["apparmor_parser", "-r", APPARMOR_PROFILE]));
        }
        if self.selinux {
            commands.push(words(&["semodule", "-i", &prefix.selinux_module()]));
            let mut restorecon = words(&["restorecon", "-RF"]);
            let there = |path: &&str| !self.live || Path::new(path).exists();
            restorecon.extend(LABELLED.into_iter().filter(there).map(str::to_owned));
            commands.push(restorecon);
        }
        commands
    }

    /// What is to be run before files go.
    pub(super) fn before_removal(self, purge: bool) -> Vec<Vec<String>> {
        let mut commands = Vec::new();
        if self.selinux {
            commands.push(words(&["semodule", "-r", "aegisbpf"]));
        }
        if self.apparmor && purge {
            commands.push(words(&["apparmor_parser", "-R", APPARMOR_PROFILE]));
        }
        commands
    }
}

/// The service manager and the journal read what changed.
pub(super) fn reloads() -> Vec<Vec<String>> {
    vec![words(&["journalctl", "--update-catalog"]), words(&["systemctl", "daemon-reload"])]
}

/// Owned words.
pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Runs a command to its end; what it says is told when it fails.
pub(super) fn run(command: &[String]) -> Ran {
    let shown = command.join(" ");
    let Some((program, args)) = command.split_first() else { return Ran { command: shown, failed: None } };
    let failed = match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(if said.is_empty() { output.status.to_string() } else { said })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("there is no {program}")),
        Err(error) => Some(error.to_string()),
    };
    Ran { command: shown, failed }
}
