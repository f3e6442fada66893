//! Files that a host does not run without, as data.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::host::glob;
use super::types::Ops;

/// One kind of file. The directories are those of merged and of split `/usr`.
struct Critical {
    directories: &'static [&'static str],
    /// The file name, with `*` and `?` as wildcards.
    name: &'static str,
    /// The operations that are needed: denying others is harmless, and often the very purpose.
    needed: Ops,
    /// What happens without it, as the end of a sentence.
    consequence: &'static str,
    /// Whether it is part of the survival floor: init, the dynamic loader, the agent.
    floor: bool,
}

const BIN: &[&str] = &["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
const LIB: &[&str] = &["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64"];
const SYSTEMD: &[&str] = &["/lib/systemd", "/usr/lib/systemd"];
const ETC: &[&str] = &["/etc"];
const DEV: &[&str] = &["/dev"];
const READ_EXEC: Ops = Ops::READ.union(Ops::EXEC);
const READ_WRITE: Ops = Ops::READ.union(Ops::WRITE);

const fn file(
    directories: &'static [&'static str],
    name: &'static str,
    needed: Ops,
    consequence: &'static str,
) -> Critical {
    Critical { directories, name, needed, consequence, floor: false }
}

const fn floor_file(
    directories: &'static [&'static str],
    name: &'static str,
    consequence: &'static str,
) -> Critical {
    Critical { directories, name, needed: READ_EXEC, consequence, floor: true }
}

const NO_BOOT: &str = "the host does not boot";
const NO_PROGRAM: &str = "no dynamically linked program starts";
const NO_SHELL: &str = "no script and no command line starts";
const NO_USERS: &str = "no user or group can be looked up";
const NO_LOGIN: &str = "nobody can log in";
const NO_UNIT: &str = "no service starts";

const CRITICAL: &[Critical] = &[
    floor_file(BIN, "init", NO_BOOT),
    floor_file(SYSTEMD, "systemd", NO_BOOT),
    file(SYSTEMD, "systemd-executor", READ_EXEC, NO_UNIT),
    file(SYSTEMD, "libsystemd-*.so", Ops::READ, NO_BOOT),
    file(ETC, "fstab", Ops::READ, NO_BOOT),
    file(BIN, "mount", READ_EXEC, NO_BOOT),
    // The loader, under its ABI name and as the file that older C libraries install.
    floor_file(LIB, "ld-linux*.so.*", NO_PROGRAM),
    floor_file(LIB, "ld64.so.*", NO_PROGRAM),
    floor_file(LIB, "ld-2.*.so", NO_PROGRAM),
    floor_file(LIB, "ld-musl-*.so.1", NO_PROGRAM),
    file(LIB, "libc.so.6", Ops::READ, NO_PROGRAM),
    file(LIB, "libc-2.*.so", Ops::READ, NO_PROGRAM),
    file(LIB, "libc.musl-*.so.1", Ops::READ, NO_PROGRAM),
    file(ETC, "ld.so.cache", Ops::READ, "programs find only the libraries in the default directories"),
    file(ETC, "ld.so.preload", Ops::READ, "libraries that every program is to load are missing"),
    file(BIN, "sh", READ_EXEC, NO_SHELL),
    file(BIN, "dash", READ_EXEC, NO_SHELL),
    file(BIN, "bash", READ_EXEC, NO_SHELL),
    file(BIN, "busybox", READ_EXEC, NO_SHELL),
    file(ETC, "passwd", Ops::READ, NO_USERS),
    file(ETC, "group", Ops::READ, NO_USERS),
    file(ETC, "nsswitch.conf", Ops::READ, NO_USERS),
    file(ETC, "shadow", Ops::READ, "nobody can log in with a password"),
    file(BIN, "login", READ_EXEC, NO_LOGIN),
    file(BIN, "sshd", READ_EXEC, "nobody can log in over SSH"),
    floor_file(BIN, "aegisbpf", "the agent and its rollback cannot be started"),
    file(DEV, "null", READ_WRITE, "most services do not start"),
    file(DEV, "console", READ_WRITE, "there is no console to recover the host from"),
];

/// What happens to the host when these operations are denied on this path, as the end of a sentence; nothing if it
/// is not known to need them.
pub fn consequence(path: &Path, ops: Ops) -> Option<&'static str> {
    let (directory, name) = (path.parent()?, path.file_name()?);
    CRITICAL
        .iter()
        .find(|entry| {
            entry.needed.intersects(ops)
                && glob(entry.name.as_bytes(), name.as_bytes())
                && entry.directories.iter().any(|known| is_at(directory, known))
        })
        .map(|entry| entry.consequence)
}

/// The name of a critical file that lies below a directory, and what happens when these operations are denied there.
pub(super) fn below(tree: &Path, ops: Ops) -> Option<(&'static str, &'static str)> {
    let covers = |directory: &&'static str| Path::new(directory).starts_with(tree) || is_at(tree, directory);
    CRITICAL
        .iter()
        .find(|entry| entry.needed.intersects(ops) && entry.directories.iter().any(covers))
        .map(|entry| (entry.name, entry.consequence))
}

/// The survival floor: the files without which nothing can be put right any more. Directories and file names, the latter
/// with `*` and `?` as wildcards; multiarch directories below the directories count, too.
pub fn floor() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_floor = CRITICAL.iter().filter(|entry| entry.floor);
    of_floor.flat_map(|entry| entry.directories.iter().map(|directory| (*directory, entry.name)))
}

/// Whether a file name is meant by a name of [`floor`].
pub fn is_named(name: &OsStr, pattern: &str) -> bool {
    glob(pattern.as_bytes(), name.as_bytes())
}

/// Whether `path` is this directory, or the multiarch directory in it (`/usr/lib/x86_64-linux-gnu`).
fn is_at(path: &Path, directory: &str) -> bool {
    let multiarch = |name: &OsStr| name.to_str().is_some_and(|name| name.contains("-linux-"));
    path == Path::new(directory)
        || path.parent() == Some(Path::new(directory)) && path.file_name().is_some_and(multiarch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_take_a_host_down() {
        let critical = [
            "/sbin/init",
            "/usr/lib/systemd/systemd",
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/ld-linux-aarch64.so.1",
            "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "/lib/ld-musl-x86_64.so.1",
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "/etc/ld.so.cache",
            "/bin/sh",
            "/etc/passwd",
            "/usr/sbin/aegisbpf",
        ];
        for path in critical {
            assert!(consequence(Path::new(path), Ops::ALL).is_some(), "{path}");
        }
        for path in ["/", "/etc", "/opt/bin/sh", "/srv/chroot/etc/passwd", "/usr/lib/python3/libc.so.6"] {
            assert_eq!(consequence(Path::new(path), Ops::ALL), None, "{path}");
        }
    }

    #[test]
    fn only_the_operations_that_are_needed_count() {
        assert_eq!(consequence(Path::new("/etc/passwd"), Ops::WRITE), None);
        assert_eq!(consequence(Path::new("/bin/sh"), Ops::WRITE), None);
        assert!(consequence(Path::new("/bin/sh"), Ops::EXEC).is_some());
    }

    #[test]
    fn trees_above_them() {
        for path in ["/", "/usr", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/etc", "/bin", "/dev"] {
            assert!(below(Path::new(path), Ops::ALL).is_some(), "{path}");
        }
        for path in ["/srv", "/usr/share", "/etc/aegisbpf", "/usr/lib/python3"] {
            assert_eq!(below(Path::new(path), Ops::ALL), None, "{path}");
        }
        assert_eq!(below(Path::new("/etc"), Ops::WRITE), None);
    }
}
