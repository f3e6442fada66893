//! Exit codes, and the one place that prints an error.

use std::{error::Error as StdError, fmt, io::Write as _};

/// What the process tells its caller. systemd and scripts rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, healthy, requirement met.
    Done = 0,
    /// Unhealthy, or degraded where that was not accepted, or a negative verdict.
    Negative = 1,
    /// Cannot run at all, or the agent reports what is not so (`doctor`, `health`).
    CannotRun = 2,
    /// Wrong usage.
    Usage = 64,
    /// The policy or other input is invalid.
    Input = 65,
    /// Cannot enforce here, a required hook did not attach, or the proof failed.
    Unavailable = 69,
    /// A bug of ours.
    Bug = 70,
    /// Input or output failed.
    Io = 74,
    /// Another instance or apply is at work; try again.
    Busy = 75,
    /// Pinned state of an incompatible version.
    Incompatible = 76,
    /// A privilege is missing.
    Privilege = 77,
    /// Hash, signature, replay, key or file permissions.
    Trust = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what it was asked: what failed, with its causes, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    source: Box<dyn StdError + Send + Sync>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure with that exit code.
    pub fn new(exit: Exit, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { exit, source: source.into(), hints: Vec::new() }
    }

    /// Adds what to do about it: a parameter, a flag, a command.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.source)?;
        // Libraries hide causes in the chain; all of it is shown.
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        self.hints.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// Prints a failure to standard error. What cannot be printed there cannot be reported anywhere.
pub fn report(failure: &Failure) {
    drop(writeln!(std::io::stderr(), "aegisbpf: {failure}"));
}

/// Talk for the person at the terminal, apart from data.
pub fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "aegisbpf: {text}"));
}
