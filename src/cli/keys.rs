//! What to do with keys.

use clap::Subcommand;

use super::JsonArgs;

/// What to do with keys.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys of `allowed_signers` with their fingerprints, and which of them are revoked
    List(JsonArgs),
}
