//! The policy file, its signature, and who is trusted.

use std::io;

use super::{super::Facts, Finding};
use crate::{
    agent::{self, AgentError, Journal, Source},
    policy::{Digest, Timestamp},
    provenance::{self, Trust, TrustError},
    store::Store,
};

/// A warning comes this long before the end.
const SOON: i64 = 30 * 86_400;
/// 2025-01-01T00:00:00Z
const BEFORE_US: i64 = 1_735_689_600;

/// The policy file, or what to say instead.
fn source<'a>(facts: &'a Facts<'_>) -> Result<&'a Source, Finding> {
    facts.source.as_ref().map_err(|error| match error {
        AgentError::Unreadable { path, source } if source.kind() == io::ErrorKind::NotFound => {
            Finding::skip(format!("{} does not exist", path.display()))
        }
        AgentError::Unreadable { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            Finding::unknown(format!("{}: {source}", path.display())).fix("sudo aegisbpf doctor")
        }
        AgentError::Invalid { path, .. } => Finding::fail(format!("{}: it has faults", path.display()))
            .fix(format!("aegisbpf policy lint {}", path.display())),
        error => Finding::fail(error.to_string()),
    })
}

fn trust(facts: &Facts<'_>) -> Result<Trust, Finding> {
    provenance::load(&facts.places.config_dir.join(agent::KEYS)).map_err(|error| match &error {
        TrustError::Unreadable { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            Finding::unknown(format!("{}: {source}", path.display())).fix("sudo aegisbpf doctor")
        }
        TrustError::Exposed { path, .. } => Finding::fail(error.to_string())
            .fix(format!("chown root:root {0} && chmod go-w {0}", path.display())),
        TrustError::Faulty { source, .. } => Finding::fail(format!("{error}: {source}")),
        error => Finding::fail(error.to_string()),
    })
}

pub(super) fn file(facts: &Facts<'_>) -> Finding {
    match source(facts) {
        Err(finding) => finding,
        Ok(source) => {
            let policy = &source.policy;
            let rules = policy.paths.len() + policy.trees.len() + policy.inodes.len();
            Finding::ok(format!("{}: {rules} rules, SHA-256 {}", source.path.display(), source.sha256))
        }
    }
}

pub(super) fn warnings(facts: &Facts<'_>) -> Finding {
    match source(facts) {
        Err(finding) => Finding { fix: Vec::new(), ..Finding::skip(finding.evidence) },
        Ok(source) if source.remarks.is_empty() => Finding::ok("none"),
        Ok(source) => Finding::warn(format!("{} has some", source.path.display()))
            .fix(format!("aegisbpf policy lint {}", source.path.display())),
    }
}

pub(super) fn signature(facts: &Facts<'_>) -> Finding {
    let source = match source(facts) {
        Ok(source) => source,
        Err(finding) => return Finding::skip(finding.evidence),
    };
    let beside = agent::beside(&source.path);
    match source.vouched(&facts.places.config_dir.join(agent::KEYS)) {
        None => Finding::warn(format!("{} does not exist", beside.display())).fix(format!(
            "ssh-keygen -Y sign -n {} -f KEY {}",
            provenance::NAMESPACE,
            source.path.display()
        )),
        Some(Ok(accepted)) => Finding::ok(format!("signed by {}, key {}", accepted.principal, accepted.key)),
        Some(Err(why)) => Finding::fail(format!("{}: {why}", beside.display()))
            .fix(format!("aegisbpf policy verify {}", source.path.display())),
    }
}

pub(super) fn keys(facts: &Facts<'_>) -> Finding {
    match trust(facts) {
        Err(finding) => finding,
        Ok(trust) if trust.signers.is_empty() => Finding::skip(format!(
            "{}: nobody is trusted to sign policies",
            facts.places.config_dir.join(agent::KEYS).display()
        )),
        Ok(trust) => {
            Finding::ok(format!("{} signers, {} revoked keys", trust.signers.len(), trust.revoked.len()))
        }
    }
}

pub(super) fn key_times(facts: &Facts<'_>) -> Finding {
    let trust = match trust(facts) {
        Ok(trust) if trust.signers.is_empty() => return Finding::skip("there are no keys"),
        Ok(trust) => trust,
        Err(finding) => return Finding::skip(finding.evidence),
    };
    let end = |signer: &provenance::Signer| signer.valid_before.map(Timestamp::unix);
    let ends: Vec<String> = trust
        .signers
        .iter()
        .filter(|signer| end(signer).is_some_and(|end| end < facts.now + SOON))
        .map(|signer| {
            let until = signer.valid_before.map(|time| time.to_string()).unwrap_or_default();
            format!("{} until {until}", signer.principals)
        })
        .collect();
    if ends.is_empty() {
        return Finding::ok("no key ends within 30 days");
    }
    Finding::warn(ends.join("; ")).fix("add a new key to allowed_signers, and sign the policy with it")
}

pub(super) fn times(facts: &Facts<'_>) -> Finding {
    let source = match source(facts) {
        Ok(source) => source,
        Err(finding) => return Finding::skip(finding.evidence),
    };
    if let Some((_, why)) = agent::objection(&source.policy) {
        return Finding::fail(format!("{}: {why}", source.path.display()));
    }
    match source.policy.settings.expires {
        Some(end) if end.unix() < facts.now + SOON => {
            Finding::warn(format!("it ends at {end}")).fix("sign and apply a policy with a later expires=")
        }
        Some(end) => Finding::ok(format!("it holds here, until {end}")),
        None => Finding::ok("it holds here, and has no end"),
    }
}

pub(super) fn generations(facts: &Facts<'_>) -> Finding {
    let store = Store::at(&facts.places.state_dir);
    let numbers = match store.numbers() {
        Ok(numbers) if numbers.is_empty() => return Finding::skip("none is stored"),
        Ok(numbers) => numbers,
        Err(error) => return Finding::unknown(error.to_string()).fix("sudo aegisbpf doctor"),
    };
    let faulty: Vec<String> = numbers
        .iter()
        .filter_map(|number| {
            let read = store.record(*number).and_then(|record| store.text(&record.sha256));
            read.err().map(|error| format!("{number}: {error}"))
        })
        .collect();
    if faulty.is_empty() {
        return Finding::ok(format!("{} generations, all whole", numbers.len()));
    }
    Finding::fail(faulty.join("; ")).fix("aegisbpf policy apply FILE")
}

pub(super) fn in_force(facts: &Facts<'_>) -> Finding {
    let Some(held) = &facts.picture.status.policy else { return Finding::skip("no policy is in force") };
    let path = facts.places.config_dir.join(agent::POLICY);
    let in_force = format!("generation {} with SHA-256 {} is in force", held.generation, held.sha256);
    let file: Option<Digest> = facts.source.as_ref().ok().map(|source| source.sha256);
    match file {
        None => Finding::skip(format!("{in_force}; {} is not there to compare", path.display())),
        Some(sha256) if sha256 == held.sha256 => Finding::ok(in_force),
        Some(_) => Finding::warn(format!("{in_force}; {} is another", path.display()))
            .fix(format!("aegisbpf policy diff {}", path.display())),
    }
}

pub(super) fn clock(facts: &Facts<'_>) -> Finding {
    let now = Timestamp::from_unix(facts.now).map(|time| time.to_string()).unwrap_or_default();
    if facts.now < BEFORE_US {
        return Finding::fail(format!("{now} is before this version was there"))
            .fix("timedatectl set-ntp true");
    }
    Finding::ok(now)
}

pub(super) fn audit_log(facts: &Facts<'_>) -> Finding {
    let journal = Journal::of(&facts.places.dirs());
    match journal.verify() {
        Ok(Ok(sound)) if sound.last == 0 => Finding::skip("nothing was ever recorded"),
        Ok(Ok(sound)) => {
            Finding::ok(format!("entries {} to {}, each as it was written", sound.first, sound.last))
        }
        Ok(Err(fault)) => {
            Finding::fail(fault.to_string()).fix("keep a copy of the log; aegisbpf audit verify")
        }
        Err(AgentError::Unrecorded(error)) if error.is_of_privilege() => {
            Finding::unknown(error.to_string()).fix("sudo aegisbpf doctor")
        }
        Err(error) => Finding::fail(error.chain()),
    }
}
