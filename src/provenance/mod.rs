//! Who vouches for a policy: SSHSIG signatures (`ssh-keygen -Y sign -n policy@aegisbpf`), accepted from the keys of an
//! OpenSSH `allowed_signers` file.
//!
//! [`verify`] is pure: bytes, signature, trust and time in, a principal or the reason why not out.

mod files;
mod key;
mod keyfile;
mod keyring;
mod secret;
mod signers;
mod sshsig;

use std::fmt;

pub use self::{
    files::{Step, TrustError, inspect, load},
    key::PublicKey,
    keyfile::{KeyFileError, read_public, read_secret, write_secret, write_signature},
    keyring::{Keyring, KeyringError},
    secret::{NoRandom, SECRET_BYTES, SecretError, SecretKey},
    signers::{Signer, SignersError, is_principal, read_keys, read_signers, read_time},
    sshsig::{SIGNATURE_BYTES, Signature, SignatureError, sign},
};
use crate::policy::Timestamp;

/// What a signature of a policy has to be for, so that none for another purpose passes for one.
pub const NAMESPACE: &str = "policy@aegisbpf";

/// Whose signatures are accepted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The lines of `allowed_signers`.
    pub signers: Vec<Signer>,
    /// Keys of which nothing is accepted any more.
    pub revoked: Vec<PublicKey>,
}

/// What a line of `allowed_signers` is worth at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Valid,
    /// It holds, and not for long any more.
    Expiring,
    /// It held.
    Expired,
    /// It will hold.
    Early,
    /// Its key was revoked.
    Revoked,
    /// It is for other purposes.
    Elsewhere,
}

/// Who is told this many seconds before a key expires has the time to bring another one to every host.
const SOON: i64 = 30 * 86_400;

impl Trust {
    /// What a line is worth at the time `now`, seconds since 1970.
    pub fn standing(&self, signer: &Signer, now: i64) -> Standing {
        let before = signer.valid_before.map(Timestamp::unix);
        if self.revoked.contains(&signer.key) {
            Standing::Revoked
        } else if !signer.allows(NAMESPACE) {
            Standing::Elsewhere
        } else if before.is_some_and(|before| before <= now) {
            Standing::Expired
        } else if !signer.holds(now) {
            Standing::Early
        } else if before.is_some_and(|before| before - now < SOON) {
            Standing::Expiring
        } else {
            Standing::Valid
        }
    }
}

/// A signature that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The principal of the line that vouches.
    pub principal: String,
    /// Its key.
    pub key: PublicKey,
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// It is no signature that can be checked.
    #[error(transparent)]
    Malformed(#[from] SignatureError),
    /// It is for another purpose.
    #[error(
        "it is for the namespace `{found}`, and not for `{NAMESPACE}`: sign with `ssh-keygen -Y sign -n {NAMESPACE}`"
    )]
    Namespace {
        /// What it is for.
        found: String,
    },
    /// It is one of something else.
    #[error("it is not one of these bytes: the file was changed after it was signed, or another was signed")]
    Forged,
    /// Its key was revoked.
    #[error("the key {0} was revoked")]
    Revoked(PublicKey),
    /// Nobody vouches for its key.
    #[error("no line of allowed_signers names the key {0}")]
    Unknown(PublicKey),
    /// The lines that name its key are for other purposes.
    #[error("the key {0} is not allowed to sign for `{NAMESPACE}`")]
    Purpose(PublicKey),
    /// The lines that name its key do not hold now.
    #[error("the key {key} is valid {}", Window(*.after, *.before))]
    Time {
        /// The key.
        key: PublicKey,
        /// From when.
        after: Option<Timestamp>,
        /// Until when.
        before: Option<Timestamp>,
    },
}

impl Distrust {
    /// Whether there is no way in which this could be a signature of these bytes, whoever is trusted.
    pub fn is_of_something_else(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::Namespace { .. } | Self::Forged)
    }
}

struct Window(Option<Timestamp>, Option<Timestamp>);

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.0.map(|time| format!("from {time}"));
        let before = self.1.map(|time| format!("until {time}"));
        let words: Vec<String> = after.into_iter().chain(before).collect();
        f.write_str(&words.join(" "))
    }
}

/// Whether `armored` is a signature of `message` by somebody who is trusted at the time `now`, seconds since 1970.
pub fn verify(message: &[u8], armored: &[u8], trust: &Trust, now: i64) -> Result<Accepted, Distrust> {
    let signature = Signature::parse(armored)?;
    if signature.namespace != NAMESPACE.as_bytes() {
        let found = crate::policy::escape(&signature.namespace);
        return Err(Distrust::Namespace { found });
    }
    if !signature.is_of(message) {
        return Err(Distrust::Forged);
    }
    let key = signature.key;
    if trust.revoked.contains(&key) {
        return Err(Distrust::Revoked(key));
    }
    // The reason of the line that comes closest is the one to tell.
    let mut why = Distrust::Unknown(key);
    for signer in trust.signers.iter().filter(|signer| signer.key == key) {
        if !signer.allows(NAMESPACE) {
            if matches!(why, Distrust::Unknown(_)) {
                why = Distrust::Purpose(key);
            }
        } else if signer.holds(now) {
            return Ok(Accepted { principal: signer.principals.clone(), key });
        } else {
            why = Distrust::Time { key, after: signer.valid_after, before: signer.valid_before };
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests;
