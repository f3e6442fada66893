//! The single file puts itself into a system, works there, and goes away without a trace.

use super::super::agent::{Place, ask, contains, ends, nothing_pinned, readable, want};
use super::super::load::opens;
use super::super::{Check, CheckError};
use super::service::{BINARY, Service, deny, does, options, show, take_aside};
use crate::run::Cmd;
use std::path::Path;
use std::time::Duration;

pub(super) const CHECKS: [Check; 2] = [
    Check { id: "install.and-gone-without-a-trace", run: |_| without_a_trace() },
    Check { id: "install.read-only-usr", run: |_| read_only() },
];

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

/// A `/usr` that nobody can write to, but for `/usr/local`, as image-based systems have it. Dropping it makes it as it was.
struct ReadOnly {
    place: Place,
}

impl ReadOnly {
    fn new() -> Result<Self, CheckError> {
        let usr = Self { place: Place::new("install-read-only")? };
        let script = "mkdir -p /usr/local && mount --bind /usr /usr && mount -o remount,bind,ro /usr && \
                      mount -t tmpfs none /usr/local";
        ends(&Cmd::sh(script), 0)?;
        Ok(usr)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let script = format!(
            "systemctl stop aegisbpf; {BINARY} uninstall --purge --detach; {BINARY} detach; umount /usr/local; \
             umount /usr; rmdir /usr/local; \
             rm -rf /etc/systemd/system/aegisbpf.service.d; systemctl daemon-reload"
        );
        let _ = Cmd::sh(&script).run();
    }
}

const LOCAL: &str = "/usr/local/sbin/aegisbpf";
const LOCAL_UNIT: &str = "/etc/systemd/system/aegisbpf.service";

/// It goes to `/usr/local` and `/etc`, the service enforces from there, and nothing of it stays.
fn read_only() -> Result<(), CheckError> {
    take_aside()?;
    let usr = ReadOnly::new()?;
    let secret = usr.place.secret.as_str();
    let said = ends(&Cmd::new(BINARY).args(["install"]), 0)?;
    contains("what it says", &(said.stdout + &said.stderr), "/usr is read-only")?;
    want("the program", Path::new(LOCAL).exists() && !Path::new("/usr/sbin/aegisbpf").exists(), true)?;
    deny(&[secret])?;
    options("--enforce --allow-unsigned-policy")?;
    ends(&Cmd::new("systemctl").args(["start", "aegisbpf"]).timeout(LONG), 0)?;
    let program = ends(&Cmd::new("readlink").args([format!("/proc/{}/exe", show("MainPID")?)]), 0)?.stdout;
    want("what runs", program.trim_end() == LOCAL, true)?;
    want("the secret", opens(secret) == Some(false), true)?;
    ends(&Cmd::new(LOCAL).args(["uninstall", "--purge", "--detach"]), 0)?;
    want("the secret afterwards", readable(secret, 0)?, true)?;
    let left = ends(&Cmd::new("find").args(["/usr/local", "-type", "f"]), 0)?.stdout;
    want("what is left in /usr/local", left.is_empty(), true)?;
    want("what is left in /etc", Path::new(LOCAL_UNIT).exists() || Path::new("/etc/aegisbpf").exists(), false)
}
