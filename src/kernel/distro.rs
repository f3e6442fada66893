//! How this distribution boots, so that a remedy can be the very command.

use std::{fs, io::Read as _, path::Path};

use super::{LsmList, surroundings::read};

/// Who keeps the kernel's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// `rpm-ostree kargs`
    Ostree,
    /// systemd-boot or a unified kernel image: `/etc/kernel/cmdline`
    Cmdline,
    /// GRUB with drop-ins, as Debian and Ubuntu have it.
    GrubDropIn,
    /// GRUB by `grubby`, as Fedora and RHEL have it.
    Grubby,
    /// It cannot be told.
    Unknown,
}

impl Boot {
    /// Looks at this host.
    pub fn current() -> Self {
        let release = read("/etc/os-release").or_else(|_| read("/usr/lib/os-release")).unwrap_or_default();
        let systemd_boot = fs::read_dir("/sys/firmware/efi/efivars").is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| {
                    entry.file_name().to_string_lossy().starts_with("StubInfo-")
                        || loader_is_systemd(&entry.path())
                })
            })
        });
        Self::of(&release, Path::new("/run/ostree-booted").exists(), systemd_boot)
    }

    /// From `os-release`, whether ostree booted it, and whether systemd-boot or a unified image did.
    fn of(release: &str, ostree: bool, systemd_boot: bool) -> Self {
        if ostree {
            return Self::Ostree;
        }
        if systemd_boot {
            return Self::Cmdline;
        }
        let value = |key: &str| {
            release.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim_matches('"')
        };
        let mut ids = [value("ID="), value("ID_LIKE=")].into_iter().flat_map(str::split_ascii_whitespace);
        ids.find_map(|id| match id {
            "debian" | "ubuntu" => Some(Self::GrubDropIn),
            "fedora" | "rhel" | "centos" => Some(Self::Grubby),
            _ => None,
        })
        .unwrap_or(Self::Unknown)
    }

    /// The commands that add words to the kernel's command line, with what has to be known of them.
    pub fn commands(self, words: &str) -> Vec<String> {
        let drop_in = format!(
            "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {words}\"' > /etc/default/grub.d/60-aegisbpf.cfg && update-grub && reboot"
        );
        let grubby = format!("grubby --update-kernel=ALL --args='{words}' && reboot");
        let ostree = format!("rpm-ostree kargs --append-if-missing='{words}' && systemctl reboot");
        let cmdline =
            format!("sed -i 's/$/ {words}/' /etc/kernel/cmdline && kernel-install add-all && reboot");
        match self {
            Self::Ostree => vec![ostree],
            Self::Cmdline => vec![cmdline],
            Self::GrubDropIn => vec![drop_in],
            Self::Grubby => vec![grubby],
            Self::Unknown => vec![
                format!("Debian, Ubuntu: {drop_in}"),
                format!("Fedora, RHEL: {grubby}"),
                format!("ostree: {ostree}"),
                format!("systemd-boot, unified kernel images: {cmdline}"),
            ],
        }
    }
}

/// Enough for the name of a boot loader.
const LOADER_BYTES: u64 = 256;

/// `LoaderInfo-*` holds four bytes of attributes and then UTF-16.
fn loader_is_systemd(path: &Path) -> bool {
    if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("LoaderInfo-")) {
        return false;
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LOADER_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return false;
    }
    let text: String =
        bytes.iter().skip(4).filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    text.starts_with("systemd-boot")
}

/// The `lsm=` parameter that adds `bpf` and keeps every LSM that is active now, in its order. `capability` is always on and
/// need not be named; what the kernel's command line names stays where it is, active or not. `None`: an active LSM would be
/// lost.
pub fn boot_line(active: &LsmList, cmdline: &str) -> Option<String> {
    let wanted = cmdline.split_ascii_whitespace().rev().find_map(|word| word.strip_prefix("lsm="));
    let always = |name: &&str| *name != "capability";
    let mut names: Vec<&str> = match wanted {
        Some(list) => list.split(',').filter(|name| !name.is_empty()).collect(),
        None => active.names.iter().map(String::as_str).filter(always).collect(),
    };
    // The order of those that stand in the list is the order of calls; one that is active without being named is one that
    // the kernel adds by itself (integrity, ima, evm), wherever it is named.
    let added = ["integrity", "ima", "evm"];
    let lost = active.names.iter().map(String::as_str).filter(always);
    let lost: Vec<&str> = lost.filter(|name| !names.contains(name) && !added.contains(name)).collect();
    if !lost.is_empty() {
        return None;
    }
    if !names.contains(&"bpf") {
        names.push("bpf");
    }
    Some(format!("lsm={}", names.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &str) -> LsmList {
        LsmList { names: names.split(',').map(str::to_owned).collect(), source: "a test" }
    }

    #[test]
    fn the_boot_line_keeps_what_is_active() {
        let jammy = list("lockdown,capability,landlock,yama,apparmor");
        assert_eq!(boot_line(&jammy, "quiet").as_deref(), Some("lsm=lockdown,landlock,yama,apparmor,bpf"));
        // What the command line says comes first: 5.10 has no Landlock, and a later kernel of the same host has.
        assert_eq!(
            boot_line(&list("capability,yama,selinux"), "lsm=x quiet lsm=landlock,yama,selinux").as_deref(),
            Some("lsm=landlock,yama,selinux,bpf")
        );
        assert_eq!(boot_line(&list("capability,yama,ima"), "lsm=yama").as_deref(), Some("lsm=yama,bpf"));
        // `security=` made an LSM active that the list does not name: the line would turn it off.
        assert_eq!(boot_line(&list("capability,apparmor"), "lsm=yama security=apparmor"), None);
    }

    #[test]
    fn each_distribution_has_its_command() {
        for (release, ostree, systemd_boot, boot, word) in [
            ("ID=ubuntu\nID_LIKE=debian\n", false, false, Boot::GrubDropIn, "update-grub"),
            ("ID=debian\n", false, false, Boot::GrubDropIn, "/etc/default/grub.d/"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", false, false, Boot::Grubby, "grubby"),
            ("ID=fedora\n", true, false, Boot::Ostree, "rpm-ostree kargs"),
            ("ID=fedora\n", false, true, Boot::Cmdline, "/etc/kernel/cmdline"),
            ("ID=gentoo\n", false, false, Boot::Unknown, "Fedora, RHEL: grubby"),
        ] {
            assert_eq!(Boot::of(release, ostree, systemd_boot), boot, "{release}");
            let commands = boot.commands("lsm=yama,bpf").join("\n");
            assert!(commands.contains(word) && commands.contains("lsm=yama,bpf"), "{commands}");
        }
    }
}
