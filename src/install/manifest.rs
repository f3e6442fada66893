//! What was installed, so that exactly that can be taken away.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{InstallError, failed};
use crate::{policy::Digest, sys::rooted::Root};

/// Where it is kept.
pub const MANIFEST: &str = "/var/lib/aegisbpf/install.json";

const SCHEMA_VERSION: u32 = 1;
/// Some twenty entries of two hundred bytes; more than this is none of ours.
const MAX_BYTES: u64 = 256 << 10;

/// All files and directories of an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    schema_version: u32,
    /// Of the program.
    pub version: String,
    /// Whether the install came to its end.
    pub complete: bool,
    /// The files.
    pub files: Vec<Entry>,
    /// Directories that were not there before, each behind the one that holds it.
    pub directories: Vec<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Below the root.
    pub path: String,
    /// Of what is in it.
    pub sha256: Digest,
    /// Of what the install before put there, until this one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Whether it is configuration.
    pub conf: bool,
}

impl Entry {
    /// Whether that is what was installed.
    pub fn is(&self, found: &Digest) -> bool {
        *found == self.sha256 || Some(*found) == self.before
    }
}

impl Manifest {
    /// With nothing in it.
    pub fn empty() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            complete: false,
            files: Vec::new(),
            directories: Vec::new(),
        }
    }

    /// With these files instead.
    #[must_use]
    pub fn with_files(self, files: Vec<Entry>) -> Self {
        Self { files, ..self }
    }

    /// The one that is kept; `None`: nothing was installed.
    pub fn read(root: &Root) -> Result<Option<Self>, InstallError> {
        let Some(bytes) = root.read(Path::new(MANIFEST), MAX_BYTES).map_err(failed(MANIFEST, "read"))? else {
            return Ok(None);
        };
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| InstallError::Manifest { why: error.to_string() })?;
        match manifest.fault() {
            None => Ok(Some(manifest)),
            Some(why) => Err(InstallError::Manifest { why }),
        }
    }

    /// Why it is not to be followed: what it says is removed by root.
    fn fault(&self) -> Option<String> {
        if self.schema_version != SCHEMA_VERSION {
            return Some(format!("schema_version {}", self.schema_version));
        }
        let paths = self.files.iter().map(|entry| &entry.path).chain(&self.directories);
        let plain = |path: &str| {
            path.starts_with('/') && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."))
        };
        paths.into_iter().find(|path| !plain(path)).map(|path| format!("the path {path:?}"))
    }

    /// Keeps it.
    pub fn write(&self, root: &Root) -> Result<(), InstallError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| InstallError::Manifest { why: error.to_string() })?;
        text.push(b'\n');
        root.write(Path::new(MANIFEST), &text, 0o600).map_err(failed(MANIFEST, "written"))
    }

    /// Its entry of a path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["etc/passwd", "/etc/../passwd", "/", "//etc", "/etc/", "/etc/./passwd", ""] {
            let manifest = Manifest { directories: vec![path.to_owned()], ..Manifest::empty() };
            assert!(manifest.fault().is_some(), "{path:?}");
        }
        let plain = Manifest { directories: vec!["/usr/local/share".to_owned()], ..Manifest::empty() };
        assert_eq!(plain.fault(), None);
        assert!(Manifest { schema_version: 2, ..plain }.fault().is_some());
    }
}
