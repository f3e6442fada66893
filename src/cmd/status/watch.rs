//! `status --watch`: the same screen again and again, until a signal ends it.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, SystemTime},
};

use async_signal::{Signal, Signals};
use smol::{Timer, future::FutureExt as _, stream::StreamExt as _};

use super::{look, text::text};
use crate::{
    cli::Places,
    event::rfc3339,
    exit::{Exit, Failure},
};

/// To the top left corner: what is there is written over, and not wiped first, which would flicker.
const HOME: &str = "\x1b[H";
/// Wipes the rest of a line.
const REST: &str = "\x1b[K";
/// Wipes what is below.
const BELOW: &str = "\x1b[J";
/// Wipes everything.
const ALL: &str = "\x1b[2J";

/// Draws until SIGINT, SIGTERM or SIGHUP comes, or nobody reads any more.
pub(super) fn watch(every: Duration, verbose: bool, places: &Places) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Io, error);
    let mut signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]).map_err(failed)?;
    let terminal = io::stdout().is_terminal();
    let mut first = true;
    loop {
        let picture = look(places);
        let now = SystemTime::now();
        let screen = text(&picture.status, picture.misreporting, verbose, now);
        let drawn = if terminal { redrawn(&screen, size(), first) } else { separated(&screen, now) };
        first = false;
        match show(&drawn) {
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            other => other.map_err(failed)?,
        }
        let wait = async {
            Timer::after(every).await;
            false
        };
        let stop = async {
            signals.next().await;
            true
        };
        if smol::block_on(stop.or(wait)) {
            return Ok(Exit::Done);
        }
    }
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}

/// One screen over the one before: no line longer than the terminal is wide, none below its end, so that nothing scrolls.
fn redrawn(screen: &str, (columns, rows): (usize, usize), first: bool) -> String {
    let mut drawn = if first { ALL.to_owned() } else { String::new() };
    drawn.push_str(HOME);
    for line in screen.lines().take(rows.saturating_sub(1)) {
        drawn.extend(line.chars().take(columns));
        // At the end of a full line the cursor still stands on its last character.
        if line.chars().count() < columns {
            drawn.push_str(REST);
        }
        drawn.push_str("\r\n");
    }
    drawn + BELOW
}

/// One screen behind the one before, for a file or a pipe.
fn separated(screen: &str, now: SystemTime) -> String {
    format!("--- {}\n{screen}", rfc3339(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_cuts_and_a_low_one_ends() {
        let drawn = redrawn("abcdef\nxy\nlast\n", (4, 3), false);
        assert_eq!(drawn, "\x1b[Habcd\r\nxy\x1b[K\r\n\x1b[J");
        assert!(redrawn("", (1, 1), true).starts_with("\x1b[2J\x1b[H"));
    }
}
