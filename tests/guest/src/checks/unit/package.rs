//! The package of Debian in the hands of dpkg and systemd, from its first install to its purge.

use super::super::agent::{Place, ask, at, contains, ends, nothing_pinned, readable, want};
use super::super::load::opens;
use super::super::{Check, CheckError};
use super::install::{the_same, tree};
use super::service::{self, Service, deny, does, eventually, show, take_aside};
use crate::run::{Cmd, Outcome};
use guest::{AGENT, PACKAGE_BEFORE};
use std::fs;
use std::path::Path;
use std::time::Duration;

pub(super) const CHECKS: [Check; 1] = [Check { id: "package.deb", run: |_| deb() }];

const LONG: Duration = Duration::from_secs(300);

/// What dpkg is told of the image, whose packages were unpacked without it.
const KNOWN: &str = "Package: init-system-helpers\\nStatus: install ok installed\\nMaintainer: Debian\\nArchitecture: all\\nVersion: 1.69\\nDescription: helpers\\n";

/// One story, because each start under emulation takes long: a package that was never there, the one before, this one,
/// none.
fn deb() -> Result<(), CheckError> {
    take_aside()?;
    dpkg(&format!(
        "mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates && printf '{KNOWN}' >/var/lib/dpkg/status"
    ))?;
    let before = tree()?;
    let service = Service { place: Place::new("package")? };
    installed()?;
    enforced(&service.place)?;
    upgraded(&service)?;
    removed(&service.place)?;
    does("Remove the Debian package")?;
    ends(&Cmd::sh("rm -rf /root/policy.key /root/policy.key.pub /etc/systemd/system/aegisbpf.service.d"), 0)?;
    the_same(&before, &tree()?)
}

fn dpkg(command: &str) -> Result<Outcome, CheckError> {
    // Nobody is there to answer.
    let environment = "DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; cd /root";
    ends(&Cmd::sh(&format!("{environment}; {command}")).timeout(LONG), 0)
}

/// The package before: enabled and started, it audits, and its policy denies nothing.
fn installed() -> Result<(), CheckError> {
    dpkg(&format!("dpkg -i {PACKAGE_BEFORE}"))?;
    eventually("ActiveState", || Ok(show("ActiveState")? == "active"))?;
    want("enabled", show("UnitFileState")? == "enabled", true)?;
    at(&ask(&["status", "--json"], 0)?, "/mode", &"audit".into())?;
    contains("the version", &dpkg("dpkg-query -W aegisbpf")?.stdout, "\t0.0.1-1\n")
}

/// What an administrator makes of it.
fn enforced(place: &Place) -> Result<(), CheckError> {
    deny(&[&place.secret])?;
    does("Policy")?;
    does("Enforce")?;
    want("the secret", opens(&place.secret) == Some(false), true)
}

/// This one: another agent, the same policy, and no gap.
fn upgraded(service: &Service) -> Result<(), CheckError> {
    let (agent, policy) = (show("MainPID")?, fs::read(service::POLICY).unwrap_or_default());
    service.without_a_gap(|| does("Install the Debian package"))?;
    contains(
        "the version",
        &dpkg("dpkg-query -W aegisbpf")?.stdout,
        concat!("\t", env!("CARGO_PKG_VERSION"), "-1\n"),
    )?;
    eventually("another agent", || Ok(show("ActiveState")? == "active" && show("MainPID")? != agent))?;
    want("the policy", fs::read(service::POLICY).unwrap_or_default() == policy, true)?;
    ask(&["health", "--json", "--require", "enforce"], 0).map(drop)
}

/// Removed, nothing is denied any more; what was configured stays until the purge.
fn removed(place: &Place) -> Result<(), CheckError> {
    dpkg("dpkg -r aegisbpf")?;
    nothing_pinned()?;
    want("the secret", readable(&place.secret, 0)?, true)?;
    want("the program", Path::new(AGENT).exists(), false)?;
    want("the policy", Path::new(service::POLICY).exists(), true)
}
