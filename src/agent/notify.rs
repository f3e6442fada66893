//! Telling the service manager how things stand (`sd_notify(3)`): ready once enforcement is proven, and one line of
//! status. The socket is connected before the sandbox closes; without `NOTIFY_SOCKET` nobody is told.

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
};

use crate::state::{AttachState, Status};

/// The service manager, where there is one that asked.
#[derive(Debug)]
pub(super) struct Notify {
    manager: Option<UnixDatagram>,
    said: String,
}

impl Notify {
    /// Connects to the socket that the environment names.
    pub(super) fn connect() -> io::Result<Self> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let manager = name.map(|name| Self::socket(&name)).transpose()?;
        Ok(Self { manager, said: String::new() })
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

    /// What is in force now. Said for the first time it also means: ready.
    pub(super) fn status(&mut self, status: &Status) {
        self.say("READY=1", status);
    }

    /// The agent is about to end.
    pub(super) fn stopping(&mut self, status: &Status) {
        self.say("STOPPING=1", status);
    }

    fn say(&mut self, state: &str, status: &Status) {
        let Some(manager) = &self.manager else { return };
        let text = format!("{state}\nSTATUS={}", headline(status));
        if text != self.said {
            // Whoever does not listen any more is no reason to end.
            let _unheard = manager.send(text.as_bytes());
            self.said = text;
        }
    }
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
        parts.push(format!("generation {} with {} rules, {signed}", policy.generation, policy.rules));
    }
    if status.break_glass {
        parts.push("BREAK-GLASS".to_owned());
    }
    // A line feed would begin another assignment.
    parts.join("; ").replace(|letter: char| letter.is_control(), " ")
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
            Notify { manager, said: String::new() }.status(&Status::nothing());
            let mut bytes = [0; 256];
            let size = socket.recv(&mut bytes).unwrap();
            assert!(bytes[..size].starts_with(b"READY=1\nSTATUS=unhealthy, not enforcing"));
        }
    }
}
