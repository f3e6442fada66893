//! What is pinned.

use std::io;

use super::{super::Facts, Finding, files::owned};
use crate::{
    enforce::{EnforceError, Pinned, Pins},
    tier::Need,
};

/// What is pinned, or what to say instead.
fn pinned(facts: &Facts<'_>) -> Result<Pinned, Finding> {
    match Pins::below(&facts.places.bpffs).look() {
        Ok(Some(pinned)) => Ok(pinned),
        Ok(None) => Err(Finding::skip("nothing is pinned")),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &EnforceError) -> Finding {
    match error {
        EnforceError::Pin { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Finding::unknown(format!("{}: {source}", path.display())).fix("sudo aegisbpf doctor")
        }
        error => Finding::fail(error.to_string()).fix("aegisbpf detach").fix("systemctl restart aegisbpf"),
    }
}

pub(super) fn programs(facts: &Facts<'_>) -> Finding {
    let pinned = match pinned(facts) {
        Ok(pinned) => pinned,
        Err(finding) => return finding,
    };
    let Some(tier) = pinned.tier else {
        return Finding::fail("no program is pinned beside the maps").fix("systemctl restart aegisbpf");
    };
    let missing = |need: Need| -> Vec<&str> {
        let hooks = tier.hooks.iter().filter(|hook| hook.need == need).map(|hook| hook.name);
        hooks.filter(|name| !pinned.hooks.iter().any(|hook| hook == name)).collect()
    };
    let count = format!("{} hooks of {}", pinned.hooks.len(), tier.name);
    let (required, optional) = (missing(Need::Required), missing(Need::Optional));
    if !required.is_empty() {
        return Finding::fail(format!("{count}; missing: {}", required.join(", ")))
            .fix("systemctl restart aegisbpf");
    }
    if !optional.is_empty() {
        return Finding::warn(format!("{count}; missing: {}", optional.join(", ")));
    }
    Finding::ok(count)
}

pub(super) fn other_versions(facts: &Facts<'_>) -> Finding {
    let pins = Pins::below(&facts.places.bpffs);
    match pins.check() {
        Ok(()) => Finding::ok(format!("nothing beside {}", pins.dir().display())),
        Err(EnforceError::Incompatible { path, .. }) => {
            Finding::fail(format!("{} is of another version", path.display())).fix("aegisbpf detach")
        }
        Err(error) => unreadable(&error),
    }
}

pub(super) fn modes(facts: &Facts<'_>) -> Finding {
    let pins = Pins::below(&facts.places.bpffs);
    let root = pins.dir().parent().unwrap_or(pins.dir());
    owned(root)
}

pub(super) fn skipped(facts: &Facts<'_>) -> Finding {
    match pinned(facts) {
        Err(finding) => finding,
        Ok(Pinned { skipped: 0, .. }) => Finding::ok("none (recursion_misses of both copies)"),
        Ok(Pinned { skipped, .. }) => {
            Finding::fail(format!("up to {skipped} decisions (recursion_misses of both copies)"))
                .fix("report it with the kernel's version")
        }
    }
}
