//! The kernel side: programs, maps, pins, rules, proofs, events. The only user of aya.

mod ask;
mod bank;
mod canary;
mod drill;
mod enrol;
mod fill;
mod filter;
mod foreign;
mod ledger;
mod object;
mod pins;
mod proof;
mod reader;
mod seal;
mod self_guard;
mod sizes;

use std::{io, path::PathBuf};

pub use self::{
    ask::Answer,
    bank::{Bank, Held, InForce, Pending, Staged},
    enrol::{Enroller, Enrolment, cgroup_root, find_cgroup},
    ledger::{Ledger, Page},
    object::{Attached, Loaded, Missing},
    pins::{Pinned, Pins},
    proof::{HookProof, Outcome, Prover},
    reader::{Counters, Kept, Reader},
    seal::Seals,
    sizes::MapSize,
};
pub use crate::sys::bpf::Effort;
use crate::{
    kernel::{Identity, Kernel},
    sys::bpf::LoadError,
};

/// What was tried with a map that is known by its id alone.
pub const BY_ID: &str = "opened by its id";

/// What can go wrong on the kernel side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnforceError {
    /// A required hook could not be had; nothing is attached.
    #[error("the hook {hook} could not be loaded")]
    HookNotLoaded {
        /// The hook.
        hook: &'static str,
        /// The kernel's answer.
        #[source]
        source: LoadError,
    },
    /// A required hook could not be had; nothing is attached.
    #[error("the hook {hook} could not be attached")]
    HookRefused {
        /// The hook.
        hook: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel has no such function.
    #[error("this kernel has no function {target}, which the hook {hook} needs")]
    NoTarget {
        /// The hook.
        hook: &'static str,
        /// The function.
        target: &'static str,
    },
    /// The kernel's type information cannot be used.
    #[error("the kernel's type information cannot be used")]
    Btf(#[from] aya_obj::btf::BtfError),
    /// The kernel does not take the types of the embedded programs.
    #[error("the kernel refused the types of the embedded programs")]
    Types(#[source] io::Error),
    /// The embedded programs do not fit this kernel.
    #[error("the embedded programs could not be fitted to this kernel")]
    Relocate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The embedded object lacks a part.
    #[error("the embedded object has no {0}")]
    Embedded(&'static str),
    /// A map could not be made, filled or read.
    #[error("the map {map} could not be {action}")]
    Map {
        /// The map.
        map: String,
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// What was read back from the kernel is not what was written.
    #[error("the map {map} does not hold what was written to it")]
    ReadBack {
        /// The map.
        map: &'static str,
    },
    /// A pin could not be made, opened, moved or removed.
    #[error("{}: the pin could not be {action}", .path.display())]
    Pin {
        /// The pin.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Pinned state that this version cannot take over.
    #[error("{}: {reason}", .path.display())]
    Incompatible {
        /// The pin.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The self-guard keeps it from this program.
    #[error("{}: the self-guard keeps it from every program but the enrolled one, which this is not", .path.display())]
    Guarded {
        /// The pin.
        path: PathBuf,
    },
    /// Something of others lies among our pins.
    #[error("{}: this is not a pin of ours", .path.display())]
    Foreign {
        /// It.
        path: PathBuf,
    },
    /// The enrolment program did not tell; or others enrolled all the time.
    #[error("the kernel did not report what {} is", .path.display())]
    NotRecorded {
        /// The path.
        path: PathBuf,
    },
    /// A path could not be looked at.
    #[error("{}", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// No cgroup v2 hierarchy is mounted.
    #[error("no cgroup v2 hierarchy is mounted")]
    NoCgroup2,
    /// The canaries could not be set up.
    #[error("the proof could not be prepared: {step}")]
    Proof {
        /// The step.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// This process as the first pid namespace numbers it, which is how the programs see it.
pub fn own_id(kernel: &Kernel) -> Result<u32, EnforceError> {
    let id = kernel.identity().and_then(Identity::of_this_thread);
    id.map_err(|source| EnforceError::Proof { step: "asking for this process's id", source })
}
