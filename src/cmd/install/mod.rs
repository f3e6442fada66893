//! `aegisbpf install` and `aegisbpf uninstall`

mod put;
mod system;
mod take;

pub(super) use self::{put::install, take::uninstall};

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use self::system::Ran;
use crate::{
    exit::{self, Exit, Failure},
    install::{Action, Deed, InstallError},
};

/// What was done, or would be.
#[derive(Serialize)]
struct Report {
    schema_version: u32,
    /// Of what is installed, or was.
    version: String,
    /// Whether nothing was done.
    dry_run: bool,
    files: Vec<Deed>,
    /// Programs that were run for it.
    ran: Vec<Ran>,
    /// What is worth knowing.
    notes: Vec<String>,
    /// What is left to do.
    next: Vec<String>,
}

impl Report {
    /// Prints it; what failed beside the files themselves is a negative answer.
    fn print(&self, head: &str, json: bool) -> Result<Exit, Failure> {
        if json {
            super::print_json(self)?;
        } else {
            super::print(&self.text(head))?;
        }
        for ran in &self.ran {
            if let Some(why) = &ran.failed {
                exit::note(&format!("`{}` failed: {why}", ran.command));
            }
        }
        let failed = self.ran.iter().any(|ran| ran.failed.is_some());
        Ok(if failed { Exit::Negative } else { Exit::Done })
    }

    fn text(&self, head: &str) -> String {
        let changes = self.files.iter().filter(|deed| deed.action.changes()).count();
        let would = if self.dry_run { " (nothing is done yet)" } else { "" };
        let mut lines = vec![format!("{head}: {changes} of {} files change{would}", self.files.len())];
        let others = self.files.iter().filter(|deed| deed.action != Action::Same);
        lines.extend(others.map(|Deed { path, action }| format!("  {path}: {}", action.word())));
        let ran = self.ran.iter().filter(|ran| ran.failed.is_none());
        lines.extend(ran.map(|ran| format!("ran `{}`", ran.command)));
        lines.extend(self.notes.iter().map(|line| format!("note: {line}")));
        lines.extend(self.next.iter().map(|line| format!("next: {line}")));
        lines.join("\n") + "\n"
    }
}

/// The directory that stands for the root, and whether that is the root of this host.
fn place(given: Option<&Path>) -> (PathBuf, bool) {
    match given {
        Some(path) => (path.to_owned(), path.canonicalize().is_ok_and(|path| path == Path::new("/"))),
        None => ("/".into(), true),
    }
}

/// Of this host only root changes anything.
fn allowed(live: bool, dry_run: bool) -> Result<(), Failure> {
    if !live || dry_run || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(Exit::Privilege, "only root installs on this host and removes from it")
        .hint("run it as root; `--dry-run` shows what would be done, and `--root DIR` does it in a directory of yours"))
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        match &error {
            InstallError::InTheWay { .. } => Self::new(Exit::Input, error).hint(
                "a package put it there, or somebody by hand: remove the package, or move the file away",
            ),
            InstallError::Manifest { .. } => Self::new(Exit::Incompatible, error).hint(
                "use the version that wrote it; or move it away, and what it lists is nobody's any more",
            ),
            InstallError::ReadOnly => Self::new(Exit::Io, error).hint(
                "make one of them writable, or install into the image that this host boots, with --root",
            ),
            InstallError::File { source, .. } | InstallError::Root { source, .. } => {
                let hint = hint(source);
                let denied = source.kind() == io::ErrorKind::PermissionDenied;
                Self::new(if denied { Exit::Privilege } else { Exit::Io }, error).hint(hint)
            }
        }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOSYS) => {
            "openat2(2) keeps names below the root: it takes Linux 5.6, and no filter that refuses it"
        }
        Some(libc::EACCES | libc::EPERM) => {
            "run it as root; where the profile of AppArmor confines it: `aa-exec -p unconfined -- aegisbpf …`"
        }
        Some(libc::ELOOP | libc::EEXIST | libc::ENOTDIR) => {
            "something else than a directory stands on the way there: look at it, and move it away"
        }
        _ => "what was done so far is on record: run the same again to end it, or `aegisbpf uninstall`",
    }
}
