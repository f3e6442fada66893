//! `install` and `uninstall` below a directory: what they leave there, byte by byte, and what they refuse.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use aegisbpf::policy::Digest;
use serde_json::Value;
use tempfile::TempDir;

/// Without what a debugger needs, which is most of it and slow to copy.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aegisbpf-stripped");
    let mut strip = Command::new("llvm-strip");
    strip.arg("-o").arg(&stripped).arg(env!("CARGO_BIN_EXE_aegisbpf"));
    assert!(strip.status().expect("llvm-strip starts").success());
    stripped
});
const MANIFEST: &str = "var/lib/aegisbpf/install.json";
const POLICY: &str = "etc/aegisbpf/policy.conf";
const LOGROTATE: &str = "etc/logrotate.d/aegisbpf";
const UNIT: &str = "usr/lib/systemd/system/aegisbpf.service";
const MODE: &str = "etc/systemd/system/aegisbpf.service.d/mode.conf";

/// A directory that stands for the root of a system with systemd, in part.
struct System(TempDir);

impl System {
    fn new() -> Self {
        let system = Self(tempfile::tempdir().expect("a scratch directory"));
        for path in ["usr/lib/systemd/system", "usr/sbin", "etc/logrotate.d", "var/lib"] {
            fs::create_dir_all(system.path(path)).expect("a directory");
        }
        symlink("usr/sbin", system.path("sbin")).expect("a link");
        fs::write(system.path("etc/logrotate.d/other"), "of others\n").expect("a file");
        system
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn run(&self, args: &[&str]) -> Output {
        let (command, rest) = args.split_first().expect("a command");
        Command::new(&*PROGRAM)
            .arg(command)
            .arg("--root")
            .arg(self.0.path())
            .args(rest)
            .output()
            .expect("it starts")
    }

    fn does(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn refuses(&self, args: &[&str], code: i32, parts: &[&str]) {
        let before = self.tree();
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{args:?} does not say {part:?}: {said}");
        }
        assert_eq!(self.tree(), before, "{args:?} changed something");
    }

    /// What becomes of each file.
    fn deeds(&self, args: &[&str]) -> BTreeMap<String, String> {
        let said: Value = serde_json::from_str(&self.does(&[args, &["--json"]].concat())).expect("JSON");
        assert_eq!(said["schema_version"], 1);
        let word = |value: &Value| value.as_str().expect("a word").to_owned();
        let files = said["files"].as_array().expect("files").iter();
        files.map(|deed| (word(&deed["path"])[1..].to_owned(), word(&deed["action"]))).collect()
    }

    /// Everything below it: kind, mode, content.
    fn tree(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        walk(self.0.path(), &mut found);
        found
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("a file");
    }
}

fn walk(dir: &Path, into: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let data = fs::symlink_metadata(&path).expect("metadata");
        let content = if data.is_symlink() {
            fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
        } else if data.is_file() {
            fs::read(&path).expect("a file")
        } else {
            walk(&path, into);
            Vec::new()
        };
        into.insert(path, (data.permissions().mode(), content));
    }
}

#[test]
fn it_comes_and_goes_without_a_trace() {
    let system = System::new();
    let before = system.tree();
    let put = system.deeds(&["install"]);
    for page in ["man8/aegisbpf.8", "man5/aegisbpf-policy.5", "man7/aegisbpf-concepts.7"] {
        assert!(put.contains_key(&format!("usr/share/man/{page}")), "{put:?}");
    }
    assert!(put.len() >= 12 && put.values().all(|action| action == "new"), "{put:?}");
    assert_eq!(fs::read(system.path("usr/sbin/aegisbpf")).expect("it"), fs::read(&*PROGRAM).expect("it"));
    let mode = |path: &str| fs::metadata(system.path(path)).expect(path).permissions().mode() & 0o7777;
    for (path, wanted) in [
        ("usr/sbin/aegisbpf", 0o755),
        (UNIT, 0o644),
        (LOGROTATE, 0o644),
        (MANIFEST, 0o600),
        ("var/lib/aegisbpf", 0o700),
    ] {
        assert_eq!(mode(path), wanted, "{path}");
    }
    let taken = system.deeds(&["uninstall", "--purge"]);
    assert_eq!(taken.keys().collect::<Vec<_>>(), put.keys().collect::<Vec<_>>());
    assert!(taken.values().all(|action| action == "removed"), "{taken:?}");
    assert_eq!(system.tree(), before);
    assert!(system.does(&["uninstall"]).contains("nothing is removed"));
}

#[test]
fn twice_is_as_once() {
    let system = System::new();
    system.does(&["install"]);
    let inode = |system: &System| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(system.path("usr/sbin/aegisbpf")).expect("it").ino()
    };
    let (once, first) = (system.tree(), inode(&system));
    assert!(system.deeds(&["install"]).values().all(|action| action == "same"));
    assert_eq!(system.tree(), once);
    assert_eq!(inode(&system), first, "the program was written again");
}

#[test]
fn the_manifest_names_each_file_by_its_sum() {
    let system = System::new();
    let put = system.deeds(&["install"]);
    let manifest: Value = serde_json::from_str(&system.read(MANIFEST)).expect("JSON");
    assert_eq!(manifest["complete"], true);
    let files = manifest["files"].as_array().expect("files");
    assert_eq!(files.len(), put.len());
    for file in files {
        let path = file["path"].as_str().expect("a path");
        let bytes = fs::read(system.path(&path[1..])).expect("what was installed");
        let sum = Digest::of(&bytes).to_string();
        assert_eq!(file["sha256"], sum, "{path}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let system = System::new();
    let before = system.tree();
    let planned = system.deeds(&["install", "--dry-run"]);
    assert_eq!(system.tree(), before);
    assert_eq!(planned, system.deeds(&["install"]), "it is what is then done");
    let installed = system.tree();
    let planned = system.deeds(&["uninstall", "--dry-run", "--purge"]);
    assert_eq!(system.tree(), installed);
    assert_eq!(planned, system.deeds(&["uninstall", "--purge"]));
}

#[test]
fn what_was_changed_since_is_left() {
    let system = System::new();
    system.does(&["install"]);
    system.write(UNIT, "[Service]\n# mine\n");
    system.write(LOGROTATE, "# mine\n");
    let taken = system.deeds(&["uninstall"]);
    assert_eq!(taken[UNIT], "changed");
    assert_eq!(taken[LOGROTATE], "kept");
    assert_eq!(system.read(UNIT), "[Service]\n# mine\n");
    assert_eq!(system.read(LOGROTATE), "# mine\n");
    assert!(!system.path("usr/sbin/aegisbpf").exists());
    // Configuration is known to be ours still, and goes when that is asked for.
    let taken = system.deeds(&["uninstall", "--purge"]);
    assert_eq!(taken.keys().collect::<Vec<_>>(), [POLICY, LOGROTATE]);
    assert!(taken.values().all(|action| action == "removed"), "{taken:?}");
    assert!(!system.path(LOGROTATE).exists() && !system.path("var/lib/aegisbpf").exists());
}

#[test]
fn an_upgrade_keeps_configuration_and_mends_the_rest() {
    let system = System::new();
    system.does(&["install"]);
    system.write(LOGROTATE, "# mine\n");
    system.write(UNIT, "[Service]\n# mine\n");
    system.write("usr/sbin/aegisbpf", "half a program");
    let put = system.deeds(&["install"]);
    assert_eq!([&put[LOGROTATE], &put[UNIT], &put["usr/sbin/aegisbpf"]], ["kept", "restored", "restored"]);
    assert_eq!(system.read(LOGROTATE), "# mine\n");
    // Configuration that was removed on purpose stays away.
    fs::remove_file(system.path(LOGROTATE)).expect("it is there");
    assert_eq!(system.deeds(&["install"])[LOGROTATE], "gone");
    assert!(!system.path(LOGROTATE).exists());
}

#[test]
fn an_interrupted_install_is_repeated_or_taken_away() {
    for repeat in [true, false] {
        let system = System::new();
        let before = system.tree();
        system.does(&["install"]);
        let whole = system.tree();
        // As it is when it was ended behind its first files: the manifest comes before them.
        let manifest = system.read(MANIFEST).replace("\"complete\": true", "\"complete\": false");
        system.write(MANIFEST, &manifest);
        for path in [LOGROTATE, "usr/share/man/man8/aegisbpf.8"] {
            fs::remove_file(system.path(path)).expect("it is there");
        }
        system.write("usr/share/man/man8/aegisbpf.8.new", "half a page");
        if repeat {
            let put = system.deeds(&["install"]);
            assert_eq!([&put[LOGROTATE], &put[UNIT]], ["new", "same"]);
            assert_eq!(system.tree(), whole);
        }
        system.does(&["uninstall", "--purge"]);
        assert_eq!(system.tree(), before);
    }
}

#[test]
fn an_interrupted_upgrade_is_known_by_both_sums() {
    let system = System::new();
    let before = system.tree();
    system.does(&["install"]);
    // The manifest has the sum of the new program; the old one is still there.
    let old = b"the program before";
    let sum = Digest::of(old).to_string();
    let mut manifest: Value = serde_json::from_str(&system.read(MANIFEST)).expect("JSON");
    manifest["complete"] = false.into();
    manifest["files"][0]["before"] = sum.into();
    system.write(MANIFEST, &manifest.to_string());
    fs::write(system.path("usr/sbin/aegisbpf"), old).expect("a file");
    assert_eq!(system.deeds(&["install", "--dry-run"])["usr/sbin/aegisbpf"], "replaced");
    assert_eq!(system.deeds(&["uninstall", "--purge"])["usr/sbin/aegisbpf"], "removed");
    assert_eq!(system.tree(), before);
}

#[test]
fn files_of_others_are_not_touched() {
    let system = System::new();
    system.write("usr/sbin/aegisbpf", "of a package\n");
    system.write(LOGROTATE, "of an admin\n");
    system.refuses(&["install"], 65, &["/usr/sbin/aegisbpf", "hint:"]);
    fs::remove_file(system.path("usr/sbin/aegisbpf")).expect("it is there");
    fs::create_dir(system.path("usr/sbin/aegisbpf")).expect("a directory");
    system.refuses(&["install"], 65, &["/usr/sbin/aegisbpf"]);
    fs::remove_dir(system.path("usr/sbin/aegisbpf")).expect("it is there");
    assert_eq!(system.deeds(&["install"])[LOGROTATE], "kept");
    system.does(&["uninstall", "--purge"]);
    assert_eq!(system.read(LOGROTATE), "of an admin\n");
}

#[test]
fn no_link_leads_out_of_the_root() {
    let system = System::new();
    let outside = tempfile::tempdir().expect("a scratch directory");
    // One on the way, which means a directory within.
    symlink("/var/elsewhere", system.path("usr/share")).expect("a link");
    fs::create_dir_all(system.path("var/elsewhere")).expect("a directory");
    // One in the place of a file: it is in the way.
    let victim = outside.path().join("victim");
    fs::write(&victim, "of the host\n").expect("a file");
    symlink(&victim, system.path(UNIT)).expect("a link");
    system.refuses(&["install"], 65, &["/usr/lib/systemd/system/aegisbpf.service"]);
    fs::remove_file(system.path(UNIT)).expect("it is there");
    // One in the place of a directory that leads to the host: within the root there is no such place.
    symlink(outside.path(), system.path("usr/lib/tmpfiles.d")).expect("a link");
    let output = system.run(&["install"]);
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert_eq!(fs::read_dir(outside.path()).expect("it").count(), 1, "something was put outside");
    fs::remove_file(system.path("usr/lib/tmpfiles.d")).expect("it is there");
    system.does(&["install"]);
    assert!(system.path("var/elsewhere/man/man8/aegisbpf.8").is_file());
    // What purging removes as a whole is not followed either.
    symlink(outside.path(), system.path("etc/aegisbpf/keys/out")).expect("a link");
    system.does(&["uninstall", "--purge"]);
    assert_eq!(fs::read_to_string(victim).expect("it"), "of the host\n");
}

#[test]
fn a_manifest_that_is_not_ours_is_not_followed() {
    let system = System::new();
    system.does(&["install"]);
    let manifest = system.read(MANIFEST);
    for (from, to) in [
        ("\"schema_version\": 1", "\"schema_version\": 2"),
        ("\"/usr/sbin/aegisbpf\"", "\"/usr/sbin/../../etc/passwd\""),
        ("\"complete\"", "\"compleat\""),
        ("{", ""),
    ] {
        system.write(MANIFEST, &manifest.replacen(from, to, 1));
        system.refuses(&["uninstall", "--purge"], 76, &["install.json", "hint:"]);
        system.refuses(&["install"], 76, &["install.json"]);
    }
}

#[test]
fn the_service_audits_until_it_is_told_to_enforce() {
    let system = System::new();
    system.does(&["install"]);
    assert!(!system.path(MODE).exists());
    assert_eq!(system.deeds(&["install", "--mode", "enforce"])[MODE], "new");
    assert!(system.read(MODE).contains("Environment=AEGISBPF_OPTIONS=--enforce"));
    // An upgrade that says nothing of it changes nothing of it.
    assert_eq!(system.deeds(&["install"])[MODE], "same");
    assert_eq!(system.deeds(&["install", "--mode", "audit"])[MODE], "removed");
    assert!(!system.path(MODE).exists());
}

#[test]
fn without_systemd_it_says_what_to_do_instead() {
    let system = System(tempfile::tempdir().expect("a scratch directory"));
    let said = system.does(&["install"]);
    assert!(said.contains("systemd is not here") && said.contains("aegisbpf run --audit"), "{said}");
    assert!(!system.path("usr/lib/systemd").exists());
    system.does(&["uninstall", "--purge"]);
    assert!(system.tree().is_empty(), "{:?}", system.tree().keys());
}

/// Mounts that only the command sees; as root, or as the root of a user namespace.
#[test]
fn where_usr_is_read_only_another_place_is_taken() {
    let system = System::new();
    let before = system.tree();
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let script = "set -e; mount --bind \"$1/usr\" \"$1/usr\"; mkdir -p \"$1/usr/local\"; \
                  mount --bind \"$2\" \"$1/usr/local\"; mount -o remount,bind,ro \"$1/usr\"; \
                  \"$3\" install --root \"$1\"; cat \"$1/etc/systemd/system/aegisbpf.service\"; \
                  find \"$1/usr/local\" -type f; \"$3\" uninstall --purge --root \"$1\"";
    let local = tempfile::tempdir().expect("a scratch directory");
    unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(system.0.path()).arg(local.path()).arg(&*PROGRAM);
    let output = unshare.output().expect("unshare starts");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    for part in [
        "/usr is read-only",
        "\nExecStart=/usr/local/sbin/aegisbpf run",
        "/usr/local/sbin/aegisbpf\n",
        "/usr/local/share/man/man8/aegisbpf.8\n",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    assert_eq!(fs::read_dir(local.path()).expect("it").count(), 0, "something was left");
    fs::remove_dir(system.path("usr/local")).expect("it is empty");
    assert_eq!(system.tree(), before);
}

#[test]
fn a_root_that_is_none_is_refused() {
    let output =
        Command::new(&*PROGRAM).args(["install", "--root", "/nonexistent/root"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/root"));
}
