//! What to do, decided before anything is done: which tier, which mode, which rules. Pure: no I/O, no clock, no kernel.

mod recorded;
mod rules;
mod select;
mod suggest;

pub use self::{
    recorded::{
        By, Doubt, Free, Looked, Matcher, Member, Operand, Recorded, Seen, Special, There, Verdict, operand,
    },
    rules::{Accept, DEEPEST_TREE, Found, Identity, PathIdentity, Place, RuleSet, RulesError, build},
    select::{Decision, OnDegraded, PassedOver, Reason, Refusal, Request, select},
    suggest::{Case, Change, Suggested, Suggestion, exemption, suggest, what_is_left},
};
