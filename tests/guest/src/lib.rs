//! What the guest and the VM runner must agree on: the lines of the report, the paths of the initramfs, and the ways to a
//! file that the checks try.

mod bench;
#[cfg(target_arch = "x86_64")]
mod drill;
mod privileges;
mod rules;
mod scenarios;
mod soak;

pub use bench::{Figure, Unit};
#[cfg(target_arch = "x86_64")]
pub use drill::{ATTEMPTS, Arg, Attempt, By, Step, attempt_checks, landlock_abi};
pub use privileges::{
    CAP_BPF, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RESOURCE, CONTAINER,
    Capability, Need, PRIVILEGED, Privileged, Version, Who, privilege_checks,
};
pub use rules::{List, Rule as CallRule, Rules, When};
pub use scenarios::{Expect, Operation, Rule, Scenario, Trace, scenarios};
pub use soak::{SOAK_INTERVAL, SOAK_RATES, SoakBegin, SoakEnd, SoakLine, SoakRates, SoakSample};

use std::fmt;

/// The kernel modules of a boot, one path a line, dependencies before what needs them.
pub const MODULE_LIST: &str = "/modules/list";
/// The command of a boot that runs one command, for `sh -c`.
pub const RUN_FILE: &str = "/etc/aegis-run";
/// Where a whole system lies in the initramfs, when the boot is to hand over to one.
pub const IMAGE: &str = "/image";
/// Where packages of others lie in the initramfs, when the boot is to measure what they take.
pub const PEERS: &str = "/peers";
/// The package of an earlier version, in `/root`.
pub const PACKAGE_BEFORE: &str = "before.deb";
/// The package of this version, there as well, by a name like the one it is published under.
pub const PACKAGE_NOW: &str = "aegisbpf_this_amd64.deb";
/// The agent under test.
pub const AGENT: &str = "/sbin/aegisbpf";
/// The agent as it was before the ABI of its pins last changed.
pub const AGENT_BEFORE: &str = "/root/aegisbpf.before";
/// A program that needs its loader and the C library, both from the host of the VM.
pub const DYNAMIC_TRUE: &str = "/usr/lib/dynamic/true";
/// The loader of such programs, on a processor by Rust's name for it.
pub fn loader(arch: &str) -> &'static str {
    match arch {
        "aarch64" => "/lib/ld-linux-aarch64.so.1",
        _ => "/lib64/ld-linux-x86-64.so.2",
    }
}

/// The profile of the agent, as the `AppArmor` of a kernel takes it.
pub const APPARMOR_PROFILE: &str = "/etc/profiles/apparmor";
/// The profile of what is measured under `AppArmor`, as its kernel takes it.
pub const MEASURED_PROFILE: &str = "/etc/profiles/measured";
/// The name of that profile.
pub const MEASURED: &str = "measured";
/// A whole policy of `SELinux`, with the module of the agent.
pub const SELINUX_POLICY: &str = "/etc/profiles/selinux";
/// What that policy labels the files of the guest: path, tab, label.
pub const SELINUX_LABELS: &str = "/etc/profiles/labels";
/// Kernel parameter that names the row of checks to run.
pub const PARAM_ROW: &str = "aegis.row";
/// Kernel parameter with the comma-separated beginnings of the ids of the checks to run; without it, all are run.
pub const PARAM_CHECKS: &str = "aegis.checks";
/// Kernel parameter that asks for a prompt; its value is the terminal's size as `ROWSxCOLUMNS`.
pub const PARAM_SHELL: &str = "aegis.shell";
/// Kernel parameter with the comma-separated names of mounts to leave out.
pub const PARAM_NOMOUNT: &str = "aegis.nomount";

/// Kernel parameter with how often a check under load repeats what it does.
pub const PARAM_ROUNDS: &str = "aegis.rounds";

/// For how long load checks go on.
pub const PARAM_SECONDS: &str = "aegis.seconds";

/// Stands before the exit line of a single command. That command's own output is raw and may end without a
/// newline, so the line needs a mark that ordinary output does not contain.
pub const RECORD_MARK: char = '\x1e';

/// Whether a check is among those that are wanted: its id begins with one of the words, or there are none.
pub fn is_chosen(id: &str, words: &[impl AsRef<str>]) -> bool {
    words.is_empty() || words.iter().any(|word| id.starts_with(word.as_ref()))
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// This check begins: a guest that hangs is blamed on it.
    Run(String),
    /// This check passed.
    Ok(String),
    /// This check failed, and how.
    Fail {
        /// The check, or the part of the guest that failed.
        id: String,
        /// What was seen.
        detail: String,
    },
    /// Worth showing, with no verdict in it.
    Note(String),
    /// What `doctor --report` wrote, for whoever runs the matrix to keep.
    Report(String),
    /// What `aegisbpf metrics` said in a state that a check brought about, for whoever runs the matrix to keep.
    Metrics {
        /// The name of the state.
        state: String,
        /// When, in milliseconds since 1970.
        at: u64,
        /// The samples, one a line.
        text: String,
    },
    /// What was typed and what came of it, for whoever runs the matrix to keep and to compare.
    Transcript {
        /// What it is of.
        name: String,
        /// The commands with what they printed.
        text: String,
    },
    /// What was measured, for whoever runs the matrix to judge and to keep.
    Figure(Figure),
    /// What could not be measured, for whoever runs the matrix to keep.
    Unmeasured {
        /// What was to be in force, in one word.
        peer: String,
        /// Why it was not.
        why: String,
    },
    /// The row is over; the runner compares the numbers with the lines it has seen.
    Done {
        /// Checks that passed.
        passed: usize,
        /// Checks that failed.
        failed: usize,
    },
    /// The exit status of a boot that ran one command.
    Exit(i32),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "@run {id}"),
            Self::Ok(id) => write!(f, "@ok {id}"),
            Self::Fail { id, detail } => write!(f, "@fail {id} {}", escape(detail)),
            Self::Note(text) => write!(f, "@note {}", escape(text)),
            Self::Report(text) => write!(f, "@report {}", escape(text)),
            Self::Metrics { state, at, text } => write!(f, "@metrics {state} {at} {}", escape(text)),
            Self::Transcript { name, text } => write!(f, "@transcript {name} {}", escape(text)),
            // Numbers and words are always JSON, on one line.
            Self::Figure(figure) => {
                write!(f, "@figure {}", serde_json::to_string(figure).unwrap_or_default())
            }
            Self::Unmeasured { peer, why } => write!(f, "@unmeasured {peer} {}", escape(why)),
            Self::Done { passed, failed } => write!(f, "@done {passed} {failed}"),
            Self::Exit(code) => write!(f, "@exit {code}"),
        }
    }
}

impl Line {
    /// Reads one line; `None` for anything that is not a line of the report.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.trim_end_matches(['\r', '\n']).split_once(' ')?;
        match word {
            "@run" => Some(Self::Run(rest.to_owned())),
            "@ok" => Some(Self::Ok(rest.to_owned())),
            "@fail" => {
                let (id, detail) = rest.split_once(' ').unwrap_or((rest, ""));
                Some(Self::Fail { id: id.to_owned(), detail: unescape(detail) })
            }
            "@note" => Some(Self::Note(unescape(rest))),
            "@report" => Some(Self::Report(unescape(rest))),
            "@metrics" => {
                let (state, rest) = rest.split_once(' ')?;
                let (at, text) = rest.split_once(' ')?;
                Some(Self::Metrics { state: state.to_owned(), at: at.parse().ok()?, text: unescape(text) })
            }
            "@transcript" => {
                let (name, text) = rest.split_once(' ')?;
                Some(Self::Transcript { name: name.to_owned(), text: unescape(text) })
            }
            "@figure" => serde_json::from_str(rest).ok().map(Self::Figure),
            "@unmeasured" => {
                let (peer, why) = rest.split_once(' ')?;
                Some(Self::Unmeasured { peer: peer.to_owned(), why: unescape(why) })
            }
            "@done" => {
                let (passed, failed) = rest.split_once(' ')?;
                Some(Self::Done { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
            }
            "@exit" => rest.parse().ok().map(Self::Exit),
            _ => None,
        }
    }
}

/// Keeps a text on one line. Reversible, so that the runner can show several lines again.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace(RECORD_MARK, "\\e")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('e') => out.push(RECORD_MARK),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_survives_the_wire() {
        let lines = [
            Line::Run("a.b".into()),
            Line::Ok("a.b".into()),
            Line::Fail { id: "a.b".into(), detail: "want 1\ngot \\n\r\n\x1e".into() },
            Line::Note("two\nlines".into()),
            Line::Report("{\n  \"a\": 1\n}\n".into()),
            Line::Metrics { state: "a".into(), at: 7, text: "b{c=\"\\\\\"} 1\nd 2".into() },
            Line::Transcript { name: "a".into(), text: "# b\n  c\n".into() },
            Line::Figure(Figure::of(Unit::Nanoseconds, "a", "b c", vec![3, 1])),
            Line::Unmeasured { peer: "a".into(), why: "b\nc d".into() },
            Line::Done { passed: 3, failed: 1 },
            Line::Exit(-1),
        ];
        for line in lines {
            let wire = line.to_string();
            assert!(!wire.contains('\n'), "{wire:?}");
            assert_eq!(Line::parse(&format!("{wire}\r\n")), Some(line));
        }
    }

    #[test]
    fn other_text_is_not_a_report() {
        assert_eq!(Line::parse("login: @ok a"), None);
        assert_eq!(Line::parse("@done 1"), None);
        assert_eq!(Line::parse("@done one two"), None);
        assert_eq!(Line::parse(""), None);
    }
}
