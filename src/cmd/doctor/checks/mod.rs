//! The checks. What each is and why it matters is in `checks.toml`; here is what it finds, and what mends that.

mod agent;
mod confinement;
mod files;
mod host;
mod packaging;
mod pins;
mod policy;
mod probes;

use super::{Check, Facts, Outcome, Possible};
use crate::kernel;

/// What a check is, as `checks.toml` says.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Stable id.
    pub id: &'static str,
    /// Where it belongs.
    pub group: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// Why it matters when it is not ok.
    pub why: &'static str,
    /// For whoever wants to know more.
    pub more: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/checks.rs"));

/// What a check found.
struct Finding {
    result: Outcome,
    evidence: String,
    causes: Vec<Possible>,
    fix: Vec<String>,
}

impl Finding {
    fn new(result: Outcome, evidence: impl Into<String>) -> Self {
        Self { result, evidence: evidence.into(), causes: Vec::new(), fix: Vec::new() }
    }

    fn ok(evidence: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, evidence)
    }

    fn warn(evidence: impl Into<String>) -> Self {
        Self::new(Outcome::Warn, evidence)
    }

    fn fail(evidence: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, evidence)
    }

    fn unknown(evidence: impl Into<String>) -> Self {
        Self::new(Outcome::Unknown, evidence)
    }

    fn skip(evidence: impl Into<String>) -> Self {
        Self::new(Outcome::Skip, evidence)
    }

    /// Names the causes. Mending the first that was found mends it; of those that are only possible, each may.
    fn blame(&mut self, causes: Vec<kernel::Finding>) {
        let enough = if causes.first().is_some_and(|first| first.found) { 1 } else { causes.len() };
        self.fix.extend(causes.iter().take(enough).map(|one| one.cause.mend().to_owned()));
        self.causes.extend(causes.into_iter().map(Possible::from));
    }

    /// Adds a command that mends it.
    fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }
}

type Examine = fn(&Facts<'_>) -> Finding;

/// Every check by its id, in the order of `checks.toml`.
const EXAMINE: [(&str, Examine); 66] = [
    ("K001", host::release),
    ("K002", host::lsm_list),
    ("K003", host::lsm_built_in),
    ("K004", host::one_list),
    ("K005", host::lockdown),
    ("K006", host::unprivileged),
    ("K007", host::jit),
    ("K008", host::tracing),
    ("B001", probes::map),
    ("B002", probes::ringbuf),
    ("B003", probes::identity),
    ("B004", probes::btf),
    ("B005", probes::reaches_kernel),
    ("B006", probes::locked_memory),
    ("B007", probes::btrfs_types),
    ("L001", probes::lsm_load),
    ("L002", probes::lsm_effect),
    ("L003", probes::fmod_ret_load),
    ("L004", probes::fmod_ret_effect),
    ("L005", probes::enforcing_tier),
    ("T001", probes::tracepoint_load),
    ("T002", probes::tracepoint_attach),
    ("C001", confinement::capabilities),
    ("C002", confinement::bounding_set),
    ("C003", confinement::seccomp),
    ("C004", confinement::no_new_privs),
    ("C005", confinement::user_namespace),
    ("C006", confinement::apparmor),
    ("C007", confinement::selinux),
    ("C008", confinement::pid_namespace),
    ("C009", confinement::landlock),
    ("F001", probes::bpffs),
    ("F002", files::cgroup),
    ("F003", files::bpffs_owner),
    ("F004", files::cgroup_layout),
    ("F005", files::securityfs),
    ("F006", files::config_dir),
    ("F007", files::state_dir),
    ("F008", files::run_dir),
    ("N001", pins::programs),
    ("N002", pins::other_versions),
    ("N003", pins::modes),
    ("N004", pins::skipped),
    ("D001", agent::agent),
    ("D002", agent::agrees),
    ("D003", agent::state_file),
    ("D004", agent::proofs),
    ("D005", agent::hooks),
    ("D006", agent::break_glass),
    ("D007", agent::boot_switches),
    ("D008", agent::sandbox),
    ("D009", agent::events),
    ("R001", policy::file),
    ("R002", policy::warnings),
    ("R003", policy::signature),
    ("R004", policy::keys),
    ("R005", policy::key_times),
    ("R006", policy::times),
    ("R007", policy::generations),
    ("R008", policy::in_force),
    ("R009", policy::clock),
    ("R010", policy::audit_log),
    ("U001", packaging::program),
    ("U002", packaging::copies),
    ("U003", packaging::unit),
    ("U004", packaging::enabled),
];

/// Runs the checks that are wanted.
pub(super) fn all(facts: &Facts<'_>, wanted: impl Fn(&About) -> bool) -> Vec<Check> {
    let run = |(about, (_, examine)): (&About, &(&str, Examine))| {
        let Finding { result, evidence, causes, fix } = examine(facts);
        let bad = !matches!(result, Outcome::Ok | Outcome::Skip);
        let (id, group, title) = (about.id, about.group, about.title);
        Check { id, group, title, result, evidence, why: bad.then_some(about.why), causes, fix }
    };
    CHECKS.iter().zip(&EXAMINE).filter(|(about, _)| wanted(about)).map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_described_once() {
        let described: Vec<&str> = CHECKS.iter().map(|about| about.id).collect();
        let examined: Vec<&str> = EXAMINE.iter().map(|(id, _)| *id).collect();
        assert_eq!(described, examined);
    }
}
