//! Any bytes as a secret key: as they are, and behind the armor, which no fuzzer would learn to write. Reading never
//! panics, and what is read is written to a file that holds the same key, which signs what it is trusted for.
#![no_main]

use aegisbpf::provenance::{SecretKey, Trust, read_signers, sign, verify};
use ct_codecs::{Base64, Encoder as _};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    judge(bytes);
    let base64 = Base64::encode_to_string(bytes).expect("base64 of so few bytes");
    let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{base64}\n-----END OPENSSH PRIVATE KEY-----\n");
    judge(text.as_bytes());
});

fn judge(text: &[u8]) {
    let Ok(key) = SecretKey::parse(text) else { return };
    let written = key.to_openssh();
    let again = SecretKey::parse(written.as_bytes()).expect("what is written is read");
    assert_eq!((again.public(), again.comment()), (key.public(), key.comment()));
    assert_eq!(*again.to_openssh(), *written);
    let line = format!("ops {}", key.public().line());
    let trust = Trust { signers: read_signers(&line).expect("a line"), revoked: Vec::new() };
    let signature = sign(text, &again);
    assert!(verify(text, signature.as_bytes(), &trust, 0).is_ok());
}
