//! The test VM from the inside. As PID 1 it is the init; `guest row NAME` runs the checks of one row, in a process of
//! its own so that a crash of a check cannot take the init down; `guest --list NAME` prints the ids of a row.

#![expect(clippy::print_stdout, reason = "the ids of a row are this program's output on the host")]
#![expect(
    clippy::print_stderr,
    reason = "the kernel console is stderr here, and the only place left for a usage error"
)]
// What looks into the registers of other processes knows those of x86-64 alone.
#![cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "the rows of other architectures have a part of the checks")
)]

mod boot;
mod bpf;
#[cfg(target_arch = "x86_64")]
mod calls;
mod checks;
mod enter;
mod files;
mod filter;
#[cfg(target_arch = "x86_64")]
mod follower;
mod hostile;
mod image;
mod init;
#[cfg(target_arch = "x86_64")]
mod injector;
#[cfg(target_arch = "x86_64")]
mod killer;
mod kmsg;
mod labelled;
mod lacking;
mod mounts;
mod report;
mod row;
mod run;
mod selinux;
mod soaker;
#[cfg(target_arch = "x86_64")]
mod twin;
mod ways;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        return init::main();
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["row", name] => row::main(name),
        ["hosted"] => init::hosted(),
        ["enter", rest @ ..] => enter::main(rest),
        ["filtered", rest @ ..] => filter::main(rest),
        ["way", id, dir] => ways::main(id, dir),
        ["serve"] => ways::serve(),
        ["exchange", one, other] => files::exchange(one, other),
        #[cfg(target_arch = "x86_64")]
        ["follow", rest @ ..] => follower::main(rest),
        #[cfg(target_arch = "x86_64")]
        ["inject", rest @ ..] => injector::main(rest),
        #[cfg(target_arch = "x86_64")]
        ["traced", rest @ ..] => killer::main(rest),
        ["hostile", rest @ ..] => hostile::main(rest),
        #[cfg(target_arch = "x86_64")]
        ["measured", condition, denied] => checks::measured(condition, denied),
        ["labelled", rest @ ..] => labelled::main(rest),
        ["lacking", rest @ ..] => lacking::main(rest),
        ["soak", rest @ ..] => soaker::main(rest),
        ["--list", name] => list(name),
        _ => {
            eprintln!("usage: guest --list ROW");
            ExitCode::from(64)
        }
    }
}

fn list(name: &str) -> ExitCode {
    let Some(checks) = checks::row(name) else {
        eprintln!("guest: no row is called '{name}'");
        return ExitCode::from(64);
    };
    for check in checks {
        println!("{}", check.id);
    }
    ExitCode::SUCCESS
}
