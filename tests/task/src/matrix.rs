//! The rows of the matrix, as data.

use crate::kernels::{self, Selector};
use crate::profiles::Profile;
use crate::rig::{LSM_APPARMOR, LSM_SELINUX, LSM_WITH_BPF, LSM_WITHOUT_BPF, Setup};
use guest::{PARAM_CHECKS, PARAM_NOMOUNT, PARAM_ROW};

/// An ordinary day has no time for every way to a file on each kernel: on the oldest all are gone, where modify-return
/// enforces, on the newest some by BPF LSM; the others by name before a release.
const WITH_BPF: On = On::Daily(&[]);
const WITHOUT_BPF: On = On::Daily(&["5.10"]);

/// On which kernels a row runs.
#[derive(Clone, Copy)]
enum On {
    /// On each.
    Every,
    /// On the newest alone.
    Newest,
    /// Each day on these, by name; on the others when it is asked for by name.
    Daily(&'static [&'static str]),
}

/// A row before it meets a kernel.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Template {
    /// The part of the row's name behind the kernel.
    name: &'static str,
    on: On,
    lsm: &'static str,
    /// The guest's name for the list of checks.
    checks: &'static str,
    nomount: &'static [&'static str],
    modules: &'static [&'static str],
    /// A disk with each file system.
    disks: bool,
    params: &'static [&'static str],
    /// Beginnings of the ids of the checks that are wanted; none: all are.
    only: &'static [&'static str],
    memory_mib: u32,
    smp: u32,
    counted: bool,
    image: bool,
    peers: bool,
    packages: bool,
    before: bool,
    profile: Option<Profile>,
    reboots: bool,
}

/// What most rows are like.
const PLAIN: Template = Template {
    name: "",
    on: On::Every,
    lsm: LSM_WITH_BPF,
    checks: "rig",
    nomount: &[],
    modules: &[],
    disks: false,
    params: &[],
    only: &[],
    memory_mib: 1536,
    smp: 2,
    counted: false,
    image: false,
    peers: false,
    packages: false,
    before: false,
    profile: None,
    reboots: false,
};

/// One processor, whose clock counts instructions, and room for a million rules. Where the kernel lies is no longer left to
/// chance: the places of things in its tables follow from it.
const COUNTED: Template = Template { memory_mib: 3072, smp: 1, counted: true, params: &["nokaslr"], ..PLAIN };

/// Every file system whose inodes a policy has to be right about.
const ENFORCE: Template =
    Template { checks: "enforce", modules: &["overlay", "loop", "xfs", "btrfs"], disks: true, ..PLAIN };

/// That the tier stands up, is right about inodes, and denies by name and by what is done to a file.
const CORE: &[&str] = &["smoke", "enforce.", "fs.", "verifier.", "write.", "place."];

const TEMPLATES: &[Template] = &[
    Template { name: "lsm", on: WITH_BPF, ..ENFORCE },
    Template { name: "lsm-core", on: On::Newest, only: CORE, ..ENFORCE },
    Template { name: "no-lsm", on: WITHOUT_BPF, lsm: LSM_WITHOUT_BPF, ..ENFORCE },
    Template { name: "trace", checks: "trace", ..ENFORCE },
    // What is done to and by a running agent, on more kernels than an ordinary day has time for.
    Template { name: "operate", on: On::Daily(&["6.12"]), checks: "operate", ..PLAIN },
    Template { name: "operate-no-lsm", on: On::Daily(&[]), checks: "operate", lsm: LSM_WITHOUT_BPF, ..PLAIN },
    // What the agent tells, and what people make of it.
    Template { name: "events", on: On::Daily(&["6.12"]), checks: "events", ..PLAIN },
    Template { name: "events-no-lsm", on: On::Daily(&[]), checks: "events", lsm: LSM_WITHOUT_BPF, ..PLAIN },
    // More denials than anybody reads; --param aegis.seconds=60 makes it a minute.
    Template { name: "load", on: On::Daily(&["6.12"]), checks: "load", ..PLAIN },
    // The self-guard.
    Template { name: "guard", on: On::Daily(&["6.12"]), checks: "guard", ..PLAIN },
    Template { name: "guard-no-lsm", on: On::Daily(&[]), checks: "guard", lsm: LSM_WITHOUT_BPF, ..PLAIN },
    // The least that each operation takes, one run of it for each capability.
    Template { name: "privileges", on: On::Daily(&["5.10"]), checks: "privileges", ..PLAIN },
    // The agent confined by what ships for it.
    Template {
        name: "apparmor",
        on: On::Daily(&["6.12"]),
        checks: "apparmor",
        lsm: LSM_APPARMOR,
        modules: &["loop"],
        profile: Some(Profile::AppArmor),
        ..PLAIN
    },
    Template {
        name: "selinux",
        on: On::Daily(&["6.12"]),
        checks: "selinux",
        lsm: LSM_SELINUX,
        modules: &["loop"],
        disks: true,
        profile: Some(Profile::SeLinux),
        ..PLAIN
    },
    // Some sixty runs of the agent each.
    Template { name: "partial", on: On::Daily(&[]), checks: "partial", ..PLAIN },
    Template { name: "partial-no-lsm", on: On::Daily(&[]), checks: "partial", lsm: LSM_WITHOUT_BPF, ..PLAIN },
    Template { name: "failures", on: On::Daily(&[]), checks: "failures", ..PLAIN },
    Template {
        name: "failures-no-lsm",
        on: On::Daily(&[]),
        checks: "failures",
        lsm: LSM_WITHOUT_BPF,
        ..PLAIN
    },
    // A taken-over agent, and what its sandbox takes and leaves.
    Template { name: "drill", on: On::Daily(&["5.10", "newest"]), checks: "drill", ..PLAIN },
    Template { name: "rig", on: On::Newest, modules: &["overlay", "loop", "xfs", "btrfs"], ..PLAIN },
    // With few rounds; --param aegis.rounds=2000 and a longer --timeout make them long.
    Template { name: "swaps", on: On::Daily(&[]), checks: "swaps", params: &["aegis.rounds=200"], ..PLAIN },
    Template { name: "counted", on: On::Newest, checks: "counted", params: &["aegis.rounds=50"], ..COUNTED },
    // What everything costs: a part of it each day, held against tests/bench.toml, and all of it by `./dev bench`.
    Template { name: "bench", on: On::Daily(&["6.12"]), checks: "bench", ..COUNTED },
    Template { name: "bench-no-lsm", on: On::Daily(&[]), checks: "bench", lsm: LSM_WITHOUT_BPF, ..COUNTED },
    Template { name: "costs", on: On::Daily(&[]), checks: "costs", ..COUNTED },
    Template { name: "costs-no-lsm", on: On::Daily(&[]), checks: "costs", lsm: LSM_WITHOUT_BPF, ..COUNTED },
    Template { name: "costs-trace", on: On::Daily(&[]), checks: "costs-trace", ..COUNTED },
    // What others take for an open, by `./dev bench --peers`.
    Template { name: "peers", on: On::Daily(&[]), checks: "peers", peers: true, ..COUNTED },
    // The ways out that stand on the kernel command line.
    Template { name: "off", on: On::Newest, checks: "off", params: &["aegisbpf.off"], ..PLAIN },
    Template { name: "audit", on: On::Newest, checks: "audit", params: &["aegisbpf.mode=audit"], ..PLAIN },
    // Debian with systemd as init, and the service as it is shipped.
    Template { name: "systemd", on: On::Daily(&["6.12"]), checks: "systemd", image: true, ..PLAIN },
    // The package as dpkg and systemd take it, from its first install to its purge.
    Template { name: "package", on: On::Daily(&[]), checks: "package", image: true, packages: true, ..PLAIN },
    // Beside the agent as it was before the ABI of its pins last changed.
    Template { name: "upgrade", on: On::Daily(&[]), checks: "upgrade", before: true, ..PLAIN },
    Template { name: "reboot", on: On::Newest, checks: "reboot", disks: true, reboots: true, ..PLAIN },
];

/// Emulated instruction by instruction, where most of the others run at the speed of the host: asked for by name.
const ON_ARM64: [(&str, &[Template]); 2] = [
    // The oldest kernels attach no BPF program to a function there, and say so only when it is tried.
    (
        "arm64-6.1",
        &[Template { name: "tracepoint", on: On::Daily(&[]), checks: "no-trampolines", ..ENFORCE }],
    ),
    (
        "arm64-6.12",
        &[
            Template { name: "tier", on: On::Daily(&[]), checks: "tier", ..ENFORCE },
            Template {
                name: "tier-no-lsm",
                on: On::Daily(&[]),
                checks: "tier",
                lsm: LSM_WITHOUT_BPF,
                ..ENFORCE
            },
        ],
    ),
];

/// One row: a VM to boot and the list of checks to run in it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) kernel: Selector,
    /// The part of the name behind the kernel.
    pub(crate) suffix: &'static str,
    pub(crate) checks: &'static str,
    /// Whether it runs only when it is asked for by name.
    pub(crate) on_request: bool,
    /// Beginnings of the ids of the checks that are wanted; none: all are.
    pub(crate) chosen: Vec<String>,
    pub(crate) setup: Setup,
}

/// Every row, oldest kernel first.
pub(crate) fn rows() -> Vec<Row> {
    let kernels = kernels::all();
    let rows =
        kernels.iter().flat_map(|kernel| TEMPLATES.iter().filter_map(|template| row(kernel, template)));
    rows.chain(kernels::on_arm64().iter().flat_map(on_arm64)).collect()
}

fn on_arm64(kernel: &Selector) -> Vec<Row> {
    let templates = ON_ARM64.iter().find(|(name, _)| *name == kernel.name());
    let templates = templates.map(|(_, templates)| *templates).unwrap_or_default();
    templates.iter().filter_map(|template| row(kernel, template)).collect()
}

/// Every row with more kernel parameters, of which the last of a name counts, and with those checks alone whose id begins
/// with one of these words.
pub(crate) fn rows_of(chosen: &[String], params: &[String]) -> Vec<Row> {
    let mut rows = rows();
    for row in &mut rows {
        row.setup.params.extend_from_slice(params);
    }
    if !chosen.is_empty() {
        for row in &mut rows {
            row.choose(chosen.to_vec());
        }
    }
    rows
}

fn row(kernel: &Selector, template: &Template) -> Option<Row> {
    if matches!(template.on, On::Newest) && *kernel != Selector::Newest(0) {
        return None;
    }
    let mut params = vec![format!("{PARAM_ROW}={}", template.checks)];
    if !template.nomount.is_empty() {
        params.push(format!("{PARAM_NOMOUNT}={}", template.nomount.join(",")));
    }
    params.extend(template.params.iter().map(|&word| word.to_owned()));
    let setup = Setup {
        name: format!("{}/{}", kernel.name(), template.name),
        lsm: template.lsm.to_owned(),
        params,
        modules: template.modules.iter().map(|&name| name.to_owned()).collect(),
        disks: template.disks,
        memory_mib: template.memory_mib,
        smp: template.smp,
        counted: template.counted,
        image: template.image,
        peers: template.peers,
        packages: template.packages,
        before: template.before,
        profile: template.profile,
        reboots: template.reboots,
        run: None,
    };
    let mut row = Row {
        kernel: kernel.clone(),
        suffix: template.name,
        checks: template.checks,
        on_request: !is_daily(template, kernel),
        chosen: Vec::new(),
        setup,
    };
    if !template.only.is_empty() {
        row.choose(template.only.iter().map(|&word| word.to_owned()).collect());
    }
    Some(row)
}

fn is_daily(template: &Template, kernel: &Selector) -> bool {
    match template.on {
        On::Every | On::Newest => true,
        On::Daily(names) => names.contains(&kernel.name().as_str()),
    }
}

impl Row {
    /// Wants those checks alone whose id begins with one of these words; what was chosen before no longer counts.
    fn choose(&mut self, words: Vec<String>) {
        self.setup.params.push(format!("{PARAM_CHECKS}={}", words.join(",")));
        self.chosen = words;
    }

    /// Whether a word of `--row` means this row: its whole name, its kernel, or what stands behind the kernel.
    pub(crate) fn is_meant(&self, word: &str, series: Option<&str>) -> bool {
        let selector = self.kernel.name();
        let kernels = [Some(selector.as_str()), series];
        word == self.suffix
            || kernels
                .into_iter()
                .flatten()
                .any(|kernel| word == kernel || word == format!("{kernel}/{}", self.suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_what_it_is_said_to_be() {
        let names: Vec<String> =
            rows().into_iter().filter(|row| !row.on_request).map(|row| row.setup.name).collect();
        assert_eq!(
            names,
            [
                "5.10/no-lsm",
                "5.10/trace",
                "5.10/privileges",
                "5.10/drill",
                "6.1/trace",
                "6.12/trace",
                "6.12/operate",
                "6.12/events",
                "6.12/load",
                "6.12/guard",
                "6.12/apparmor",
                "6.12/selinux",
                "6.12/bench",
                "6.12/systemd",
                "newest-1/trace",
                "newest/lsm-core",
                "newest/trace",
                "newest/drill",
                "newest/rig",
                "newest/counted",
                "newest/off",
                "newest/audit",
                "newest/reboot"
            ]
        );
    }

    #[test]
    fn words_that_mean_a_row() {
        let rows = rows();
        let meant = |word: &str| rows.iter().filter(|row| row.is_meant(word, Some("9.9"))).count();
        assert_eq!(meant("lsm"), 5);
        assert_eq!(meant("partial"), 5);
        assert_eq!(meant("6.12/lsm"), 1);
        let on = |name: &str| rows.iter().filter(|row| row.kernel.name() == name).count();
        assert_eq!(meant("6.1"), on("6.1"));
        assert_eq!(meant("newest"), on("newest"));
        assert_eq!(meant("9.9/rig"), 1);
        assert_eq!(meant("6"), 0);
    }
}
