//! One command in a VM, or a prompt.

use crate::console;
use crate::vm::{End, Machine};
use anyhow::{Context as _, Result, bail};
use guest::{Line, RECORD_MARK};
use std::io::Write;
use std::time::Duration;

/// Runs the command that the initramfs holds, with its output to `out`; returns its exit status.
pub(crate) fn run(machine: &Machine, limit: Duration, out: &mut dyn Write) -> Result<i32> {
    let mut output = Output { tail: None, out };
    let mut broken = None;
    let end = machine.run(limit, &mut |bytes| {
        if let Err(error) = output.take(bytes) {
            broken.get_or_insert(error);
        }
    })?;
    if let Some(error) = broken {
        return Err(error).context("cannot pass on the output of the guest");
    }
    let log = machine.console.display();
    if let Some(excerpt) = console::trouble(&machine.console) {
        bail!("trouble on the console of the guest ({log}):\n{excerpt}");
    }
    match (output.exit(), end) {
        (Some(code), _) => Ok(code),
        (None, End::TimedOut(limit)) => {
            bail!("the guest did not end within {} s (console: {log})", limit.as_secs())
        }
        (None, _) => bail!(
            "the guest ended without an exit status; its console ({log}):\n{}",
            console::tail(&machine.console)
        ),
    }
}

/// Splits the raw output of the command from the line of its exit status.
struct Output<'a> {
    /// What came after the mark.
    tail: Option<Vec<u8>>,
    out: &'a mut dyn Write,
}

impl Output<'_> {
    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(bytes);
            return Ok(());
        }
        let mut parts = bytes.splitn(2, |&byte| byte == RECORD_MARK as u8);
        self.out.write_all(parts.next().unwrap_or_default())?;
        self.tail = parts.next().map(<[u8]>::to_vec);
        self.out.flush()
    }

    fn exit(&self) -> Option<i32> {
        match Line::parse(&String::from_utf8_lossy(self.tail.as_deref()?)) {
            Some(Line::Exit(code)) => Some(code),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_line_is_split_off_wherever_the_chunks_end() {
        let whole = b"no newline\x1e@exit 7\n";
        for at in 0..whole.len() {
            let (first, second) = whole.split_at(at);
            let mut seen = Vec::new();
            let mut output = Output { tail: None, out: &mut seen };
            let taken = output.take(first).and_then(|()| output.take(second));
            assert!(taken.is_ok());
            assert_eq!(output.exit(), Some(7), "split at {at}");
            assert_eq!(seen, b"no newline");
        }
    }
}
