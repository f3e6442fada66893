//! The life of the rpm in a root made for it: installed, upgraded, erased, with its scriptlets run by the shell there.

use super::{Packages, said};
use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs of the root that only note how they were called.
const NOTED: [&str; 4] = ["systemctl", "systemd-tmpfiles", "semodule", "restorecon"];
const CALLS: &str = "calls";
const POLICY: &str = "etc/aegisbpf/policy.conf";
/// Everything that rpm itself puts into the root.
const DATABASE: &str = "var";

/// Goes through it. Of a package for other processors as well: what it runs is the shell of the root.
pub(crate) fn lives(before: &Packages, now: &Packages, target: &str) -> Result<()> {
    let root = Root::new(!target.starts_with(std::env::consts::ARCH))?;
    let empty = root.files()?;
    root.put("--install", before)?;
    root.called(
        "the install",
        &[
            "semodule -i /usr/share/selinux/packages/aegisbpf.cil",
            "systemd-tmpfiles --create aegisbpf.conf",
            "systemctl --no-reload preset aegisbpf.service",
            "restorecon -RF /usr/sbin/aegisbpf",
            "restorecon -RF /etc/aegisbpf",
        ],
    )?;
    root.rpm(&["--verify", "aegisbpf", "aegisbpf-selinux"], &[])?;
    root.is("usr/sbin/aegisbpf", 0o755)?;
    root.is(POLICY, 0o644)?;
    let edited = "version=2\n[deny_path]\n/etc/shadow\n";
    fs::write(root.path.join(POLICY), edited)?;
    root.put("--upgrade", now)?;
    root.called(
        "the upgrade",
        &[
            "semodule -i /usr/share/selinux/packages/aegisbpf.cil",
            "systemd-tmpfiles --create aegisbpf.conf",
            "systemctl show --property MainPID --value aegisbpf.service",
            "systemctl daemon-reload",
            "systemctl try-restart aegisbpf.service",
            "restorecon -RF /usr/sbin/aegisbpf",
            "restorecon -RF /etc/aegisbpf",
        ],
    )?;
    if fs::read_to_string(root.path.join(POLICY))? != edited {
        bail!("the upgrade replaced a policy that was edited");
    }
    root.rpm(&["--erase"], &[Path::new("aegisbpf"), Path::new("aegisbpf-selinux")])?;
    root.called(
        "the removal",
        &[
            "systemctl --no-reload disable --now aegisbpf.service",
            "systemctl daemon-reload",
            "semodule -r aegisbpf",
        ],
    )?;
    let left: Vec<_> = root.files()?.into_iter().filter(|path| !empty.contains(path)).collect();
    // What was edited is kept aside, as rpm has it.
    if left != [PathBuf::from(format!("{POLICY}.rpmsave"))] {
        bail!("the removal leaves {left:?}");
    }
    Ok(())
}

/// A root with a shell.
struct Root {
    path: PathBuf,
    /// Whether its packages are for other processors.
    foreign: bool,
}

impl Root {
    fn new(foreign: bool) -> Result<Self> {
        let root = paths::target_dir()?.join("packages/rpm-root");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let bin = root.join("bin");
        fs::create_dir_all(&bin)?;
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().map(Path::new).find(|path| path.exists());
        fs::copy(busybox.context("there is no busybox: install busybox-static")?, bin.join("busybox"))?;
        for applet in ["sh", "rm"] {
            symlink("busybox", bin.join(applet))?;
        }
        for program in NOTED {
            let path = bin.join(program);
            fs::write(&path, format!("#!/bin/sh\necho \"{program} $*\" >>/{CALLS}\n"))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        fs::write(root.join(CALLS), "")?;
        // A device would need the privilege to make one, and nobody reads what scriptlets throw away.
        fs::create_dir_all(root.join("dev"))?;
        fs::write(root.join("dev/null"), "")?;
        Ok(Self { path: root, foreign })
    }

    fn put(&self, how: &str, packages: &Packages) -> Result<()> {
        let files: [&Path; 2] = [&packages.rpm, &packages.selinux];
        let args = if self.foreign { [how, "--ignorearch"].to_vec() } else { vec![how] };
        self.rpm(&args, &files)
    }

    /// As root, or as the root of a user namespace: scriptlets run in a changed root.
    fn rpm(&self, args: &[&str], packages: &[&Path]) -> Result<()> {
        let mut command = if rustix::process::geteuid().is_root() {
            Command::new("rpm")
        } else {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "rpm"]);
            command
        };
        // What Debian's rpm keeps in the home directory belongs into the root as well. Nothing else is in that database, a
        // shell neither.
        command
            .args(["--force-debian", "--dbpath", "/var/lib/rpm", "--nodeps", "--nosignature", "--root"])
            .arg(&self.path);
        let said = said(command.args(args).args(packages))?;
        // What was edited is kept aside, and rpm says so.
        let said: Vec<&str> = said.lines().filter(|line| !line.ends_with(".rpmsave")).collect();
        if said.is_empty() { Ok(()) } else { bail!("rpm {} said: {said:?}", args.join(" ")) }
    }

    /// What was called since the last time, in its order.
    fn called(&self, when: &str, wanted: &[&str]) -> Result<()> {
        let path = self.path.join(CALLS);
        let calls = fs::read_to_string(&path)?;
        fs::write(path, "")?;
        let calls: Vec<&str> = calls.lines().collect();
        if calls != wanted {
            bail!("{when} calls {calls:#?}, wanted {wanted:#?}");
        }
        Ok(())
    }

    fn is(&self, path: &str, mode: u32) -> Result<()> {
        let found = fs::metadata(self.path.join(path)).with_context(|| path.to_owned())?.permissions().mode()
            & 0o7777;
        if found != mode {
            bail!("{path} has the mode {found:o}");
        }
        Ok(())
    }

    /// Every file, without the database of rpm and the notes.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        walk(&self.path, &mut found)?;
        let mut below: Vec<PathBuf> =
            found.iter().filter_map(|path| path.strip_prefix(&self.path).ok()).map(Path::to_owned).collect();
        below.retain(|path| !path.starts_with(DATABASE) && path != Path::new(CALLS));
        below.sort();
        Ok(below)
    }
}

fn walk(directory: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}
