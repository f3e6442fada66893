//! Runs the checks of one row, in order, and reports each.

use crate::boot::Boot;
use crate::checks::{self, Ctx};
use crate::report;
use guest::{Line, PARAM_CHECKS, is_chosen};
use std::error::Error;
use std::process::ExitCode;

/// Ends with success once every check has had its line: the verdict is in the lines.
pub(crate) fn main(name: &str) -> ExitCode {
    report::report_panics("row");
    let Some(checks) = checks::row(name) else {
        report::send(&Line::Fail { id: "row".into(), detail: format!("no row is called '{name}'") });
        return ExitCode::FAILURE;
    };
    let boot = match Boot::read() {
        Ok(boot) => boot,
        Err(source) => {
            report::send(&Line::Fail { id: "row".into(), detail: format!("/proc/cmdline: {source}") });
            return ExitCode::FAILURE;
        }
    };
    let mut ctx = Ctx { boot, running: "" };
    let (mut passed, mut failed) = (0, 0);
    let chosen: Vec<String> = ctx.boot.list(PARAM_CHECKS).into_iter().map(str::to_owned).collect();
    for check in checks.into_iter().filter(|check| is_chosen(check.id, &chosen)) {
        report::send(&Line::Run(check.id.to_owned()));
        ctx.running = check.id;
        match (check.run)(&ctx) {
            Ok(()) => {
                passed += 1;
                report::send(&Line::Ok(check.id.to_owned()));
            }
            Err(error) => {
                failed += 1;
                report::send(&Line::Fail { id: check.id.to_owned(), detail: chain(&error) });
            }
        }
    }
    report::send(&Line::Done { passed, failed });
    ExitCode::SUCCESS
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
