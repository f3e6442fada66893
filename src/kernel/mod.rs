//! What the kernel at hand allows, found out by trial.
//!
//! Configuration is not evidence: a kernel with `CONFIG_BPF_LSM=y` and `bpf` in its LSM list may still refuse every such
//! program, and one that accepts and attaches them may never call them. So each question is answered by doing the thing,
//! on a small scale that touches nobody else.

mod cause;
mod distro;
mod host;
mod surroundings;
mod symbols;
mod trial;
mod types;

use std::{cell::RefCell, collections::BTreeMap, fmt, io, os::fd::OwnedFd, path::Path};

use aya_obj::btf::{Btf, BtfError};
use once_cell::unsync::OnceCell;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Serialize, Serializer};

pub use self::{
    cause::{Cause, Finding, Step, causes, causes_of},
    distro::{Boot, boot_line},
    host::{BootSwitches, Capabilities, Host, LsmList},
    surroundings::{Confinement, Surroundings, read},
    trial::Identity,
};
use self::{symbols::has_function, types::Types};

/// A question to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// A hash map can be created.
    BpfMap,
    /// A ring buffer can be created.
    BpfRingbuf,
    /// A program can tell this thread's id, which proofs are bound to.
    BpfIdentity,
    /// A BPF file system is mounted and takes files of ours.
    Bpffs,
    /// The kernel's type information is visible and parses.
    BtfVmlinux,
    /// A BPF LSM program loads.
    LsmLoad,
    /// A BPF LSM program that refuses this thread's opens makes them fail.
    LsmEffect,
    /// A modify-return program loads.
    FmodRetLoad,
    /// A modify-return program that refuses this thread's opens makes them fail.
    FmodRetEffect,
    /// A raw tracepoint program loads.
    RawTracepointLoad,
    /// A raw tracepoint program attaches.
    RawTracepointAttach,
}

impl Probe {
    /// All of them, each behind those it builds on.
    pub const ALL: [Self; 11] = [
        Self::BpfMap,
        Self::BpfRingbuf,
        Self::BpfIdentity,
        Self::Bpffs,
        Self::BtfVmlinux,
        Self::LsmLoad,
        Self::LsmEffect,
        Self::FmodRetLoad,
        Self::FmodRetEffect,
        Self::RawTracepointLoad,
        Self::RawTracepointAttach,
    ];

    /// Those that have to answer yes before this one can be asked.
    fn builds_on(self) -> &'static [Self] {
        match self {
            Self::LsmLoad | Self::FmodRetLoad => &[Self::BtfVmlinux],
            Self::LsmEffect => &[Self::LsmLoad, Self::BpfIdentity],
            Self::FmodRetEffect => &[Self::FmodRetLoad, Self::BpfIdentity],
            Self::RawTracepointAttach => &[Self::RawTracepointLoad],
            _ => &[],
        }
    }

    /// The name that `tiers/*.toml` and all output use.
    pub fn name(self) -> &'static str {
        match self {
            Self::BpfMap => "bpf.map",
            Self::BpfRingbuf => "bpf.ringbuf",
            Self::BpfIdentity => "bpf.identity",
            Self::Bpffs => "bpffs",
            Self::BtfVmlinux => "btf.vmlinux",
            Self::LsmLoad => "lsm.load",
            Self::LsmEffect => "lsm.effect",
            Self::FmodRetLoad => "fmod_ret.load",
            Self::FmodRetEffect => "fmod_ret.effect",
            Self::RawTracepointLoad => "raw_tracepoint.load",
            Self::RawTracepointAttach => "raw_tracepoint.attach",
        }
    }
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Why an answer is not yes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The kernel refused a call.
    Refused {
        /// What was tried.
        what: &'static str,
        /// The error number.
        errno: i32,
    },
    /// The trial needs a privilege that this process lacks.
    Unprivileged {
        /// The capability, for example `CAP_BPF`.
        capability: &'static str,
    },
    /// A program loaded and attached, and was not called.
    NotCalled,
    /// A file is not there or cannot be read.
    Unreadable {
        /// The file.
        path: String,
        /// The error number.
        errno: i32,
    },
    /// A directory is not what it has to be.
    NotBpffs {
        /// The directory.
        path: String,
    },
    /// A file was read and could not be understood.
    Malformed {
        /// The file.
        path: String,
    },
    /// The trial builds on one that did not answer yes.
    After(Probe),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { what, errno } => write!(f, "{what} was refused: {}", errno_name(*errno)),
            Self::Unprivileged { capability } => write!(f, "cannot be tried without {capability}"),
            Self::NotCalled => {
                f.write_str("the program loaded and attached, but the kernel never called it: an open it refuses went through")
            }
            Self::Unreadable { path, errno } => write!(f, "{path}: {}", errno_name(*errno)),
            Self::NotBpffs { path } => write!(f, "{path} is not a mounted BPF file system"),
            Self::Malformed { path } => write!(f, "{path} does not parse"),
            Self::After(probe) => write!(f, "not tried, because {} did not answer yes", probe.name()),
        }
    }
}

/// The kernel's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It works; it was done.
    Yes,
    /// It does not work here.
    No(Why),
    /// It could not be found out. Counts as no, is reported as unknown.
    Unknown(Why),
}

impl Answer {
    /// The reason, unless yes.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::Yes => None,
            Self::No(why) | Self::Unknown(why) => Some(why),
        }
    }

    /// `yes`, `no` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "no",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// All answers.
pub type Answers = BTreeMap<Probe, Answer>;

/// A union that has a member for each hook for security modules (`include/linux/lsm_hooks.h`, v5.10 to v7.3). A name that the
/// type information of such a kernel does not hold anywhere is none of them.
const ALL_HOOKS: &str = "security_list_options";

/// The kernel at hand, with what has been read of it so far.
pub struct Kernel {
    types: OnceCell<Types>,
    identity: OnceCell<Identity>,
    /// Links of trials that are over. To detach the last program of a hook takes the kernel half a second
    /// (`synchronize_rcu_tasks`), and one of several next to nothing: they go when the programs that stay are attached.
    over: RefCell<Vec<OwnedFd>>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("identity", &self.identity.get()).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Nothing is read yet; this process may lock the memory that answers take.
    pub fn open() -> Self {
        // Before v5.11 (3ac1f01b43b6) BPF memory counts against RLIMIT_MEMLOCK. Where it may not be raised, the maps
        // themselves will say so.
        let unlimited = Rlimit { current: None, maximum: None };
        let _refused = setrlimit(Resource::Memlock, unlimited);
        Self { types: OnceCell::new(), identity: OnceCell::new(), over: RefCell::default() }
    }

    /// What the programs are fitted to of the kernel's types and those of btrfs, which can be a module; read once.
    pub fn btf(&self) -> Result<&Btf, BtfError> {
        self.types().map(|types| &types.btf)
    }

    /// The number of a function that a program can be attached to, among all types of the kernel. `None`: there is none.
    pub fn function(&self, name: &str) -> Result<Option<u32>, BtfError> {
        self.types().map(|types| types.function(name))
    }

    fn types(&self) -> Result<&Types, BtfError> {
        self.types.get_or_try_init(types::read)
    }

    /// The program that tells a process how the first pid namespace numbers it; loaded once.
    pub fn identity(&self) -> io::Result<&Identity> {
        self.identity.get_or_try_init(Identity::load)
    }

    /// Keeps a link until this is dropped.
    fn detach_later(&self, link: OwnedFd) {
        self.over.borrow_mut().push(link);
    }

    /// Asks everything. Call it from the thread that will prove; `bpffs` is where pins would go.
    pub fn probe(&self, bpffs: &Path) -> Answers {
        let mut answers = Answers::new();
        self.ask(&Probe::ALL, bpffs, &mut answers);
        answers
    }

    /// Asks these, and those that they build on, unless they were asked before.
    pub fn ask(&self, probes: &[Probe], bpffs: &Path, answers: &mut Answers) {
        self.ask_with(probes, bpffs, Capabilities::current(), answers);
    }

    fn ask_with(&self, probes: &[Probe], bpffs: &Path, capabilities: Capabilities, answers: &mut Answers) {
        for probe in probes {
            if answers.contains_key(probe) {
                continue;
            }
            self.ask_with(probe.builds_on(), bpffs, capabilities, answers);
            let answer = trial::answer(self, *probe, bpffs, capabilities, answers);
            answers.insert(*probe, answer);
        }
    }

    /// Whether the kernel has a hook for security modules of this name, or a function of that name. Its type information
    /// can lack a function that is there and is called: then it cannot be attached to, and must not pass for absent.
    pub fn has_hook(&self, hook: &str, function: &str) -> io::Result<bool> {
        let lists_hooks = |types: &Types| types.has_name(ALL_HOOKS) && !types.has_name(hook);
        if self.types().is_ok_and(lists_hooks) { Ok(false) } else { has_function(function) }
    }
}

/// Whether a limit on locked memory, which [`Kernel::open`] was not allowed to lift, can be why BPF is answered with EPERM:
/// before v5.11. For explanations alone.
pub fn memory_is_limited() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0));
    version < (5, 11) && getrlimit(Resource::Memlock).current.is_some()
}

/// `EPERM (Operation not permitted)`
pub fn errno_name(errno: i32) -> String {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::E2BIG => "E2BIG",
        libc::EACCES => "EACCES",
        libc::EBUSY => "EBUSY",
        libc::EINVAL => "EINVAL",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSYS => "ENOSYS",
        libc::ENOTSUP => "EOPNOTSUPP",
        libc::EROFS => "EROFS",
        // Kernel-internal, yet trampolines that an architecture lacks answer with it.
        524 => return "ENOTSUPP (524)".to_owned(),
        _ => return io::Error::from_raw_os_error(errno).to_string(),
    };
    let text = io::Error::from_raw_os_error(errno).to_string();
    format!("{name} ({})", text.split(" (os error").next().unwrap_or(&text))
}
