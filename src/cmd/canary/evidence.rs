//! The evidence: a directory that nobody else reads, made for one canary.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf, absolute},
    process::{Command, Stdio},
    time::SystemTime,
};

use serde::Serialize;

use crate::{
    cli::Places,
    cmd,
    event::rfc3339,
    exit::{Exit, Failure},
};

/// This binary, whatever has become of its name.
pub(super) const OURSELVES: &str = "/proc/self/exe";

/// A directory of the evidence.
#[derive(Clone, Debug)]
pub(super) struct Evidence(PathBuf);

impl Evidence {
    /// Makes it. What is there already is the evidence of something else.
    pub(super) fn make(out: Option<&Path>) -> Result<Self, Failure> {
        let dir = match out {
            Some(out) => out.to_owned(),
            None => default_name().into(),
        };
        let made = absolute(&dir).and_then(|dir| private_dir(&dir).map(|()| dir));
        made.map(Self).map_err(|error| {
            let shown = io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    Failure::new(Exit::Usage, shown).hint("evidence is not overwritten: name another --out")
                }
                io::ErrorKind::PermissionDenied => Failure::new(Exit::Privilege, shown)
                    .hint("name a directory in a place of your own with --out"),
                _ => Failure::new(Exit::Io, shown)
                    .hint("--out names a directory to make, in one that is there"),
            }
        })
    }

    /// One that is there.
    pub(super) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A directory in it.
    pub(super) fn below(&self, name: &str) -> Result<Self, Failure> {
        let dir = self.0.join(name);
        private_dir(&dir).map_err(failed(&dir))?;
        Ok(Self(dir))
    }

    /// A new file in it.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        let path = self.0.join(name);
        File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(failed(&path))
    }

    /// A new file with that content.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.create(name)?.write_all(bytes).map_err(failed(&self.0.join(name)))
    }

    /// A new file with a value as JSON.
    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.write(name, cmd::json_text(value)?.as_bytes())
    }

    /// What a command of ours prints, as a new file. Its exit code is in what it prints, where it matters.
    pub(super) fn capture(&self, places: &Places, args: &[&str], name: &str) -> Result<(), Failure> {
        let out = self.create(name)?;
        let status = ourselves(places, args).stdout(out).stderr(Stdio::null()).status();
        status.map(drop).map_err(failed(&self.0.join(name)))
    }
}

/// A command of ours, in the same places.
pub(super) fn ourselves(places: &Places, args: &[&str]) -> Command {
    let Places { config_dir, state_dir, run_dir, bpffs } = places;
    let mut command = Command::new(OURSELVES);
    command.args(args).stdin(Stdio::null());
    for (flag, dir) in
        [("--config-dir", config_dir), ("--state-dir", state_dir), ("--run-dir", run_dir), ("--bpffs", bpffs)]
    {
        command.arg(flag).arg(dir);
    }
    command
}

/// What went wrong with a file of the evidence.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| {
        Failure::new(Exit::Io, format!("{}: {error}", path.display()))
            .hint("the evidence is not complete; --out names another place for it")
    }
}

fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)?;
    // Whatever the umask.
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
}

fn default_name() -> String {
    let now = rfc3339(SystemTime::now());
    let seconds = now.split('.').next().unwrap_or_default();
    format!("aegisbpf-canary-{}Z", seconds.replace([':', '-'], ""))
}
