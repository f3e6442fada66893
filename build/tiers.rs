//! Turns `tiers/*.toml` into tables of `src/tier.rs`'s types, and refuses contracts that are not whole: each claim in
//! exactly one of `denies`, `observes`, `cannot`; each denied or observed claim carried by a hook; each failure stated
//! (`build/failures.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt::Write as _,
    path::Path,
};

use serde::Deserialize;

use crate::failures::{self, Failures};

/// Strongest first: the order of selection.
const ORDER: [&str; 3] = ["bpf-lsm", "modify-return", "tracepoint"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimFile {
    claim: Vec<Claim>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    id: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    name: String,
    title: String,
    attach: String,
    modes: Vec<String>,
    on_failure: String,
    mechanism: String,
    needs: Vec<String>,
    /// What stands before the name of a hook in that of its kernel function.
    #[serde(default)]
    prefix: String,
    /// Whether each program has a second copy.
    #[serde(default)]
    backed_up: bool,
    hook: Vec<Hook>,
    claims: Claims,
    failures: Failures,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hook {
    name: String,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    need: Need,
    /// Whether there is a program for a shorter list of arguments.
    #[serde(default)]
    bare: bool,
    carries: Vec<String>,
}

/// As `Need` in `src/tier.rs`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Need {
    Required,
    #[default]
    Optional,
    IfPresent,
    OnRequest,
    Guard,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    denies: Vec<String>,
    observes: Vec<String>,
    cannot: BTreeMap<String, String>,
}

/// Reads every file of `directory` and writes the tables to `target`.
pub(crate) fn generate(directory: &str, target: &Path) -> Result<(), Box<dyn Error>> {
    let claims: ClaimFile = toml::from_str(&std::fs::read_to_string(format!("{directory}/claims.toml"))?)?;
    let tiers: Vec<Tier> = ORDER.iter().map(|name| load(directory, name)).collect::<Result<_, _>>()?;
    let ids: BTreeSet<&str> = claims.claim.iter().map(|claim| claim.id.as_str()).collect();
    for tier in &tiers {
        check(tier, &ids)?;
    }
    let mut code = String::from(
        "/// Every claim, in the order of `tiers/claims.toml`.\npub static CLAIMS: &[Claim] = &[\n",
    );
    for Claim { id, text } in &claims.claim {
        writeln!(code, "    Claim {{ id: {id:?}, text: {text:?} }},")?;
    }
    code.push_str("];\n\n");
    let failures = failures::read(directory)?;
    failures::emit(&failures, &mut code)?;
    code.push_str("/// Every tier, strongest first.\npub static TIERS: &[Tier] = &[\n");
    for tier in &tiers {
        let stated = |name: &str| tiers.iter().find(|tier| tier.name == name).map(|tier| &tier.failures);
        let stated = failures::stated(&tier.name, &tier.failures, &failures, &stated)?;
        emit(tier, &mut code)?;
        failures::emit_stated(&stated, &mut code)?;
    }
    code.push_str("];\n");
    std::fs::write(target, code)?;
    Ok(())
}

fn load(directory: &str, name: &str) -> Result<Tier, Box<dyn Error>> {
    let path = format!("{directory}/{name}.toml");
    let tier: Tier =
        toml::from_str(&std::fs::read_to_string(&path)?).map_err(|error| format!("{path}: {error}"))?;
    if tier.name == name { Ok(tier) } else { Err(format!("{path}: the name says {}", tier.name).into()) }
}

fn check(tier: &Tier, ids: &BTreeSet<&str>) -> Result<(), String> {
    let Tier { name, claims, .. } = tier;
    let mut sorted = BTreeSet::new();
    for id in claims.denies.iter().chain(&claims.observes).chain(claims.cannot.keys()) {
        if !ids.contains(id.as_str()) {
            return Err(format!("tier {name}: claims.toml has no claim {id}"));
        }
        if !sorted.insert(id.as_str()) {
            return Err(format!("tier {name}: the claim {id} is sorted twice"));
        }
    }
    if let Some(missing) = ids.difference(&sorted).next() {
        return Err(format!("tier {name}: the claim {missing} is in none of denies, observes, cannot"));
    }
    let carried: BTreeSet<&String> = tier.hook.iter().flat_map(|hook| &hook.carries).collect();
    let held: BTreeSet<&String> = claims.denies.iter().chain(&claims.observes).collect();
    if let Some(loose) = carried.symmetric_difference(&held).next() {
        return Err(format!(
            "tier {name}: the claim {loose} is carried by a hook and not held, or held and not carried"
        ));
    }
    Ok(())
}

fn emit(tier: &Tier, code: &mut String) -> std::fmt::Result {
    let Tier { name, title, mechanism, needs, claims, prefix, .. } = tier;
    writeln!(code, "    Tier {{ name: {name:?}, title: {title:?}, mechanism: {mechanism:?},")?;
    writeln!(
        code,
        "        attach: Attach::{}, fail_closed: {},",
        variant(&tier.attach),
        tier.on_failure == "fail-closed"
    )?;
    writeln!(code, "        modes: &[{}],", list(&tier.modes, |mode| format!("Mode::{}", variant(mode))))?;
    writeln!(code, "        needs: &[{}],", list(needs, |need| format!("Probe::{}", variant(need))))?;
    writeln!(code, "        hooks: &[")?;
    // The second copies come first: the kernel runs the program that was attached last first.
    let copies: &[(&str, &str)] =
        if tier.backed_up { &[("_again", " | crate::abi::HOOK_AGAIN"), ("", "")] } else { &[("", "")] };
    for Hook { name, target, need, bare, carries } in &tier.hook {
        let target = target.clone().unwrap_or_else(|| format!("{prefix}{name}"));
        for (copy, bit) in copies {
            let bare = bare.then(|| format!("{name}_bare{copy}"));
            let number = name.to_uppercase();
            writeln!(
                code,
                "            Hook {{ name: \"{name}{copy}\", number: crate::abi::HOOK_{number}{bit}, \
                 program: \"{name}{copy}\", bare: {bare:?}, target: {target:?}, need: Need::{need:?}, carries: &{carries:?} }},"
            )?;
        }
    }
    writeln!(code, "        ],")?;
    writeln!(code, "        denies: &{:?}, observes: &{:?},", claims.denies, claims.observes)?;
    writeln!(code, "        cannot: &{:?},", claims.cannot.iter().collect::<Vec<_>>())
}

fn list(items: &[String], show: impl Fn(&str) -> String) -> String {
    items.iter().map(|item| show(item)).collect::<Vec<_>>().join(", ")
}

/// `lsm.load` and `modify-return` become `LsmLoad` and `ModifyReturn`.
fn variant(name: &str) -> String {
    name.split(['.', '-', '_'])
        .filter_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
        })
        .collect()
}
