//! Under the `AppArmor` profile that ships, enforced.

use super::bound::{self, Control, failed};
use super::{Check, CheckError};
use crate::hostile::{APPARMOR, COMMON};
use crate::run::Cmd;
use guest::APPARMOR_PROFILE;
use std::fs;
use std::sync::OnceLock;

const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
const REFUSES: &str = "apparmor.refuses-";

const CONTROL: Control = Control {
    load,
    // The program is bound by its path, whoever starts it.
    operator: |command| command,
    // By its own word: the profile does not let anything be executed that is not the agent.
    hostile: |args| Cmd::new("/init").args(["hostile", "changeprofile aegisbpf"]).args(args),
    denial: &["apparmor=\"DENIED\"", "profile=\"aegisbpf\""],
    attribute: "attr/current",
    label: "aegisbpf (enforce)",
};

pub(super) fn checks() -> Vec<Check> {
    static IDS: OnceLock<Vec<String>> = OnceLock::new();
    let names = || COMMON.iter().chain(&APPARMOR).map(|(name, _)| *name);
    let ids = IDS.get_or_init(|| bound::named(REFUSES, names()));
    let mut checks = vec![
        Check { id: "apparmor.full-life", run: |_| bound::life(&CONTROL) },
        // As `aa-exec -p unconfined --` does.
        Check {
            id: "apparmor.operator-unbound",
            run: |_| bound::unbound(&CONTROL, &["/init", "labelled", "exec unconfined"]),
        },
    ];
    checks
        .extend(bound::checks(ids, |ctx| bound::refuses(&CONTROL, ctx.running.trim_start_matches(REFUSES))));
    checks
}

/// The kernel takes what the parser compiled.
fn load() -> Result<(), CheckError> {
    let listed = || fs::read_to_string(PROFILES).map_err(failed(PROFILES));
    if listed()?.contains("aegisbpf (enforce)") {
        return Ok(());
    }
    let compiled = fs::read(APPARMOR_PROFILE).map_err(failed(APPARMOR_PROFILE))?;
    let replace = "/sys/kernel/security/apparmor/.replace";
    fs::write(replace, compiled).map_err(failed(replace))?;
    super::agent::contains(PROFILES, &listed()?, "aegisbpf (enforce)")
}
