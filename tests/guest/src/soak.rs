//! What a soak tells of itself, a JSON object a line: from the guest, which works and measures, to the runner, which keeps
//! and judges.

use serde::{Deserialize, Serialize};

/// Seconds from one sample to the next.
pub const SOAK_INTERVAL: u64 = 10;

/// What is done, again and again.
pub const SOAK_RATES: SoakRates =
    SoakRates { opens_a_second: 200, denials_a_second: 42, execs_a_second: 2, seconds_a_policy: 30 };

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoakLine {
    /// The work begins.
    Begin(SoakBegin),
    /// How things stand.
    Sample(SoakSample),
    /// The work is done, and the agent has told all that it had to tell.
    End(SoakEnd),
    /// It could not go on.
    Fault(String),
}

/// Where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakBegin {
    /// What `uname -r` says.
    pub kernel: String,
    /// The tier in force.
    pub tier: String,
}

/// How much is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakRates {
    /// Opens that no rule is about.
    pub opens_a_second: u64,
    /// Opens and execs that are denied.
    pub denials_a_second: u64,
    /// Execs that no rule is about.
    pub execs_a_second: u64,
    /// For how long a policy is in force before another is applied or it is rolled back.
    pub seconds_a_policy: u64,
}

/// How things stand. Counts are since the beginning; latencies are of the denied opens since the sample before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakSample {
    /// Since the beginning.
    pub seconds: u64,
    /// Resident memory of the agent.
    pub rss_kib: u64,
    /// What of it is its own: the rest are mapped files and the ring buffer, which the kernel has in any case.
    pub own_kib: u64,
    /// Its open descriptors.
    pub descriptors: u64,
    /// Its threads.
    pub threads: u64,
    /// The processor time that it has used.
    pub cpu_ms: u64,
    /// Events that the kernel handed over.
    pub submitted: u64,
    /// Events that it could not hand over.
    pub lost: u64,
    /// Operations that no rule is about.
    pub free: u64,
    /// Operations that were denied.
    pub denied: u64,
    /// Operations that ended otherwise than they should.
    pub wrong: u64,
    /// Policies applied and rolled back.
    pub changes: u64,
    /// Of a denied open, nanoseconds: the half of them took no longer.
    pub p50_ns: u64,
    /// 99 of 100 took no longer.
    pub p99_ns: u64,
    /// None took longer.
    pub max_ns: u64,
    /// What `health` says.
    pub health: String,
    /// Whether it says that denied operations are refused.
    pub enforcing: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakEnd {
    /// Operations that were denied.
    pub denied: u64,
    /// Denials that the events stand for.
    pub told: u64,
    /// Denials counted as lost.
    pub lost: u64,
    /// Operations that ended otherwise than they should.
    pub wrong: u64,
    /// Policies applied and rolled back.
    pub changes: u64,
}
