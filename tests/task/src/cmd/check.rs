//! `./dev check`: what an engineer runs after each change.

use crate::artifacts::cargo;
use crate::paths;
use crate::tally::{Tally, run};
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the C sources are.
const C_DIRECTORIES: [&str; 2] = ["bpf-lsm", "bpf-tracepoint"];

/// Runs the chore.
pub(crate) fn main() -> ExitCode {
    let mut tally = Tally::default();
    steps(&mut tally);
    tally.table().finish()
}

/// The steps, for the longer run that begins with them.
pub(crate) fn steps(tally: &mut Tally) {
    tally.step("rustfmt", || run(cargo()?.args(["fmt", "--all", "--check"])));
    tally.step("clang-format", clang_format);
    tally.step("shellcheck", shellcheck);
    tally.step("Python", python);
    tally.step("clippy", || {
        run(cargo()?.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    tally.step("unit and layer tests", || run(cargo()?.args(["test", "--workspace", "--", "--quiet"])));
}

fn clang_format() -> Result<()> {
    let root = paths::root()?;
    let mut sources = Vec::new();
    for directory in C_DIRECTORIES {
        c_sources(&root.join(directory), &mut sources)?;
    }
    if sources.is_empty() {
        bail!("there are no C sources in {}", C_DIRECTORIES.join(" or "));
    }
    run(Command::new("clang-format").current_dir(root).args(["--dry-run", "-Werror"]).args(sources))
}

/// Shell scripts that are not below [`SCRIPTS`].
const SHELL: [&str; 2] = ["dev", ".ci/run"];
/// Those of packages.
const SCRIPTLETS: [&str; 9] = [
    "dist/deb/postinst",
    "dist/deb/postrm",
    "dist/deb/prerm",
    "dist/rpm/post",
    "dist/rpm/postun",
    "dist/rpm/preun",
    "dist/rpm/selinux-post",
    "dist/rpm/selinux-posttrans",
    "dist/rpm/selinux-postun",
];
const SCRIPTS: &str = "dist/scripts";

fn shellcheck() -> Result<()> {
    let root = paths::root()?;
    run(Command::new("shellcheck").current_dir(&root).args(SHELL).args(scripts(&root, "sh")?))?;
    // What rpm runs begins without naming a shell.
    run(Command::new("shellcheck").current_dir(&root).args(["--shell", "sh"]).args(SCRIPTLETS))
}

/// Without leaving its code beside the scripts.
fn python() -> Result<()> {
    let root = paths::root()?;
    let cache = paths::target_dir()?.join("pycache");
    let compile = ["-m", "py_compile"];
    let scripts = scripts(&root, "py")?;
    run(Command::new("python3")
        .current_dir(&root)
        .env("PYTHONPYCACHEPREFIX", cache)
        .args(compile)
        .args(scripts))
}

/// The scripts with that ending; there has to be one.
fn scripts(root: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(SCRIPTS))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("there is no .{ending} in {SCRIPTS}");
    }
    Ok(found)
}

fn c_sources(directory: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            c_sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "c" || extension == "h") {
            into.push(path);
        }
    }
    Ok(())
}
