//! One tier set up for one policy: loaded, attached, proven, applied.

use std::{path::Path, sync::atomic::Ordering};

use super::{
    AgentError, Source,
    resolve::{Resolved, resolve},
};
use crate::{
    abi,
    enforce::{
        Attached, Counters, Enroller, Held, HookProof, Kept, Loaded, Missing, Outcome, Pins, Prover, own_id,
    },
    kernel::{Kernel, errno_name},
    plan::Accept,
    tier::{Hook, Mode, Requested, Tier},
};

/// What is to be set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The tier.
    pub tier: &'static Tier,
    /// The mode.
    pub mode: Mode,
    /// The policy's number and what names it.
    pub policy: Held,
    /// What is accepted on purpose.
    pub accept: Accept,
    /// Whether a missing optional hook is a failure.
    pub strict: bool,
    /// What is asked for that is attached on request alone; the self-guard is armed as well.
    pub requested: Requested,
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
    /// Its maps.
    pub loaded: Kept,
    /// The attached hooks.
    pub attached: Vec<Attached>,
    /// Optional hooks that did not attach.
    pub missing: Vec<Missing>,
    /// Results of the last proof, one for each attached hook of an enforcing tier.
    pub proofs: Vec<HookProof>,
    /// What came of the self-guard's hooks, which are put to the test at the start alone.
    drilled: Vec<HookProof>,
    /// What the policy is on this host; `None`: it is on trial, and was left as it is.
    pub(super) resolved: Option<Resolved>,
    prover: Option<Prover>,
}

impl Guard {
    /// Sets up everything, or leaves everything as it was.
    pub fn start(kernel: &Kernel, setup: &Setup<'_>, source: &Source) -> Result<Self, AgentError> {
        let Setup { tier, mode, pins, requested, .. } = *setup;
        if let Some(pins) = pins {
            pins.check()?;
        }
        let loaded = Loaded::new(kernel, tier, pins)?;
        let enroller = Enroller::new(kernel, tier, &loaded)?;
        let prover = tier
            .enforces()
            .then(|| Prover::new(kernel, &enroller, setup.canary_dirs, crate::confine::lock_helper))
            .transpose()?;
        // A policy that waits to be confirmed is left alone: to build it anew would make it stay.
        let on_trial = loaded.bank.in_force();
        let on_trial = on_trial.pending.is_some() && on_trial.held == Some(setup.policy);
        let resolved = if on_trial { None } else { Some(resolve(&enroller, &source.policy, setup.accept)?) };
        let (attached, missing) = loaded.attach(kernel, tier, |hook| requested.wants(hook))?;
        if setup.strict && !missing.is_empty() {
            return Err(AgentError::Partial { hooks: missing.iter().map(|one| one.hook.name).collect() });
        }
        let mut guard = Self {
            tier,
            loaded: Kept::of(&loaded)?,
            attached,
            missing,
            proofs: Vec::new(),
            drilled: Vec::new(),
            resolved,
            prover,
        };
        guard.drill(kernel)?;
        guard.prove()?;
        guard.set_break_glass(setup.break_glass);
        if let Some(resolved) = &guard.resolved {
            let staged = guard.loaded.bank.stage(&setup.policy, &resolved.rules)?;
            guard.loaded.bank.activate(&staged, None);
        }
        guard.set_mode(mode);
        if let Some(pins) = pins {
            pins.keep(&loaded, &guard.attached, enroller.enrolment())?;
            match &guard.prover {
                Some(prover) if requested.guard => {
                    loaded.arm(kernel, &enroller, pins, &guard.attached, prover.helper())?;
                }
                _ => guard.loaded.bank.disarm(),
            }
        }
        Ok(guard)
    }

    /// Puts the hooks to the test that only this process can, and only now.
    fn drill(&mut self, kernel: &Kernel) -> Result<(), AgentError> {
        let Some(prover) = &self.prover else { return Ok(()) };
        let me = own_id(kernel)?;
        let hooks: Vec<&'static Hook> = self.attached.iter().map(|one| one.hook).collect();
        self.drilled = prover.drill(&self.loaded.bank.control, me, &hooks);
        Ok(())
    }

    /// Hooks that are attached and could not be put to the test, in words.
    pub fn untried(&self) -> Vec<String> {
        let untried = |proof: &&HookProof| matches!(proof.outcome, Outcome::Inconclusive { .. });
        self.drilled.iter().filter(untried).map(describe).collect()
    }

    /// Puts every attached hook of an enforcing tier to the test, but for those that were at the start. Fails when one did
    /// not refuse.
    pub fn prove(&mut self) -> Result<(), AgentError> {
        let Some(prover) = &mut self.prover else { return Ok(()) };
        let hooks: Vec<&'static Hook> = self.attached.iter().map(|one| one.hook).collect();
        self.proofs = prover.prove(&self.loaded.bank.control, &hooks);
        let tried = |proof: &&HookProof| !matches!(proof.outcome, Outcome::Inconclusive { .. });
        self.proofs.extend(self.drilled.iter().filter(tried).cloned());
        let failed: Vec<String> =
            self.proofs.iter().filter(|proof| proof.outcome != Outcome::Refused).map(describe).collect();
        if failed.is_empty() { Ok(()) } else { Err(AgentError::NotProven(failed)) }
    }

    /// Whether denied operations are refused: in enforce mode, not suspended, every attached hook proven.
    pub fn enforcing(&self) -> bool {
        let control = &self.loaded.bank.control;
        !self.proofs.is_empty()
            && self.proofs.iter().all(|proof| proof.outcome == Outcome::Refused)
            && control.mode.load(Ordering::Acquire) == abi::MODE_ENFORCE
            && control.break_glass.load(Ordering::Acquire) == 0
    }

    /// Switches between audit and enforce.
    pub fn set_mode(&self, mode: Mode) {
        self.loaded.bank.control.mode.store(number(mode), Ordering::Release);
    }

    /// Whether the programs still go by this mode: `detach`, or whoever else is root, can have changed that.
    pub fn has_mode(&self, mode: Mode) -> bool {
        self.loaded.bank.control.mode.load(Ordering::Acquire) == number(mode)
    }

    /// Suspends enforcement, or ends the suspension. Returns whether that changed anything.
    pub fn set_break_glass(&self, on: bool) -> bool {
        self.loaded.bank.control.break_glass.swap(u32::from(on), Ordering::AcqRel) != u32::from(on)
    }

    /// What the programs counted.
    pub fn counters(&self) -> Result<Counters, AgentError> {
        Ok(Counters::of(&self.loaded)?)
    }
}

fn number(mode: Mode) -> u32 {
    match mode {
        Mode::Audit => abi::MODE_AUDIT,
        Mode::Enforce => abi::MODE_ENFORCE,
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
