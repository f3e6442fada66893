//! What to do, decided before anything is done: which tier, which mode, which rules. Pure: no I/O, no clock, no kernel.

mod rules;
mod select;

pub use self::{
    rules::{Accept, DEEPEST_TREE, Found, Identity, PathIdentity, Place, RuleSet, RulesError, build},
    select::{Decision, OnDegraded, PassedOver, Reason, Refusal, Request, select},
};
