//! One hook that is refused, in one way.

use super::super::CheckError;
use super::super::agent::{Agent, Place, SOON, TELLING, ends};
use super::differs;
use super::hooks::{Hook, Need};
use crate::run::Cmd;
use guest::AGENT;
use nix::libc;
use std::fs;
use std::path::Path;

const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// The kernel's types without one name.
const TRIMMED: &str = "/run/trimmed-btf";

/// How a hook is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its program does not load.
    Load,
    /// Its program is not attached.
    Attach,
    /// The kernel's types do not name its function.
    NoType,
}

impl How {
    pub(super) const ALL: [Self; 3] = [Self::Load, Self::Attach, Self::NoType];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Attach => "attach",
            Self::NoType => "no-type",
        }
    }

    /// What the kernel answers; another one each turn.
    pub(super) fn errno(self, turn: usize) -> i32 {
        const ENOTSUPP: i32 = 524;
        let errnos = match self {
            Self::Attach => [libc::EBUSY, libc::E2BIG, ENOTSUPP, libc::ENOMEM],
            Self::Load | Self::NoType => [libc::EPERM, libc::EINVAL, ENOTSUPP, libc::ENOMEM],
        };
        errnos.into_iter().cycle().nth(turn).unwrap_or(libc::EPERM)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.name() == name)
    }
}

/// A refusal.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) hook: Hook,
    /// Stands behind its name: nothing, or what the second copy has there.
    pub(super) copy: &'static str,
    pub(super) how: How,
    pub(super) errno: i32,
    pub(super) tier: &'static str,
}

impl Fault {
    /// The program, and the name of the hook in every output.
    pub(super) fn program(&self) -> String {
        format!("{}{}", self.hook.name, self.copy)
    }

    /// The kernel function.
    fn target(&self) -> String {
        let prefix = if self.tier == "bpf-lsm" { "bpf_lsm_" } else { "security_" };
        format!("{prefix}{}", self.hook.name)
    }

    /// How many hooks are missing by it.
    pub(super) fn copies(&self) -> usize {
        if self.how == How::NoType && self.tier == "modify-return" { 2 } else { 1 }
    }

    /// Whether the kernel has the function, whatever its types say.
    pub(super) fn exists(&self) -> Result<bool, CheckError> {
        let path = "/proc/kallsyms";
        let text =
            fs::read_to_string(path).map_err(|source| CheckError::File { path: path.into(), source })?;
        let target = self.target();
        Ok(text.lines().any(|line| line.split_ascii_whitespace().nth(2) == Some(target.as_str())))
    }

    /// The agent, with its own system calls refused.
    pub(super) fn command(&self, place: &Place, args: &[&str]) -> Cmd {
        let fixed = ["--policy", &place.policy, "--allow-unsigned-policy"];
        let agent = if self.how == How::NoType {
            Cmd::new(AGENT)
        } else {
            let mut names = self.program();
            if self.hook.bare {
                names = format!("{names},{}_bare{}", self.hook.name, self.copy);
            }
            let errno = self.errno.to_string();
            Cmd::new("/proc/self/exe").args(["inject", self.how.name(), &names, &errno, AGENT])
        };
        agent.args(TELLING).args(fixed).args(args).timeout(SOON)
    }

    pub(super) fn start(&self, place: &Place, args: &[&str]) -> Result<Agent, CheckError> {
        let mut agent = self.command(place, args).spawn()?;
        agent.wait_for("\"type\":\"state_change\"", SOON)?;
        Ok(Agent(Some(agent)))
    }

    /// The refusal was met: a fault that nobody noticed would prove nothing.
    pub(super) fn took_place(&self, stderr: &str) -> Result<(), CheckError> {
        let count = stderr.lines().find_map(|line| line.strip_prefix("injected ")?.parse::<usize>().ok());
        match (self.how, count) {
            (How::NoType, _) => Ok(()),
            (_, Some(count)) if count > 0 => Ok(()),
            _ => Err(differs("refused calls", "some", &format!("{count:?}; it says: {stderr}"))),
        }
    }

    /// Takes the name of the function out of the kernel's types, for as long as the guard lives.
    pub(super) fn hide(&self) -> Result<Option<Hidden>, CheckError> {
        if self.how != How::NoType || self.hook.need == Need::Observes {
            return Ok(None);
        }
        let file = |path: &'static str| move |source| CheckError::File { path: path.into(), source };
        let mut types = fs::read(TYPES).map_err(file(TYPES))?;
        let name = [b"\0", self.target().as_bytes(), b"\0"].concat();
        let found = types.windows(name.len()).position(|window| window == name);
        match found.and_then(|at| types.get_mut(at + 1)) {
            Some(first) => *first = b'X',
            None if self.hook.need == Need::IfPresent => return Ok(None),
            None => return Err(differs("types", &self.target(), "none")),
        }
        fs::write(TRIMMED, types).map_err(file(TRIMMED))?;
        ends(&Cmd::sh(&format!("mount --bind {TRIMMED} {TYPES}")), 0)?;
        Ok(Some(Hidden))
    }
}

/// The kernel's types without a name.
#[derive(Debug)]
pub(super) struct Hidden;

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = Cmd::new("umount").args([Path::new(TYPES)]).run();
    }
}
