//! Public keys, as OpenSSH writes them.

use std::fmt;

use ct_codecs::{Base64, Base64NoPadding, Decoder as _, Encoder as _};
use sha2::{Digest as _, Sha256};

use super::sshsig::{ED25519, string, strings};

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From the key as the wire has it: the name of its kind, and its bytes. The error is the kind, when it is another.
    pub(super) fn from_wire(blob: &[u8]) -> Result<Self, Option<String>> {
        let (rest, kind) = string(blob).map_err(|_| None)?;
        if kind != ED25519 {
            return Err(Some(crate::policy::escape(kind)));
        }
        match string(rest) {
            Ok(([], bytes)) => Self::from_bytes(bytes).ok_or(None),
            _ => Err(None),
        }
    }

    /// Nothing that is no point of the curve, or one by which a signature could be of anything.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.try_into().ok()?;
        ed25519_compact::PublicKey::new(bytes).validate().is_ok().then_some(Self(bytes))
    }

    /// From the base64 of a line; as above.
    pub(super) fn from_base64(text: &str) -> Result<Self, Option<String>> {
        let mut blob = [0; 1024];
        Self::from_wire(Base64::decode(&mut blob, text, None).map_err(|_| None)?)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn to_wire(self) -> Vec<u8> {
        strings(&[ED25519, &self.0])
    }

    /// As a line of a file of keys has it: `ssh-ed25519 AAAA…`.
    pub fn line(&self) -> String {
        // So few bytes always have a base64.
        let base64 = Base64::encode_to_string(self.to_wire()).unwrap_or_default();
        format!("ssh-ed25519 {base64}")
    }
}

/// The fingerprint, as `ssh-keygen -l` prints it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = Sha256::digest(self.to_wire());
        let text = Base64NoPadding::encode_to_string(hash).map_err(|_| fmt::Error)?;
        write!(f, "SHA256:{text}")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
