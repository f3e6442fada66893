//! What privileges are for: what a watching agent has left of them, and the least that each operation takes.

mod least;
mod lockdown;

use super::Check;

pub(super) fn checks() -> Vec<Check> {
    [lockdown::CHECKS.to_vec(), least::checks()].concat()
}

/// The first two numbers of the kernel's version; far in the future where it does not say.
fn kernel() -> guest::Version {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX))
}

/// What stands at a JSON pointer, as text.
fn text(value: &serde_json::Value, pointer: &str) -> String {
    value.pointer(pointer).map(ToString::to_string).unwrap_or_default()
}
