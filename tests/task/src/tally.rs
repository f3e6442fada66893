//! Steps of a run, timed and counted.

use anyhow::{Result, bail};
use std::ops::AddAssign;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Checks that passed, and what there is to say of those that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    /// Which check, and its detail.
    pub(crate) failed: Vec<String>,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

impl Count {
    /// One check that passed.
    pub(crate) fn passed() -> Self {
        Self { passed: 1, failed: Vec::new() }
    }

    /// One check that failed.
    pub(crate) fn failed(what: String) -> Self {
        Self { passed: 0, failed: vec![what] }
    }

    fn is_good(&self) -> bool {
        self.failed.is_empty() && self.passed > 0
    }

    /// Repeats what failed, because nobody finds it in the output of an hour; then prints the line that a reader and a
    /// script look for at the end, and gives the exit status. A run in which nothing was checked has failed.
    pub(crate) fn finish(&self) -> ExitCode {
        for one in &self.failed {
            println!("failed: {}", one.trim_end().replace('\n', "\n        "));
        }
        println!("{} passed, {} failed", self.passed, self.failed.len());
        if self.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
        self.counted(name, || run().map(|()| Count::passed()));
    }

    /// Runs a step that counts its checks itself. One that cannot run has failed.
    pub(crate) fn counted(&mut self, name: &str, run: impl FnOnce() -> Result<Count>) {
        println!("==> {name}");
        let start = Instant::now();
        let count = run().unwrap_or_else(|error| {
            println!("error: {error:#}");
            Count::failed(format!("{name}: {error:#}"))
        });
        let elapsed = start.elapsed();
        println!("==> {name}: {} in {:.1} s", word(&count), elapsed.as_secs_f32());
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
                word(count),
                count.passed,
                count.passed + count.failed.len()
            );
            sum += count.clone();
        }
        sum
    }
}

fn word(count: &Count) -> &'static str {
    if count.is_good() { "ok" } else { "FAILED" }
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
