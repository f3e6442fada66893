//! The format of a signature: PROTOCOL.sshsig of OpenSSH. Everything here may be hostile.

use ct_codecs::{Base64, Decoder as _, Encoder as _};
use nom::{
    IResult, Parser as _,
    bytes::complete::{tag, take},
    number::complete::be_u32,
};
use sha2::{Digest as _, Sha256, Sha512};

use super::{NAMESPACE, PublicKey, SecretKey};

/// The name of the only kind of key and signature that is taken.
pub(super) const ED25519: &[u8] = b"ssh-ed25519";

/// An armored signature may be so long; one of an Ed25519 key takes 300 bytes.
pub const SIGNATURE_BYTES: usize = 4096;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
/// The characters of a line between the two.
const COLUMNS: usize = 70;

/// Why these bytes are no signature that can be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// More bytes than any signature has.
    #[error("it is longer than {SIGNATURE_BYTES} bytes")]
    TooLong,
    /// Not between the two lines that `ssh-keygen` writes, or not alone.
    #[error("it is not one SSH signature: a file that begins with `{BEGIN}` and ends with `{END}`")]
    Armor,
    /// What is between the lines is no base64.
    #[error("what is between its first and its last line is not base64")]
    Base64,
    /// The bytes contradict the format.
    #[error("its bytes are not those of an SSH signature of version 1")]
    Format,
    /// A key of another kind.
    #[error(
        "its key is of the kind `{0}`; only ssh-ed25519 is accepted: `ssh-keygen -t ed25519` makes such a key"
    )]
    Kind(String),
    /// The message was hashed in a way that is not taken.
    #[error("its hash is `{0}`; sha512 and sha256 are accepted")]
    Hash(String),
}

/// A signature that has the right form. Whether it is one of something, [`Signature::is_of`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key that it claims to be of.
    pub key: PublicKey,
    /// What it is for.
    pub namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Hash,
    bytes: [u8; 64],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

/// A length of four bytes, and as many bytes.
pub(super) fn string(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, length) = be_u32(input)?;
    take(length)(rest)
}

/// Such strings, one behind the other.
pub(super) fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
    parts.iter().flat_map(|part| length(part).into_iter().chain(part.iter().copied())).collect()
}

impl Signature {
    /// Reads what `ssh-keygen -Y sign` writes.
    pub fn parse(armored: &[u8]) -> Result<Self, SignatureError> {
        if armored.len() > SIGNATURE_BYTES {
            return Err(SignatureError::TooLong);
        }
        let text = str::from_utf8(armored).map_err(|_| SignatureError::Armor)?;
        let mut lines = text.trim_end_matches(['\r', '\n']).lines();
        if lines.next() != Some(BEGIN) || lines.next_back() != Some(END) {
            return Err(SignatureError::Armor);
        }
        let base64: String = lines.collect();
        // Two of them would be accepted as the first alone by a more lenient reader.
        if base64.contains('-') {
            return Err(SignatureError::Armor);
        }
        let mut room = [0; SIGNATURE_BYTES];
        let blob = Base64::decode(&mut room, base64, None).map_err(|_| SignatureError::Base64)?;
        Self::from_blob(blob)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, SignatureError> {
        let parts = (tag(MAGIC), be_u32, string, string, string, string, string).parse(blob);
        let Ok(([], (_, 1, key, namespace, reserved, hash, signature))) = parts else {
            return Err(SignatureError::Format);
        };
        let kind = |kind: Option<String>| kind.map_or(SignatureError::Format, SignatureError::Kind);
        let hash = match hash {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            other => return Err(SignatureError::Hash(crate::policy::escape(other))),
        };
        let key = PublicKey::from_wire(key).map_err(kind)?;
        let Ok(([], (signed_with, bytes))) = (string, string).parse(signature) else {
            return Err(SignatureError::Format);
        };
        if signed_with != ED25519 {
            return Err(SignatureError::Kind(crate::policy::escape(signed_with)));
        }
        let bytes = bytes.try_into().map_err(|_| SignatureError::Format)?;
        Ok(Self { key, namespace: namespace.to_vec(), reserved: reserved.to_vec(), hash, bytes })
    }

    /// Whether its key signed these bytes for its namespace.
    pub fn is_of(&self, message: &[u8]) -> bool {
        let signed = signed(&self.namespace, &self.reserved, self.hash, message);
        let key = ed25519_compact::PublicKey::new(*self.key.bytes());
        key.verify(signed, &ed25519_compact::Signature::new(self.bytes)).is_ok()
    }
}

/// What is signed for a message: its hash, and what the signature is for.
fn signed(namespace: &[u8], reserved: &[u8], hash: Hash, message: &[u8]) -> Vec<u8> {
    let (name, hash) = match hash {
        Hash::Sha256 => ("sha256", Sha256::digest(message).to_vec()),
        Hash::Sha512 => ("sha512", Sha512::digest(message).to_vec()),
    };
    [MAGIC, &strings(&[namespace, reserved, name.as_bytes(), &hash])].concat()
}

/// The signature of a policy, byte by byte as `ssh-keygen -Y sign -n policy@aegisbpf` writes it.
pub fn sign(message: &[u8], key: &SecretKey) -> String {
    let namespace = NAMESPACE.as_bytes();
    let bytes = key.sign(&signed(namespace, &[], Hash::Sha512, message));
    let signature = strings(&[ED25519, &bytes]);
    let parts = strings(&[&key.public().to_wire(), namespace, &[], b"sha512", &signature]);
    let blob = [MAGIC, &1_u32.to_be_bytes(), &parts].concat();
    // So few bytes always have a base64.
    let base64 = Base64::encode_to_string(blob).unwrap_or_default();
    let lines = base64.as_bytes().chunks(COLUMNS).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("{BEGIN}\n{}{END}\n", lines.collect::<String>())
}
