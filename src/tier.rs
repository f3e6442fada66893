//! The tiers and their contracts, as `tiers/*.toml` states them.
//!
//! The tables are made at build time, which refuses a contract that leaves a claim unsorted, a denied claim without a
//! hook, or a failure unstated.

use serde::{Deserialize, Serialize};

use crate::kernel::Probe;

/// Something that the product says about a way to a file.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Stable id, for example `file.open.read`.
    pub id: &'static str,
    /// The way, in words.
    pub text: &'static str,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Stable id, for example `agent-killed`.
    pub id: &'static str,
    /// What happens, in words.
    pub text: &'static str,
    /// Checks that provoke it; none: `failure.<id>` does.
    pub checks: &'static [&'static str],
    /// Why no check provokes it.
    pub untried: Option<&'static str>,
}

/// What a tier does in a failure.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Behaviour {
    /// The failure.
    pub failure: &'static str,
    /// What becomes of decisions.
    pub does: &'static str,
    /// What `health` says while it lasts, where it began in good health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<&'static str>,
    /// What `run`, or the command that it meets, ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// The way out, where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

/// What a matching rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Report what would be denied, let it pass.
    Audit,
    /// Deny.
    Enforce,
}

impl Mode {
    /// The word used in output and state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Enforce => "enforce",
        }
    }
}

/// How the programs of a tier reach the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// As `BPF_PROG_TYPE_LSM`.
    Lsm,
    /// As `BPF_MODIFY_RETURN` of a kernel function.
    ModifyReturn,
    /// At a raw tracepoint.
    RawTracepoint,
}

/// What it means when a hook is not attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it nothing is attached.
    Required,
    /// The claims that it carries are uncovered.
    Optional,
    /// As optional; but where the kernel has no such function, it has no such operation, or asks another hook.
    IfPresent,
    /// Nothing: it is attached when asked for, and at no other time.
    OnRequest,
    /// As optional; but it is attached for the self-guard alone.
    Guard,
}

/// What was asked for beside what is always attached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requested {
    /// `inode_permission`.
    pub permission: bool,
    /// The self-guard.
    pub guard: bool,
}

impl Requested {
    /// Whether a hook is to be attached.
    pub fn wants(self, hook: &Hook) -> bool {
        match hook.need {
            Need::OnRequest => self.permission,
            Need::Guard => self.guard,
            Need::Required | Need::Optional | Need::IfPresent => true,
        }
    }
}

/// A place where the kernel asks a program.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Name of the hook; of a second copy, with `_again` behind it.
    pub name: &'static str,
    /// `AEGIS_HOOK_*`, as in events.
    pub number: u32,
    /// The program.
    pub program: &'static str,
    /// Another one, for kernels that call the hook with one argument less.
    pub bare: Option<&'static str>,
    /// The kernel function or tracepoint.
    pub target: &'static str,
    /// What it means when it is not attached.
    pub need: Need,
    /// The claims that rest on it.
    pub carries: &'static [&'static str],
}

/// One tier: what it needs, how it attaches, what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// Stable name, as in `--tier`.
    pub name: &'static str,
    /// Name in prose.
    pub title: &'static str,
    /// How it works, in one line.
    pub mechanism: &'static str,
    /// How its programs are attached.
    pub attach: Attach,
    /// Whether enforcement outlives the agent.
    pub fail_closed: bool,
    /// The modes it offers.
    pub modes: &'static [Mode],
    /// Probes that must all answer yes.
    pub needs: &'static [Probe],
    /// Its hooks.
    pub hooks: &'static [Hook],
    /// Claims it denies.
    pub denies: &'static [&'static str],
    /// Claims it only reports.
    pub observes: &'static [&'static str],
    /// Claims it does not hold, with the reason.
    pub cannot: &'static [(&'static str, &'static str)],
    /// What happens in each failure.
    pub failures: &'static [Behaviour],
}

impl Tier {
    /// The tier of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TIERS.iter().find(|tier| tier.name == name)
    }

    /// Whether it can deny at all.
    pub fn enforces(&self) -> bool {
        self.modes.contains(&Mode::Enforce)
    }
}

include!(concat!(env!("OUT_DIR"), "/tiers.rs"));
