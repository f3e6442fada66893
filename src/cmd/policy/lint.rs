//! `aegisbpf policy lint`

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use serde::Serialize;

use crate::{
    agent,
    cli::LintArgs,
    exit::{Exit, Failure},
    policy::{self, CgroupRef, Code, Device, Diagnostic, Ops, Policy, Severity},
};

#[derive(Serialize)]
struct Lint<'a> {
    schema_version: u32,
    accepted: bool,
    diagnostics: &'a [Diagnostic],
}

/// Explains a policy file.
pub(in crate::cmd) fn lint(args: &LintArgs) -> Result<Exit, Failure> {
    let bytes = agent::read_bounded(&args.file)?;
    let (parsed, mut diagnostics) = match policy::parse(&bytes) {
        Ok((parsed, warnings)) => (Some(parsed), warnings),
        Err(faults) => (None, faults),
    };
    diagnostics.extend(parsed.as_ref().map(on_this_host).unwrap_or_default());
    policy::locate(&mut diagnostics, &bytes);
    let accepted = diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
    if args.json {
        crate::cmd::print_json(&Lint { schema_version: 1, accepted, diagnostics: &diagnostics })?;
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let text = policy::render(&diagnostics, &args.file.display().to_string(), &bytes, colour);
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
    if let (true, Some(parsed)) = (args.fix, &parsed) {
        fix(&args.file, &policy::print(parsed))?;
    }
    Ok(if accepted { Exit::Done } else { Exit::Input })
}

/// What only this host can tell: whether the policy holds here and now, paths that are missing, have other names, or are
/// links, and rules that nothing can match.
fn on_this_host(policy: &Policy) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some((code, why)) = agent::objection(policy) {
        found.push(Diagnostic::warning(code, 1, why));
    }
    let devices = mounted();
    for rule in policy.inodes.iter().filter(|rule| !devices.is_empty() && !devices.contains(&rule.dev)) {
        let message = format!("no file system with the device {} is mounted", rule.dev);
        found.push(Diagnostic::warning(Code::MatchesNothing, rule.line, message).with_fix(
            "the third field of /proc/self/mountinfo is the device; `stat -c %d` prints another number on btrfs and overlayfs",
        ));
    }
    for rule in &policy.paths {
        found.extend(path_rule(&rule.path, rule.ops, rule.line));
    }
    for rule in &policy.trees {
        match fs::metadata(&rule.path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                found.push(Diagnostic::error(Code::TreeNotDirectory, rule.line, "this is not a directory"));
            }
            Err(error) => found.push(Diagnostic::error(Code::PathMissing, rule.line, error.to_string())),
        }
    }
    for entry in policy.allow.iter().chain(&policy.scope) {
        if let CgroupRef::Path(path) = &entry.cgroup
            && let Err(error) = fs::metadata(path)
        {
            found.push(Diagnostic::error(Code::CgroupMissing, entry.line, error.to_string()));
        }
    }
    found
}

/// The devices of all mounts here; none where that cannot be told.
fn mounted() -> Vec<Device> {
    let mounts = procfs::process::Process::myself().and_then(|process| process.mountinfo());
    let device = |mount: procfs::process::MountInfo| {
        let (major, minor) = mount.majmin.split_once(':')?;
        Device::new(major.parse().ok()?, minor.parse().ok()?)
    };
    mounts.map(|mounts| mounts.0.into_iter().filter_map(device).collect()).unwrap_or_default()
}

fn path_rule(path: &Path, ops: Ops, line: u32) -> Option<Diagnostic> {
    let is_symlink = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let metadata = match fs::metadata(path) {
        Err(error) => {
            let missing =
                Diagnostic::error(Code::PathMissing, line, format!("nothing can be denied here: {error}"));
            return Some(missing.with_fix("correct the path, or run with --allow-missing"));
        }
        Ok(metadata) => metadata,
    };
    if metadata.is_dir() && ops == Ops::EXEC {
        let message = "a directory cannot be executed";
        return Some(
            Diagnostic::warning(Code::MatchesNothing, line, message)
                .with_fix("deny what is below it in [deny_tree]"),
        );
    }
    if is_symlink {
        let target = fs::canonicalize(path).unwrap_or_default();
        let message =
            format!("this is a symbolic link; the rule binds what it leads to now, {}", target.display());
        return Some(Diagnostic::warning(Code::SymbolicLink, line, message));
    }
    let names = metadata.nlink();
    (metadata.is_file() && names > 1).then(|| {
        let message = format!("the file has {names} names; the rule denies it by each of them");
        Diagnostic::warning(Code::HardLinks, line, message)
    })
}

/// Replaces the file by its normalized form, with its permissions, or not at all.
fn fix(file: &Path, text: &str) -> Result<(), Failure> {
    if file == Path::new("-") {
        return crate::cmd::print(text);
    }
    let failed = |error| Failure::new(Exit::Io, error);
    let mode = fs::metadata(file).map_err(failed)?.permissions().mode();
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::rename(&new, file));
    written.map_err(|error| {
        drop(fs::remove_file(&new));
        failed(error)
    })
}
