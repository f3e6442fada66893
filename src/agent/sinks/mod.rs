//! The one door by which events leave: to standard output or a file, to the journal, or to both. Each sink has its queue
//! and its thread; one that does not take what it is given loses it, is said to, and holds up nobody.

mod file;
mod journal;
mod lines;
mod queue;

use std::io::{self, IsTerminal as _};

use self::{
    file::Files,
    journal::Socket,
    queue::{Bell, PATIENCE, Queue, Stream},
};
pub use self::{
    file::{LogFile, group},
    lines::{Lines, Talk},
};
use super::AgentError;
use crate::event::{Event, Line, entry};

/// Where events are to go.
#[derive(Clone, Debug)]
pub struct Output {
    /// How lines are written.
    pub talk: Talk,
    /// Where lines are written.
    pub lines: Option<Destination>,
    /// Whether they go to the journal.
    pub journal: bool,
}

/// Where lines are written.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file.
    File(LogFile),
}

impl Output {
    /// The file that is written to.
    pub(super) fn file(&self) -> Option<&LogFile> {
        match &self.lines {
            Some(Destination::File(file)) => Some(file),
            _ => None,
        }
    }

    /// Opens and connects what the sandbox does not let anybody open any more.
    pub(super) fn open(&self) -> Result<Opened, AgentError> {
        let file = self.file().map(|log| {
            Files::open(log).map_err(|source| AgentError::LogFile { path: log.path.clone(), source })
        });
        let journal = self.journal.then(Socket::connect);
        Ok(Opened {
            talk: self.talk,
            stdout: matches!(self.lines, Some(Destination::Stdout)),
            file: file.transpose()?,
            journal: journal.transpose().map_err(AgentError::NoJournal)?,
        })
    }
}

/// What was opened before the sandbox closed.
#[derive(Debug)]
pub(super) struct Opened {
    talk: Talk,
    stdout: bool,
    file: Option<Files>,
    journal: Option<Socket>,
}

/// One of them.
#[derive(Debug)]
struct Sink {
    place: Place,
    queue: Queue,
    stuck: bool,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Stdout,
    File,
    Journal,
}

impl Place {
    /// As a loss names it.
    fn word(self) -> &'static str {
        match self {
            Self::Stdout => "output",
            Self::File => "file",
            Self::Journal => "journal",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "standard output",
            Self::File => "the log file",
            Self::Journal => "the journal",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Stdout => "write to standard output",
            Self::File => "write to the log file",
            Self::Journal => "write to the journal",
        }
    }

    /// A line as it goes there.
    fn form(self, talk: Talk, line: &Line<'_>) -> Vec<u8> {
        if self == Self::Journal {
            return entry(line);
        }
        let mut text = talk.text(line);
        text.push('\n');
        text.into_bytes()
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sinks {
    talk: Talk,
    lines: Lines,
    all: Vec<Sink>,
    bell: Bell,
}

impl Sinks {
    /// Lets the threads begin. The system call filter comes after this.
    pub(super) fn start(opened: Opened, lines: Lines) -> io::Result<Self> {
        let Opened { talk, stdout, file, journal } = opened;
        let bell = Bell::new();
        let mut all = Vec::new();
        let mut add = |place, queue| all.push(Sink { place, queue, stuck: false });
        if stdout {
            add(Place::Stdout, Queue::to(Stream(io::stdout()), &bell)?);
        }
        if let Some(file) = file {
            add(Place::File, Queue::to(file, &bell)?);
        }
        if let Some(journal) = journal {
            add(Place::Journal, Queue::to(journal, &bell)?);
        }
        Ok(Self { talk, lines, all, bell })
    }

    /// Hands an event to each sink. Never waits.
    pub(super) fn tell(&mut self, event: &Event) -> Result<(), AgentError> {
        let decisions = event.decision().map(|decision| decision.count);
        let line = self.lines.next(event);
        for Sink { place, queue, .. } in &mut self.all {
            let pushed = queue.push(place.form(self.talk, &line), decisions);
            pushed.map_err(|source| AgentError::Loop { action: place.action(), source })?;
        }
        Ok(())
    }

    /// Whether events may be taken from the kernel: one sink that takes them is enough, lest one that does not delays it.
    pub(super) fn has_room(&self) -> bool {
        self.all.iter().any(|sink| sink.queue.has_room())
    }

    /// Comes back after a write.
    pub(super) async fn wrote(&self) {
        self.bell.rang().await;
    }

    /// Waits for a write; `false` when there is none for a while.
    pub(super) async fn wrote_soon(&self) -> bool {
        self.bell.rang_soon().await
    }

    /// Looks after each sink. Fails once one of them has failed for good.
    pub(super) fn look(&mut self) -> Result<(), AgentError> {
        for Sink { place, queue, stuck } in &mut self.all {
            queue.check().map_err(|source| AgentError::Loop { action: place.action(), source })?;
            *stuck = queue.is_stuck();
        }
        Ok(())
    }

    /// Events that each sink has lost, by the word for it.
    pub(super) fn lost(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.all.iter().map(|sink| (sink.place.word(), sink.queue.lost()))
    }

    /// What is wrong with them.
    pub(super) fn reasons(&self) -> Vec<String> {
        let all = self.all.iter().all(|sink| sink.stuck);
        let then = if all {
            "events stay in the kernel, and are lost when it has"
        } else {
            "events are lost there when it has"
        };
        let stuck = self.all.iter().filter(|sink| sink.stuck).map(|sink| {
            format!(
                "nobody has read {} for {} s: {then} no room for them",
                sink.place.name(),
                PATIENCE.as_secs()
            )
        });
        stuck.chain(self.all.iter().flat_map(|sink| sink.queue.trouble())).collect()
    }

    /// Begins a new file, where there is one.
    pub(super) fn reopen(&self) {
        self.all.iter().filter(|sink| sink.place == Place::File).for_each(|sink| sink.queue.reopen());
    }

    /// Whether somebody looks at the events at a terminal.
    pub(super) fn is_to_terminal(&self) -> bool {
        self.all.iter().any(|sink| sink.place == Place::Stdout) && io::stdout().is_terminal()
    }

    /// Waits until nothing waits, for as long as somebody reads.
    pub(super) async fn finish(&self) -> Result<(), AgentError> {
        for Sink { place, queue, .. } in &self.all {
            let finished = queue.finish(&self.bell).await;
            finished.map_err(|source| AgentError::Loop { action: place.action(), source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        os::unix::net::UnixStream,
        thread,
    };

    use super::*;
    use crate::event::ProofResult;

    fn sink(place: Place, bell: &Bell) -> (Sink, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Sink { place, queue: Queue::to(Stream(ours), bell).unwrap(), stuck: false }, theirs)
    }

    #[test]
    fn a_sink_that_nobody_reads_delays_no_other() {
        const EVENTS: usize = 1000;
        let bell = Bell::new();
        let ((stuck, unread), (read, reader)) = (sink(Place::Journal, &bell), sink(Place::File, &bell));
        let lines = Lines::new("bpf-lsm");
        let mut sinks = Sinks { talk: Talk::Json, lines, all: vec![stuck, read], bell };
        let reading = thread::spawn(move || BufReader::new(reader).lines().take(EVENTS).count());
        let detail = "x".repeat(4096);
        let event = Event::Proof(ProofResult { hook: "file_open".into(), proven: true, detail });
        for _ in 0..EVENTS {
            while !sinks.has_room() {
                assert!(smol::block_on(sinks.wrote_soon()), "nobody writes");
            }
            sinks.tell(&event).unwrap();
        }
        assert_eq!(reading.join().unwrap(), EVENTS);
        let lost: Vec<_> = sinks.lost().collect();
        assert!(lost[0].0 == "journal" && lost[0].1 > 100, "{lost:?}");
        assert_eq!(lost[1], ("file", 0));
        sinks.look().unwrap();
        assert!(sinks.reasons().is_empty(), "too early to say so");
        sinks.all[0].stuck = true;
        assert!(sinks.reasons()[0].contains("nobody has read the journal for 5 s: events are lost there"));
        sinks.all[1].stuck = true;
        assert!(sinks.reasons()[1].contains("the log file for 5 s: events stay in the kernel"));
        drop(unread);
    }
}
