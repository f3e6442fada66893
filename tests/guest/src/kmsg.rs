//! The kernel's log from a moment on, where denials of security modules end up as long as no audit daemon takes them.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

/// The audit thread of the kernel writes a moment later than what it is about.
const LATE: Duration = Duration::from_secs(10);

/// What the kernel has said since.
pub(crate) struct Kmsg {
    file: File,
    lines: Vec<String>,
}

impl Kmsg {
    /// From now on. Audit records are printed under a rate limit, which would hide some: it goes first.
    pub(crate) fn from_now() -> io::Result<Self> {
        fs::write("/proc/sys/kernel/printk_ratelimit", "0")?;
        let mut file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, lines: Vec::new() })
    }

    /// Every line so far that contains all of these. A line that was overwritten before it was read is an error.
    pub(crate) fn lines_with(&mut self, parts: &[&str]) -> io::Result<Vec<String>> {
        let mut record = [0; 8192];
        loop {
            // One record a call.
            match self.file.read(&mut record) {
                Ok(size) => {
                    let text = String::from_utf8_lossy(record.get(..size).unwrap_or_default()).into_owned();
                    self.lines.push(text.split_once(';').map_or("", |(_, text)| text).trim_end().to_owned());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let found = self.lines.iter().filter(|line| parts.iter().all(|part| line.contains(part)));
        Ok(found.cloned().collect())
    }

    /// Waits for a line that contains all of these; `None`: there was none in time.
    pub(crate) fn wait_for(&mut self, parts: &[&str]) -> io::Result<Option<String>> {
        let end = Instant::now() + LATE;
        loop {
            let mut found = self.lines_with(parts)?;
            if !found.is_empty() || Instant::now() > end {
                return Ok(found.pop());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
