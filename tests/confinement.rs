//! What ships to confine the agent names the files that the agent has, and no others.

use std::collections::BTreeMap;

use aegisbpf::cli::Cli;
use clap::CommandFactory as _;

const PROFILE: &str = include_str!("../apparmor/aegisbpf");
const CONTEXTS: &str = include_str!("../selinux/aegisbpf.fc");
const MODULE: &str = include_str!("../selinux/aegisbpf.te");

/// The program, and what the command line takes for its directories unless it is told otherwise.
fn places() -> Vec<String> {
    let defaults = Cli::command();
    let defaults = defaults
        .get_arguments()
        .filter(|argument| matches!(argument.get_id().as_str(), "config_dir" | "state_dir" | "run_dir"))
        .flat_map(|argument| argument.get_default_values().to_vec())
        .map(|value| value.to_string_lossy().into_owned());
    let places: Vec<String> = defaults.chain(["/usr/sbin/aegisbpf".to_owned()]).collect();
    assert_eq!(places.len(), 4);
    places
}

/// Regular expressions of `file_contexts`, each with its label.
fn contexts() -> BTreeMap<&'static str, &'static str> {
    let lines = CONTEXTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| Some((line.split('\t').next()?, line.split('\t').next_back()?))).collect()
}

#[test]
fn selinux_labels_the_files_that_the_agent_has() {
    let contexts = contexts();
    for (place, kind) in places().iter().zip(["etc", "var_lib", "var_run", "exec"]) {
        let pattern = if kind == "exec" { place.clone() } else { format!("{place}(/.*)?") };
        let label = format!("gen_context(system_u:object_r:aegisbpf_{kind}_t,s0)");
        assert_eq!(contexts.get(pattern.as_str()), Some(&label.as_str()), "{pattern}");
    }
    // Files below it carry the type of the file system, whatever is written here.
    assert!(contexts.keys().all(|pattern| !pattern.starts_with("/sys")));
    for label in contexts.values() {
        let name = label.split(':').nth(2).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        assert!(MODULE.contains(&format!("\ntype {name};\n")), "{name} is not declared");
    }
}

#[test]
fn apparmor_names_the_files_that_the_agent_has() {
    let rules: Vec<&str> = PROFILE.lines().map(str::trim).collect();
    for rule in [
        "profile aegisbpf /{usr/,usr/local/,}sbin/aegisbpf flags=(attach_disconnected) {",
        "/etc/aegisbpf/{,**} r,",
        "/var/lib/aegisbpf/{,**} rwk,",
        "/run/aegisbpf/{,**} rwk,",
    ] {
        assert!(rules.contains(&rule), "{rule}");
    }
    for place in places() {
        assert!(
            rules.iter().any(|rule| !rule.starts_with('#') && rule.contains(&place))
                || place.starts_with("/usr"),
            "{place}"
        );
    }
}
