//! The checks, and which of them make up a row.

mod agent;
#[cfg(target_arch = "x86_64")]
mod alerts;
mod apparmor;
mod bench;
mod boots;
mod bound;
mod canary;
mod container;
mod diagnose;
mod doctor;
#[cfg(target_arch = "x86_64")]
mod drill;
mod enforce;
#[cfg(target_arch = "x86_64")]
mod events;
mod failures;
#[cfg(target_arch = "x86_64")]
mod figures;
mod filesystems;
#[cfg(target_arch = "x86_64")]
mod flood;
mod glass;
#[cfg(target_arch = "x86_64")]
mod guard;
mod ledger;
mod life;
#[cfg(target_arch = "x86_64")]
mod load;
mod partial;
mod policy;
mod privileges;
#[cfg(target_arch = "x86_64")]
mod proof;
#[cfg(target_arch = "x86_64")]
mod readme;
mod refusals;
mod rig;
#[cfg(target_arch = "x86_64")]
mod sandbox;
mod selinux;
#[cfg(target_arch = "x86_64")]
mod signed;
mod smoke;
mod subject;
mod surface;
#[cfg(target_arch = "x86_64")]
mod unit;
mod untrampolined;
#[cfg(target_arch = "x86_64")]
mod upgrade;
mod vectors;
mod verifier;

pub(crate) use self::bench::measured;
use crate::boot::Boot;
use crate::run::{CmdError, Outcome};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// What a check knows about its boot.
#[derive(Debug)]
pub(crate) struct Ctx {
    /// The kernel command line.
    pub(crate) boot: Boot,
    /// The id of the check that runs.
    pub(crate) running: &'static str,
}

/// One check. The id is unique in its row, has no spaces, and stays the same for as long as it means the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) id: &'static str,
    pub(crate) run: fn(&Ctx) -> Result<(), CheckError>,
}

/// What a check saw instead of what it wanted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum CheckError {
    /// A command has no outcome.
    #[error(transparent)]
    Command(#[from] CmdError),
    /// A command ended with another status than it should.
    #[error("`{}` exits with {}, wanted {want}; stdout: {:?}; stderr: {:?}", outcome.command, outcome.code(), outcome.stdout, outcome.stderr)]
    Status { want: i32, outcome: Box<Outcome> },
    /// A file could not be read, written or made.
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Something is not as it should be.
    #[error("{what}: wanted {want}, got {got}")]
    Differs { what: &'static str, want: String, got: String },
}

/// The checks of a row; `None` for a name that no row has.
pub(crate) fn row(name: &str) -> Option<Vec<Check>> {
    match name {
        // Those that make a tier what it is, for architectures that a kernel is emulated slowly for.
        "tier" => Some(
            [smoke::CHECKS.as_slice(), &enforce::OF_A_TIER, &verifier::CHECKS, &surface::checks()].concat(),
        ),
        "no-trampolines" => {
            Some([smoke::CHECKS.as_slice(), &untrampolined::CHECKS, &surface::traced()].concat())
        }
        name => of_x86_64(name),
    }
}

/// Those of the self-guard.
#[cfg(target_arch = "x86_64")]
fn guard_checks() -> &'static [Check] {
    &guard::CHECKS
}

#[cfg(not(target_arch = "x86_64"))]
fn guard_checks() -> &'static [Check] {
    &[]
}

#[cfg(not(target_arch = "x86_64"))]
fn of_x86_64(_: &str) -> Option<Vec<Check>> {
    None
}

#[cfg(target_arch = "x86_64")]
fn of_x86_64(name: &str) -> Option<Vec<Check>> {
    match name {
        "rig" => Some([smoke::CHECKS.as_slice(), &rig::CHECKS].concat()),
        "enforce" => Some(
            [
                smoke::CHECKS.as_slice(),
                // First: what is mounted and loaded later is not of the host that is reported.
                &doctor::OF_A_ROW,
                &enforce::OF_A_TIER,
                &enforce::CLAIMS,
                &filesystems::CHECKS,
                &life::CHECKS,
                &policy::CHECKS,
                &vectors::CHECKS,
                &signed::CHECKS,
                &subject::CHECKS,
                &surface::checks(),
                &refusals::CHECKS,
                &verifier::CHECKS,
            ]
            .concat(),
        ),
        "trace" => Some([smoke::CHECKS.as_slice(), &doctor::TRACED, &surface::traced()].concat()),
        "operate" => Some(
            [
                smoke::CHECKS.as_slice(),
                &readme::CHECKS,
                &proof::CHECKS,
                &ledger::CHECKS,
                &glass::CHECKS,
                &signed::DRILLS,
                &doctor::CHECKS,
                &container::CHECKS,
            ]
            .concat(),
        ),
        "events" => Some(
            [
                smoke::CHECKS.as_slice(),
                &flood::KINDS,
                &figures::CHECKS,
                &alerts::CHECKS,
                &diagnose::CHECKS,
                &events::CHECKS,
                &canary::CHECKS,
            ]
            .concat(),
        ),
        "guard" => Some([smoke::CHECKS.as_slice(), &guard::CHECKS].concat()),
        "partial" => Some([smoke::CHECKS.as_slice(), &partial::checks()].concat()),
        "failures" => Some([smoke::CHECKS.to_vec(), failures::checks()].concat()),
        "systemd" => Some(unit::checks()),
        "package" => Some(unit::packages()),
        "drill" => Some([smoke::CHECKS.as_slice(), &sandbox::CHECKS, &drill::checks()].concat()),
        "privileges" => Some([smoke::CHECKS.to_vec(), privileges::checks()].concat()),
        "apparmor" => Some([smoke::CHECKS.to_vec(), apparmor::checks()].concat()),
        "selinux" => Some([smoke::CHECKS.to_vec(), selinux::checks()].concat()),
        "swaps" => Some(load::SWAPS.to_vec()),
        "load" => Some([smoke::CHECKS.as_slice(), &flood::CHECKS].concat()),
        "off" => Some(boots::OFF.to_vec()),
        "audit" => Some(boots::AUDIT.to_vec()),
        "reboot" => Some(boots::REBOOT.to_vec()),
        "bench" => Some(bench::DAILY.to_vec()),
        "costs" => Some(bench::COSTS.to_vec()),
        "costs-trace" => Some(bench::TRACED.to_vec()),
        "peers" => Some(bench::PEERS.to_vec()),
        "upgrade" => Some(upgrade::CHECKS.to_vec()),
        "counted" => Some(load::COUNTED.to_vec()),
        _ => None,
    }
}
