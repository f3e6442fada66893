//! Any text as `allowed_signers` and as `revoked_keys`: reading never panics, a fault names a line that there is, and what
//! is read as a line says the same in other words of the same meaning.
#![no_main]

use aegisbpf::provenance::{read_keys, read_signers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let lines = text.lines().count();
    match read_signers(text) {
        Err(error) => assert!((1..=lines).contains(&error.line), "{error}"),
        Ok(signers) => {
            assert!(signers.len() <= lines);
            // Comments, empty lines, CRLF and a missing last newline change nothing.
            let other = format!("# a comment\r\n\r\n{}", text.trim_end().replace('\n', "\r\n"));
            if !text.contains('\r') {
                assert_eq!(read_signers(&other).as_ref(), Ok(&signers));
            }
            for signer in &signers {
                let line = signer.to_string();
                assert_eq!(read_signers(&line).as_deref(), Ok(std::slice::from_ref(signer)), "{line}");
            }
        }
    }
    match read_keys(text) {
        Err(error) => assert!((1..=lines).contains(&error.line), "{error}"),
        Ok(keys) => assert!(keys.len() <= lines),
    }
});
