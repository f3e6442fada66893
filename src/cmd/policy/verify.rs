//! `aegisbpf policy verify`

use serde::Serialize;

use crate::{
    agent::{self, Source},
    cli::{Places, VerifyArgs},
    cmd::{print, print_json},
    exit::{Exit, Failure},
    policy::Digest,
};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    sha256: Digest,
    signed_by: String,
    key: String,
}

/// Says who signed a policy, or refuses as `apply` would where it is enforced.
pub(super) fn verify(args: &VerifyArgs, places: &Places) -> Result<Exit, Failure> {
    let mut source = Source::read(&args.file, false)?;
    let signature = args.signature.clone().unwrap_or_else(|| agent::beside(&args.file));
    if args.signature.is_some() {
        source.signature = agent::read_signature(&signature)?;
    }
    let keys = args.keys.clone().unwrap_or_else(|| places.config_dir.join(agent::KEYS));
    let Some(accepted) = source.vouched(&keys) else {
        let missing = format!("{}: there is no signature", signature.display());
        return Err(Failure::new(Exit::Trust, missing).hint(format!(
            "`ssh-keygen -Y sign -n {} -f KEY {}` makes one",
            crate::provenance::NAMESPACE,
            args.file.display()
        )));
    };
    let accepted = accepted.map_err(|source| agent::AgentError::Distrusted { path: signature, source })?;
    let (signed_by, key) = (accepted.principal, accepted.key.to_string());
    if args.json {
        print_json(&Report { schema_version: 1, sha256: source.sha256, signed_by, key })?;
    } else {
        print(&format!("{}: signed by {signed_by}, key {key}\n", args.file.display()))?;
    }
    Ok(Exit::Done)
}
