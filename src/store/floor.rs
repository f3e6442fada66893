//! What only grows: the highest policy version that was accepted, and the latest time that was seen.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{MAX_RECORD, SCHEMA_VERSION, Store, StoreError, replace};

/// What only grows. The kernel has the same while something is pinned; the higher one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The highest `policy_version=` that was accepted; 0: none.
    pub policy_version: u64,
    /// The latest time that was seen, seconds since 1970.
    pub last_seen: u64,
}

impl Floor {
    /// The higher one of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            policy_version: self.policy_version.max(other.policy_version),
            last_seen: self.last_seen.max(other.last_seen),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    schema_version: u32,
    #[serde(flatten)]
    floor: Floor,
}

impl Store {
    fn floor_path(&self) -> PathBuf {
        self.dir.join("floor.json")
    }

    /// What is kept of it; zeros when nothing is.
    pub fn floor(&self) -> Result<Floor, StoreError> {
        let path = self.floor_path();
        let Some(bytes) = Self::read(path.clone(), MAX_RECORD)? else { return Ok(Floor::default()) };
        let kept: Kept =
            serde_json::from_slice(&bytes).map_err(|source| StoreError::Record { path, source })?;
        Ok(kept.floor)
    }

    /// Keeps it. The caller has the lock of the audit log.
    pub fn keep_floor(&self, floor: Floor) -> Result<(), StoreError> {
        let path = self.floor_path();
        let json = serde_json::to_vec(&Kept { schema_version: SCHEMA_VERSION, floor });
        replace(&path, &json.map_err(|source| StoreError::Record { path: path.clone(), source })?)
    }
}
