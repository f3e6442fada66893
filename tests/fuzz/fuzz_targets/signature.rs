//! Any bytes as a signature: as they are, and behind the armor, which no fuzzer would learn to write. Reading never
//! panics, what is read is one of nothing that it was not made for, and each signature has one form only.
#![no_main]

use aegisbpf::provenance::{Signature, Trust, verify};
use ct_codecs::{Base64, Encoder as _};
use libfuzzer_sys::fuzz_target;

const MESSAGE: &[u8] = b"what nobody signed";

fuzz_target!(|bytes: &[u8]| {
    judge(bytes);
    let base64 = Base64::encode_to_string(bytes).expect("base64 of so few bytes");
    let lines: Vec<&str> = base64.as_bytes().chunks(70).map(|line| str::from_utf8(line).expect("ASCII")).collect();
    let armored =
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"));
    judge(armored.as_bytes());
    if let Ok(signature) = Signature::parse(armored.as_bytes()) {
        // One byte more or less is another signature, or none.
        let mut more = bytes.to_vec();
        more.push(0);
        let more = Base64::encode_to_string(&more).expect("base64 of so few bytes");
        let more = format!("-----BEGIN SSH SIGNATURE-----\n{more}\n-----END SSH SIGNATURE-----\n");
        assert!(Signature::parse(more.as_bytes()).is_err(), "{signature:?}");
    }
});

fn judge(armored: &[u8]) {
    if let Ok(signature) = Signature::parse(armored) {
        // The message is none that any seed was made for.
        assert!(!signature.is_of(MESSAGE));
        let _ = signature.key.to_string();
    }
    let accepted = verify(MESSAGE, armored, &Trust::default(), 0);
    assert!(accepted.is_err(), "{accepted:?}");
}
