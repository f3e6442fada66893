//! Compiles `src/confine/calls.toml` for the target architecture into the instructions that the kernel takes.

use std::{error::Error, fmt::Write as _, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calls {
    allow: Vec<Allow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    call: String,
    /// Checked to be there: a rule without a reason is not taken.
    why: String,
    /// Only on this architecture, where others have no such call.
    arch: Option<String>,
    when: Option<When>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    argument: u8,
    equals: Option<u64>,
    /// None of these bits.
    without: Option<u64>,
}

/// Reads the list and writes `FILTER` to `target`.
pub(crate) fn generate(list: &str, target: &Path) -> Result<(), Box<dyn Error>> {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    let calls: Calls = toml::from_str(&std::fs::read_to_string(list)?)?;
    let mut rules = Vec::new();
    for allow in calls.allow.iter().filter(|allow| allow.arch.as_ref().is_none_or(|only| *only == arch)) {
        if allow.why.is_empty() {
            return Err(format!("{list}: {} has no reason", allow.call).into());
        }
        rules.push(rule(allow)?);
    }
    let policy = json!({ "agent": {
        "mismatch_action": "kill_process", "match_action": "allow", "filter": rules,
    }});
    let filters = seccompiler::compile_from_json(policy.to_string().as_bytes(), arch.as_str().try_into()?)?;
    let filter = filters.get("agent").ok_or("the filter was not compiled")?;
    let mut code = format!("static FILTER: [(u16, u8, u8, u32); {}] = [\n", filter.len());
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
    std::fs::write(target, code)?;
    Ok(())
}

fn rule(allow: &Allow) -> Result<Value, String> {
    let Some(When { argument, equals, without }) = &allow.when else {
        return Ok(json!({ "syscall": allow.call }));
    };
    let (op, val) = match (equals, without) {
        (Some(value), None) => (json!("eq"), *value),
        (None, Some(bits)) => (json!({ "masked_eq": bits }), 0),
        _ => return Err(format!("{}: `when` takes either `equals` or `without`", allow.call)),
    };
    Ok(
        json!({ "syscall": allow.call, "args": [{ "index": argument, "type": "dword", "op": op, "val": val }] }),
    )
}
