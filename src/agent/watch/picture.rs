//! What the state file, the service manager and the events are told of how things stand.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{AgentError, break_glass, change::policy_state, guard_state},
    Watch,
};
use crate::{
    enforce::{Missing, Outcome},
    event::rfc3339,
    state::{AgentState, AttachState, EventState, Health, HookState, SCHEMA_VERSION, Status},
    tier::{Hook, Mode, Need},
};

impl Watch {
    pub(super) fn status(&self) -> Result<Status, AgentError> {
        let counters = self.guard.counters()?;
        let lost_by: BTreeMap<_, _> =
            self.lost(counters.lost).map(|(by, lost)| (by.to_owned(), lost)).collect();
        let broken = break_glass(&self.options.dirs.config);
        let mut reasons = self.short_of(broken);
        let degraded = !reasons.is_empty();
        let wrong = self.wrong();
        let status = match (wrong.is_empty(), degraded) {
            (false, _) => Health::Unhealthy,
            (true, true) => Health::Degraded,
            (true, false) => Health::Healthy,
        };
        reasons.extend(wrong);
        reasons.extend(self.guard.untried());
        reasons.extend(self.lost_run.clone());
        reasons.extend(self.policy.1.iter().flat_map(|record| record.remarks.iter().cloned()));
        Ok(Status {
            schema_version: SCHEMA_VERSION,
            status,
            enforcing: self.guard.enforcing() && self.proof_failed.is_none(),
            mode: Some(self.decision.mode),
            tier: Some(self.guard.tier.name.to_owned()),
            attach_state: if self.guard.missing.is_empty() {
                AttachState::Full
            } else {
                AttachState::Partial
            },
            hooks: self.hooks(),
            uncovered: self.uncovered(),
            policy: policy_state(&self.policy.0, self.policy.1.as_ref()),
            events: EventState { submitted: counters.submitted, lost: lost_by.values().sum(), lost_by },
            decisions: self.figures.decided(),
            break_glass: broken,
            agent: AgentState { running: true, pid: Some(std::process::id()), beat: None },
            sandbox: Some(self.sandbox.clone()),
            guard: guard_state(&self.guard.loaded.bank),
            reasons,
            maps: self.guard.loaded.maps.clone(),
        })
    }

    /// What keeps it from being as it was asked for.
    fn short_of(&self, broken: bool) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.options.boot.audit && self.options.mode == Mode::Enforce {
            reasons
                .push("aegisbpf.mode=audit stands on the kernel command line: nothing is denied".to_owned());
        } else if self.options.mode != self.decision.mode {
            for passed in &self.decision.passed_over {
                reasons.extend(passed.reasons.iter().map(|reason| format!("{}: {reason}", passed.tier.name)));
            }
        }
        if broken {
            reasons.push("break-glass is on: nothing is denied".to_owned());
        }
        for Missing { hook, error } in &self.guard.missing {
            reasons.push(format!("the optional hook {} did not attach: {}", hook.name, root_cause(error)));
        }
        if !self.options.sandbox {
            reasons.push("the agent was started without its sandbox (--no-sandbox)".to_owned());
        }
        reasons.extend(self.moved.iter().cloned());
        reasons.extend(self.set_back.iter().chain(&self.unrecorded).cloned());
        reasons.extend(self.unwritten.iter().chain(self.figures.unwritten()).cloned());
        reasons.extend(self.output.reasons());
        reasons
    }

    /// What is not as it was proven.
    fn wrong(&self) -> Vec<String> {
        let mode = self.decision.mode;
        let switched = !self.guard.has_mode(mode);
        let switched =
            switched.then(|| format!("somebody switched the programs out of {} mode", mode.name()));
        let disarmed = self.options.requested.guard && self.guard.loaded.bank.enrolled().is_none();
        let disarmed = disarmed.then(|| "somebody disarmed the self-guard".to_owned());
        self.proof_failed.iter().cloned().chain(switched).chain(disarmed).collect()
    }

    /// Claims that rest on a missing hook, each once.
    fn uncovered(&self) -> Vec<String> {
        let claims: BTreeSet<&str> =
            self.guard.missing.iter().flat_map(|one| one.hook.carries).copied().collect();
        claims.into_iter().map(str::to_owned).collect()
    }

    fn hooks(&self) -> Vec<HookState> {
        let proven = |name| {
            let proof = self.guard.proofs.iter().find(|proof| proof.hook == name)?;
            (proof.outcome == Outcome::Refused).then(|| rfc3339(proof.at))
        };
        let state = |hook: &Hook, attached| HookState {
            name: hook.name.to_owned(),
            required: hook.need == Need::Required,
            attached,
            proven_at: proven(hook.name),
        };
        let attached = self.guard.attached.iter().map(|one| state(one.hook, true));
        attached.chain(self.guard.missing.iter().map(|one| state(one.hook, false))).collect()
    }
}

/// What lies under an error and all its causes: the kernel's answer.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
