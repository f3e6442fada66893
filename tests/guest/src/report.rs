//! The second serial port. The kernel never prints there, so no result line is ever cut by a kernel message.

use guest::Line;
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

/// Where the report goes. On machines of ARM the console is a port of another kind, and this is the first of its own.
pub(crate) const PORT: &str = if cfg!(target_arch = "aarch64") { "/dev/ttyS0" } else { "/dev/ttyS1" };

/// Opens the port for reading and writing.
pub(crate) fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(PORT)
}

/// Makes the port pass every byte unchanged, as the output of a command needs.
pub(crate) fn make_raw() -> io::Result<()> {
    let port = open()?;
    let mut attributes = tcgetattr(&port)?;
    attributes.make_raw();
    tcsetattr(&port, OptionalActions::Now, &attributes)?;
    Ok(())
}

/// Writes one line and waits until it has left the port: the machine may be powered off next. There is nobody to
/// tell when the port itself does not work; the runner then misses the line, which is a failure there.
pub(crate) fn send(line: &Line) {
    send_text(&format!("{line}\n"));
}

/// Writes text as it is, and waits until it has left the port.
pub(crate) fn send_text(text: &str) {
    if let Ok(mut port) = open() {
        let _ = port.write_all(text.as_bytes());
        let _ = tcdrain(&port);
    }
}

/// Reports every panic of this process as the failure of `who`.
pub(crate) fn report_panics(who: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        send(&Line::Fail { id: who.to_owned(), detail: panic.to_string() });
    }));
}
