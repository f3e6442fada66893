//! `aegisbpf policy sign`

use std::path::Path;

use crate::{
    agent::{self, Source},
    cli::SignArgs,
    cmd::print,
    exit::{self, Exit, Failure},
    provenance,
};

/// Signs a policy. What is no policy is not signed: it could never be applied.
pub(super) fn sign(args: &SignArgs) -> Result<Exit, Failure> {
    let key = provenance::read_secret(&args.key)?;
    let source = Source::parse(&args.file, &agent::read_bounded(&args.file)?)?;
    source.remarks.iter().for_each(|remark| exit::note(remark.trim_end()));
    let signature = provenance::sign(&source.text, &key);
    let beside = || (args.file != Path::new("-")).then(|| agent::beside(&args.file));
    let Some(to) = args.signature.clone().or_else(beside) else {
        print(&signature)?;
        return Ok(Exit::Done);
    };
    provenance::write_signature(&to, &signature, args.force)?;
    print(&format!("{}: signed with the key {}\n", to.display(), key.public()))?;
    Ok(Exit::Done)
}
