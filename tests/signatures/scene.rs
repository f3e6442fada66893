//! A directory of an operator: a policy, keys of all kinds, and who is trusted.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_aegisbpf");

/// Before each script. The binary looks for everything below the scene's directory, and so does ssh.
const PRELUDE: &str = r#"
umask 022
export LC_ALL=C TZ=UTC HOME="$PWD"
aegisbpf() { command aegisbpf --config-dir etc --state-dir state --run-dir run --bpffs bpf "$@"; }
trust() { echo "$1 $(cat key.pub)" >etc/keys/allowed_signers; }
"#;

/// Made once, as keys take their time. The policy's signature is by `key`, which alone is trusted.
const MAKE: &str = r#"
printf 'version=1\n[deny_path]\n/srv/secret\n' >policy.conf
make() { ssh-keygen -q -C test "$@"; }
make -N '' -t ed25519 -f key
make -N '' -t ed25519 -f other
make -N secret -t ed25519 -f locked
make -N '' -t rsa -b 2048 -f rsa
make -N '' -t ecdsa -b 256 -f ecdsa
mkdir -p etc/keys
trust ops@example.org
ssh-keygen -q -Y sign -n policy@aegisbpf -f key policy.conf
aegisbpf policy verify policy.conf
"#;

static TEMPLATE: LazyLock<Scene> = LazyLock::new(|| {
    let scene = Scene::empty();
    let (code, text) = scene.run(&format!("set -e\n{MAKE}"));
    assert_eq!(code, 0, "{text}");
    scene
});

/// The directory. It goes with the value.
pub(crate) struct Scene(TempDir);

impl Scene {
    fn empty() -> Self {
        let scene = Self(TempDir::new().expect("a directory"));
        fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        scene
    }

    /// A copy of the template: what it holds is accepted as it stands.
    pub(crate) fn new() -> Self {
        let scene = Self::empty();
        let copied = Command::new("cp").arg("-a").arg(TEMPLATE.path().join(".")).arg(scene.path()).status();
        assert!(copied.expect("cp").success());
        scene
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a script; the exit code, and what it wrote to standard output and then to standard error.
    pub(crate) fn run(&self, script: &str) -> (i32, String) {
        let directory = Path::new(BINARY).parent().expect("a directory");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs: Vec<PathBuf> =
            std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path)).collect();
        let mut command = Command::new("bash");
        command.env("PATH", std::env::join_paths(dirs).expect("a path")).env_remove("SSH_AUTH_SOCK");
        command.arg("-c").arg(format!("{PRELUDE}{script}")).current_dir(self.path());
        let Output { status, stdout, stderr } = command.output().expect("bash");
        (status.code().unwrap_or(-1), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }
}

/// Whether files can be given to another user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}
