//! The processors of the VMs, and what differs with them.

use crate::paths::MUSL;

/// A processor, by Debian's name for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Arch {
    /// Of most hosts: such VMs are what the matrix is made of.
    #[default]
    Amd64,
    /// Emulated on all others.
    Arm64,
}

impl Arch {
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Rust has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// What the agent and the guest are built for.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => MUSL,
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// What the names of its kernels, rows and directories begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Amd64 => "",
            Self::Arm64 => "arm64-",
        }
    }

    /// How Debian's kernel packages for virtual machines end.
    pub(crate) fn flavour(self) -> &'static str {
        match self {
            Self::Amd64 => "cloud-amd64",
            Self::Arm64 => "cloud-arm64",
        }
    }

    /// The kernel's console.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::Amd64 => "console=ttyS0",
            Self::Arm64 => "console=ttyAMA0",
        }
    }
}
