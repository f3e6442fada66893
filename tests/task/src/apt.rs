//! A private apt root for one Debian suite. apt checks the archive's signature and every hash; the lists, the cache
//! and the status of the system's own apt are neither read nor touched.

use crate::arch::Arch;
use anyhow::{Context as _, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR: &str = "http://deb.debian.org/debian";
/// Names another mirror, for a host that reaches only its own. The keyring still decides what is accepted.
const MIRROR_VARIABLE: &str = "AEGISBPF_DEBIAN_MIRROR";

/// The apt root of one suite, with its index as of now.
#[derive(Debug)]
pub(crate) struct Apt {
    root: PathBuf,
    suite: String,
    arch: Arch,
}

impl Apt {
    /// Makes the root where it is missing, and fetches the suite's index.
    pub(crate) fn update(cache: &Path, suite: &str, arch: Arch) -> Result<Self> {
        if !Path::new(KEYRING).exists() {
            bail!("{KEYRING} is missing: install the package debian-archive-keyring");
        }
        let root = cache.join("apt").join(format!("{}{suite}", arch.prefix()));
        let apt = Self { root, suite: suite.to_owned(), arch };
        for directory in ["lists/partial", "cache/archives/partial", "preferences.d"] {
            fs::create_dir_all(apt.root.join(directory))?;
        }
        let mirror = env::var(MIRROR_VARIABLE).unwrap_or_else(|_| MIRROR.to_owned());
        let arch = arch.debian();
        let source = format!("deb [arch={arch} target=Packages signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(apt.root.join("sources.list"), source)?;
        fs::write(apt.root.join("status"), "")?;
        run(apt.command("apt-get").args(["-q", "update"]))
            .with_context(|| format!("cannot fetch the index of Debian {suite} from {mirror}"))?;
        Ok(apt)
    }

    /// Every package name of the suite.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let output = self.command("apt-cache").arg("pkgnames").stderr(Stdio::inherit()).output();
        let output = output.context("cannot start apt-cache")?;
        if !output.status.success() {
            bail!("apt-cache pkgnames for {} ended with {}", self.suite, output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// Downloads one package into `directory`, and returns its file.
    pub(crate) fn download(&self, package: &str, directory: &Path) -> Result<PathBuf> {
        let into = directory.join(package);
        fs::create_dir_all(&into)?;
        run(self.command("apt-get").args(["-q", "download", package]).current_dir(&into))?;
        let mut files = fs::read_dir(&into)?;
        let file = files.next().with_context(|| format!("apt-get download {package} left no file"))??;
        Ok(file.path())
    }

    /// Downloads packages and all that they depend on into `directory`; their files.
    pub(crate) fn download_all(&self, packages: &[&str], directory: &Path) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(directory.join("partial"))?;
        let mut command = self.command("apt-get");
        command.arg("-o").arg(format!("Dir::Cache::Archives={}", directory.display()));
        command.args(["-q", "-y", "--no-install-recommends", "--download-only", "install"]).args(packages);
        run(&mut command)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            files.push(entry?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
        files.sort();
        Ok(files)
    }

    fn command(&self, program: &str) -> Command {
        let file = |name: &str| self.root.join(name).display().to_string();
        let options = [
            format!("Dir::Etc::SourceList={}", file("sources.list")),
            "Dir::Etc::SourceParts=-".to_owned(),
            // Pins of the host must not choose what is booted.
            format!("Dir::Etc::Preferences={}", file("preferences")),
            format!("Dir::Etc::PreferencesParts={}", file("preferences.d")),
            format!("Dir::State::Lists={}", file("lists")),
            format!("Dir::State::Status={}", file("status")),
            format!("Dir::Cache={}", file("cache")),
            format!("APT::Architecture={}", self.arch.debian()),
            format!("APT::Architectures={}", self.arch.debian()),
            // The sandbox user cannot write below a home directory, and apt would warn about it each time.
            "APT::Sandbox::User=root".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        let mut command = Command::new(program);
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        for option in options {
            command.arg("-o").arg(option);
        }
        command
    }
}

/// Runs a program with its progress on standard error: standard output stays free for what the user asked for.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdout(std::io::stderr()).status();
    let status =
        status.with_context(|| format!("cannot start {program} (what the VMs boot comes through apt)"))?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}
