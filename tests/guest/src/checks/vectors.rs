//! Golden policy vectors (`tests/vectors.toml`): what `policy simulate` answers is what the kernel does, and both are what
//! the data say.

use super::agent::{Agent, Place, ends, json, judge};
use super::{Check, CheckError};
use crate::run::Cmd;
use guest::AGENT;
use serde::Deserialize;
use serde_json::Value;

pub(super) const CHECKS: [Check; 1] = [Check { id: "policy.golden-vectors", run: |_| replay() }];

#[derive(Deserialize)]
struct Vectors {
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    #[serde(rename = "in")]
    cgroup: Option<String>,
    policy: Vec<String>,
    cases: Vec<(String, String, u32)>,
}

const CGROUPS: &str = "/sys/fs/cgroup/vectors";

fn replay() -> Result<(), CheckError> {
    let data: Vectors = toml::from_str(include_str!("../../../vectors.toml"))
        .map_err(|error| wrong("tests/vectors.toml", error.to_string()))?;
    let place = Place::new("vectors")?;
    let dir = &place.dir;
    ends(
        &Cmd::sh(&format!(
            "cd {dir} && ln -s secret link && ln secret hard && mkdir -p tree/sub && \
             echo f >tree/f && echo f >tree/sub/f && echo f >tree/sub/secret && cp true tree/true && \
             mkdir -p {CGROUPS}/in/below {CGROUPS}/free"
        )),
        0,
    )?;
    place.write("version=1\n")?;
    let _agent = Agent::start(&place, &["--enforce"])?;
    let mut faults = Vec::new();
    for vector in &data.vector {
        place.write(&(vector.policy.join("\n") + "\n").replace("DIR", dir))?;
        ends(&Cmd::new(AGENT).args(["policy", "apply", &place.policy, "--allow-unsigned-policy"]), 0)?;
        for (op, file, rule) in &vector.cases {
            let path = format!("{dir}/{file}");
            let cgroup = vector.cgroup.as_ref().map(|name| format!("{CGROUPS}/{name}"));
            let mut got = Vec::new();
            for policy in [&[][..], &["--policy", &place.policy]] {
                got.push(simulated(&path, op, cgroup.as_deref(), policy)?);
            }
            got.push(if done(&path, op, cgroup.as_deref())? { 0 } else { *rule.max(&1) });
            if got.iter().any(|answer| answer != rule) {
                faults.push(format!("{}: {op} {file}: wanted {rule}, got {got:?}", vector.name));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(wrong("vectors", faults.join("; "))) }
}

fn wrong(what: &'static str, got: String) -> CheckError {
    CheckError::Differs { what, want: "as the data say".to_owned(), got }
}

/// The rule that would deny it; 0: none.
fn simulated(path: &str, op: &str, cgroup: Option<&str>, policy: &[&str]) -> Result<u32, CheckError> {
    let mut args = vec!["policy", "simulate", "--json", "--path", path, "--op", op];
    args.extend(cgroup.iter().flat_map(|cgroup| ["--cgroup", cgroup]));
    args.extend(policy);
    let outcome = Cmd::new(AGENT).args(&args).run()?;
    let answer = json(&outcome.stdout)?;
    let denied = answer.get("denied") == Some(&Value::Bool(true));
    let rule = answer.get("rule").and_then(Value::as_u64).and_then(|rule| u32::try_from(rule).ok());
    Ok(if denied { rule.unwrap_or(u32::MAX) } else { 0 })
}

/// Whether the operation worked. Nothing is changed by it.
fn done(path: &str, op: &str, cgroup: Option<&str>) -> Result<bool, CheckError> {
    let command = match op {
        "read" => Cmd::new("/bin/cat").args([path]),
        "write" => Cmd::sh(&format!(": >>{path}")),
        _ => Cmd::sh(&format!("exec {path}")),
    };
    judge(&match cgroup {
        Some(cgroup) => command.cgroup(cgroup),
        None => command,
    })
}
