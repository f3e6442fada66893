//! What the host says of itself. Used for explanations; no decision rests on it.

use std::{fs, os::unix::fs::MetadataExt as _};

use serde::Serialize;

/// Capabilities of this process that matter here.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    effective: u64,
    /// Whether they count in a user namespace alone, and not with the host.
    confined: bool,
}

/// `PROC_USER_INIT_INO`, `include/linux/proc_ns.h`
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// include/uapi/linux/capability.h
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

impl Capabilities {
    /// Reads `/proc/self/status`; where that cannot be read, none are assumed.
    pub fn current() -> Self {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        let namespace = fs::metadata("/proc/self/ns/user").map(|namespace| namespace.ino());
        Self {
            effective: status.map_or(0, |status| status.capeff),
            confined: namespace.is_ok_and(|namespace| namespace != FIRST_USER_NAMESPACE),
        }
    }

    /// Of a set as `/proc` has it, which counts with the host.
    pub(super) fn of(effective: u64) -> Self {
        Self { effective, confined: false }
    }

    fn has(self, capability: u32) -> bool {
        self.effective & (1 << capability) != 0
    }

    /// The first capability that loading programs lacks. `CAP_SYS_ADMIN` stands in for both.
    pub fn missing_for_programs(self) -> Option<&'static str> {
        if self.confined {
            return Some("CAP_BPF and CAP_PERFMON outside of this user namespace");
        }
        if self.has(CAP_SYS_ADMIN) {
            return None;
        }
        match (self.has(CAP_BPF), self.has(CAP_PERFMON)) {
            (true, true) => None,
            (false, true) => Some("CAP_BPF"),
            (true, false) => Some("CAP_PERFMON"),
            (false, false) => Some("CAP_BPF and CAP_PERFMON"),
        }
    }
}

/// The active LSMs, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LsmList {
    /// Names as in `lsm=`.
    pub names: Vec<String>,
    /// Where that was read.
    pub source: &'static str,
}

impl LsmList {
    const PATH: &'static str = "/sys/kernel/security/lsm";

    /// From securityfs, or where that is not mounted from `lsm_list_modules(2)` (kernel v6.8). `None`: not visible here.
    pub fn current() -> Option<Self> {
        if let Ok(list) = fs::read_to_string(Self::PATH) {
            let names = list.trim().split(',').map(str::to_owned).collect();
            return Some(Self { names, source: Self::PATH });
        }
        let ids = crate::sys::process::lsm_list_modules().ok()?;
        let names =
            ids.into_iter().map(|id| lsm_name(id).map_or_else(|| id.to_string(), str::to_owned)).collect();
        Some(Self { names, source: "lsm_list_modules(2)" })
    }

    /// Whether BPF LSM programs are asked at all.
    pub fn has_bpf(&self) -> bool {
        self.names.iter().any(|name| name == "bpf")
    }
}

/// include/uapi/linux/lsm.h
fn lsm_name(id: u64) -> Option<&'static str> {
    const FIRST: u64 = 100;
    const NAMES: [&str; 14] = [
        "capability",
        "selinux",
        "smack",
        "tomoyo",
        "apparmor",
        "yama",
        "loadpin",
        "safesetid",
        "lockdown",
        "bpf",
        "landlock",
        "ima",
        "evm",
        "ipe",
    ];
    NAMES.get(usize::try_from(id.checked_sub(FIRST)?).ok()?).copied()
}

/// What the kernel command line says about this product: the way out of a host that does not come up with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootSwitches {
    /// `aegisbpf.off`: nothing is started.
    pub off: bool,
    /// `aegisbpf.mode=audit`: nothing is denied, whatever is asked for.
    pub audit: bool,
}

impl BootSwitches {
    /// Reads `/proc/cmdline`. Where that cannot be read nothing is switched: enforcement must not end by accident.
    pub fn current() -> Self {
        Self::read(&fs::read_to_string("/proc/cmdline").unwrap_or_default())
    }

    /// Of a kernel command line. What comes behind `--` is for init alone.
    pub fn read(line: &str) -> Self {
        let words = line.split_ascii_whitespace().take_while(|word| *word != "--");
        words.fold(Self::default(), |switches, word| match word {
            "aegisbpf.off" | "aegisbpf.off=1" => Self { off: true, ..switches },
            "aegisbpf.off=0" => Self { off: false, ..switches },
            // The last one counts, as for the kernel itself.
            _ => match word.strip_prefix("aegisbpf.mode=") {
                Some(mode) => Self { audit: mode == "audit", ..switches },
                None => switches,
            },
        })
    }
}

/// The host, for headings and reports.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Name and version of the distribution.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture.
    pub arch: String,
    /// Host name.
    pub name: String,
    /// Changes with each boot.
    pub boot_id: String,
}

impl Host {
    /// Reads `uname(2)`, `os-release` and the boot id.
    pub fn current() -> Self {
        let uname = rustix::system::uname();
        let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            os: os_name().unwrap_or_else(|| "unknown distribution".to_owned()),
            kernel: text(uname.release()),
            arch: text(uname.machine()),
            name: text(uname.nodename()),
            boot_id: boot_id.trim().to_owned(),
        }
    }
}

fn os_name() -> Option<String> {
    let text =
        fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_of_a_command_line() {
        let on = |off, audit| BootSwitches { off, audit };
        for (line, wanted) in [
            ("BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet", on(false, false)),
            ("ro aegisbpf.off quiet\n", on(true, false)),
            ("aegisbpf.off=1", on(true, false)),
            ("aegisbpf.off=1 aegisbpf.off=0", on(false, false)),
            ("aegisbpf.mode=audit", on(false, true)),
            ("aegisbpf.mode=audit aegisbpf.mode=enforce", on(false, false)),
            ("aegisbpf.mode=audit aegisbpf.off", on(true, true)),
            ("quiet -- aegisbpf.off", on(false, false)),
            ("xaegisbpf.off aegisbpf.offline aegisbpf.mode=", on(false, false)),
        ] {
            assert_eq!(BootSwitches::read(line), wanted, "{line}");
        }
    }
}
