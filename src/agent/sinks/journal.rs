//! The socket of the journal, connected before the sandbox closes. systemd holds it, so it outlives a restart of journald;
//! where it is made anew, the sandbox lets nobody connect again: what is lost then is counted, and said.

use std::{io, os::unix::net::UnixDatagram};

use super::queue::Out;

/// `sd_journal_print(3)`
const SOCKET: &str = "/run/systemd/journal/socket";

/// Connected to the journal.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UnixDatagram,
    /// Why the last entry did not get there.
    failed: Option<io::Error>,
}

impl Socket {
    /// Fails where there is no journal. Sending waits where the journal takes its time: the thread that does it has nothing
    /// else to do.
    pub(super) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        Ok(Self { socket, failed: None })
    }
}

impl Out for Socket {
    /// One entry a datagram.
    const BATCH: usize = 0;

    fn put(&mut self, entry: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.send(entry) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => {
                    self.failed = sent.err();
                    return Ok(self.failed.is_some().into());
                }
            }
        }
    }

    fn trouble(&self) -> Vec<String> {
        let said = |error| {
            format!(
                "the journal does not take events: {error}; a restart of the service connects to it again"
            )
        };
        self.failed.iter().map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_is_gone_is_a_loss_and_said() {
        let (socket, journal) = UnixDatagram::pair().unwrap();
        let mut socket = Socket { socket, failed: None };
        assert_eq!(socket.put(b"MESSAGE=one\n").unwrap(), 0);
        assert!(socket.trouble().is_empty());
        let mut bytes = [0; 64];
        let length = journal.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"MESSAGE=one\n");
        drop(journal);
        assert_eq!(socket.put(b"MESSAGE=two\n").unwrap(), 1);
        assert!(socket.trouble()[0].contains("the journal does not take events"));
    }
}
