//! What takes which privileges: for each operation the least that it takes, which the checks show by taking away one after
//! the other. The table in `SECURITY.md` is made of it.

/// A kernel's version, its first two numbers.
pub type Version = (u32, u32);

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root, with these capabilities alone.
    Root,
    /// A user of its own with these as ambient capabilities, whose directories and BPF file system are its own.
    User,
}

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// `CAP_BPF`
    pub name: &'static str,
    /// As `include/uapi/linux/capability.h` has it.
    pub number: u32,
}

/// Reading and searching what others own.
pub const CAP_DAC_READ_SEARCH: Capability = Capability { name: "CAP_DAC_READ_SEARCH", number: 2 };
/// Looking at other processes.
pub const CAP_SYS_PTRACE: Capability = Capability { name: "CAP_SYS_PTRACE", number: 19 };
/// What BPF took before there was anything smaller, and some of it still does.
pub const CAP_SYS_ADMIN: Capability = Capability { name: "CAP_SYS_ADMIN", number: 21 };
/// Raising limits.
pub const CAP_SYS_RESOURCE: Capability = Capability { name: "CAP_SYS_RESOURCE", number: 24 };
/// Programs that look at the kernel.
pub const CAP_PERFMON: Capability = Capability { name: "CAP_PERFMON", number: 38 };
/// Maps and programs.
pub const CAP_BPF: Capability = Capability { name: "CAP_BPF", number: 39 };

/// What the container of `dist/kubernetes` has.
pub const CONTAINER: [Capability; 3] = [CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH];

/// One capability of those that an operation takes.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Which.
    pub capability: Capability,
    /// For what.
    pub why: &'static str,
    /// The first kernel that does not ask for it any more.
    pub until: Option<Version>,
}

impl Need {
    /// Whether a kernel asks for it.
    pub fn holds(&self, kernel: Version) -> bool {
        self.until.is_none_or(|until| kernel < until)
    }
}

/// What is done with privileges.
#[derive(Clone, Copy, Debug)]
pub struct Privileged {
    /// Stands behind `least.` in the id of its checks.
    pub id: &'static str,
    /// For people.
    pub text: &'static str,
    /// By whom.
    pub by: Who,
    /// What it takes.
    pub needs: &'static [Need],
}

const MAPS: Need = Need { capability: CAP_BPF, why: "creating maps, loading programs", until: None };
const PROGRAMS: Need =
    Need { capability: CAP_PERFMON, why: "loading programs that look at the kernel", until: None };
const MEMORY: Need = Need {
    capability: CAP_SYS_RESOURCE,
    why: "lifting `RLIMIT_MEMLOCK`, unless that is unlimited (`LimitMEMLOCK=infinity`)",
    until: Some((5, 11)),
};
const ANY_CALL: Need = Need {
    capability: CAP_BPF,
    why: "any `bpf(2)`, opening a pin included, where `kernel.unprivileged_bpf_disabled` is set",
    until: Some((5, 19)),
};

/// All of them.
pub const PRIVILEGED: [Privileged; 9] = [
    Privileged {
        id: "run-tracepoint",
        text: "`run --audit`, tier `tracepoint`",
        by: Who::User,
        needs: &[MAPS, PROGRAMS, MEMORY],
    },
    Privileged {
        id: "run-enforce",
        text: "`run --enforce`",
        by: Who::Root,
        needs: &[MAPS, PROGRAMS, MEMORY],
    },
    Privileged {
        id: "run-enforce-user",
        text: "the same, pinned in a BPF file system that belongs to the user (`--bpffs`)",
        by: Who::User,
        needs: &[MAPS, PROGRAMS, MEMORY],
    },
    Privileged {
        id: "run-closed-path",
        text: "the same, with a rule on a path that the user may not reach",
        by: Who::User,
        needs: &[
            MAPS,
            PROGRAMS,
            MEMORY,
            Need { capability: CAP_DAC_READ_SEARCH, why: "looking at the path", until: None },
        ],
    },
    Privileged {
        id: "run-own-init",
        text: "the same, where a rule that denies an init of another name than the usual ones is to be refused",
        by: Who::Root,
        needs: &[
            MAPS,
            PROGRAMS,
            MEMORY,
            Need { capability: CAP_SYS_PTRACE, why: "reading `/proc/1/exe`", until: None },
        ],
    },
    Privileged {
        id: "policy-apply",
        text: "`policy apply`, tiers that enforce",
        by: Who::Root,
        needs: &[MAPS, PROGRAMS, MEMORY],
    },
    Privileged {
        id: "policy-apply-tracepoint",
        text: "the same, tier `tracepoint`, where maps are found by their ids",
        by: Who::Root,
        needs: &[Need { capability: CAP_SYS_ADMIN, why: "opening a map by its id", until: None }, MEMORY],
    },
    Privileged {
        id: "detach",
        text: "`detach`, `break-glass`, as the user to whom the pins belong",
        by: Who::Root,
        needs: &[ANY_CALL],
    },
    Privileged { id: "status", text: "`status`, `health`, `doctor`", by: Who::User, needs: &[] },
];

impl Privileged {
    /// The check that it works with what it takes and nothing else.
    pub fn check(&self) -> String {
        format!("least.{}", self.id)
    }

    /// The check that it does not without one of them.
    pub fn check_without(&self, need: &Need) -> String {
        format!("least.{}.without-{}", self.id, need.capability.name)
    }
}

/// The ids of their checks.
pub fn privilege_checks() -> Vec<String> {
    let of = |operation: &Privileged| -> Vec<String> {
        let without = operation.needs.iter().map(|need| operation.check_without(need));
        std::iter::once(operation.check()).chain(without).collect()
    };
    PRIVILEGED.iter().flat_map(of).collect()
}
