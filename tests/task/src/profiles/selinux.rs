//! A whole policy of `SELinux`: the reference policy of Debian with the module of the agent.

use super::{output, run};
use crate::apt::Apt;
use crate::arch::Arch;
use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release whose policy is tried. Tools of later releases read its modules too.
const SUITE: &str = "bookworm";
const MODULE: [&str; 3] = ["aegisbpf.te", "aegisbpf.fc", "aegisbpf.if"];

/// This file: what is built another way is built anew.
const HOW: &str = include_str!("selinux.rs");
/// The module as it is installed: a text that `semodule` takes on its own, whatever versions modules have.
const CIL: &str = "aegisbpf.cil";
/// What makes that of a module.
const PP: &str = "/usr/libexec/selinux/hll/pp";
const CONTEXTS: &str = "file_contexts";

/// The newest policy that Linux 5.10 takes.
const POLICY_VERSION: u32 = 33;

/// Files of the guest that get the label of what is at that path on a host, and of which kind that is there.
const LABELLED: [(&str, &str, &str); 25] = [
    ("/", "/", "dir"),
    ("/bin", "/bin", "dir"),
    ("/bin/busybox", "/bin/dash", "file"),
    ("/dev/console", "/dev/console", "chr_file"),
    ("/dev/null", "/dev/null", "chr_file"),
    ("/dev/ttyS1", "/dev/ttyS1", "chr_file"),
    ("/etc", "/etc", "dir"),
    ("/etc/aegisbpf", "/etc/aegisbpf", "dir"),
    ("/etc/group", "/etc/group", "file"),
    ("/etc/passwd", "/etc/passwd", "file"),
    ("/etc/shadow", "/etc/shadow", "file"),
    ("/init", "/usr/lib/systemd/systemd", "file"),
    ("/lib", "/lib", "dir"),
    ("/lib64", "/lib64", "dir"),
    ("/mnt", "/mnt", "dir"),
    ("/modules", "/lib/modules", "dir"),
    ("/root", "/root", "dir"),
    ("/root/.ssh", "/root/.ssh", "dir"),
    ("/run", "/run", "dir"),
    ("/sbin", "/sbin", "dir"),
    (guest::AGENT, "/usr/sbin/aegisbpf", "file"),
    ("/sbin/hostile", "/usr/sbin/aegisbpf", "file"),
    ("/tmp", "/tmp", "dir"),
    ("/var", "/var", "dir"),
    ("/var/lib", "/var/lib", "dir"),
];

/// The directory with the whole policy and the labels, built where these very files have not been built before.
pub(crate) fn built() -> Result<PathBuf> {
    let root = paths::root()?.join("selinux");
    let target = paths::target_dir()?.join("selinux");
    fs::create_dir_all(&target)?;
    let lock = File::create(target.join("lock"))?;
    lock.lock()?;
    let mut hasher = DefaultHasher::new();
    (SUITE, POLICY_VERSION, LABELLED, HOW).hash(&mut hasher);
    for name in MODULE {
        fs::read(root.join(name)).with_context(|| root.join(name).display().to_string())?.hash(&mut hasher);
    }
    let built = target.join(format!("{:016x}", hasher.finish()));
    if !built.is_dir() {
        let stage = target.join("stage");
        remove(&stage)?;
        fs::create_dir_all(&stage)?;
        build(&root, &reference()?, &stage)?;
        fs::rename(stage.join("complete"), &built)?;
        remove(&stage)?;
    }
    Ok(built)
}

/// The reference policy of Debian: the modules that a host has, and what a module is compiled with. It is unpacked into
/// the cache and not installed.
fn reference() -> Result<PathBuf> {
    let cache = paths::cache_dir()?;
    let tree = cache.join("selinux").join(SUITE);
    if tree.is_dir() {
        return Ok(tree);
    }
    eprintln!("fetching the SELinux policy of Debian {SUITE} for the VMs");
    let apt = Apt::update(&cache, SUITE, Arch::Amd64)?;
    let stage = cache.join("selinux").join(".stage");
    remove(&stage)?;
    for package in ["selinux-policy-default", "selinux-policy-dev"] {
        let file = apt.download(package, &stage)?;
        run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(stage.join("tree")))?;
    }
    fs::rename(stage.join("tree"), &tree)?;
    remove(&stage)?;
    Ok(tree)
}

/// Compiles the module, links it with all others in a store of its own, and asks for the labels.
fn build(source: &Path, reference: &Path, stage: &Path) -> Result<()> {
    let share = reference.join("usr/share/selinux");
    let module = compile(source, &share, &stage.join("module"))?;
    let etc = store(&stage.join("root"), &reference.join("etc/selinux/default"))?;
    let mut modules = Vec::new();
    for entry in fs::read_dir(share.join("default"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "bz2") {
            modules.push(path);
        }
    }
    modules.sort();
    run(Command::new("semodule")
        .args(["--noreload", "--store", "default", "--path"])
        .arg(stage.join("root"))
        .args(["--priority", "100", "--install"])
        .args(&modules)
        .arg(&module))?;
    let complete = stage.join("complete");
    fs::create_dir_all(&complete)?;
    fs::copy(&module, complete.join(CIL))?;
    let policy = etc.join(format!("default/policy/policy.{POLICY_VERSION}"));
    fs::copy(&policy, complete.join("policy")).with_context(|| policy.display().to_string())?;
    let contexts = complete.join(CONTEXTS);
    // Homes, and directories that stand for others (/bin for /usr/bin), are in files beside it.
    for more in ["", ".homedirs", ".subs_dist"] {
        let name = format!("{CONTEXTS}{more}");
        fs::copy(etc.join("default/contexts/files").join(&name), complete.join(&name))?;
    }
    fs::write(complete.join("labels"), labels(&contexts)?)?;
    Ok(())
}

/// The module as it is installed, by the makefile that administrators use; a warning is an error.
fn compile(source: &Path, share: &Path, into: &Path) -> Result<PathBuf> {
    fs::create_dir_all(into)?;
    for name in MODULE {
        fs::copy(source.join(name), into.join(name))?;
    }
    let said = output(
        Command::new("make")
            .arg("-f")
            .arg(share.join("devel/Makefile"))
            .arg(format!("SHAREDIR={}", share.display()))
            .args(["NAME=default", "aegisbpf.pp"])
            .current_dir(into),
    )?;
    if said.to_lowercase().contains("warning") {
        bail!("the SELinux module compiles with warnings:\n{said}");
    }
    let cil = into.join(CIL);
    run(Command::new(hll()?).arg(into.join("aegisbpf.pp")).arg(&cil))?;
    Ok(cil)
}

fn hll() -> Result<&'static str> {
    let found = [PP, "/usr/lib/selinux/hll/pp"].into_iter().find(|path| Path::new(path).exists());
    found.context("there is no hll/pp of SELinux: install the package policycoreutils")
}

/// The module that the tree keeps to be installed, and what it has to be.
pub(crate) fn module() -> Result<(PathBuf, String)> {
    let text = built()?.join(CIL);
    let text = fs::read_to_string(&text).with_context(|| text.display().to_string())?;
    Ok((paths::root()?.join("selinux").join(CIL), text))
}

/// It is what its sources give.
pub(crate) fn module_is_kept() -> Result<()> {
    let (kept, text) = module()?;
    if fs::read_to_string(&kept).unwrap_or_default() != text {
        bail!("{}: `./dev docs --selinux` writes it anew", kept.display());
    }
    Ok(())
}

/// An empty store, with the settings of this build and not those of the host; its `etc/selinux`.
fn store(root: &Path, contexts: &Path) -> Result<PathBuf> {
    let etc = root.join("etc/selinux");
    fs::create_dir_all(root.join("var/lib/selinux/default"))?;
    fs::create_dir_all(&etc)?;
    run(Command::new("cp").arg("-r").arg(contexts).arg(&etc))?;
    fs::write(etc.join("config"), "SELINUX=enforcing\nSELINUXTYPE=default\n")?;
    let settings = [
        "module-store = direct",
        "expand-check = 0",
        "handle-unknown = allow",
        &format!("policy-version = {POLICY_VERSION}\n"),
    ];
    fs::write(etc.join("semanage.conf"), settings.join("\n"))?;
    Ok(etc)
}

fn labels(contexts: &Path) -> Result<String> {
    LABELLED.iter().try_fold(String::new(), |text, (path, like, kind)| {
        Ok(format!("{text}{path}\t{}\n", label(contexts, like, kind)?))
    })
}

/// What a host labels the files that the agent has; what is pinned has the type of its file system, and none of ours.
pub(crate) fn labels_as_said() -> Result<()> {
    let contexts = built()?.join(CONTEXTS);
    for (path, kind) in [
        ("/usr/sbin/aegisbpf", "aegisbpf_exec_t"),
        ("/sbin/aegisbpf", "aegisbpf_exec_t"),
        ("/usr/lib/systemd/system/aegisbpf.service", "aegisbpf_unit_t"),
        ("/etc/aegisbpf", "aegisbpf_etc_t"),
        ("/etc/aegisbpf/keys/allowed_signers", "aegisbpf_etc_t"),
        ("/var/lib/aegisbpf/audit.log", "aegisbpf_var_lib_t"),
        ("/run/aegisbpf/state.json", "aegisbpf_var_run_t"),
        ("/run/aegisbpf/canary/program", "aegisbpf_canary_t"),
    ] {
        let label = label(&contexts, path, "file")?;
        if label != format!("system_u:object_r:{kind}:s0") {
            bail!("{path} is labelled {label}, wanted {kind}");
        }
    }
    let pins = label(&contexts, "/sys/fs/bpf/aegisbpf", "dir")?;
    if pins != "<<none>>" {
        bail!("what is pinned is labelled {pins}");
    }
    Ok(())
}

/// The label of a path for a file of this kind, as libselinux answers. Left alone, it would look at this host for the kind.
fn label(contexts: &Path, path: &str, kind: &str) -> Result<String> {
    let mut command = Command::new("matchpathcon");
    let label = output(command.args(["-n", "-m", kind, "-f"]).arg(contexts).arg(path))?;
    Ok(label.trim().to_owned())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
