//! The single file puts itself into a system, works there, and goes away without a trace.

use super::super::agent::{ask, contains, ends, nothing_pinned, readable, want};
use super::super::load::opens;
use super::super::{Check, CheckError};
use super::service::{BINARY, Service, does, show, take_aside};
use crate::run::Cmd;
use std::path::Path;
use std::time::Duration;

pub(super) const CHECKS: [Check; 1] =
    [Check { id: "install.and-gone-without-a-trace", run: |_| without_a_trace() }];

const LONG: Duration = Duration::from_secs(300);

/// Every file and directory that outlives a boot: kind, mode, size, link, and when a file was changed. The catalog of the
/// journal is a cache, and dpkg has a database and a log.
pub(super) fn tree() -> Result<String, CheckError> {
    let find = "find /etc /usr /opt /var/lib /var/log -path /var/lib/systemd -prune \
                -o -path /var/log/journal -prune -o -path /var/lib/dpkg -prune -o -name dpkg.log -prune \
                -o -type d -printf '%p %y %m\\n' -o -printf '%p %y %m %s %l %T@\\n' | sort";
    Ok(Cmd::sh(find).timeout(LONG).run()?.stdout)
}

pub(super) fn the_same(before: &str, after: &str) -> Result<(), CheckError> {
    let others = |one: &str, other: &str| {
        let known: Vec<&str> = other.lines().collect();
        one.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (gone, come) = (others(before, after), others(after, before));
    if before.lines().count() > 1000 && gone.is_empty() && come.is_empty() {
        return Ok(());
    }
    let got = format!("gone: {gone:?}; come: {come:?}");
    Err(CheckError::Differs { what: "the tree", want: "as it was".into(), got })
}

fn without_a_trace() -> Result<(), CheckError> {
    take_aside()?;
    let before = tree()?;
    let service = Service::enforcing("install-trace")?;
    want("the secret", opens(&service.place.secret) == Some(false), true)?;
    ask(&["health", "--json", "--require", "enforce"], 0)?;
    let refused = ends(&Cmd::new(BINARY).args(["uninstall", "--purge"]), 76)?;
    contains("the way out", &refused.stderr, "--detach")?;
    want("still there", Path::new("/usr/sbin/aegisbpf").exists() && show("ActiveState")? == "active", true)?;
    want("the secret when refused", opens(&service.place.secret) == Some(false), true)?;
    does("Remove")?;
    nothing_pinned()?;
    want("the secret afterwards", readable(&service.place.secret, 0)?, true)?;
    want("the unit", show("LoadState")? == "not-found", true)?;
    ends(&Cmd::sh("rm -f /root/policy.key /root/policy.key.pub"), 0)?;
    the_same(&before, &tree()?)
}
