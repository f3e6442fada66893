//! `aegisbpf contract`

use serde::Serialize;

use crate::{
    cli::ContractArgs,
    exit::{Exit, Failure},
    tier::{CLAIMS, Need, TIERS, Tier},
};

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
}

#[derive(Serialize)]
struct FailureContract {
    failure: &'static str,
    behaviour: &'static str,
}

/// Prints the contracts.
pub(super) fn run(args: ContractArgs) -> Result<Exit, Failure> {
    let tiers = TIERS.iter().filter(|tier| args.tier.is_none_or(|name| name == tier.name));
    let tiers: Vec<TierContract> = tiers.map(contract).collect();
    if args.json {
        super::print_json(&Contract { schema_version: 1, tiers })?;
    } else {
        let texts: Vec<String> = tiers.iter().map(text).collect();
        super::print(&texts.join("\n"))?;
    }
    Ok(Exit::Done)
}

fn contract(tier: &Tier) -> TierContract {
    let claims = CLAIMS.iter().map(|claim| {
        let reason = tier.cannot.iter().find(|(id, _)| *id == claim.id).map(|(_, reason)| *reason);
        let verdict = match () {
            () if tier.denies.contains(&claim.id) => "denies",
            () if tier.observes.contains(&claim.id) => "observes",
            () => "cannot",
        };
        ClaimContract { id: claim.id, text: claim.text, verdict, reason }
    });
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
        failures: tier
            .failures
            .iter()
            .map(|(failure, behaviour)| FailureContract { failure, behaviour })
            .collect(),
    }
}

fn text(contract: &TierContract) -> String {
    let mut lines = vec![
        format!("{}: {}", contract.tier, contract.mechanism),
        format!("  modes {}, {}", contract.modes.join(" and "), contract.on_failure),
        format!("  needs {}", contract.needs.join(", ")),
    ];
    for verdict in ["denies", "observes", "cannot"] {
        for claim in contract.claims.iter().filter(|claim| claim.verdict == verdict) {
            lines.push(format!("  {verdict:<9} {:<16} {}", claim.id, claim.text));
            lines.extend(claim.reason.map(|reason| format!("  {:<9} {:<16} because {reason}", "", "")));
        }
    }
    lines.push("  on failure".to_owned());
    for FailureContract { failure, behaviour } in &contract.failures {
        lines.push(format!("    {failure:<18} {behaviour}"));
    }
    lines.join("\n") + "\n"
}
