//! The lists of system calls that the agent and its helper are left with, as `src/confine` has them.

use serde::Deserialize;
use std::sync::OnceLock;

/// A list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Its rules, one of which has to allow a call.
    pub allow: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name of the call.
    pub call: String,
    /// Why it is there.
    pub why: String,
    /// The only architecture that has it.
    pub arch: Option<String>,
    /// Why the trace of a whole life need not show it.
    pub seldom: Option<String>,
    /// What holds of its arguments.
    #[serde(default)]
    pub when: Vec<When>,
}

/// A condition.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Of this argument, counted from 0.
    pub argument: usize,
    /// The lower half is this.
    pub equals: Option<u64>,
    /// With `equals`: of these bits alone.
    pub mask: Option<u64>,
    /// All of it is this.
    pub all: Option<u64>,
    /// It has no bit but these.
    pub only: Option<u64>,
}

/// A list, by who is bound by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// The agent.
    Agent,
    /// The helper that handles the canaries.
    Helper,
}

impl List {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Agent, Self::Helper];

    /// Its rules on all architectures.
    pub fn rules(self) -> Result<&'static [Rule], &'static str> {
        static AGENT: OnceLock<Result<Rules, String>> = OnceLock::new();
        static HELPER: OnceLock<Result<Rules, String>> = OnceLock::new();
        let (cell, text) = match self {
            Self::Agent => (&AGENT, include_str!("../../../src/confine/calls.toml")),
            Self::Helper => (&HELPER, include_str!("../../../src/confine/helper.toml")),
        };
        let rules = cell.get_or_init(|| toml::from_str(text).map_err(|error| error.to_string()));
        rules.as_ref().map(|rules| rules.allow.as_slice()).map_err(String::as_str)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Helper => "helper",
        }
    }
}

impl Rule {
    /// Whether this architecture has it.
    pub fn is_here(&self) -> bool {
        self.arch.as_deref().is_none_or(|arch| arch == std::env::consts::ARCH)
    }

    /// Whether it allows its call with these arguments.
    pub fn allows(&self, arguments: &[u64; 6]) -> bool {
        self.when.iter().all(|when| when.holds(arguments))
    }

    /// What holds of its arguments, in words.
    pub fn conditions(&self) -> Vec<String> {
        self.when.iter().map(When::text).collect()
    }

    /// It and its conditions in a line.
    pub fn text(&self) -> String {
        let conditions = self.conditions();
        if conditions.is_empty() {
            self.call.clone()
        } else {
            format!("{}: {}", self.call, conditions.join(", "))
        }
    }
}

impl When {
    /// Whether it holds of these arguments.
    pub fn holds(&self, arguments: &[u64; 6]) -> bool {
        const LOWER: u64 = 0xffff_ffff;
        let Some(argument) = arguments.get(self.argument).copied() else { return false };
        self.equals.is_none_or(|value| argument & self.mask.unwrap_or(LOWER) & LOWER == value)
            && self.all.is_none_or(|value| argument == value)
            && self.only.is_none_or(|bits| argument & !bits == 0)
    }

    /// An argument of which it does not hold.
    pub fn against(&self) -> u64 {
        match (self.equals, self.all, self.only) {
            // A higher bit changes nothing where the lower half is compared alone.
            (Some(value), ..) => value ^ self.mask.map_or(1, u64::isolate_lowest_one),
            (_, Some(value), _) => value | 1 << 40,
            (_, _, Some(bits)) => !bits & bits.wrapping_add(1),
            _ => 0,
        }
    }

    /// An argument of which it holds.
    pub fn example(&self) -> u64 {
        self.equals.or(self.all).unwrap_or(0)
    }

    fn text(&self) -> String {
        let Self { argument, equals, mask, all, only } = *self;
        match (equals, mask, all, only) {
            (Some(value), Some(mask), ..) => format!("argument {argument} & {mask:#x} = {value:#x}"),
            (Some(value), ..) | (_, _, Some(value), _) => format!("argument {argument} = {value:#x}"),
            (_, _, _, Some(bits)) => format!("argument {argument} has no bit but {bits:#x}"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_can_hold_and_fail() {
        for list in List::ALL {
            for rule in list.rules().expect("the list") {
                for when in &rule.when {
                    let with = |value| {
                        let mut arguments = [0; 6];
                        arguments[when.argument] = value;
                        arguments
                    };
                    assert!(when.holds(&with(when.example())), "{}", rule.text());
                    assert!(!when.holds(&with(when.against())), "{}", rule.text());
                }
            }
        }
    }

    #[test]
    fn halves_and_wholes_are_told_apart() {
        let when = |equals, all, only| When { argument: 0, equals, mask: None, all, only };
        let first = |value| [value, 0, 0, 0, 0, 0];
        assert!(when(Some(1), None, None).holds(&first(1 << 40 | 1)));
        assert!(!when(None, Some(0), None).holds(&first(1 << 40)));
        assert!(!when(None, None, Some(3)).holds(&first(1 << 40)));
    }
}
