//! The policy language: bytes in, a [`Policy`] or [`Diagnostic`]s out.
//!
//! This module reads no file and asks no kernel: what a rule means on a host (does the path exist, is it a symbolic
//! link, which inode is it) is found out elsewhere and reported with the same diagnostics. The language is described
//! in `docs/POLICY_LANGUAGE.md`.

mod code;
pub mod critical;
mod diagnostic;
mod digest;
mod edit;
mod entries;
mod fault;
mod fix;
mod grammar;
mod host;
pub mod limits;
mod lint;
mod operands;
mod path;
mod print;
mod reader;
mod report;
mod settings;
mod suggest;
mod text;
mod time;
mod types;

pub use code::{Code, Severity};
pub use diagnostic::{Diagnostic, locate, render, visible};
pub use digest::{Digest, NoDigest};
pub use edit::{Edits, cgroup_entry};
pub use host::HostPattern;
pub use print::print;
pub use suggest::nearest;
pub use text::{escape, quote};
pub use time::Timestamp;
pub use types::{CgroupEntry, CgroupRef, Device, InodeRule, Ops, PathRule, Policy, Settings};

/// Reads a policy.
///
/// All faults are reported, up to [`limits::DIAGNOSTICS`] errors and as many warnings, in the order of the lines. With
/// an error there is no policy; the warnings of an accepted one come with it.
pub fn parse(bytes: &[u8]) -> Result<(Policy, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut reader = reader::Reader::default();
    reader.read(bytes);
    let reader::Reader { policy, mut report, .. } = reader;
    if !report.has_errors() {
        lint::check(&policy, &mut report);
    }
    let refused = report.has_errors();
    let diagnostics = report.finish(bytes);
    if refused { Err(diagnostics) } else { Ok((policy, diagnostics)) }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
