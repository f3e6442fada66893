//! One tier set up for one policy: loaded, attached, proven, applied.

use std::{path::Path, sync::atomic::Ordering};

use super::{AgentError, Source};
use crate::{
    abi,
    enforce::{self, Attached, Counters, Enroller, HookProof, Loaded, Outcome, Pins, Prover},
    kernel::{Kernel, errno_name},
    plan::{self, Cgroups},
    policy::{CgroupEntry, CgroupRef},
    tier::{Hook, Mode, Tier},
};

/// What is to be set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The tier.
    pub tier: &'static Tier,
    /// The mode.
    pub mode: Mode,
    /// Whether paths that do not exist are accepted.
    pub allow_missing: bool,
    /// Whether a missing optional hook is a failure.
    pub strict: bool,
    /// Whether enforcement begins suspended.
    pub break_glass: bool,
    /// Where to pin, and what to take over; `None`: everything ends with this process.
    pub pins: Option<&'a Pins>,
    /// Directories for canaries, the preferred one first.
    pub canary_dirs: &'a [&'a Path],
}

/// A tier at work.
#[derive(Debug)]
pub struct Guard {
    /// The tier.
    pub tier: &'static Tier,
    /// Programs and maps.
    pub loaded: Loaded,
    /// The attached hooks.
    pub attached: Vec<Attached>,
    /// Optional hooks that did not attach.
    pub missing: Vec<&'static Hook>,
    /// Generation of the policy.
    pub generation: u64,
    /// Results of the last proof, one for each attached hook of an enforcing tier.
    pub proofs: Vec<HookProof>,
    /// Paths of the policy that do not exist.
    pub absent: usize,
    prover: Option<Prover>,
}

impl Guard {
    /// Sets up everything, or leaves everything as it was.
    pub fn start(kernel: &Kernel, setup: &Setup<'_>, source: &Source) -> Result<Self, AgentError> {
        let Setup { tier, mode, pins, .. } = *setup;
        if let Some(pins) = pins {
            pins.check()?;
        }
        let loaded = Loaded::new(kernel, tier, pins)?;
        let enroller = Enroller::new(kernel, tier, &loaded)?;
        let prover =
            tier.enforces().then(|| Prover::new(kernel, &enroller, setup.canary_dirs)).transpose()?;
        let (rules, absent) = resolve(&enroller, source, setup.allow_missing)?;
        drop(enroller);
        let (attached, missing) = loaded.attach(kernel, tier)?;
        if setup.strict && !missing.is_empty() {
            return Err(AgentError::Partial { hooks: missing.iter().map(|hook| hook.name).collect() });
        }
        let mut guard =
            Self { tier, loaded, attached, missing, generation: 0, proofs: Vec::new(), absent, prover };
        guard.prove()?;
        guard.set_break_glass(setup.break_glass);
        guard.generation = guard.loaded.apply(tier.attach, &rules)?;
        guard.set_mode(mode);
        if let Some(pins) = pins {
            pins.keep(&guard.loaded, &guard.attached)?;
        }
        Ok(guard)
    }

    /// Puts every attached hook of an enforcing tier to the test. Fails when one did not refuse.
    pub fn prove(&mut self) -> Result<(), AgentError> {
        let Some(prover) = &mut self.prover else { return Ok(()) };
        let hooks: Vec<&'static Hook> = self.attached.iter().map(|one| one.hook).collect();
        self.proofs = prover.prove(&self.loaded.control, &hooks);
        let failed: Vec<String> =
            self.proofs.iter().filter(|proof| proof.outcome != Outcome::Refused).map(describe).collect();
        if failed.is_empty() { Ok(()) } else { Err(AgentError::NotProven(failed)) }
    }

    /// Whether denied operations are refused: in enforce mode, not suspended, every attached hook proven.
    pub fn enforcing(&self) -> bool {
        let control = &self.loaded.control;
        !self.proofs.is_empty()
            && self.proofs.iter().all(|proof| proof.outcome == Outcome::Refused)
            && control.mode.load(Ordering::Acquire) == abi::MODE_ENFORCE
            && control.break_glass.load(Ordering::Acquire) == 0
    }

    /// Switches between audit and enforce.
    pub fn set_mode(&self, mode: Mode) {
        let mode = match mode {
            Mode::Audit => abi::MODE_AUDIT,
            Mode::Enforce => abi::MODE_ENFORCE,
        };
        self.loaded.control.mode.store(mode, Ordering::Release);
    }

    /// Suspends enforcement, or ends the suspension. Returns whether that changed anything.
    pub fn set_break_glass(&self, on: bool) -> bool {
        self.loaded.control.break_glass.swap(u32::from(on), Ordering::AcqRel) != u32::from(on)
    }

    /// What the programs counted.
    pub fn counters(&self) -> Result<Counters, AgentError> {
        Ok(Counters::of(&self.loaded)?)
    }
}

/// A proof in words.
pub(super) fn describe(proof: &HookProof) -> String {
    match proof.outcome {
        Outcome::Refused => format!("{} refused the canary with EPERM", proof.hook),
        Outcome::Passed => format!("{} is attached and let the denied canary through", proof.hook),
        Outcome::Inconclusive { errno } => {
            format!("{}: the canary could not be used even without a rule: {}", proof.hook, errno_name(errno))
        }
    }
}

fn resolve(
    enroller: &Enroller,
    source: &Source,
    allow_missing: bool,
) -> Result<(plan::RuleSet, usize), AgentError> {
    let policy = &source.policy;
    let mut found = Vec::with_capacity(policy.paths.len());
    for rule in &policy.paths {
        found.push(enroller.path(&rule.path)?);
    }
    let absent = found.iter().filter(|answer| answer.resolved.is_none()).count();
    let cgroups = Cgroups { allow: ids(&policy.allow)?, scope: ids(&policy.scope)? };
    Ok((plan::build(policy, &found, &cgroups, allow_missing)?, absent))
}

fn ids(entries: &[CgroupEntry]) -> Result<Vec<u64>, AgentError> {
    let id = |entry: &CgroupEntry| match &entry.cgroup {
        CgroupRef::Id(id) => Ok(*id),
        CgroupRef::Path(path) => Ok(enforce::cgroup_id(path)?),
    };
    entries.iter().map(id).collect()
}
