//! What needs no `ssh-keygen`; the rest is in `tests/signatures.rs`.

use proptest::prelude::*;

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOEgJMxeCQVANncNe5uzMsGlHNOF7z4iboOS3vMBS4yD";

/// Of "hello\n", by that key, made by OpenSSH's `ssh-keygen -Y sign -n policy@aegisbpf`.
const HELLO: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg4SAkzF4JBUA2dw17m7MywaUc04
XvPiJug5Le8wFLjIMAAAAPcG9saWN5QGFlZ2lzYnBmAAAAAAAAAAZzaGE1MTIAAABTAAAA
C3NzaC1lZDI1NTE5AAAAQJ8rYhQp/K+yrrfX4uTicxzi9K2CJ69s44mxfOAonXwVm4HQm9
OsDBOKF4+pSaHtW+0AqDLdDgeMqRhatai3Rw4=
-----END SSH SIGNATURE-----
";

fn trust(line: &str) -> Trust {
    Trust { signers: read_signers(line).expect("a line"), revoked: Vec::new() }
}

#[test]
fn a_signature_of_openssh_is_accepted() {
    let accepted = verify(b"hello\n", HELLO.as_bytes(), &trust(&format!("ops {KEY}\n")), 0);
    let accepted = accepted.expect("accepted");
    assert_eq!(accepted.principal, "ops");
    assert_eq!(accepted.key.to_string(), "SHA256:f7668y13Xh+4beKVZJBBKA9V0Egg5W4OFLViHaEEWvs");
}

#[test]
fn the_window_of_a_line_has_an_end_and_a_beginning() {
    let line = format!("ops valid-after=\"20260101Z\",valid-before=\"20270101Z\" {KEY}");
    let at = |text: &str| {
        let now = Timestamp::parse(text).expect("a time").unix();
        verify(b"hello\n", HELLO.as_bytes(), &trust(&line), now)
    };
    assert!(at("2026-01-01").is_ok());
    assert!(at("2026-12-31T23:59:59Z").is_ok());
    for outside in ["2025-12-31T23:59:59Z", "2027-01-01"] {
        let why = at(outside).expect_err("outside").to_string();
        assert!(why.ends_with("is valid from 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z"), "{why}");
    }
}

#[test]
fn one_line_that_holds_is_enough() {
    let lines = format!("old valid-before=\"20000101Z\" {KEY}\nnew {KEY}\n");
    assert_eq!(
        verify(b"hello\n", HELLO.as_bytes(), &trust(&lines), 1 << 40).expect("accepted").principal,
        "new"
    );
}

#[test]
fn a_namespace_may_be_a_pattern() {
    for (pattern, allowed) in [
        ("policy@*", true),
        ("*", true),
        ("file,policy@aegisbpf", true),
        ("p*y@aegis???", true),
        ("file", false),
        ("policy@aegisbp", false),
        ("?", false),
    ] {
        let line = format!("ops namespaces=\"{pattern}\" {KEY}");
        let got = verify(b"hello\n", HELLO.as_bytes(), &trust(&line), 0).is_ok();
        assert_eq!(got, allowed, "{pattern}");
    }
}

#[test]
fn a_revoked_key_is_worth_nothing() {
    let trust = Trust {
        revoked: read_keys(&format!("# lost\n{KEY} laptop\n")).expect("a key"),
        ..trust(&format!("ops {KEY}"))
    };
    assert!(matches!(verify(b"hello\n", HELLO.as_bytes(), &trust, 0), Err(Distrust::Revoked(_))));
}

#[test]
fn faulty_lines_are_named() {
    for (line, fault) in [
        ("ops", "a line has principals"),
        ("ops ssh-ed25519", "the key is missing"),
        ("ops ssh-ed25519 AAAA", "the key is damaged"),
        ("ops ssh-ed25519 !!!!", "the key is damaged"),
        ("ops ssh-rsa AAAAB3NzaC1yc2E=", "only ssh-ed25519 is accepted"),
        ("ops sk-ssh-ed25519@openssh.com AAAA", "only ssh-ed25519 is accepted"),
        ("ops cert-authority ssh-ed25519 KEY", "certificates are not accepted"),
        ("ops frobnicate ssh-ed25519 KEY", "there is no option `frobnicate`"),
        ("ops valid-after=\"20260101\" ssh-ed25519 KEY", "needs a `Z`"),
        ("ops valid-after=\"2026Z\" ssh-ed25519 KEY", "is no time"),
        ("ops valid-before=\"20261332Z\" ssh-ed25519 KEY", "is no time"),
        ("\"a b\",dev ssh-ed25519 KEY", "a quote in the middle of the principals"),
        ("\"\" ssh-ed25519 KEY", "the principals are empty"),
        ("o\u{1b}[2J ssh-ed25519 KEY", "hold a control character"),
        ("ops namespaces=git ssh-ed25519 KEY", "`namespaces` has to stand in quotes"),
        ("ops namespaces=\"a\"b ssh-ed25519 KEY", "`namespaces` has to stand in quotes"),
        ("ops valid-after=\"20260101Z\",valid-after=\"20200101Z\" ssh-ed25519 KEY", "stands there twice"),
        ("ops namespaces=\"a ssh-ed25519 KEY", "a quote is not closed"),
    ] {
        let line = line.replace("ssh-ed25519 KEY", KEY);
        let error = read_signers(&format!("# first\n{line}\n")).expect_err("a fault");
        assert_eq!(error.line, 2);
        assert!(error.fault.contains(fault), "{line}: {}", error.fault);
    }
}

/// What `ssh-keygen` wrote, changed in one place.
#[test]
fn no_changed_byte_goes_unnoticed() {
    let trust = trust(&format!("ops {KEY}\n"));
    let body = HELLO.find('\n').expect("lines") + 1..HELLO.rfind("-----END").expect("an end");
    for at in body.filter(|at| HELLO.as_bytes()[*at] != b'\n') {
        let mut changed = HELLO.as_bytes().to_vec();
        changed[at] = if changed[at] == b'B' { b'C' } else { b'B' };
        assert!(verify(b"hello\n", &changed, &trust, 0).is_err(), "byte {at}");
    }
    for length in 0..HELLO.trim_end().len() {
        assert!(verify(b"hello\n", &HELLO.as_bytes()[..length], &trust, 0).is_err(), "length {length}");
    }
}

#[test]
fn a_key_is_written_as_it_is_read() {
    for comment in ["", "o", "ops@example.org", "padding-1", "padding-12", "padding-123", "two words"] {
        let key = SecretKey::generate(comment).expect("random numbers");
        let text = key.to_openssh();
        let again = SecretKey::parse(text.as_bytes()).expect("a key");
        assert_eq!((again.public(), again.comment()), (key.public(), comment));
        assert_eq!(*again.to_openssh(), *text);
        let trust = trust(&format!("ops {}", key.public().line()));
        let signed = sign(b"hello\n", &again);
        assert_eq!(verify(b"hello\n", signed.as_bytes(), &trust, 0).expect("accepted").key, key.public());
        assert_eq!(verify(b"hello", signed.as_bytes(), &trust, 0), Err(Distrust::Forged));
    }
}

#[test]
fn two_keys_are_not_the_same_and_none_prints_its_secret() {
    let [one, two] = [(); 2].map(|()| SecretKey::generate("").expect("random numbers"));
    assert_ne!(one.public(), two.public());
    assert_eq!(format!("{one:?}"), format!("SecretKey {{ public: {}, .. }}", one.public()));
}

/// What would give the secret away: a signature made with the public half of another key.
#[test]
fn a_key_of_two_halves_is_refused() {
    let [one, two] = [(); 2].map(|()| SecretKey::generate("").expect("random numbers"));
    let lines = |key: &SecretKey| key.to_openssh().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let blob = |key: &SecretKey| {
        let lines = lines(key);
        let base64 = lines[..lines.len() - 1].concat();
        <ct_codecs::Base64 as ct_codecs::Decoder>::decode_to_vec(base64, None).expect("base64")
    };
    let (mut mixed, other) = (blob(&one), blob(&two));
    let at = |bytes: &[u8], key: &SecretKey| -> Vec<usize> {
        let of = key.public();
        (0..bytes.len() - 31).filter(|at| bytes[*at..*at + 32] == *of.bytes()).collect()
    };
    let places = at(&mixed, &one);
    assert_eq!(places, at(&other, &two));
    assert_eq!(places.len(), 3);
    for place in places {
        mixed[place..place + 32].copy_from_slice(two.public().bytes());
        let base64 = <ct_codecs::Base64 as ct_codecs::Encoder>::encode_to_string(&mixed).expect("base64");
        let text =
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{base64}\n-----END OPENSSH PRIVATE KEY-----\n");
        assert_eq!(SecretKey::parse(text.as_bytes()).err(), Some(SecretError::Mismatch), "{place}");
    }
}

#[test]
fn a_line_is_written_as_it_is_read() {
    for line in [
        format!("ops {KEY}"),
        format!("\"a b\" {KEY}"),
        format!("\"#1\" {KEY}"),
        format!("ops,*@example.org namespaces=\"git,policy@*\" {KEY}"),
        format!(
            "ops namespaces=\"policy@aegisbpf\",valid-after=\"20260101000000Z\",valid-before=\"20261231235959Z\" {KEY}"
        ),
    ] {
        assert_eq!(read_signers(&line).expect("a line")[0].to_string(), line);
    }
}

#[test]
fn what_a_line_is_worth() {
    let day = 86_400;
    let at = |line: &str, now: i64, revoked: bool| {
        let revoked = if revoked { read_keys(KEY).expect("a key") } else { Vec::new() };
        let trust = Trust { revoked, ..trust(&format!("ops {line} {KEY}")) };
        trust.standing(&trust.signers[0], now)
    };
    let year = "valid-after=\"20260101Z\",valid-before=\"20270101Z\"";
    let [begin, end] =
        ["2026-01-01", "2027-01-01"].map(|time| Timestamp::parse(time).expect("a time").unix());
    for (now, standing) in [
        (begin - 1, Standing::Early),
        (begin, Standing::Valid),
        (end - 30 * day, Standing::Valid),
        (end - 30 * day + 1, Standing::Expiring),
        (end - 1, Standing::Expiring),
        (end, Standing::Expired),
    ] {
        assert_eq!(at(year, now, false), standing, "{now}");
        assert_eq!(at(year, now, true), Standing::Revoked, "{now}");
    }
    assert_eq!(at("", 0, false), Standing::Valid);
    assert_eq!(at("namespaces=\"git\"", 0, false), Standing::Elsewhere);
}

#[test]
fn names_that_can_mean_nothing_else() {
    for good in ["ops", "ops@example.org", "a.b-c_d+e", "x"] {
        assert!(is_principal(good), "{good}");
    }
    for bad in ["", "a b", "a,b", "*", "a?", "!a", "#a", "\"a", "a\\", "é", "a\n", &"a".repeat(129)] {
        assert!(!is_principal(bad), "{bad}");
    }
}

/// Keys by which everything would be signed: points of small order, and what is no point.
#[test]
fn keys_that_are_none() {
    for bytes in [[0; 32], [0xff; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        assert!(PublicKey::from_bytes(&bytes).is_none(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes: Vec<u8>, text in ".{0,200}") {
        prop_assert!(Signature::parse(&bytes).is_err());
        prop_assert!(SecretKey::parse(&bytes).is_err());
        let _ = (read_signers(&text), read_keys(&text));
    }
}
