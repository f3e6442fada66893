//! `aegisbpf keys generate`

use std::path::Path;

use serde::Serialize;

use crate::{
    cli::GenerateArgs,
    cmd::{print, print_json},
    exit::{self, Exit, Failure},
    kernel::Host,
    provenance::{self, NAMESPACE, SecretKey, Signer},
};

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    secret: &'a Path,
    public: &'a Path,
    fingerprint: String,
    comment: &'a str,
    allowed_signers: String,
}

/// Makes a key. Of the secret half nothing leaves this process but into its file.
pub(super) fn generate(args: &GenerateArgs) -> Result<Exit, Failure> {
    let host = Host::current().name;
    let host = if provenance::is_principal(&host) { host } else { "aegisbpf".to_owned() };
    let comment = args.comment.clone().unwrap_or(host);
    let key = SecretKey::generate(&comment).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let public = provenance::write_secret(&args.output, &key)?;
    let line = Signer {
        principals: comment.clone(),
        namespaces: vec![NAMESPACE.to_owned()],
        valid_after: None,
        valid_before: None,
        key: key.public(),
    }
    .to_string();
    let fingerprint = key.public().to_string();
    exit::note(&format!(
        "{} has no passphrase; `ssh-keygen -p -f {0}` sets one, then sign with `ssh-keygen -Y sign -n {NAMESPACE}`",
        args.output.display()
    ));
    if args.json {
        print_json(&Report {
            schema_version: 1,
            secret: &args.output,
            public: &public,
            fingerprint,
            comment: &comment,
            allowed_signers: line,
        })?;
    } else {
        print(&format!("256 {fingerprint} {comment} (ED25519)\n{line}\n"))?;
    }
    Ok(Exit::Done)
}
