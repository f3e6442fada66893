//! `aegisbpf keys …`

mod change;
mod check;
mod generate;
mod list;

use std::{io, path::PathBuf, time::SystemTime};

use crate::{
    agent,
    cli::{KeysCommand, Places},
    exit::{Exit, Failure},
    provenance::{KeyFileError, KeyringError, SecretError, TrustError},
};

/// Runs the command.
pub(super) fn run(command: &KeysCommand, places: &Places) -> Result<Exit, Failure> {
    match command {
        KeysCommand::Generate(args) => generate::generate(args),
        KeysCommand::Add(args) => change::add(args, places),
        KeysCommand::Revoke(args) => change::revoke(args, places),
        KeysCommand::Check(args) => check::check(*args, places),
        KeysCommand::List(args) => list::list(*args, places),
    }
}

/// Where it stands who is trusted.
fn directory(places: &Places) -> PathBuf {
    places.config_dir.join(agent::KEYS)
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        Self::new(Exit::Trust, error).hint(
            "the files and directories have to belong to root, and nobody else may be able to write them",
        )
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        let is_denied = |source: &io::Error| source.kind() == io::ErrorKind::PermissionDenied;
        match error {
            KeyringError::Trust(TrustError::Unreadable { source, path }) if is_denied(&source) => {
                Self::new(Exit::Privilege, TrustError::Unreadable { source, path }).hint(AS_ROOT)
            }
            KeyringError::Trust(error) => error.into(),
            KeyringError::Busy { .. } => Self::new(Exit::Busy, error).hint("try again; nothing was changed"),
            KeyringError::Unwritable { ref source, .. } if is_denied(source) => {
                Self::new(Exit::Privilege, error).hint(AS_ROOT)
            }
            KeyringError::Unwritable { .. } => Self::new(Exit::Io, error).hint("nothing was changed"),
            KeyringError::Revoked { .. } => Self::new(Exit::Trust, error)
                .hint("make another key with `aegisbpf keys generate`; a key that is lost stays lost"),
            KeyringError::Taken { .. } => {
                Self::new(Exit::Input, error).hint("change that line for other terms; nothing was changed")
            }
        }
    }
}

const AS_ROOT: &str = "run it as root, or name a directory of your own with --config-dir";

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        match &error {
            KeyFileError::Unwritable { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::new(Exit::Io, error)
                    .hint("no key is ever overwritten, and a signature only with --force")
            }
            KeyFileError::Unreadable { .. } | KeyFileError::Unwritable { .. } => Self::new(Exit::Io, error),
            KeyFileError::Exposed { path, .. } => {
                let hint = format!(
                    "`chmod 600 {}`; a key that others could read is better replaced",
                    path.display()
                );
                Self::new(Exit::Trust, error).hint(hint)
            }
            KeyFileError::Secret { path, source: SecretError::Encrypted } => {
                let hint = format!(
                    "`ssh-keygen -Y sign -n {} -f {} FILE` asks for it, and makes the same signature",
                    crate::provenance::NAMESPACE,
                    path.display()
                );
                Self::new(Exit::Input, error).hint(hint)
            }
            _ => Self::new(Exit::Input, error),
        }
    }
}
