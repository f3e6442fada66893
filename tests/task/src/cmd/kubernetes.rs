//! `./dev kubernetes`: the manifests, made of the chart. Helm's own library renders it, and what comes of it is held
//! against the schemas of Kubernetes, by `tests/kubernetes/render.py`.

use crate::paths;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::process::{Command, ExitCode, Stdio};

const MANIFESTS: &str = "dist/kubernetes/aegisbpf.yaml";
const SCRIPT: &str = "tests/kubernetes/render.py";

/// Runs the chore.
pub(crate) fn main() -> Result<ExitCode> {
    fs::write(paths::root()?.join(MANIFESTS), rendered()?).context(MANIFESTS)?;
    println!("{MANIFESTS}");
    Ok(ExitCode::SUCCESS)
}

/// The chart is valid, and the manifests in the tree are what it gives.
pub(crate) fn look() -> Result<()> {
    let kept = fs::read_to_string(paths::root()?.join(MANIFESTS)).context(MANIFESTS)?;
    if kept != rendered()? {
        bail!("{MANIFESTS} is not what the chart gives: `./dev kubernetes` writes it anew");
    }
    Ok(())
}

fn rendered() -> Result<String> {
    let python = paths::cache_dir()?.join("python/bin/python3");
    // What it counts and complains about goes where ours goes.
    let output = Command::new(&python).arg(paths::root()?.join(SCRIPT)).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {} (./dev makes it)", python.display()))?;
    if !output.status.success() {
        bail!("{SCRIPT} ended with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest::CONTAINER;

    #[test]
    fn the_pod_has_what_the_checks_give_a_container() -> Result<()> {
        let text = fs::read_to_string(paths::root()?.join(MANIFESTS)).context(MANIFESTS)?;
        let (_, rest) = text.split_once("              add:\n").context("no capabilities are added")?;
        let added: Vec<String> = rest
            .lines()
            .map_while(|line| line.strip_prefix("                - "))
            .map(|name| format!("CAP_{name}"))
            .collect();
        assert_eq!(added, CONTAINER.map(|capability| capability.name));
        for word in
            ["privileged: false", "hostPID: false", "hostNetwork: false", "readOnlyRootFilesystem: true"]
        {
            assert!(text.contains(word), "{word}");
        }
        Ok(())
    }
}
