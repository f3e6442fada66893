//! Signatures by the real `ssh-keygen`, checked by `aegisbpf policy verify`: what it says and how it exits.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

const POLICY: &str = "version=1\n[deny_path]\n/srv/secret\n";

/// A directory with a policy, a key that is trusted, and the policy's signature by it.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(TempDir::new().expect("a directory"));
        fs::create_dir(scene.path("keys")).expect("a directory");
        scene.write("policy.conf", POLICY);
        scene.key("key", &["-t", "ed25519"]);
        scene.trust("ops@example.org");
        scene.sign("key", "policy@aegisbpf", &[]);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }

    fn key(&self, name: &str, kind: &[&str]) {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-C", "test", "-f"]).arg(self.path(name)).args(kind);
        assert!(command.status().expect("ssh-keygen (package openssh-client)").success());
    }

    /// Makes `allowed_signers` of one line: what stands before the key.
    fn trust(&self, before: &str) {
        self.write("keys/allowed_signers", &format!("{before} {}", self.read("key.pub")));
    }

    fn sign(&self, key: &str, namespace: &str, more: &[&str]) {
        let _ = fs::remove_file(self.path("policy.conf.sig"));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(self.path(key)).args(more);
        assert!(command.arg(self.path("policy.conf")).status().expect("ssh-keygen").success());
    }

    fn verify(&self) -> (i32, String) {
        self.run(&["policy", "verify", "policy.conf", "--keys", "keys"])
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegisbpf"));
        let Output { status, stdout, stderr } =
            command.args(args).current_dir(self.0.path()).output().expect("run");
        let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        (status.code().unwrap_or(-1), text)
    }

    #[track_caller]
    fn accepts(&self, what: &str) {
        let (code, text) = self.verify();
        assert_eq!(code, 0, "{what}: {text}");
        assert!(text.contains("signed by "), "{what}: {text}");
    }

    #[track_caller]
    fn refuses(&self, what: &str, code: i32, why: &str) {
        let (got, text) = self.verify();
        assert_eq!(got, code, "{what}: {text}");
        assert!(text.contains(why), "{what}: {text}");
    }
}

#[test]
fn what_ssh_keygen_signs_is_accepted() {
    let scene = Scene::new();
    scene.accepts("as it comes");
    for hash in ["sha256", "sha512"] {
        scene.sign("key", "policy@aegisbpf", &["-O", &format!("hashalg={hash}")]);
        scene.accepts(hash);
    }
    let signature = scene.read("policy.conf.sig");
    scene.write("policy.conf.sig", signature.trim_end());
    scene.accepts("without a last newline");
    scene.write("policy.conf.sig", &signature.replace('\n', "\r\n"));
    scene.accepts("with CRLF");
    scene.write("policy.conf", "version=1\n");
    scene.sign("key", "policy@aegisbpf", &[]);
    scene.accepts("an empty policy");
}

#[test]
fn who_signed_is_said_as_ssh_keygen_says_it() {
    let scene = Scene::new();
    let listed =
        Command::new("ssh-keygen").arg("-lf").arg(scene.path("key.pub")).output().expect("ssh-keygen");
    let fingerprint = String::from_utf8_lossy(&listed.stdout).split(' ').nth(1).expect("a word").to_owned();
    let (code, text) = scene.verify();
    assert_eq!((code, text), (0, format!("policy.conf: signed by ops@example.org, key {fingerprint}\n")));
    let (code, text) = scene.run(&["policy", "verify", "policy.conf", "--keys", "keys", "--json"]);
    assert_eq!(code, 0);
    assert!(text.contains(&format!("\"key\": \"{fingerprint}\"")), "{text}");
    fs::rename(scene.path("keys"), scene.path("config")).expect("moved");
    fs::create_dir(scene.path("etc")).expect("a directory");
    fs::rename(scene.path("config"), scene.path("etc/keys")).expect("moved");
    let (code, text) = scene.run(&["keys", "list", "--config-dir", "etc"]);
    assert_eq!((code, text), (0, format!("ops@example.org  {fingerprint}\n")));
}

#[test]
fn lines_of_allowed_signers_that_accept() {
    let scene = Scene::new();
    for before in [
        "ops@example.org",
        "*",
        "\"ops with a blank\"",
        "ops,dev@example.org",
        "ops namespaces=\"policy@aegisbpf\"",
        "ops namespaces=\"git,policy@*\"",
        "ops valid-after=\"20200101Z\"",
        "ops valid-before=\"209901010000Z\"",
        "ops valid-after=\"20200101000000Z\",valid-before=\"20990101Z\"",
        "ops namespaces=\"policy@aegisbpf\",valid-before=\"20990101Z\"",
        "# a comment\n\n  ops",
    ] {
        scene.trust(before);
        scene.accepts(before);
    }
    let line = scene.read("keys/allowed_signers");
    scene.write("keys/allowed_signers", &line.replace('\n', "\r\n"));
    scene.accepts("CRLF");
    scene.write("keys/allowed_signers", line.trim_end());
    scene.accepts("without a last newline");
    scene.key("other", &["-t", "ed25519"]);
    scene.write(
        "keys/allowed_signers",
        &format!("first {}second {}", scene.read("other.pub"), scene.read("key.pub")),
    );
    scene.accepts("the second of two");
}

#[test]
fn lines_of_allowed_signers_that_do_not() {
    let scene = Scene::new();
    for (before, why) in [
        ("ops namespaces=\"git\"", "is not allowed to sign for `policy@aegisbpf`"),
        ("ops valid-before=\"20200101Z\"", "is valid until 2020-01-01T00:00:00Z"),
        ("ops valid-after=\"20990101Z\"", "is valid from 2099-01-01T00:00:00Z"),
        ("ops valid-after=\"20200101\"", "line 1: `20200101` needs a `Z`"),
        ("ops cert-authority", "line 1: certificates are not accepted"),
        ("ops no-such-option", "line 1: there is no option `no-such-option`"),
        ("ops namespaces=\"open", "line 1: a quote is not closed"),
    ] {
        scene.trust(before);
        scene.refuses(before, 78, why);
    }
    scene.write("keys/allowed_signers", "");
    scene.refuses("nobody", 78, "no line of allowed_signers names the key SHA256:");
    fs::remove_file(scene.path("keys/allowed_signers")).expect("removed");
    scene.refuses("no file", 78, "no line of allowed_signers names the key SHA256:");
    fs::remove_dir(scene.path("keys")).expect("removed");
    scene.refuses("no directory", 78, "no line of allowed_signers names the key SHA256:");
}

#[test]
fn signatures_that_are_refused() {
    let scene = Scene::new();
    let good = scene.read("policy.conf.sig");
    let tries: [(&str, String, &str); 9] = [
        ("empty", String::new(), "it is not one SSH signature"),
        ("truncated", good[..good.len() / 2].to_owned(), "it is not one SSH signature"),
        ("text before", format!("hello\n{good}"), "it is not one SSH signature"),
        ("text behind", format!("{good}hello\n"), "it is not one SSH signature"),
        ("two", format!("{good}{good}"), "it is not one SSH signature"),
        (
            "armoured as something else",
            good.replace("SSH SIGNATURE", "PGP SIGNATURE"),
            "it is not one SSH signature",
        ),
        ("not base64", good.replacen("U1NI", "U1N!", 1), "is not base64"),
        ("other magic", good.replacen("U1NI", "U1NJ", 1), "not those of an SSH signature of version 1"),
        ("huge", "A".repeat(1 << 20), "it is longer than 4096 bytes"),
    ];
    for (what, text, why) in tries {
        scene.write("policy.conf.sig", &text);
        scene.refuses(what, 78, why);
    }
    fs::remove_file(scene.path("policy.conf.sig")).expect("removed");
    scene.refuses("none", 78, "there is no signature");
    scene.sign("key", "git", &[]);
    scene.refuses("another namespace", 78, "it is for the namespace `git`");
    scene.sign("key", "policy@aegisbpf", &[]);
    scene.write("policy.conf", &format!("{POLICY}\n"));
    scene.refuses("another policy", 78, "it is not one of these bytes");
}

#[test]
fn keys_of_other_kinds_are_named() {
    let scene = Scene::new();
    for (kind, name) in
        [(["-t", "rsa", "-b", "2048"], "ssh-rsa"), (["-t", "ecdsa", "-b", "256"], "ecdsa-sha2-nistp256")]
    {
        scene.key(name, &kind);
        scene.sign(name, "policy@aegisbpf", &[]);
        scene.refuses(name, 78, &format!("its key is of the kind `{name}`; only ssh-ed25519 is accepted"));
        scene.write("keys/allowed_signers", &format!("ops {}", scene.read(&format!("{name}.pub"))));
        scene.sign("key", "policy@aegisbpf", &[]);
        scene.refuses(name, 78, &format!("line 1: a key of the kind `{name}`"));
        scene.trust("ops");
    }
}

#[test]
fn a_key_is_rotated_and_revoked() {
    let scene = Scene::new();
    scene.key("new", &["-t", "ed25519"]);
    scene.sign("new", "policy@aegisbpf", &[]);
    scene.refuses("a new key that nobody added", 78, "no line of allowed_signers names");
    scene.write(
        "keys/allowed_signers",
        &format!("ops {}ops {}", scene.read("key.pub"), scene.read("new.pub")),
    );
    scene.accepts("the new key");
    scene.sign("key", "policy@aegisbpf", &[]);
    scene.accepts("the old key beside it");
    scene.write("keys/revoked_keys", &scene.read("key.pub"));
    scene.refuses("the old key, revoked", 78, "was revoked");
    scene.sign("new", "policy@aegisbpf", &[]);
    scene.accepts("the new key after that");
    scene.write("keys/revoked_keys", "what is this\n");
    scene.refuses("a list that cannot be read", 78, "revoked_keys");
}

/// Only what nobody else could have written is trusted. Needs to run as root for files of another user.
#[test]
fn files_that_others_could_write() {
    let scene = Scene::new();
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(scene.path(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    for name in ["keys/allowed_signers", "keys"] {
        for bits in [0o020, 0o002, 0o022] {
            mode(name, 0o755 | bits);
            scene.refuses(name, 78, "can be written by others");
        }
        mode(name, 0o755);
        scene.accepts(name);
    }
    // A sticky directory may be on the way, but is no place for keys.
    mode("keys", 0o1777);
    scene.refuses("sticky", 78, "can be written by others (mode 1777)");
    mode("keys", 0o755);
    fs::rename(scene.path("keys"), scene.path("real")).expect("moved");
    symlink("real", scene.path("keys")).expect("a link");
    scene.refuses("a link to a directory", 78, "because:");
    fs::remove_file(scene.path("keys")).expect("removed");
    fs::rename(scene.path("real"), scene.path("keys")).expect("moved");
    fs::rename(scene.path("keys/allowed_signers"), scene.path("real")).expect("moved");
    symlink("../real", scene.path("keys/allowed_signers")).expect("a link");
    scene.refuses("a link to a file", 78, "because:");
    fs::remove_file(scene.path("keys/allowed_signers")).expect("removed");
    fs::create_dir(scene.path("keys/allowed_signers")).expect("a directory");
    scene.refuses("a directory in place of a file", 78, "allowed_signers");
    fs::remove_dir(scene.path("keys/allowed_signers")).expect("removed");
    scene.write("keys/allowed_signers", &"#\n".repeat(200_000));
    scene.refuses("huge", 78, "is longer than 262144 bytes");
    if is_root() {
        scene.trust("ops");
        std::os::unix::fs::chown(scene.path("keys/allowed_signers"), Some(65534), None).expect("an owner");
        scene.refuses("of another user", 78, "belongs to the user 65534 and not to root");
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|me| me.uid() == 0)
}
