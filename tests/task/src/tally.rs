//! Steps of a run, timed and counted.

use anyhow::{Result, bail};
use std::ops::AddAssign;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Checks that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Count {
    /// One check.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: usize::from(passed), failed: usize::from(!passed) }
    }

    /// Prints the line that a reader and a script look for at the end, and gives the exit status. A run in which
    /// nothing was checked has failed.
    pub(crate) fn finish(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

struct Step {
    name: String,
    elapsed: Duration,
    count: Count,
}

/// What has been done so far.
#[derive(Default)]
pub(crate) struct Tally {
    steps: Vec<Step>,
}

impl Tally {
    /// Runs a step that is one check.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        self.counted(name, || run().map(|()| Count::one(true)));
    }

    /// Runs a step that counts its checks itself. One that cannot run has failed.
    pub(crate) fn counted(&mut self, name: &str, run: impl FnOnce() -> Result<Count>) {
        println!("==> {name}");
        let start = Instant::now();
        let count = run().unwrap_or_else(|error| {
            println!("error: {error:#}");
            Count::one(false)
        });
        let elapsed = start.elapsed();
        println!("==> {name}: {} in {:.1} s", word(count), elapsed.as_secs_f32());
        self.steps.push(Step { name: name.to_owned(), elapsed, count });
    }

    /// Prints the table of steps; gives the sum.
    pub(crate) fn table(&self) -> Count {
        let mut sum = Count::default();
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        println!();
        for Step { name, elapsed, count } in &self.steps {
            let seconds = elapsed.as_secs_f32();
            println!(
                "{:6}  {name:width$}  {seconds:7.1} s  {} of {}",
                word(*count),
                count.passed,
                count.passed + count.failed
            );
            sum += *count;
        }
        sum
    }
}

fn word(count: Count) -> &'static str {
    if count.failed == 0 && count.passed > 0 { "ok" } else { "FAILED" }
}

/// Runs a program to its end; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{program} ended with {status}"),
        Err(error) => bail!("cannot start {program}: {error}"),
    }
}
