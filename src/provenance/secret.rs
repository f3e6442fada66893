//! Secret keys in the form that `ssh-keygen` writes (PROTOCOL.key of OpenSSH), without a passphrase. What is secret is
//! wiped from memory when it is let go of, and has no way to be printed.

use std::{fmt, io};

use ct_codecs::{Base64, Decoder as _, Encoder as _};
use nom::{Parser as _, bytes::complete::tag, number::complete::be_u32};
use rustix::{
    process::{DumpableBehavior, set_dumpable_behavior},
    rand::{GetRandomFlags, getrandom},
};
use zeroize::Zeroizing;

use super::{
    PublicKey,
    sshsig::{ED25519, string},
};

/// A file of a secret key may be so long; one of an Ed25519 key takes 400 bytes, the longest of RSA 13,000.
pub const SECRET_BYTES: usize = 16 * 1024;

/// The characters of a line of the file.
const COLUMNS: usize = 70;
/// What is encrypted is padded to this; without encryption it is the least there is.
const BLOCK: usize = 8;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
const NONE: &[u8] = b"none";

/// Why these bytes are no key that can sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// More bytes than any such file has.
    #[error("it is longer than {SECRET_BYTES} bytes")]
    TooLong,
    /// A public key.
    #[error("it is a public key: the secret one is in the file of that name without `.pub`")]
    Public,
    /// In the form of another program.
    #[error("it is a key in the form of {0}; only that of OpenSSH is read, which begins with `{BEGIN}`")]
    Foreign(&'static str),
    /// Not between the two lines that `ssh-keygen` writes, or not alone.
    #[error("it is not one OpenSSH private key: a file that begins with `{BEGIN}` and ends with `{END}`")]
    Armor,
    /// What is between the lines is no base64.
    #[error("what is between its first and its last line is not base64")]
    Base64,
    /// The bytes contradict the format.
    #[error("its bytes are not those of one OpenSSH private key")]
    Format,
    /// A key of another kind.
    #[error(
        "it is of the kind `{0}`; only ssh-ed25519 signs policies: `aegisbpf keys generate` makes such a key"
    )]
    Kind(String),
    /// It cannot be read without its passphrase.
    #[error("it has a passphrase, for which nothing asks here")]
    Encrypted,
    /// Its public half is that of another key, which signing would give away the secret to.
    #[error("its public half is not the one of its secret half")]
    Mismatch,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
#[error("the kernel gives no random numbers for a key")]
pub struct NoRandom(#[source] io::Error);

/// Before a secret key comes into memory: no core dump may have it, and no other process of the same user.
pub(super) fn keep_from_others() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// An Ed25519 key that signs.
pub struct SecretKey {
    /// Wipes itself.
    key: ed25519_compact::SecretKey,
    public: PublicKey,
    comment: String,
}

/// Without the secret.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Makes a key of random bytes of the kernel's.
    pub fn generate(comment: &str) -> Result<Self, NoRandom> {
        keep_from_others().map_err(NoRandom)?;
        let mut seed = Zeroizing::new([0; ed25519_compact::Seed::BYTES]);
        let length = getrandom(seed.as_mut_slice(), GetRandomFlags::empty())
            .map_err(|errno| NoRandom(errno.into()))?;
        let pair = ed25519_compact::KeyPair::try_from_seed((*seed).into()).ok();
        let made = pair.filter(|_| length == seed.len()).and_then(|pair| {
            let public = PublicKey::from_bytes(&pair.pk[..])?;
            Some(Self { key: pair.sk, public, comment: comment.to_owned() })
        });
        made.ok_or(NoRandom(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Reads what `ssh-keygen` and [`Self::to_openssh`] write.
    pub fn parse(text: &[u8]) -> Result<Self, SecretError> {
        if text.len() > SECRET_BYTES {
            return Err(SecretError::TooLong);
        }
        let text = str::from_utf8(text).map_err(|_| SecretError::Armor)?;
        let mut lines = text.trim_end_matches(['\r', '\n']).lines();
        if lines.next() != Some(BEGIN) || lines.next_back() != Some(END) {
            return Err(foreign(text));
        }
        // As long as the whole from the start: what grows leaves its old content behind.
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        base64.extend(lines);
        if base64.contains('-') {
            return Err(SecretError::Armor);
        }
        let mut room = Zeroizing::new([0; SECRET_BYTES]);
        let blob = Base64::decode(room.as_mut_slice(), base64.as_bytes(), None);
        Self::from_blob(blob.map_err(|_| SecretError::Base64)?)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, SecretError> {
        let parts = (tag(MAGIC), string, string, string, be_u32, string, string).parse(blob);
        let Ok(([], (_, cipher, kdf, _, 1, public, secret))) = parts else {
            return Err(SecretError::Format);
        };
        // The kind stands outside of what is encrypted, and no passphrase makes another of it.
        let public = PublicKey::from_wire(public)
            .map_err(|kind| kind.map_or(SecretError::Format, SecretError::Kind))?;
        if cipher != NONE || kdf != NONE {
            return Err(SecretError::Encrypted);
        }
        let parts = (be_u32, be_u32, string, string, string, string).parse(secret);
        let Ok((padding, (one, two, ED25519, half, bytes, comment))) = parts else {
            return Err(SecretError::Format);
        };
        let is_padding =
            padding.len() < BLOCK && padding.iter().zip(1..).all(|(byte, number)| *byte == number);
        let Ok(key) = ed25519_compact::SecretKey::from_slice(bytes) else { return Err(SecretError::Format) };
        if one != two || !is_padding {
            return Err(SecretError::Format);
        }
        let said = ed25519_compact::PublicKey::new(*public.bytes());
        if half != public.bytes() || key.validate_public_key(&said).is_err() {
            return Err(SecretError::Mismatch);
        }
        Ok(Self { key, public, comment: String::from_utf8_lossy(comment).into_owned() })
    }

    /// The file that `ssh-keygen` reads.
    pub fn to_openssh(&self) -> Zeroizing<String> {
        let public = self.public.to_wire();
        let mut secret = Zeroizing::new(Vec::with_capacity(2 * COLUMNS * BLOCK + self.comment.len()));
        // Two equal numbers tell a right passphrase from a wrong one; here there is none.
        secret.extend_from_slice(&[0; 8]);
        for part in [ED25519, self.public.bytes(), &self.key[..], self.comment.as_bytes()] {
            put(&mut secret, part);
        }
        for number in (1..).take(secret.len().next_multiple_of(BLOCK) - secret.len()) {
            secret.push(number);
        }
        let mut blob = Zeroizing::new(Vec::with_capacity(2 * secret.capacity()));
        blob.extend_from_slice(MAGIC);
        put(&mut blob, NONE);
        put(&mut blob, NONE);
        put(&mut blob, &[]);
        blob.extend_from_slice(&1_u32.to_be_bytes());
        put(&mut blob, &public);
        put(&mut blob, &secret);
        let base64 = Zeroizing::new(Base64::encode_to_string(&*blob).unwrap_or_default());
        let mut text = Zeroizing::new(String::with_capacity(2 * base64.len() + BEGIN.len() + END.len()));
        text.extend([BEGIN, "\n"]);
        let mut rest = base64.as_str();
        while let Some((line, behind)) =
            rest.split_at_checked(COLUMNS.min(rest.len())).filter(|_| !rest.is_empty())
        {
            text.extend([line, "\n"]);
            rest = behind;
        }
        text.extend([END, "\n"]);
        text
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Whose it is, as its maker wrote it into it.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The signature of some bytes.
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        *self.key.sign(bytes, None)
    }
}

/// A length of four bytes, and as many bytes.
fn put(into: &mut Vec<u8>, part: &[u8]) {
    into.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(part);
}

/// What is in a file that is not an OpenSSH private key.
fn foreign(text: &str) -> SecretError {
    let first = text.lines().next().unwrap_or_default();
    let is_pem = first.starts_with("-----BEGIN ") && first.ends_with(" PRIVATE KEY-----") && first != BEGIN;
    match first {
        _ if is_pem => SecretError::Foreign("PEM or PKCS#8"),
        _ if first.starts_with("PuTTY-User-Key-File-") => SecretError::Foreign("PuTTY"),
        _ if ["ssh-", "ecdsa-", "sk-"].iter().any(|start| first.starts_with(start)) => SecretError::Public,
        _ => SecretError::Armor,
    }
}
