//! The kernels of the VMs: which ones, and how they get into the cache.

use crate::apt::Apt;
use crate::arch::Arch;
use crate::image::{self, Image};
use crate::paths;
use crate::release::Release;
use anyhow::{Context as _, Result, anyhow, bail};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// So long what is in the cache is used without asking the archive whether there is something newer.
pub(crate) const FRESH: Duration = Duration::from_hours(7 * 24);
/// Where the series that no suite is fixed for come from.
const MOVING_SUITE: &str = "trixie-backports";
/// The long-term series, and the suite that carries each.
const FIXED: [(&str, &str); 3] = [("5.10", "bullseye"), ("6.1", "bookworm"), ("6.12", "trixie")];
/// Those of them that run on arm64: the one before BPF programs could be attached to functions there, and one after.
const ON_ARM64: [&str; 2] = ["6.1", "6.12"];

/// Which kernel is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// The newest release of a series such as `6.12`.
    Series(String),
    /// The same, of arm64.
    Arm64(String),
    /// The newest release of the newest series of the moving suite (0), of the one before (1), and so on.
    Newest(usize),
}

/// The kernels of the matrix.
pub(crate) fn all() -> Vec<Selector> {
    let fixed = FIXED.iter().map(|(series, _)| Selector::Series((*series).to_owned()));
    fixed.chain([Selector::Newest(1), Selector::Newest(0)]).collect()
}

/// The kernels of the rows on arm64.
pub(crate) fn on_arm64() -> Vec<Selector> {
    ON_ARM64.map(|series| Selector::Arm64(series.to_owned())).to_vec()
}

impl Selector {
    /// Reads `6.12`, `arm64-6.12`, `newest` or `newest-1`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == "newest" {
            return Ok(Self::Newest(0));
        }
        if let Some(back) = text.strip_prefix("newest-") {
            return Ok(Self::Newest(back.parse()?));
        }
        let series = text.strip_prefix(Arch::Arm64.prefix());
        let numbers = series
            .unwrap_or(text)
            .split_once('.')
            .map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()));
        match numbers {
            Some((Ok(_), Ok(_))) => Ok(match series {
                Some(series) => Self::Arm64(series.to_owned()),
                None => Self::Series(text.to_owned()),
            }),
            _ => bail!(
                "'{text}' names no kernel: give a series such as 6.12 or arm64-6.12, or newest, or newest-1"
            ),
        }
    }

    /// Whether the kernel part of a row's name is a series that a suite is fixed for.
    pub(crate) fn is_fixed(row: &str) -> bool {
        let row = row.strip_prefix(Arch::Arm64.prefix()).unwrap_or(row);
        FIXED.iter().any(|(series, _)| row.split('/').next() == Some(series))
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Series(series) => series.clone(),
            Self::Arm64(series) => format!("{}{series}", Arch::Arm64.prefix()),
            Self::Newest(0) => "newest".to_owned(),
            Self::Newest(back) => format!("newest-{back}"),
        }
    }

    pub(crate) fn suite(&self) -> &'static str {
        let (Self::Series(wanted) | Self::Arm64(wanted)) = self else { return MOVING_SUITE };
        FIXED.iter().find(|(series, _)| series == wanted).map_or(MOVING_SUITE, |(_, suite)| suite)
    }

    pub(crate) fn arch(&self) -> Arch {
        match self {
            Self::Arm64(_) => Arch::Arm64,
            Self::Series(_) | Self::Newest(_) => Arch::Amd64,
        }
    }

    /// Its releases among `all` (newest first).
    fn matching(&self, all: &[Release]) -> Vec<Release> {
        let wanted = match self {
            Self::Series(series) | Self::Arm64(series) => Some(series.clone()),
            Self::Newest(back) => {
                let mut series: Vec<String> = all.iter().map(Release::series).collect();
                series.dedup();
                series.into_iter().nth(*back)
            }
        };
        all.iter().filter(|release| Some(release.series()) == wanted).cloned().collect()
    }
}

/// A kernel in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) release: Release,
    directory: PathBuf,
}

impl Kernel {
    pub(crate) fn image(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.directory.join("modules")
    }
}

/// The cache of kernels.
#[derive(Debug)]
pub(crate) struct Store {
    cache: PathBuf,
    /// Two runs must not fetch at the same time; released when the store is dropped.
    _lock: File,
}

impl Store {
    /// Opens the cache, and waits for another run that is using it.
    pub(crate) fn open() -> Result<Self> {
        let cache = paths::cache_dir()?;
        let kernels = cache.join("kernels");
        fs::create_dir_all(&kernels).with_context(|| format!("cannot make {}", kernels.display()))?;
        let lock = File::create(cache.join("lock"))?;
        lock.lock()?;
        Ok(Self { cache, _lock: lock })
    }

    /// The kernel for a selector: from the cache while that is fresh, else the newest that the archive has, else,
    /// with a note, the last one that was used.
    pub(crate) fn get(&self, selector: &Selector) -> Result<Kernel> {
        let last = self.last(selector);
        if let Some((kernel, true)) = last {
            return Ok(kernel);
        }
        match (self.fetch(selector), last) {
            (Ok(kernel), _) => {
                fs::write(self.pick(selector), kernel.release.as_str())?;
                Ok(kernel)
            }
            (Err(error), Some((kernel, _))) => {
                let release = kernel.release.uname();
                eprintln!("note: kernel {} stays at {release} from the cache: {error:#}", selector.name());
                Ok(kernel)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// An archive of packages.
    pub(crate) fn image(&self, image: &Image) -> Result<PathBuf> {
        image::archive(&self.cache, image)
    }

    /// The file that remembers what a selector stood for; its age is the age of that knowledge.
    fn pick(&self, selector: &Selector) -> PathBuf {
        self.cache.join("kernels").join(format!("{}.pick", selector.name()))
    }

    /// The kernel that was last used for a selector, and whether that is recent enough to take it unasked.
    fn last(&self, selector: &Selector) -> Option<(Kernel, bool)> {
        let pick = self.pick(selector);
        let kernel = self.cached(&Release::of(fs::read_to_string(&pick).ok()?.trim(), selector.arch()))?;
        let age = fs::metadata(&pick).ok()?.modified().ok()?.elapsed().unwrap_or_default();
        Some((kernel, age < FRESH))
    }

    fn cached(&self, release: &Release) -> Option<Kernel> {
        let directory = self.cache.join("kernels").join(release.directory());
        directory.is_dir().then(|| Kernel { release: release.clone(), directory })
    }

    fn fetch(&self, selector: &Selector) -> Result<Kernel> {
        let suite = selector.suite();
        let apt = Apt::update(&self.cache, suite, selector.arch())?;
        let names = apt.names()?;
        let releases = selector.matching(&Release::all(&names, selector.arch()));
        let mut tried = Vec::new();
        for release in releases {
            if let Some(kernel) = self.cached(&release) {
                return Ok(kernel);
            }
            match self.install(&apt, &names, &release) {
                Ok(kernel) => return Ok(kernel),
                Err(error) => tried.push(format!("{}: {error:#}", release.as_str())),
            }
        }
        if tried.is_empty() {
            bail!("Debian {suite} has no cloud kernel of series {}", selector.name());
        }
        Err(anyhow!(tried.join("; "))
            .context(format!("no kernel of series {} can be had from Debian {suite}", selector.name())))
    }

    /// Downloads and unpacks one release. The directory gets its name only when it is complete.
    fn install(&self, apt: &Apt, names: &[String], release: &Release) -> Result<Kernel> {
        eprintln!("fetching Linux {} for the VMs", release.uname());
        let stage = self.cache.join("kernels").join(".stage");
        remove(&stage)?;
        let tree = stage.join("tree");
        fs::create_dir_all(&tree)?;
        let mut faults = Vec::new();
        for group in release.packages() {
            for package in group.iter().filter(|package| names.contains(package)) {
                match apt.download(package, &stage).and_then(|file| unpack(&file, &tree)) {
                    Ok(()) => break,
                    Err(error) => faults.push(format!("{package}: {error:#}")),
                }
            }
        }
        let complete = stage.join("complete");
        arrange(&tree, release, &complete).with_context(|| faults.join(", "))?;
        let directory = self.cache.join("kernels").join(release.directory());
        fs::rename(&complete, &directory)?;
        remove(&stage)?;
        Ok(Kernel { release: release.clone(), directory })
    }
}

/// Picks the image and the modules out of an unpacked tree, wherever this release has them.
fn arrange(tree: &Path, release: &Release, into: &Path) -> Result<()> {
    let uname = release.uname();
    let module_dirs = ["lib/modules", "usr/lib/modules"].map(|base| tree.join(base).join(&uname));
    let modules = module_dirs.iter().find(|path| path.join("kernel").is_dir());
    let modules = modules.context("its packages have no modules")?;
    let mut image_dirs = module_dirs.iter().cloned().chain([tree.join("boot")]);
    let image = image_dirs.find_map(|directory| image_in(&directory));
    let image = image.context("its packages have no image")?;
    fs::create_dir_all(into)?;
    fs::rename(image, into.join("vmlinuz"))?;
    fs::rename(modules, into.join("modules"))?;
    Ok(())
}

fn image_in(directory: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(directory).ok()?.flatten();
    files.find(|file| file.file_name().to_string_lossy().starts_with("vmlinuz")).map(|file| file.path())
}

/// Unpacks a package without running anything of it.
pub(crate) fn unpack(package: &Path, tree: &Path) -> Result<()> {
    let status = Command::new("dpkg-deb").args([OsStr::new("-x"), package.as_ref(), tree.as_ref()]).status();
    let status = status.context("cannot start dpkg-deb")?;
    if !status.success() {
        bail!("dpkg-deb -x {} ended with {status}", package.display());
    }
    Ok(())
}

/// Removes a directory, if it is there.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
