//! Where things are, and the rule sets that decide now.

use std::{io, path::PathBuf};

use super::AgentError;
use crate::{
    enforce::{Bank, EnforceError, Enroller, Loaded, Pins},
    kernel::Kernel,
    state::RunDir,
    tier::Tier,
};

/// Where things are.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// Configuration directory.
    pub config: PathBuf,
    /// State directory.
    pub state: PathBuf,
    /// Runtime directory.
    pub run: PathBuf,
    /// BPF file system.
    pub bpffs: PathBuf,
}

/// The rule sets that decide now, whoever made them.
#[derive(Debug)]
pub struct Live {
    /// Control block and rule sets.
    pub bank: Bank,
    /// Set when they are pinned; else they belong to a running agent that only observes.
    pins: Option<Pins>,
    /// That of the pinned programs.
    tier: Option<&'static Tier>,
}

impl Live {
    /// Looks for pins, then for an agent without pins. `None`: nothing is in force.
    pub fn find(dirs: &Dirs) -> Result<Option<Self>, AgentError> {
        if let Some(pinned) = Self::pinned(dirs)? {
            return Ok(Some(pinned));
        }
        let run_dir = RunDir::at(&dirs.run);
        let ids = run_dir.read().filter(|_| run_dir.agent_alive()).map(|status| status.maps);
        match ids {
            Some(ids) if !ids.is_empty() => {
                Ok(Some(Self { bank: Bank::of_agent(&ids)?, pins: None, tier: None }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn pinned(dirs: &Dirs) -> Result<Option<Self>, AgentError> {
        let pins = Pins::below(&dirs.bpffs);
        pins.check()?;
        Ok(pins.look()?.map(|pinned| Self { bank: pinned.bank, pins: Some(pins), tier: pinned.tier }))
    }

    /// Where the programs are pinned.
    pub(super) fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }

    /// Looks at paths as the programs see them.
    pub fn enroller(&self, kernel: &Kernel) -> Result<Enroller, AgentError> {
        let Some(pins) = &self.pins else { return Ok(Enroller::without()) };
        match (Enroller::attach(kernel, pins.enrolment()?), self.tier) {
            // Before v5.13 (f3a95075549e) a program that was attached once is not attached again.
            (Err(EnforceError::HookRefused { source, .. }), Some(tier))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                let loaded = Loaded::new(kernel, tier, Some(pins))?;
                Ok(Enroller::new(kernel, tier, &loaded)?)
            }
            (other, _) => Ok(other?),
        }
    }
}
