//! What is installed, against what runs.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{super::Facts, Finding};
use crate::kernel::read;

/// Where programs are.
const DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where systemd looks for units, the strongest first.
const UNITS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

const UNIT: &str = "aegisbpf.service";

pub(super) fn program(facts: &Facts<'_>) -> Finding {
    let agent = facts.picture.status.agent;
    let Some(pid) = agent.pid.filter(|_| agent.running) else {
        return Finding::skip("no agent is running");
    };
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let shown = link.display();
    let path = match fs::read_link(&link) {
        Err(error) => return Finding::unknown(format!("{shown}: {error}")).fix("sudo aegisbpf doctor"),
        Ok(path) => path,
    };
    // The link itself leads to the program that runs, whatever lies at its path now.
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    match (identity(&link), identity(&path)) {
        (Ok(one), Ok(other)) if one == other => Finding::ok(format!("{shown} is {}", path.display())),
        _ => Finding::warn(format!("{shown} is {}", path.display())).fix("systemctl restart aegisbpf"),
    }
}

pub(super) fn copies(_: &Facts<'_>) -> Finding {
    let mut found: Vec<(PathBuf, (u64, u64))> = Vec::new();
    for directory in DIRECTORIES {
        let path = Path::new(directory).join("aegisbpf");
        let Ok(file) = fs::metadata(&path) else { continue };
        // The same file by two names (merged /usr, a link) is one copy.
        if found.iter().all(|(_, other)| *other != (file.dev(), file.ino())) {
            found.push((path, (file.dev(), file.ino())));
        }
    }
    let names: Vec<String> = found.iter().map(|(path, _)| path.display().to_string()).collect();
    match found.len() {
        0 => Finding::skip("it is in none of the usual directories"),
        1 => Finding::ok(names.concat()),
        _ => Finding::warn(names.join(", ")).fix("remove those that the package does not own"),
    }
}

/// The unit with its drop-ins, in their order, as one text. `None`: there is none.
fn unit_text() -> io::Result<Option<String>> {
    let Some(unit) = UNITS.iter().map(|dir| Path::new(dir).join(UNIT)).find(|path| path.exists()) else {
        return Ok(None);
    };
    let mut text = read(&unit.display().to_string())?;
    for directory in UNITS.iter().rev() {
        let drop_ins = Path::new(directory).join(format!("{UNIT}.d"));
        let mut files: Vec<PathBuf> =
            fs::read_dir(drop_ins).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "conf")) {
            text.push('\n');
            text.push_str(&read(&file.display().to_string())?);
        }
    }
    Ok(Some(text))
}

/// Settings that hide files or put others in their place: a path of a policy, which is looked up from within the service,
/// would then mean another file than it does to everybody else.
const HIDING: [(&str, &str); 9] = [
    ("PrivateTmp", "/tmp"),
    ("PrivateDevices", "/dev"),
    ("ProtectHome", "/home and /root"),
    ("ProtectKernelModules", "/usr/lib/modules"),
    ("ProtectKernelLogs", "/dev/kmsg"),
    ("PrivateNetwork", "/sys"),
    ("ProtectProc", "/proc"),
    ("ProcSubset", "/proc"),
    // Unless that of everybody else is put back.
    ("ProtectControlGroups", "/proc"),
];

/// Settings that keep programs from being loaded or pinned, or files from being found, with what is wrong about each.
fn faults(unit: &str) -> Vec<String> {
    let value = |key: &str| {
        let lines = unit.lines().rev().map(str::trim);
        lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::trim).next()
    };
    let on = |key: &str| value(key).is_some_and(|value| matches!(value, "yes" | "true" | "on" | "1"));
    let mut found = Vec::new();
    for (key, why) in [
        ("ProtectKernelTunables", "it makes /sys/fs/bpf read-only"),
        ("PrivateBPF", "it hides the pins from everybody else"),
        ("PrivateUsers", "capabilities of a user namespace do not count for BPF"),
        ("PrivatePIDs", "events would name processes of another pid namespace"),
    ] {
        if on(key) {
            found.push(format!("{key}=yes: {why}"));
        }
    }
    let put_back = unit.lines().any(|line| line.trim() == "BindPaths=/proc");
    for (key, place) in HIDING {
        if key == "ProtectControlGroups" && put_back {
            continue;
        }
        let harmless = ["no", "false", "off", "0", "read-only", "default", "all"];
        if let Some(value) = value(key).filter(|value| !value.is_empty() && !harmless.contains(value)) {
            found.push(format!("{key}={value}: in {place} the policy would name other files"));
        }
    }
    let filters: Vec<&str> =
        unit.lines().filter_map(|line| line.trim().strip_prefix("SystemCallFilter=")).collect();
    let allows = filters.iter().any(|line| !line.starts_with('~') && !line.is_empty());
    let names_bpf = filters
        .iter()
        .any(|line| !line.starts_with('~') && line.split_ascii_whitespace().any(|word| word == "bpf"));
    if allows && !names_bpf {
        found.push("SystemCallFilter= allows some calls, and bpf is not among them".to_owned());
    }
    found
}

pub(super) fn unit(_: &Facts<'_>) -> Finding {
    match unit_text() {
        Ok(None) => Finding::skip(format!("there is no {UNIT}")),
        Err(error) => Finding::unknown(format!("{UNIT}: {error}")),
        Ok(Some(text)) => {
            let faults = faults(&text);
            if faults.is_empty() {
                return Finding::ok(format!("{UNIT} has none that is known to be in the way"));
            }
            Finding::fail(faults.join("; "))
                .fix(format!("systemctl edit {UNIT}"))
                .fix(format!("systemctl restart {UNIT}"))
        }
    }
}

pub(super) fn enabled(_: &Facts<'_>) -> Finding {
    if !UNITS.iter().any(|dir| Path::new(dir).join(UNIT).exists()) {
        return Finding::skip(format!("there is no {UNIT}"));
    }
    let wanted = |dir: &str| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter(|entry| {
                entry.path().extension().is_some_and(|kind| kind == "wants" || kind == "requires")
            })
            .map(|entry| entry.path().join(UNIT))
            .find(|path| path.symlink_metadata().is_ok())
    };
    match UNITS.iter().find_map(|dir| wanted(dir)) {
        Some(path) => Finding::ok(path.display().to_string()),
        None => Finding::warn(format!("nothing wants {UNIT}")).fix(format!("systemctl enable {UNIT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_in_the_way_are_named() {
        let good = "[Service]\nProtectKernelTunables=no\nSystemCallFilter=@system-service bpf\nSystemCallFilter=~@mount\n";
        assert_eq!(faults(good), Vec::<String>::new());
        for (bad, word) in [
            ("ProtectKernelTunables=yes", "read-only"),
            ("SystemCallFilter=@system-service", "bpf is not among"),
            ("PrivateBPF=yes", "hides the pins"),
            ("PrivateUsers = yes\nPrivateUsers=true", "user namespace"),
            ("ProcSubset=pid", "/proc the policy would name other files"),
            ("ProtectProc=invisible", "/proc the policy"),
            ("ProtectControlGroups=yes", "/proc the policy"),
            ("PrivateTmp=disconnected", "/tmp the policy"),
            ("ProtectHome=tmpfs", "/home and /root the policy"),
        ] {
            let found = faults(&format!("[Service]\n{bad}\n"));
            assert!(found.len() == 1 && found[0].contains(word), "{bad}: {found:?}");
        }
        assert_eq!(
            faults("[Service]\nProtectHome=read-only\nProtectProc=default\nPrivateTmp=\n"),
            Vec::<String>::new()
        );
        assert_eq!(faults(include_str!("../../../../dist/systemd/aegisbpf.service")), Vec::<String>::new());
        // A drop-in comes last, and counts.
        assert!(faults("ProtectKernelTunables=yes\n[Service]\nProtectKernelTunables=no\n").is_empty());
    }
}
