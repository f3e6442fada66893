//! What a kernel prints when something is badly wrong, found in the log of its console.

use std::fs;
use std::path::Path;

/// Each is a text that no healthy boot prints.
const TROUBLE: [&str; 12] = [
    "Kernel panic",
    "Oops:",
    "BUG:",
    "kernel BUG at",
    "general protection fault",
    "soft lockup",
    "hard LOCKUP",
    "detected stall",
    "detected expedited stall",
    "blocked for more than",
    "Unable to mount root",
    "KASAN:",
];
/// Lines of context: a call trace's useful part is at its head.
const BEFORE: usize = 2;
const AFTER: usize = 25;

/// The first trouble in a console log, with the lines around it.
pub(crate) fn trouble(log: &Path) -> Option<String> {
    let bytes = fs::read(log).ok()?;
    excerpt(&String::from_utf8_lossy(&bytes))
}

/// The end of a console log, for a VM that ended without a word.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(BEFORE + AFTER))
        .map(|line| line.trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

fn excerpt(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let at = lines.iter().position(|line| TROUBLE.iter().any(|pattern| line.contains(pattern)))?;
    let around = lines.iter().skip(at.saturating_sub(BEFORE)).take(BEFORE + 1 + AFTER);
    Some(around.copied().collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_trouble() {
        assert_eq!(excerpt("[0.1] all is well\n[0.2] debug: fine\n"), None);
        let log = "a\nb\nc\n[1.0] rcu: INFO: rcu_sched self-detected stall on CPU\r\ntrace\n";
        assert_eq!(
            excerpt(log).as_deref(),
            Some("b\nc\n[1.0] rcu: INFO: rcu_sched self-detected stall on CPU\ntrace")
        );
    }
}
