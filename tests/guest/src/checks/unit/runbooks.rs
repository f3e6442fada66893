//! The pages of `docs/runbooks/`: each in the situation that it is for, every command as it stands there.

use super::super::agent::{contains, ends, readable, want};
use super::super::load::opens;
use super::super::{Check, CheckError};
use super::service::{self, Service, deny, does, eventually, logs, options, write_policy};
use crate::run::Cmd;
use guest::AGENT;
use std::fs;
use std::time::Duration;

pub(super) const CHECKS: [Check; 10] = [
    Check { id: "runbook.enforcement-lost", run: |_| enforcement_lost() },
    Check { id: "runbook.false-positive", run: |_| false_positive() },
    Check { id: "runbook.high-deny-rate", run: |_| high_deny_rate() },
    Check { id: "runbook.events-lost", run: |_| events_lost() },
    Check { id: "runbook.policy-apply-failed", run: |_| policy_apply_failed() },
    Check { id: "runbook.key-rotation", run: |_| key_rotation() },
    Check { id: "runbook.break-glass", run: |_| break_glass() },
    Check { id: "runbook.upgrade", run: |_| upgrade() },
    Check { id: "runbook.canary", run: |_| canary() },
    Check { id: "runbook.troubleshooting-and-collectors", run: |_| troubleshooting() },
];

/// A canary of two short phases, with a start and a proof in each.
const LONG: Duration = Duration::from_secs(300);

/// The blocks of commands of a page, from the first on.
struct Page {
    blocks: Vec<&'static str>,
    next: usize,
}

impl Page {
    fn new(text: &'static str) -> Self {
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
        Self { blocks: blocks.map(|(block, _)| block).collect(), next: 0 }
    }

    /// Runs the next block line by line. Each command exits with 0, but those that are named here, each once.
    fn step(&mut self, codes: &[(&str, i32)]) -> Result<String, CheckError> {
        let block = self.blocks.get(self.next).copied();
        let block = block.ok_or_else(|| CheckError::Differs {
            what: "blocks of commands",
            want: format!("more than {}", self.next),
            got: "no more".into(),
        })?;
        self.next += 1;
        let mut said = String::new();
        let mut codes = codes.to_vec();
        for line in block.lines() {
            let line = line.trim();
            let code = codes.iter().position(|(command, _)| line.starts_with(command));
            let code = code.map_or(0, |at| codes.remove(at).1);
            said.push_str(&ends(&Cmd::sh(line).cwd("/etc/aegisbpf").timeout(LONG), code)?.stdout);
        }
        want("commands that were to fail", codes.is_empty(), true)?;
        Ok(said)
    }

    /// Runs all that is left.
    fn rest(&mut self) -> Result<String, CheckError> {
        let mut said = String::new();
        while self.next < self.blocks.len() {
            said.push_str(&self.step(&[])?);
        }
        Ok(said)
    }
}

/// The service as it enforces.
fn enforcing(id: &str) -> Result<Service, CheckError> {
    let service = Service::install(id)?;
    options("--enforce")?;
    ends(&Cmd::new("systemctl").args(["restart", "aegisbpf"]).timeout(LONG), 0)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    Ok(service)
}

fn told(service: &Service) -> Result<(), CheckError> {
    logs(&["DENY", &service.place.secret])
}

fn enforcement_lost() -> Result<(), CheckError> {
    let service = enforcing("runbook-lost")?;
    ends(&Cmd::new("systemctl").args(["stop", "aegisbpf"]), 0)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    want("the secret while it is lost", readable(&service.place.secret, 0)?, true)?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/enforcement-lost.md"));
    let said = page.step(&[("aegisbpf health", 1)])?;
    contains("the status", &said, "no agent is running, and nothing is enforced")?;
    page.step(&[])?;
    want("the secret afterwards", opens(&service.place.secret) == Some(false), true)?;
    contains("what happened", &page.rest()?, "detach")
}

fn false_positive() -> Result<(), CheckError> {
    let service = enforcing("runbook-false")?;
    // The policy before denies something else.
    deny(&[&service.place.tool])?;
    does("Change the policy")?;
    deny(&[&service.place.secret, &service.place.tool])?;
    does("Change the policy")?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    told(&service)?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/false-positive.md"));
    contains("the explanation", &page.step(&[])?, &service.place.secret)?;
    page.step(&[])?;
    want("the secret after the rollback", readable(&service.place.secret, 0)?, true)?;
    contains("what is suggested", &page.step(&[])?, &service.place.secret)?;
    deny(&[&service.place.tool])?;
    page.rest()?;
    want("the secret in the end", readable(&service.place.secret, 0)?, true)
}

fn high_deny_rate() -> Result<(), CheckError> {
    let service = enforcing("runbook-rate")?;
    want("all denied", (0..500).all(|_| opens(&service.place.secret) == Some(false)), true)?;
    told(&service)?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/high-deny-rate.md"));
    // The agent writes its figures every few seconds.
    std::thread::sleep(Duration::from_secs(7));
    let said = page.step(&[])?;
    contains("the figures", &said, &service.place.secret)?;
    contains("the explanation", &page.rest()?, &service.place.secret)
}

/// An agent that stands still does not read; the kernel has room for some nine thousand.
fn events_lost() -> Result<(), CheckError> {
    let service = enforcing("runbook-events")?;
    let signal =
        |name| ends(&Cmd::new("systemctl").args(["kill", "--kill-whom=main", "-s", name, "aegisbpf"]), 0);
    signal("STOP")?;
    let denied = (0..15_000).all(|_| opens(&service.place.secret) == Some(false));
    signal("CONT")?;
    want("all denied", denied, true)?;
    let lost = |said: &str| {
        let samples = said.lines().filter_map(|line| line.strip_prefix("aegisbpf_events_lost_total"));
        samples.filter_map(|sample| sample.rsplit(' ').next()?.parse::<f64>().ok()).any(|lost| lost > 0.0)
    };
    eventually("what is lost", || Ok(lost(&ends(&Cmd::new(AGENT).args(["metrics"]), 0)?.stdout)))?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/events-lost.md"));
    want("the page shows it", lost(&page.step(&[])?), true)?;
    page.rest().map(drop)
}

fn policy_apply_failed() -> Result<(), CheckError> {
    let service = enforcing("runbook-apply")?;
    let good = fs::read_to_string(service::POLICY).unwrap_or_default();
    write_policy(&format!("{good}no path at all\n"))?;
    let outcome = Cmd::new("systemctl").args(["reload", "aegisbpf"]).run()?;
    want("the reload fails", outcome.code() != 0, true)?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/policy-apply-failed.md"));
    contains("the log", &page.step(&[])?, "REFUSED")?;
    page.step(&[("aegisbpf policy lint", 65), ("aegisbpf policy verify", 65)])?;
    write_policy(&format!("{good}{}\n", service.place.neighbour))?;
    page.rest()?;
    want("the neighbour", opens(&service.place.neighbour) == Some(false), true)
}

fn key_rotation() -> Result<(), CheckError> {
    let service = enforcing("runbook-keys")?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/key-rotation.md"));
    let said = page.rest();
    ends(&Cmd::sh("rm -f /root/next.key /root/next.key.pub"), 0)?;
    contains("the status", &said?, "ops-next@example.org")?;
    // What the old key signs is refused from now on.
    let sign = "policy sign /etc/aegisbpf/policy.conf --key /root/policy.key --force";
    ends(&Cmd::new(AGENT).args(sign.split(' ')), 0)?;
    ends(&Cmd::new(AGENT).args(["policy", "apply", service::POLICY]), 78)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)
}

fn break_glass() -> Result<(), CheckError> {
    let service = enforcing("runbook-glass")?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/break-glass.md"));
    page.step(&[])?;
    want("the secret while it is broken", readable(&service.place.secret, 0)?, true)?;
    page.rest()?;
    want("the secret afterwards", opens(&service.place.secret) == Some(false), true)
}

fn upgrade() -> Result<(), CheckError> {
    let service = enforcing("runbook-upgrade")?;
    service::next_version("/root/aegisbpf.new")?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/upgrade.md"));
    service.without_a_gap(|| page.step(&[]).and_then(|_| page.step(&[])).and_then(|_| page.step(&[])))?;
    page.rest()?;
    want("the secret afterwards", opens(&service.place.secret) == Some(false), true)
}

fn canary() -> Result<(), CheckError> {
    let service = enforcing("runbook-canary")?;
    let mut page = Page::new(include_str!("../../../../../docs/runbooks/canary.md"));
    let done = page.rest();
    let index = fs::read_to_string("/root/canary-enforce/index.md").unwrap_or_default();
    ends(&Cmd::sh("rm -rf /root/canary-audit /root/canary-enforce"), 0)?;
    done?;
    contains("the evidence", &index, "PASS")?;
    want("the secret afterwards", opens(&service.place.secret) == Some(false), true)
}

/// With the events of this boot, and with a file of them as collectors read it.
fn troubleshooting() -> Result<(), CheckError> {
    const FILE: &str = "/var/log/aegisbpf/events.json";
    let service = enforcing("runbook-trouble")?;
    told(&service)?;
    Page::new(include_str!("../../../../../docs/TROUBLESHOOTING.md")).rest()?;
    Page::new(include_str!("../../../../../docs/SIEM.md")).rest()?;
    options(&format!("--enforce --log-to stdout --log-format json --log-file {FILE}"))?;
    ends(&Cmd::new("systemctl").args(["restart", "aegisbpf"]).timeout(LONG), 0)?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    eventually("the file of events", || {
        let log = fs::read_to_string(FILE).unwrap_or_default();
        Ok(log.lines().any(|line| line.contains("\"deny\"") && line.contains(&service.place.secret)))
    })?;
    ends(&Cmd::new(AGENT).args(["event", "validate", FILE]), 0).map(drop)
}
