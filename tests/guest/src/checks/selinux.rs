//! Under the `SELinux` module that ships, together with the reference policy of Debian, enforced.

use super::agent::contains;
use super::bound::{self, Control, failed};
use super::{Check, CheckError};
use crate::hostile::{COMMON, SELINUX};
use crate::run::Cmd;
use crate::selinux;
use std::fs;
use std::sync::OnceLock;

const REFUSES: &str = "selinux.refuses-";

/// An operator's shell, which ran its login, and what it runs.
const UNBOUND: [&str; 6] =
    ["/init", "labelled", "unconfined_u:unconfined_r:unconfined_t:s0", "/bin/sh", "-c", "exec \"$0\" \"$@\""];

const CONTROL: Control = Control {
    load,
    operator: |command| command.behind(UNBOUND),
    hostile: |args| Cmd::new(selinux::HOSTILE).args(["hostile", "-"]).args(args),
    // Also of its files: a type that may not be on a file system is denied in its own name.
    denial: &["avc:  denied", ":aegisbpf_"],
    attribute: "attr/current",
    label: "system_u:system_r:aegisbpf_t:s0",
};

pub(super) fn checks() -> Vec<Check> {
    static IDS: OnceLock<Vec<String>> = OnceLock::new();
    let names = || COMMON.iter().chain(&SELINUX).map(|(name, _)| *name);
    let ids = IDS.get_or_init(|| bound::named(REFUSES, names()));
    let mut checks = vec![
        Check { id: "selinux.full-life", run: |_| bound::life(&CONTROL) },
        Check { id: "selinux.operator-unbound", run: |_| bound::unbound(&CONTROL, &UNBOUND) },
    ];
    checks
        .extend(bound::checks(ids, |ctx| bound::refuses(&CONTROL, ctx.running.trim_start_matches(REFUSES))));
    checks
}

/// Init did it, before it started this row.
fn load() -> Result<(), CheckError> {
    for (path, wanted) in [("/sys/fs/selinux/enforce", "1"), ("/proc/self/attr/current", selinux::INIT)] {
        contains(path, &fs::read_to_string(path).map_err(failed(path))?, wanted)?;
    }
    Ok(())
}
