//! What is installed, and where.

use std::{borrow::Cow, path::Path};

use super::{
    InstallError, MAX_BYTES, failed,
    texts::{BASH, Completion, FISH, PAGES, ZSH},
};
use crate::{
    sys::rooted::{Root, own_program},
    tier::Mode,
};

const UNIT: &str = include_str!("../../dist/systemd/aegisbpf.service");
const GUARD: &str = include_str!("../../dist/systemd/guard.conf");
const CATALOG: &str = include_str!("../../dist/systemd/aegisbpf.catalog");
const TMPFILES: &str = include_str!("../../dist/tmpfiles.d/aegisbpf.conf");
const LOGROTATE: &str = include_str!("../../dist/logrotate/aegisbpf");
const POLICY: &str = include_str!("../../dist/policy.conf");
const EXAMPLE: &str = include_str!("../../dist/policy.conf.example");
const APPARMOR: &str = include_str!("../../apparmor/aegisbpf");
const SELINUX: &str = include_str!("../../selinux/aegisbpf.cil");

/// The drop-in that makes the service enforce. What `systemctl edit` makes comes behind it and has the last word.
pub(super) const MODE: &str = "/etc/systemd/system/aegisbpf.service.d/mode.conf";
const ENFORCE: &str = "# Made by `aegisbpf install --mode enforce`; `--mode audit` takes it away.\n[Service]\nEnvironment=AEGISBPF_OPTIONS=--enforce\n";

/// Where the profile of `AppArmor` goes.
pub const APPARMOR_PROFILE: &str = "/etc/apparmor.d/aegisbpf";

/// Below what programs and what only they change are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// As distributions have it.
    Usr,
    /// Where `/usr` is read-only.
    Local,
}

impl Prefix {
    /// The first that can be written.
    pub fn choose(root: &Root) -> Result<Self, InstallError> {
        for prefix in [Self::Usr, Self::Local] {
            let path = prefix.path();
            if !root.is_read_only(&Path::new(path).join("sbin")).map_err(failed(path, "looked at"))? {
                return Ok(prefix);
            }
        }
        Err(InstallError::ReadOnly)
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Usr => "/usr",
            Self::Local => "/usr/local",
        }
    }

    /// Where the module of `SELinux` goes.
    pub fn selinux_module(self) -> String {
        format!("{}/share/selinux/packages/aegisbpf.cil", self.path())
    }

    /// Where systemd looks for what is not below `/usr`, or is.
    fn systemd(self, kind: &str) -> String {
        match self {
            Self::Usr => format!("/usr/lib/{kind}"),
            Self::Local => format!("/etc/{kind}"),
        }
    }
}

/// A file to be installed.
#[derive(Clone, Debug)]
pub struct Item {
    /// Below the root.
    pub path: String,
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
    /// Its mode.
    pub mode: u32,
    /// Whether it is configuration: what somebody else made of it is theirs.
    pub conf: bool,
}

/// What a system has use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Below what.
    pub prefix: Prefix,
    /// Whether systemd is there.
    pub systemd: bool,
    /// Whether `AppArmor` is.
    pub apparmor: bool,
    /// Whether `SELinux` is.
    pub selinux: bool,
    /// What the service is told to do.
    pub mode: Mode,
}

/// The files; the program is the one that runs.
pub fn items(contents: Contents) -> Result<Vec<Item>, InstallError> {
    let program = own_program(MAX_BYTES).map_err(failed("/proc/self/exe", "read"))?;
    Ok(with_program(contents, program))
}

fn with_program(contents: Contents, program: Vec<u8>) -> Vec<Item> {
    let Contents { prefix, .. } = contents;
    let usr = prefix.path();
    let mut found =
        vec![Item { path: format!("{usr}/sbin/aegisbpf"), bytes: program.into(), mode: 0o755, conf: false }];
    let mut add = |path: String, text: Cow<'static, str>, conf: bool| {
        let bytes = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        found.push(Item { path, bytes, mode: 0o644, conf });
    };
    for page in PAGES {
        add(format!("{usr}/share/{}", page.path()), page.text.into(), false);
    }
    for Completion { path, text } in [BASH, ZSH, FISH] {
        add(format!("{usr}/share/{path}"), text.into(), false);
    }
    add(format!("{usr}/share/doc/aegisbpf/policy.conf.example"), EXAMPLE.into(), false);
    add("/etc/logrotate.d/aegisbpf".to_owned(), LOGROTATE.into(), true);
    add("/etc/aegisbpf/policy.conf".to_owned(), POLICY.into(), true);
    if contents.systemd {
        add(prefix.systemd("systemd/system/aegisbpf.service"), unit(prefix), false);
        add(format!("{usr}/share/aegisbpf/guard.conf"), GUARD.into(), false);
        add(prefix.systemd("tmpfiles.d/aegisbpf.conf"), TMPFILES.into(), false);
        add(format!("{usr}/lib/systemd/catalog/aegisbpf.catalog"), CATALOG.into(), false);
        if contents.mode == Mode::Enforce {
            add(MODE.to_owned(), ENFORCE.into(), true);
        }
    }
    if contents.apparmor {
        add(APPARMOR_PROFILE.to_owned(), APPARMOR.into(), true);
    }
    if contents.selinux {
        add(prefix.selinux_module(), SELINUX.into(), false);
    }
    found
}

/// The unit names the program by its path.
fn unit(prefix: Prefix) -> Cow<'static, str> {
    match prefix {
        Prefix::Usr => UNIT.into(),
        Prefix::Local => UNIT.replace("/usr/sbin/aegisbpf", "/usr/local/sbin/aegisbpf").into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn paths(prefix: Prefix) -> Vec<Item> {
        let all = Contents { prefix, systemd: true, apparmor: true, selinux: true, mode: Mode::Enforce };
        with_program(all, b"program".to_vec())
    }

    #[test]
    fn each_file_has_a_place_of_its_own() {
        for prefix in [Prefix::Usr, Prefix::Local] {
            let items = paths(prefix);
            let places: BTreeSet<&str> = items.iter().map(|item| item.path.as_str()).collect();
            assert_eq!(places.len(), items.len());
            assert!(items.iter().all(|item| !item.bytes.is_empty() && item.path.starts_with('/')));
        }
    }

    #[test]
    fn nothing_goes_to_a_usr_that_is_read_only() {
        let items = paths(Prefix::Local);
        for item in &items {
            let there = item.path.starts_with("/usr/local/") || item.path.starts_with("/etc/");
            assert!(there, "{}", item.path);
        }
        let unit = items.iter().find(|item| item.path == "/etc/systemd/system/aegisbpf.service");
        let text = unit.map(|unit| String::from_utf8_lossy(&unit.bytes).into_owned()).unwrap_or_default();
        assert_eq!(text.matches("=/usr/local/sbin/aegisbpf ").count(), 2);
        assert!(!text.contains("=/usr/sbin/"));
    }

    #[test]
    fn it_audits_unless_told_to_enforce() {
        let audit = Contents { mode: Mode::Audit, systemd: true, ..bare() };
        assert!(UNIT.contains("Environment=AEGISBPF_OPTIONS=--audit\n"));
        assert!(with_program(audit, Vec::new()).iter().all(|item| item.path != MODE));
    }

    #[test]
    fn what_a_system_has_no_use_for_is_left_out() {
        for item in with_program(bare(), Vec::new()) {
            for word in ["systemd", "tmpfiles", "apparmor", "selinux"] {
                assert!(!item.path.contains(word), "{}", item.path);
            }
        }
    }

    fn bare() -> Contents {
        Contents { prefix: Prefix::Usr, systemd: false, apparmor: false, selinux: false, mode: Mode::Audit }
    }
}
