//! `aegisbpf contract`

use serde::Serialize;

use crate::{
    cli::ContractArgs,
    exit::{Exit, Failure},
    tier::{Behaviour, CLAIMS, FAILURES, Need, TIERS, Tier},
};

/// Characters of a line of text.
const WIDTH: usize = 100;

#[derive(Serialize)]
struct Contract {
    schema_version: u32,
    tiers: Vec<TierContract>,
}

#[derive(Serialize)]
struct TierContract {
    tier: &'static str,
    mechanism: &'static str,
    modes: Vec<&'static str>,
    on_failure: &'static str,
    needs: Vec<&'static str>,
    hooks: Vec<HookContract>,
    claims: Vec<ClaimContract>,
    failures: Vec<FailureContract>,
}

#[derive(Serialize)]
struct HookContract {
    name: &'static str,
    required: bool,
    carries: &'static [&'static str],
}

#[derive(Serialize)]
struct ClaimContract {
    id: &'static str,
    text: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The hooks on which it rests: with one of them missing it is uncovered.
    hooks: Vec<&'static str>,
}

#[derive(Serialize)]
struct FailureContract {
    text: &'static str,
    #[serde(flatten)]
    behaviour: Behaviour,
}

/// Prints the contracts.
pub(super) fn run(args: ContractArgs) -> Result<Exit, Failure> {
    let tiers = TIERS.iter().filter(|tier| args.tier.is_none_or(|name| name == tier.name));
    let tiers: Vec<TierContract> = tiers.map(|tier| contract(tier, &args)).collect();
    if args.json {
        super::print_json(&Contract { schema_version: 1, tiers })?;
    } else {
        let whole = args.claim.is_none() && args.failure.is_none();
        let texts: Vec<String> = tiers.iter().map(|tier| text(tier, whole)).collect();
        super::print(&texts.join("\n"))?;
    }
    Ok(Exit::Done)
}

/// What a tier says, of all or of what was asked for.
fn contract(tier: &Tier, args: &ContractArgs) -> TierContract {
    let claims = CLAIMS.iter().filter(|claim| args.failure.is_none() && is_asked(args.claim, claim.id));
    let claims = claims.map(|claim| {
        let reason = tier.cannot.iter().find(|(id, _)| *id == claim.id).map(|(_, reason)| *reason);
        let verdict = match () {
            () if tier.denies.contains(&claim.id) => "denies",
            () if tier.observes.contains(&claim.id) => "observes",
            () => "cannot",
        };
        let hooks = tier.hooks.iter().filter(|hook| hook.carries.contains(&claim.id));
        let hooks = hooks.map(|hook| hook.name).collect();
        ClaimContract { id: claim.id, text: claim.text, verdict, reason, hooks }
    });
    let failures = FAILURES.iter().zip(tier.failures);
    let failures = failures.filter(|(failure, _)| args.claim.is_none() && is_asked(args.failure, failure.id));
    TierContract {
        tier: tier.name,
        mechanism: tier.mechanism,
        modes: tier.modes.iter().map(|mode| mode.name()).collect(),
        on_failure: if tier.fail_closed { "fail-closed" } else { "fail-open" },
        needs: tier.needs.iter().map(|probe| probe.name()).collect(),
        hooks: tier
            .hooks
            .iter()
            .map(|hook| HookContract {
                name: hook.name,
                required: hook.need == Need::Required,
                carries: hook.carries,
            })
            .collect(),
        claims: claims.collect(),
        failures: failures
            .map(|(failure, behaviour)| FailureContract { text: failure.text, behaviour: *behaviour })
            .collect(),
    }
}

fn is_asked(wanted: Option<&str>, id: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == id)
}

fn text(contract: &TierContract, whole: bool) -> String {
    let mut out = format!("{}: {}\n", contract.tier, contract.mechanism);
    if whole {
        wrapped(&mut out, 2, &format!("modes {}, {}", contract.modes.join(" and "), contract.on_failure));
        wrapped(&mut out, 2, &format!("needs {}", contract.needs.join(", ")));
    }
    for verdict in ["denies", "observes", "cannot"] {
        for claim in contract.claims.iter().filter(|claim| claim.verdict == verdict) {
            wrapped(&mut out, 2, &format!("{verdict} {}: {}", claim.id, claim.text));
            if let Some(reason) = claim.reason {
                wrapped(&mut out, 6, &format!("because {reason}"));
            }
            if !whole && !claim.hooks.is_empty() {
                let hooks = claim.hooks.join(", ");
                wrapped(&mut out, 6, &format!("rests on {hooks}; with one of them missing it is uncovered"));
            }
        }
    }
    for FailureContract { text, behaviour } in &contract.failures {
        wrapped(&mut out, 2, &format!("on {}: {text}", behaviour.failure));
        wrapped(&mut out, 6, behaviour.does);
        let health = behaviour.health.map(|word| format!("health {word}"));
        let exit = behaviour.exit.map(|code| format!("exit {code}"));
        let told: Vec<String> = health.into_iter().chain(exit).collect();
        if !told.is_empty() {
            wrapped(&mut out, 6, &told.join(", "));
        }
        if let Some(mend) = behaviour.mend {
            wrapped(&mut out, 6, &format!("way out: {mend}"));
        }
    }
    out
}

/// Adds a paragraph, indented, its further lines by four more.
fn wrapped(out: &mut String, indent: usize, text: &str) {
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(indent + 4);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(&line);
    out.push('\n');
}
