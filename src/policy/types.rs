//! A policy as values: what the language can say, without how it was written.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::code::Code;
use super::host::HostPattern;
use super::text;
use super::time::Timestamp;

/// What a policy file says.
///
/// The rules of `paths`, `inodes` and `trees` are numbered together, from 1, in the order of the file: the number is
/// the `id` by which events and the kernel name a rule. Each list is ordered by `id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Version of the language: 1 or 2.
    pub version: u8,
    /// `[settings]`
    pub settings: Settings,
    /// `[deny_path]`
    pub paths: Vec<PathRule>,
    /// `[deny_inode]`
    pub inodes: Vec<InodeRule>,
    /// `[deny_tree]`: the directory and everything below it.
    pub trees: Vec<PathRule>,
    /// `[allow_cgroup]`
    pub allow: Vec<CgroupEntry>,
    /// `[scope_cgroup]`; empty: the rules bind every process.
    pub scope: Vec<CgroupEntry>,
}

impl Policy {
    /// How many deny rules there are.
    pub fn rules(&self) -> usize {
        self.paths.len() + self.inodes.len() + self.trees.len()
    }
}

/// A rule on one path, or on a directory and what is below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathRule {
    /// 1 and up, over all rules of the policy.
    pub id: u32,
    /// Absolute and normalized: no `//`, `/./`, `..` or trailing slash. The bytes need not be UTF-8.
    #[serde(serialize_with = "escaped")]
    pub path: PathBuf,
    /// What is denied; never empty.
    pub ops: Ops,
    /// Where the rule stands, from 1.
    pub line: u32,
}

/// A rule on one inode, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InodeRule {
    /// 1 and up, over all rules of the policy.
    pub id: u32,
    /// The device the kernel gives the inode's file system; not zero.
    pub dev: Device,
    /// The inode number; not zero.
    pub ino: u64,
    /// What is denied; never empty.
    pub ops: Ops,
    /// Where the rule stands, from 1.
    pub line: u32,
}

/// One line of `[allow_cgroup]` or `[scope_cgroup]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CgroupEntry {
    /// Which cgroup.
    pub cgroup: CgroupRef,
    /// Where the entry stands, from 1.
    pub line: u32,
}

/// A cgroup, as a policy names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupRef {
    /// Its directory: absolute and normalized.
    #[serde(serialize_with = "escaped")]
    Path(PathBuf),
    /// Its id in the kernel; not zero.
    Id(u64),
}

/// The policy as a whole: `[settings]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The policy's own version, from 1.
    pub policy_version: Option<u64>,
    /// The policy is not valid before this instant.
    pub not_before: Option<Timestamp>,
    /// The policy is not valid from this instant on.
    pub expires: Option<Timestamp>,
    /// The hosts the policy is meant for.
    pub host: Option<HostPattern>,
    /// For people; no control characters.
    pub description: Option<String>,
}

impl Settings {
    /// Why the policy does not hold on this host at this time, in seconds since 1970.
    pub fn objection(&self, host: &str, now: i64) -> Option<(Code, String)> {
        match self {
            Self { host: Some(pattern), .. } if !pattern.matches(host) => {
                Some((Code::OtherHost, format!("it is meant for {pattern}, and this is {host}")))
            }
            Self { not_before: Some(start), .. } if now < start.unix() => {
                Some((Code::NotYetValid, format!("it is not valid before {start}")))
            }
            Self { expires: Some(end), .. } if now >= end.unix() => {
                Some((Code::Expired, format!("it expired on {end}")))
            }
            _ => None,
        }
    }
}

/// A device number in the kernel's own encoding: `major << 20 | minor` (`include/linux/kdev_t.h`).
///
/// This is not the number that `stat -c %d` prints, which is in the encoding of the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device(u32);

impl Device {
    const MINOR_BITS: u32 = 20;
    /// The largest major number: 12 bits.
    pub const MAX_MAJOR: u32 = u32::MAX >> Self::MINOR_BITS;
    /// The largest minor number: 20 bits.
    pub const MAX_MINOR: u32 = (1 << Self::MINOR_BITS) - 1;

    /// The device of these two numbers, or nothing when one does not fit.
    pub fn new(major: u32, minor: u32) -> Option<Self> {
        (major <= Self::MAX_MAJOR && minor <= Self::MAX_MINOR)
            .then_some(Self(major << Self::MINOR_BITS | minor))
    }

    /// From the kernel's encoding.
    pub const fn from_kernel(encoded: u32) -> Self {
        Self(encoded)
    }

    /// In the kernel's encoding.
    pub const fn kernel(self) -> u32 {
        self.0
    }

    /// The major number.
    pub const fn major(self) -> u32 {
        self.0 >> Self::MINOR_BITS
    }

    /// The minor number.
    pub const fn minor(self) -> u32 {
        self.0 & Self::MAX_MINOR
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major(), self.minor())
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A set of operations, as the bits that the kernel side uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ops(u8);

impl Ops {
    /// No operation.
    pub const NONE: Self = Self(0);
    /// Open for reading.
    pub const READ: Self = Self(1);
    /// Open for writing, and every other way to change the file.
    pub const WRITE: Self = Self(2);
    /// Execute.
    pub const EXEC: Self = Self(4);
    /// What a rule without operations denies.
    pub const ALL: Self = Self(7);

    /// The operations by name, in the order in which they are printed.
    pub const NAMES: [(&'static str, Self); 3] =
        [("read", Self::READ), ("write", Self::WRITE), ("exec", Self::EXEC)];

    /// The operation of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, ops)| ops)
    }

    /// The bits: read 1, write 2, exec 4.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every operation of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the sets have an operation in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, ops) in Self::NAMES {
            if self.contains(ops) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl Serialize for Ops {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_seq(Self::NAMES.iter().filter(|(_, ops)| self.contains(*ops)).map(|(name, _)| name))
    }
}

/// A path from the bytes of the language.
pub(super) fn path_buf(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn escaped<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text::escape(path.as_os_str().as_bytes()))
}
