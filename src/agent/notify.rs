//! Telling the service manager how things stand (`sd_notify(3)`): what the start is at, ready once enforcement is proven,
//! one line of status, and that the main loop goes round. The socket is connected before the sandbox closes; without
//! `NOTIFY_SOCKET` nobody is told.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::{Duration, Instant},
};

use crate::state::{AttachState, Status};

/// So long one step of a start may take: a million rules need a third of it.
const STEP: Duration = Duration::from_secs(60);

/// The service manager, where there is one that asked.
#[derive(Debug)]
pub(super) struct Notify {
    manager: Option<UnixDatagram>,
    said: String,
    /// How often it wants to hear that the agent works, where it does.
    watchdog: Option<Duration>,
    fed: Option<Instant>,
}

impl Notify {
    /// Connects to the socket that the environment names.
    pub(super) fn connect() -> io::Result<Self> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let manager = name.map(|name| Self::socket(&name)).transpose()?;
        let word = |name| env::var(name).ok();
        let watchdog = interval(word("WATCHDOG_USEC").as_deref(), word("WATCHDOG_PID").as_deref());
        Ok(Self { watchdog, ..Self::to(manager) })
    }

    fn to(manager: Option<UnixDatagram>) -> Self {
        Self { manager, said: String::new(), watchdog: None, fed: None }
    }

    fn socket(name: &OsStr) -> io::Result<UnixDatagram> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A service manager that does not read must not hold up the agent.
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// What the start is at. Each step has its own time, so that a slow one is not taken for one that hangs.
    pub(super) fn starting(&mut self, step: &str) {
        self.send(&format!("STATUS=starting: {}\nEXTEND_TIMEOUT_USEC={}", one_line(step), STEP.as_micros()));
    }

    /// What is in force now. Said for the first time it also means: ready.
    pub(super) fn status(&mut self, status: &Status) {
        self.say("READY=1", status);
    }

    /// The agent is about to end.
    pub(super) fn stopping(&mut self, status: &Status) {
        self.say("STOPPING=1", status);
    }

    /// The main loop went round. Said at half of the interval: one message may come late.
    pub(super) fn alive(&mut self) {
        let Some(interval) = self.watchdog else { return };
        if self.fed.is_none_or(|fed| fed.elapsed() >= interval / 2) {
            self.send("WATCHDOG=1");
            self.fed = Some(Instant::now());
        }
    }

    fn say(&mut self, state: &str, status: &Status) {
        let text = format!("{state}\nSTATUS={}", headline(status));
        if text != self.said {
            self.send(&text);
            self.said = text;
        }
    }

    /// Whoever does not listen any more is no reason to end.
    fn send(&self, text: &str) {
        if let Some(manager) = &self.manager {
            let _unheard = manager.send(text.as_bytes());
        }
    }
}

/// How often the service manager wants to hear of this process: the variables may be somebody else's, inherited.
fn interval(micros: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    if pid.is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    micros?.parse().ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}

/// The status in a line, the worst first.
fn headline(status: &Status) -> String {
    let enforcing = if status.enforcing { "enforcing" } else { "not enforcing" };
    let mut parts = vec![format!("{}, {enforcing}", status.status.word())];
    parts.extend(status.tier.clone());
    let attached = status.hooks.iter().filter(|hook| hook.attached).count();
    parts.push(format!("{attached} of {} hooks", status.hooks.len()));
    if status.attach_state == AttachState::Partial {
        let missing: Vec<&str> =
            status.hooks.iter().filter(|hook| !hook.attached).map(|hook| hook.name.as_str()).collect();
        parts.push(format!(
            "PARTIAL: without {}; uncovered: {}",
            missing.join(" "),
            status.uncovered.join(" ")
        ));
    }
    if let Some(policy) = &status.policy {
        let signed = policy
            .signed_by
            .as_deref()
            .map_or_else(|| "unsigned".to_owned(), |principal| format!("signed by {principal}"));
        let named: String = policy.sha256.to_string().chars().take(12).collect();
        parts.push(format!(
            "policy {named} generation {} with {} rules, {signed}",
            policy.generation, policy.rules
        ));
    }
    if status.break_glass {
        parts.push("BREAK-GLASS".to_owned());
    }
    one_line(&parts.join("; "))
}

/// A line feed would begin another assignment.
fn one_line(text: &str) -> String {
    text.replace(|letter: char| letter.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::HookState;

    #[test]
    fn a_partial_attach_is_in_the_line() {
        let hook = |name: &str, attached| HookState {
            name: name.to_owned(),
            required: false,
            attached,
            proven_at: None,
        };
        let status = Status {
            attach_state: AttachState::Partial,
            hooks: vec![hook("file_open", true), hook("file_receive", false)],
            uncovered: vec!["fd.received".to_owned()],
            tier: Some("bpf-lsm".to_owned()),
            ..Status::nothing()
        };
        assert_eq!(
            headline(&status),
            "unhealthy, not enforcing; bpf-lsm; 1 of 2 hooks; PARTIAL: without file_receive; uncovered: fd.received"
        );
    }

    #[test]
    fn nothing_in_the_line_begins_another() {
        let status = Status { tier: Some("x\nREADY=0".to_owned()), ..Status::nothing() };
        assert!(!headline(&status).contains('\n'));
    }

    #[test]
    fn the_socket_may_be_a_file_or_abstract() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let file = UnixDatagram::bind(&path).unwrap();
        let name = format!("aegisbpf-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let hidden = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, name) in [(file, path.into_os_string()), (hidden, format!("@{name}").into())] {
            let manager = Some(Notify::socket(&name).unwrap());
            Notify::to(manager).status(&Status::nothing());
            assert!(heard(&socket).starts_with("READY=1\nSTATUS=unhealthy, not enforcing"));
        }
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let size = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..size]).into_owned()
    }

    #[test]
    fn a_start_says_what_it_is_at_and_asks_for_time() {
        let (here, there) = UnixDatagram::pair().unwrap();
        Notify::to(Some(here)).starting("a\nREADY=1");
        assert_eq!(heard(&there), "STATUS=starting: a READY=1\nEXTEND_TIMEOUT_USEC=60000000");
    }

    #[test]
    fn the_watchdog_is_fed_at_half_of_its_interval() {
        let (here, there) = UnixDatagram::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let mut notify = Notify { watchdog: Some(Duration::from_secs(3600)), ..Notify::to(Some(here)) };
        notify.alive();
        assert_eq!(heard(&there), "WATCHDOG=1");
        notify.alive();
        assert!(there.recv(&mut [0; 16]).is_err(), "fed twice within half of the interval");
        notify.watchdog = Some(Duration::ZERO);
        notify.alive();
        assert_eq!(heard(&there), "WATCHDOG=1");
        // Nobody asked.
        notify.watchdog = None;
        notify.alive();
        assert!(there.recv(&mut [0; 16]).is_err());
    }

    #[test]
    fn a_watchdog_of_somebody_else_is_left_alone() {
        let us = std::process::id().to_string();
        let seconds = Some(Duration::from_secs(30));
        assert_eq!(interval(Some("30000000"), Some(&us)), seconds);
        assert_eq!(interval(Some("30000000"), None), seconds);
        assert_eq!(interval(Some("30000000"), Some("1")), None);
        for none in [None, Some("0"), Some("-1"), Some("soon")] {
            assert_eq!(interval(none, Some(&us)), None, "{none:?}");
        }
    }
}
