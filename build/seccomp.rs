//! Compiles the lists of system calls in `src/confine` for the target architecture into the instructions that the kernel
//! takes.

use std::{collections::BTreeSet, error::Error, fmt::Write as _, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calls {
    allow: Vec<Allow>,
}

/// A rule. A call may have several, each with its own conditions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    call: String,
    /// Checked to be there: a rule without a reason is not taken.
    why: String,
    /// Only on this architecture, where others have no such call.
    arch: Option<String>,
    /// Why a traced life need not show it.
    seldom: Option<String>,
    /// All of them hold.
    #[serde(default)]
    when: Vec<When>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    argument: u8,
    /// It is this: of an `int`, which the kernel takes the lower half of.
    equals: Option<u64>,
    /// With `equals`: of these bits alone.
    mask: Option<u64>,
    /// All 64 bits are this: of a pointer or a `long`.
    all: Option<u64>,
    /// No bit but these, of all 64.
    only: Option<u64>,
}

/// Reads the lists and writes each as a static of that name to `target`.
pub(crate) fn generate(lists: &[(&str, &str)], target: &Path) -> Result<(), Box<dyn Error>> {
    let mut code = String::new();
    for (name, list) in lists {
        code.push_str(&compiled(name, list).map_err(|error| format!("{list}: {error}"))?);
    }
    std::fs::write(target, code)?;
    Ok(())
}

fn compiled(name: &str, list: &str) -> Result<String, Box<dyn Error>> {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    let calls: Calls = toml::from_str(&std::fs::read_to_string(list)?)?;
    let here: Vec<&Allow> =
        calls.allow.iter().filter(|allow| allow.arch.as_ref().is_none_or(|only| *only == arch)).collect();
    check(&here)?;
    let rules = here.iter().map(|allow| rule(allow)).collect::<Result<Vec<Value>, String>>()?;
    let policy = json!({ name: {
        "mismatch_action": "kill_process", "match_action": "allow", "filter": rules,
    }});
    let filters = seccompiler::compile_from_json(policy.to_string().as_bytes(), arch.as_str().try_into()?)?;
    let filter = filters.get(name).ok_or("the filter was not compiled")?;
    let mut code = format!("static {name}: [(u16, u8, u8, u32); {}] = [\n", filter.len());
    for step in filter {
        writeln!(
            code,
            "    ({}, {}, {}, u32::from_be_bytes({:?})),",
            step.code,
            step.jt,
            step.jf,
            step.k.to_be_bytes()
        )?;
    }
    code.push_str("];\n");
    Ok(code)
}

/// Each rule has its reasons, and none is hidden by another: of a call with and without conditions the compiler would
/// keep the conditions.
fn check(rules: &[&Allow]) -> Result<(), String> {
    let (mut free, mut bound) = (BTreeSet::new(), BTreeSet::new());
    for Allow { call, why, seldom, when, .. } in rules {
        if why.is_empty() || seldom.as_ref().is_some_and(String::is_empty) {
            return Err(format!("{call} has no reason"));
        }
        if when.is_empty() && !free.insert(call) {
            return Err(format!("{call} stands there twice"));
        }
        if !when.is_empty() {
            bound.insert(call);
        }
    }
    free.intersection(&bound)
        .next()
        .map_or(Ok(()), |call| Err(format!("{call} stands there with conditions and without")))
}

fn rule(allow: &Allow) -> Result<Value, String> {
    let conditions =
        allow.when.iter().map(|when| condition(&allow.call, when)).collect::<Result<Vec<_>, _>>()?;
    Ok(if conditions.is_empty() {
        json!({ "syscall": allow.call })
    } else {
        json!({ "syscall": allow.call, "args": conditions })
    })
}

fn condition(call: &str, when: &When) -> Result<Value, String> {
    let (kind, op, val) = match (when.equals, when.mask, when.all, when.only) {
        (Some(value), None, None, None) => ("dword", json!("eq"), value),
        (Some(value), Some(mask), None, None) => ("dword", json!({ "masked_eq": mask }), value),
        (None, None, Some(value), None) => ("qword", json!("eq"), value),
        (None, None, None, Some(bits)) => ("qword", json!({ "masked_eq": !bits }), 0),
        _ => return Err(format!("{call}: `when` takes `equals`, `equals` with `mask`, `all` or `only`")),
    };
    Ok(json!({ "index": when.argument, "type": kind, "op": op, "val": val }))
}
