//! `docs/DOCTOR.md`: the checks of doctor, as the binary describes them.

use super::{head, row};
use aegisbpf::cmd::{About, Cause, described};
use std::fmt::Write as _;

pub(super) const PATH: &str = "docs/DOCTOR.md";

const HEAD: &str = "\
<!-- Written by `./dev docs` from src/cmd/doctor/checks.toml and src/kernel/cause.rs. -->
# What doctor looks at

`aegisbpf doctor` runs these checks, without an agent and with as much privilege as it is given: what it may not look at is
`unknown`, and `unknown` never counts as ok. `--only` and `--skip` take ids and groups, `--strict` accepts nothing that is
not ok, `--json` prints what [the schema](schema/doctor.schema.json) says. `aegisbpf explain ID` says more about a check or
a cause, also where there is no network.

The verdict stands first and last: `ENFORCING`, `ENFORCE-READY` (exit 0), `AUDIT-ONLY` (exit 1, or 0 with `--require audit`),
`CANNOT-RUN` and `MISREPORTING` (exit 2).

`doctor --report FILE` writes what a host can do, without its name, its policies or anything that changes from boot to boot;
`doctor --render FILE… --html OUT` makes one page of the reports of many hosts, as [compatibility.html](compatibility.html)
is of those of the matrix.
";

const CAUSES: &str = "
## Causes

Why the kernel refused. A cause is *found* where the evidence leaves no other, and *possible* otherwise.

";

pub(super) fn text() -> String {
    let mut out = HEAD.to_owned();
    let mut group = "";
    for About { id, group: of, title, why, .. } in described() {
        if *of != group {
            group = of;
            let _ = write!(out, "\n## {group}\n\n{}", head(&["id", "what", "why it matters"]));
        }
        out.push_str(&row(&[&format!("`{id}`"), *title, *why]));
    }
    out.push_str(CAUSES);
    out.push_str(&head(&["name", "what it is", "what mends it"]));
    for cause in Cause::ALL {
        out.push_str(&row(&[&format!("`{}`", cause.code()), cause.text(), cause.mend()]));
    }
    out
}
