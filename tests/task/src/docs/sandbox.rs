//! `docs/SANDBOX.md`: what the agent leaves itself, and what a taken-over one could do with that.

use super::{head, row};
use crate::release::Release;
use crate::results::{Outcome, Results};
use anyhow::{Result, anyhow};
use guest::{ATTEMPTS, Attempt, By, CallRule, List, landlock_abi};
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/SANDBOX.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from src/confine/*.toml, tests/guest/src/drill/ and docs/drill.json. -->
# The agent's sandbox

Once it has attached and proven, and before it reads the first event, the agent gives up what it needs no more. All of it
binds every thread, for good: what needs more is a restart. `aegisbpf status` says what was achieved under `sandbox`.

- **Capabilities**: none, but for `CAP_BPF` where the kernel asks for it to read a map
  ([the table](../SECURITY.md#privileges)).
- **`no_new_privs`**: no program it could start has more than it has.
- **Landlock**: of all files it can open those of the state and the runtime directory, which it may read, write, make and
  remove; it executes nothing, binds and connects no socket, signals nobody outside. `status` names the ABI, and what an
  older kernel's has no say in. A kernel before 5.13 has none.
- **seccomp**: the system calls of the list below, which is compiled in, the same in every build. Any other ends the agent.

The helper that handles the canaries is a process of its own, with no descriptor but the channel to the agent, on which it
takes a number; its Landlock domain is the directory of the canaries, and its list is another one.

## When it ends by that

The kernel ends the agent with SIGSYS and writes a line with `type=1326` and its `pid=` to the audit log, or to the kernel log
where no daemon takes it; `syscall=` there is the number of the call. Pinned enforcement stays. The next run finds a state
file of a run that did not stop, and says so on standard error, in its first event, in the `reasons` of its status and as
`run_lost` in the audit log. Report it: it is a bug of ours, or somebody was in there. When it is the helper that ends, proofs
fail, and `health` is `unhealthy`.
";

const DRILL: &str = "
## What a taken-over agent tries

On each kernel a copy is forked off the running agent from outside, with all that holds that back, and makes the calls. A
process without a sandbox makes the same ones and gets through, or the check fails. *Killed*: by the filter; *killed, refused*:
by the filter, and without it Landlock refuses (`EACCES` or `EPERM`); *refused*: by Landlock, or for want of a capability, because the
agent needs the call elsewhere. `./dev vm --row drill --record` tries all of it anew.
";

const CALLS: &str = "
## The calls that are left

The trace of a whole life (start, events, proofs, changes of policy, break-glass, a log that is held and one without room,
stop) has to show each of them, but for those that say why they are seldom, and nothing else. Every other number up to 480, the
numbers of x32, calls of 32 bits, and each condition failing are tried as well, on every thread: they kill.
";

pub(super) fn text(record: &Results) -> Result<String> {
    let mut rows: Vec<(Release, &Outcome)> =
        record.rows.values().map(|outcome| (Release::new(&outcome.kernel), outcome)).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let mut out = HEAD.to_owned() + DRILL;
    for (title, attempts) in ATTEMPTS {
        let _ = write!(out, "\n### {title}\n\n");
        let kernels: Vec<String> = rows.iter().map(|(kernel, _)| kernel.series()).collect();
        let names: Vec<&str> = ["attempt"].into_iter().chain(kernels.iter().map(String::as_str)).collect();
        out.push_str(&head(&names));
        for attempt in attempts {
            let cells = rows.iter().map(|(kernel, outcome)| cell(attempt, &kernel.series(), outcome));
            out.push_str(&row(&[attempt.text.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()));
        }
    }
    out.push_str(CALLS);
    for list in List::ALL {
        let _ = write!(out, "\n### The {}\n\n", list.word());
        out.push_str(&head(&["call", "why", "seldom"]));
        for rule in list.rules().map_err(|error| anyhow!(error))? {
            out.push_str(&line(rule));
        }
    }
    Ok(out)
}

/// What came of an attempt. A check passes when the attempt ended as its entry says, so entry and kernel tell the end.
fn cell(attempt: &Attempt, series: &str, outcome: &Outcome) -> String {
    let has = |abi| landlock_abi(series) >= abi;
    match (outcome.checks.get(attempt.id), attempt.by) {
        (None, _) => "not tried",
        (Some(false), _) => "FAILED",
        (_, By::Both(abi)) if has(abi) => "killed, refused",
        (_, By::Filter | By::Both(_)) => "killed",
        (_, By::Landlock(abi)) if has(abi) => "refused",
        (_, By::Privilege) => "refused",
        (_, By::Landlock(_)) => "**gets through**",
    }
    .to_owned()
}

fn line(rule: &CallRule) -> String {
    let arch = rule.arch.as_ref().map(|arch| format!(" ({arch})")).unwrap_or_default();
    let (call, conditions) = (format!("`{}`{arch}", rule.call), rule.conditions().join(", "));
    let call = if conditions.is_empty() { call } else { format!("{call}: {conditions}") };
    row(&[call, rule.why.clone(), rule.seldom.clone().unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_follows_from_entry_and_kernel() {
        let id = "drill.tcp";
        let attempt = |by| Attempt { id, text: "", by, steps: &[], through: &[] };
        let outcome = |passed| Outcome {
            kernel: String::new(),
            checks: [(id.to_owned(), passed)].into_iter().collect(),
        };
        let cells = ["5.10", "6.12"].map(|series| {
            [By::Filter, By::Both(4), By::Landlock(1)].map(|by| cell(&attempt(by), series, &outcome(true)))
        });
        assert_eq!(
            cells,
            [["killed", "killed", "**gets through**"], ["killed", "killed, refused", "refused"]]
        );
        assert_eq!(cell(&attempt(By::Filter), "6.12", &outcome(false)), "FAILED");
    }
}
