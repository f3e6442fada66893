//! Landlock: the files, sockets and processes that are left.

use std::{fmt, path::Path};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, Scope, make_bitflags,
};

use super::ConfineError;

/// The newest ABI whose rights this version knows (kernel v7.2). All of them are refused but for what stands below.
const NEWEST: ABI = ABI::V10;

/// What each ABI after the first took in; an older kernel's domain has no say in it.
const SINCE: [(ABI, &str); 6] = [
    (ABI::V3, "truncating"),
    (ABI::V4, "TCP"),
    (ABI::V5, "ioctls on devices"),
    (ABI::V6, "signals and abstract sockets"),
    (ABI::V9, "named sockets"),
    (ABI::V10, "UDP"),
];

/// In the state and runtime directories: the state file, the audit log, what is on record of policies, and removing the
/// canaries at the end. Nothing is moved between directories, and no directory, link or device is made.
pub(super) const OF_AGENT: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile | RemoveDir
});

/// In the directory of a file of events: beginning one, and taking back half a line. Nothing there is read or removed.
pub(super) const OF_LOGS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ WriteFile | Truncate | MakeReg });

/// In the directory of the canaries: what hooks are asked about. One of the canaries is a program.
pub(super) const OF_HELPER: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    Execute | ReadFile | WriteFile | Truncate | MakeReg | MakeDir | MakeFifo | MakeSym | RemoveFile | RemoveDir
});

/// What was achieved, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// A domain of this ABI.
    Of(ABI),
    /// Not among the active LSMs.
    Off,
    /// The kernel has none.
    Absent,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abi = match *self {
            Self::Of(abi) => abi,
            Self::Off => return f.write_str("no landlock (`lsm=` leaves it out)"),
            Self::Absent => return f.write_str("no landlock (not in this kernel)"),
        };
        write!(f, "landlock ABI {} of {}", abi as i32, NEWEST as i32)?;
        let lacking: Vec<&str> =
            SINCE.iter().filter(|(since, _)| *since > abi).map(|(_, what)| *what).collect();
        if lacking.is_empty() { Ok(()) } else { write!(f, " (no say in {})", lacking.join(", ")) }
    }
}

/// Nothing is left to this thread but these rights in these directories: no other file can be opened, made, changed or
/// executed, no socket bound or connected, and nobody outside signalled.
pub(super) fn enter(directories: &[(&Path, BitFlags<AccessFs>)]) -> Result<Level, ConfineError> {
    let mut rules = Ruleset::default()
        // Best effort is right here: an older kernel's narrower domain is still narrower than none, and it is reported.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (path, rights) in directories.iter().filter(|(path, _)| path.is_dir()) {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, *rights))?;
    }
    Ok(match rules.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, .. } => Level::Of(effective_abi),
        LandlockStatus::NotEnabled => Level::Off,
        LandlockStatus::NotImplemented => Level::Absent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_says_what_it_has_no_say_in() {
        assert_eq!(Level::Of(ABI::V10).to_string(), "landlock ABI 10 of 10");
        assert_eq!(Level::Of(ABI::V6).to_string(), "landlock ABI 6 of 10 (no say in named sockets, UDP)");
        let oldest = Level::Of(ABI::V1).to_string();
        assert!(oldest.contains("truncating, TCP, ioctls on devices, signals"), "{oldest}");
    }

    #[test]
    fn an_agent_executes_nothing_and_makes_nothing_but_files() {
        let made = AccessFs::from_all(NEWEST) & !OF_AGENT;
        assert!(
            made.contains(AccessFs::Execute | AccessFs::MakeDir | AccessFs::MakeSym | AccessFs::MakeBlock)
        );
        assert!(!OF_LOGS.intersects(AccessFs::ReadFile | AccessFs::RemoveFile | made));
        assert!(!OF_HELPER.contains(AccessFs::MakeBlock) && !OF_HELPER.contains(AccessFs::MakeChar));
    }
}
