//! What the benchmark measures, a JSON object a line: from the guest, which measures, to the runner, which keeps and judges.

use serde::{Deserialize, Serialize};

/// One measured thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What is counted.
    pub unit: Unit,
    /// What was attached and in force meanwhile.
    pub condition: String,
    /// What was done, or what was looked at.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The least of them.
    pub least: u64,
    /// The half of them took no more.
    pub p50: u64,
    /// 99 of 100 took no more.
    pub p99: u64,
    /// None took more.
    pub most: u64,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Instructions of the guest, user space and kernel, for one operation.
    Instructions,
    /// Nanoseconds of guest time, for a whole command.
    Nanoseconds,
    /// Bytes of memory.
    Bytes,
}

impl Figure {
    /// Of values in any order.
    pub fn of(unit: Unit, condition: &str, what: &str, mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(place).copied().unwrap_or(0)
        };
        Self {
            unit,
            condition: condition.to_owned(),
            what: what.to_owned(),
            count: values.len() as u64,
            least: at(0),
            p50: at(50),
            p99: at(99),
            most: at(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_among_the_values() {
        let figure = Figure::of(Unit::Instructions, "nothing", "open", (1..=200).rev().collect());
        assert_eq!(
            (figure.count, figure.least, figure.p50, figure.p99, figure.most),
            (200, 1, 100, 198, 200)
        );
        let one = Figure::of(Unit::Bytes, "nothing", "memory", vec![7]);
        assert_eq!((one.least, one.p50, one.p99, one.most), (7, 7, 7, 7));
    }
}
