//! What to do with keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JsonArgs;
use crate::{policy::Timestamp, provenance};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key that signs policies, and its public half beside it
    Generate(GenerateArgs),
    /// Trust a key: add its line to `allowed_signers`
    Add(AddArgs),
    /// Take nothing any more that a key signed: add it to `revoked_keys`
    Revoke(RevokeArgs),
    /// Look for faults in files, directories and keys; exit 1 when a key needs somebody, 78 when nothing can be trusted
    Check(JsonArgs),
    /// List the keys of `allowed_signers` with their fingerprints, and which of them are revoked
    List(JsonArgs),
}

/// What to make.
#[derive(Debug, Args)]
#[command(
    after_help = "The key has no passphrase: nothing here asks for one. `ssh-keygen -p -f FILE` sets one; then\n`ssh-keygen -Y sign -n policy@aegisbpf -f FILE policy.conf` signs, and asks for it."
)]
pub struct GenerateArgs {
    /// Where the key goes; the public half goes to FILE.pub, and no file is overwritten
    #[arg(long, short, value_name = "FILE", default_value = "policy-key")]
    pub output: PathBuf,
    /// Whose it is, in one word [default: the name of this host]
    #[arg(long, value_name = "NAME", value_parser = principal)]
    pub comment: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whom to trust.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf keys add policy-key.pub --principal ops@example.org\n  aegisbpf keys add temp.pub --principal temp@example.org --valid-before 2027-04-01"
)]
pub struct AddArgs {
    /// The public key; `-` is standard input
    #[arg(value_name = "PUBKEY")]
    pub file: PathBuf,
    /// Who signs with it; every status names them
    #[arg(long, value_name = "NAME", value_parser = principal)]
    pub principal: String,
    /// From when it holds: 2026-12-31, 2026-12-31T23:59:59Z, or as OpenSSH writes it
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub valid_after: Option<Timestamp>,
    /// Until when it holds
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub valid_before: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whom not to trust any more.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The fingerprint of a key in `allowed_signers` (SHA256:…), or the file of a public key
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn principal(word: &str) -> Result<String, String> {
    if provenance::is_principal(word) {
        return Ok(word.to_owned());
    }
    Err("a name is one word of at most 128 ASCII characters, without quotes, commas, `*`, `?`, `!`, `#`"
        .to_owned())
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_or_else(|| provenance::read_time(text), Ok)
}
