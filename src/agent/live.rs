//! Where things are, and the rule sets that decide now.

use std::path::PathBuf;

use super::AgentError;
use crate::{
    enforce::{Bank, Enroller, Pins},
    kernel::Kernel,
    state::RunDir,
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
            Some(ids) if !ids.is_empty() => Ok(Some(Self { bank: Bank::of_agent(&ids)?, pins: None })),
            _ => Ok(None),
        }
    }

    pub(super) fn pinned(dirs: &Dirs) -> Result<Option<Self>, AgentError> {
        let pins = Pins::below(&dirs.bpffs);
        pins.check()?;
        Ok(pins.look()?.map(|pinned| Self { bank: pinned.bank, pins: Some(pins) }))
    }

    /// Where the programs are pinned.
    pub(super) fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }

    /// Looks at paths as the programs see them.
    pub fn enroller(&self, kernel: &Kernel) -> Result<Enroller, AgentError> {
        let Some(pins) = &self.pins else { return Ok(Enroller::without()) };
        Ok(Enroller::with(kernel, pins.enrolment()?)?)
    }
}
