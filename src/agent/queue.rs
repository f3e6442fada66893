//! Lines on their way to standard output. A thread writes them, so that a reader who does not read stalls that thread and
//! nothing else: not the proofs, not the state file, not break-glass.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use smol::{
    Timer,
    channel::{self, Receiver, Sender},
    future::FutureExt as _,
};

/// While so many bytes wait, events stay in the kernel, which counts those that it has no room for.
const ROOM: usize = 256 * 1024;

/// What the agent has to say of itself still goes in up to here, and is counted as lost beyond.
const LIMIT: usize = 2 * ROOM;

/// At most so many bytes are written at once: what a pipe holds (`fs/pipe.c`, `PIPE_DEF_BUFFERS`).
const BATCH: usize = 64 * 1024;

/// A reader who has not taken a byte for so long does not read.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The agent's end.
#[derive(Debug)]
pub(super) struct Queue {
    lines: Sender<String>,
    shared: Arc<Shared>,
    /// Hears of every write.
    room: Receiver<()>,
    dropped: u64,
    /// When what is written was last seen to grow, and to what.
    progress: (Instant, u64),
}

/// What both ends look at.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Bytes written.
    written: AtomicU64,
    /// Why nothing is written any more.
    failed: OnceLock<io::Error>,
}

impl Queue {
    /// To standard output. The system call filter may come after this: the thread is at work.
    pub(super) fn start() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(mut out: impl io::Write + Send + 'static) -> io::Result<Self> {
        let (lines, incoming) = channel::unbounded::<String>();
        let (wrote, room) = channel::bounded(1);
        // Held there as well, so that it goes on for as long as the process: no call of the sandbox's ends a thread.
        let kept = lines.clone();
        let shared = Arc::new(Shared::default());
        let there = Arc::clone(&shared);
        thread::Builder::new().name("output".into()).spawn(move || {
            let _kept = kept;
            // The thread has made by now what calls its start takes.
            let _ = wrote.try_send(());
            while let Ok(first) = incoming.recv_blocking() {
                let batch = gather(first, &incoming);
                if let Err(error) = out.write_all(batch.as_bytes()).and_then(|()| out.flush()) {
                    // Nobody else sets it.
                    let _ = there.failed.set(error);
                }
                there.written.fetch_add(batch.len() as u64, Ordering::Release);
                there.waiting.fetch_sub(batch.len(), Ordering::Release);
                // Full: the agent has not yet heard of the write before.
                let _ = wrote.try_send(());
            }
        })?;
        let _ = room.recv_blocking();
        Ok(Self { lines, shared, room, dropped: 0, progress: (Instant::now(), 0) })
    }

    /// Hands on a line, which ends without its line feed. Never waits.
    pub(super) fn push(&mut self, mut line: String) -> io::Result<()> {
        self.check()?;
        line.push('\n');
        if self.waiting() + line.len() > LIMIT {
            self.dropped += 1;
            return Ok(());
        }
        self.shared.waiting.fetch_add(line.len(), Ordering::AcqRel);
        self.lines.try_send(line).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Fails once writing has failed.
    pub(super) fn check(&self) -> io::Result<()> {
        let Some(error) = self.shared.failed.get() else { return Ok(()) };
        Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
    }

    /// Whether events may be taken from the kernel.
    pub(super) fn has_room(&self) -> bool {
        self.waiting() < ROOM
    }

    /// Comes back after a write.
    pub(super) async fn wrote(&self) {
        // The other end lives as long as this one.
        let _ = self.room.recv().await;
    }

    /// Lines that found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether something waits, and nobody has read for a while.
    pub(super) fn is_stuck(&mut self) -> bool {
        let (waiting, written) = (self.waiting(), self.shared.written.load(Ordering::Acquire));
        if waiting == 0 || written != self.progress.1 {
            self.progress = (Instant::now(), written);
        }
        self.progress.0.elapsed() >= PATIENCE
    }

    /// Waits until nothing waits, for as long as somebody reads.
    pub(super) async fn finish(self) -> io::Result<()> {
        while self.waiting() > 0 && self.shared.failed.get().is_none() {
            if !self.wrote_soon().await {
                let rest = format!("nobody reads it; {} bytes were not written", self.waiting());
                return Err(io::Error::new(io::ErrorKind::TimedOut, rest));
            }
        }
        self.check()
    }

    /// Waits for a write; `false` when there is none for a while.
    pub(super) async fn wrote_soon(&self) -> bool {
        let soon = async {
            self.wrote().await;
            true
        };
        let late = async {
            Timer::after(PATIENCE).await;
            false
        };
        soon.or(late).await
    }

    fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }
}

/// With what else is there already: a write for each line would be the most expensive part of a flood.
fn gather(first: String, incoming: &Receiver<String>) -> String {
    let mut batch = first;
    while batch.len() < BATCH
        && let Ok(line) = incoming.try_recv()
    {
        batch.push_str(&line);
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        os::unix::net::UnixStream,
    };

    use super::*;

    fn pair() -> (Queue, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Queue::to(ours).unwrap(), theirs)
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (mut queue, reader) = pair();
        let lines: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
        let count = lines.len();
        // Meanwhile: so many small writes are more than a socket holds.
        let reading = thread::spawn(move || {
            BufReader::new(reader).lines().take(count).map(Result::unwrap).collect::<Vec<_>>()
        });
        for line in &lines {
            queue.push(line.clone()).unwrap();
        }
        smol::block_on(queue.finish()).unwrap();
        assert_eq!(reading.join().unwrap(), lines);
    }

    #[test]
    fn a_reader_who_does_not_read_keeps_nobody_waiting() {
        let (mut queue, mut reader) = pair();
        let line = "x".repeat(1023);
        let mut pushed = 0;
        while queue.dropped() < 10 {
            queue.push(line.clone()).unwrap();
            pushed += 1;
        }
        assert!(!queue.has_room());
        assert!(queue.waiting() <= LIMIT);
        assert!(!queue.is_stuck(), "too early to say so");
        // The other thread may still be filling what lies between.
        let stuck = (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            queue.progress.0 = Instant::now().checked_sub(PATIENCE).unwrap();
            queue.is_stuck()
        });
        assert!(stuck);
        // Whoever begins to read gets all that was not counted as lost.
        let mut all = vec![0; (pushed - 10) * 1024];
        let reading = thread::spawn(move || reader.read_exact(&mut all).unwrap());
        smol::block_on(queue.finish()).unwrap();
        reading.join().unwrap();
    }

    #[test]
    fn a_reader_who_is_gone_is_an_error() {
        let (mut queue, reader) = pair();
        drop(reader);
        let failed = (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            queue.push("line".to_owned()).is_err()
        });
        assert!(failed);
        assert_eq!(smol::block_on(queue.finish()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
