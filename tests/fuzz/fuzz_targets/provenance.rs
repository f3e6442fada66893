//! Any bytes, as a signature and as the two files of keys: reading never panics, and what is read as a signature is one of
//! nothing that it was not made for.
#![no_main]

use aegisbpf::provenance::{Signature, Trust, read_keys, read_signers, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signature) = Signature::parse(bytes) {
        // The message is none that any seed was made for.
        assert!(!signature.is_of(b"what nobody signed"));
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let trust = Trust {
        signers: read_signers(text).unwrap_or_default(),
        revoked: read_keys(text).unwrap_or_default(),
    };
    let _ = verify(b"what nobody signed", bytes, &trust, 0).map(|accepted| panic!("{accepted:?}"));
    for signer in &trust.signers {
        let _ = signer.key.to_string();
    }
});
