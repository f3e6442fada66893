//! What the canary is to try.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};

use super::{AcceptArgs, EnforceSignal};
use crate::tier::Mode;

/// What the canary is to try, and what it has to keep to.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    after_help = "Examples:\n  aegisbpf canary --policy policy.conf --phase audit --duration 5m -- /usr/local/bin/workload\n  aegisbpf canary --attach --phase enforce --duration 1h --out /root/canary-42\n\nAudits first, then enforces, each with an agent of its own that is ended and detached afterwards; the host's state\ndirectory is left alone. In the enforce phase a policy is applied, refused and rolled back, and each shown by its effect.\nWith --attach the agent that runs is watched, and nothing of it is changed.\n\nExit codes: 0 passed, 1 a threshold was not kept, 2 no verdict (interrupted), 69 cannot enforce here; others are the agent's."
)]
pub struct CanaryArgs {
    /// What to try
    #[arg(long, value_name = "WHAT", env = "PHASE", default_value = "both")]
    pub phase: Phase,
    /// How long each phase is, in seconds or as in 5m
    #[arg(long, value_name = "TIME", env = "DURATION_SECONDS", default_value = "300", value_parser = time)]
    pub duration: Duration,
    /// Time from one sample to the next, in seconds or as in 500ms
    #[arg(long, value_name = "TIME", default_value = "5", value_parser = time)]
    pub interval: Duration,
    /// The policy [default: policy.conf in the configuration directory]
    #[arg(long, value_name = "FILE", conflicts_with = "attach")]
    pub policy: Option<PathBuf>,
    /// Watch the agent that runs instead of starting one
    #[arg(long)]
    pub attach: bool,
    /// A directory to make, for the evidence [default: aegisbpf-canary-TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Events that may be lost
    #[arg(long, value_name = "N", env = "MAX_RINGBUF_DROPS", default_value_t = 100)]
    pub max_ringbuf_drops: u64,
    /// The same in percent of all
    #[arg(long, value_name = "PERCENT", env = "MAX_EVENT_DROP_RATIO_PCT", default_value = "0.1", value_parser = percent)]
    pub max_event_drop_ratio_pct: f64,
    /// Decisions that there have to be: a canary that met none has shown nothing
    #[arg(long, value_name = "N", env = "MIN_TOTAL_DECISIONS", default_value_t = 100)]
    pub min_total_decisions: u64,
    /// KiB by which the agent's resident memory may grow
    #[arg(long, value_name = "KIB", env = "MAX_RSS_GROWTH_KB", default_value_t = 65_536)]
    pub max_rss_growth_kb: u64,
    /// Which signal a denied process gets. None is sent whatever this says: a denied operation answers EPERM. `kill` is
    /// refused without --allow-sigkill
    #[arg(long, value_name = "SIGNAL", env = "ENFORCE_SIGNAL", default_value = "none")]
    pub enforce_signal: EnforceSignal,
    /// Accept `kill`
    #[arg(long, env = "ALLOW_SIGKILL_CANARY", value_parser = FalseyValueParser::new())]
    pub allow_sigkill: bool,
    /// Enforce a policy that nobody signed
    #[arg(long)]
    pub allow_unsigned_policy: bool,
    /// What is accepted on purpose.
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// Leave out the line for each sample
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
    /// A command that does what the policy is about; it runs in a cgroup of the canary's, anew in each phase
    #[arg(last = true, value_name = "CMD")]
    pub workload: Vec<OsString>,
}

/// Which phases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Report what would be denied
    Audit,
    /// Deny
    Enforce,
    /// The one, and when it passed the other; with --attach whatever runs
    Both,
}

impl Phase {
    /// The modes, in their order.
    pub fn modes(self) -> &'static [Mode] {
        match self {
            Self::Audit => &[Mode::Audit],
            Self::Enforce => &[Mode::Enforce],
            Self::Both => &[Mode::Audit, Mode::Enforce],
        }
    }
}

/// The longest phase, and the longest time between two samples.
const LONGEST: Duration = Duration::from_hours(7 * 24);

fn time(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    if time.is_zero() || time > LONGEST {
        return Err("more than no time and at most 7 days".to_owned());
    }
    Ok(time)
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 100".to_owned())
}
