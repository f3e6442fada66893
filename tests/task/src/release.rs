//! Debian's names of kernels: which releases an index holds, how they sort, which packages carry one.

use crate::arch::Arch;
use std::cmp::Ordering;

/// A kernel release as Debian names it, without the flavour: `6.1.0-50`, `6.12.107+deb13`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    text: String,
    arch: Arch,
}

/// What a package name begins with when it carries (a part of) a kernel. Up to 6.x the image package has all; later
/// ones have the image in `binary` and the modules in `modules`.
const PREFIXES: [&str; 4] = ["linux-image-", "linux-binary-unsigned-", "linux-binary-", "linux-modules-"];

impl Release {
    /// Reads a release of amd64 back from its text.
    pub(crate) fn new(text: &str) -> Self {
        Self::of(text, Arch::Amd64)
    }

    /// Reads a release back from its text.
    pub(crate) fn of(text: &str, arch: Arch) -> Self {
        Self { text: text.to_owned(), arch }
    }

    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    /// A name that no release of another processor has.
    pub(crate) fn directory(&self) -> String {
        format!("{}{}", self.arch.prefix(), self.text)
    }

    /// The release that a package belongs to; `None` for every other package.
    fn of_package(name: &str, arch: Arch) -> Option<Self> {
        let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
        let version = rest.strip_suffix(arch.flavour())?.strip_suffix('-')?;
        let plain = version.starts_with(|c: char| c.is_ascii_digit()) && !version.contains("rc");
        plain.then(|| Self::of(version, arch))
    }

    /// The releases among these package names, newest first.
    pub(crate) fn all(names: &[String], arch: Arch) -> Vec<Self> {
        let mut releases: Vec<Self> = names.iter().filter_map(|name| Self::of_package(name, arch)).collect();
        releases.sort_by(|a, b| b.cmp(a));
        releases.dedup();
        releases
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What `uname -r` says.
    pub(crate) fn uname(&self) -> String {
        format!("{}-{}", self.text, self.arch.flavour())
    }

    /// The first two numbers: `6.12`.
    pub(crate) fn series(&self) -> String {
        self.numbers().iter().take(2).map(u64::to_string).collect::<Vec<_>>().join(".")
    }

    fn numbers(&self) -> Vec<u64> {
        self.text.split(|c: char| !c.is_ascii_digit()).filter_map(|run| run.parse().ok()).collect()
    }

    /// The packages that may carry parts of this release. One of each group is wanted, the first that can be had;
    /// an unsigned image boots as well as a signed one.
    pub(crate) fn packages(&self) -> [Vec<String>; 3] {
        let uname = self.uname();
        [
            vec![format!("linux-image-{uname}"), format!("linux-image-{uname}-unsigned")],
            vec![format!("linux-binary-{uname}"), format!("linux-binary-unsigned-{uname}")],
            vec![format!("linux-modules-{uname}")],
        ]
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_an_index_newest_first() {
        let names = [
            "linux-image-6.12.94+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64-unsigned",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64-dbg",
            "linux-image-6.12.107+deb13-rt-amd64",
            "linux-image-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
            "linux-binary-unsigned-7.3.4+deb13-cloud-amd64",
            "linux-image-7.4-rc2-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-doc-6.12",
        ];
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let found = Release::all(&names, Arch::Amd64);
        let texts: Vec<&str> = found.iter().map(Release::as_str).collect();
        assert_eq!(texts, ["7.3.4+deb13", "6.12.107+deb13", "6.12.94+deb13", "6.1.0-50"]);
        let series: Vec<String> = found.iter().map(Release::series).collect();
        assert_eq!(series, ["7.3", "6.12", "6.12", "6.1"]);
        assert_eq!(Release::all(&names, Arch::Arm64), []);
    }
}
