//! Lines on their way to one sink. A thread writes them, so that a reader who does not read stalls that thread and nothing
//! else: not the proofs, not the state file, not break-glass, not another sink.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use smol::{
    Timer,
    channel::{self, Receiver, Sender},
    future::FutureExt as _,
};

/// While so many bytes wait at every sink, events stay in the kernel, which counts those that it has no room for.
const ROOM: usize = 256 * 1024;

/// What the agent has to say of itself still goes in up to here, and is counted as lost beyond.
const LIMIT: usize = 2 * ROOM;

/// Decisions go in up to here, where another sink takes them still.
const LIMIT_OF_DECISIONS: usize = LIMIT - ROOM / 2;

/// A reader who has not taken a byte for so long does not read.
pub(in crate::agent) const PATIENCE: Duration = Duration::from_secs(5);

/// A line, or what was gathered of them.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// How many events each line stands for.
    events: Vec<u64>,
}

/// What a queue ends in.
pub(super) trait Out: Send + 'static {
    /// At most so many bytes are written at once, and one line in any case.
    const BATCH: usize;

    /// Writes whole lines, and returns how many at their end were lost. An error is for good.
    fn put(&mut self, lines: &[u8]) -> io::Result<usize>;

    /// Begins a new file, where there are files.
    fn reopen(&mut self) {}

    /// What is wrong, for as long as it is.
    fn trouble(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Somebody who reads a pipe, a terminal, a file that was given to the agent.
pub(super) struct Stream<W>(pub(super) W);

impl<W: io::Write + Send + 'static> Out for Stream<W> {
    /// What a pipe holds (`fs/pipe.c`, `PIPE_DEF_BUFFERS`).
    const BATCH: usize = 64 * 1024;

    fn put(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.write_all(lines).and_then(|()| self.0.flush())?;
        Ok(0)
    }
}

/// Hears of every write, of whatever queue.
#[derive(Clone, Debug)]
pub(super) struct Bell(Sender<()>, Receiver<()>);

impl Bell {
    pub(super) fn new() -> Self {
        let (wrote, room) = channel::bounded(1);
        Self(wrote, room)
    }

    fn ring(&self) {
        // Full: the agent has not yet heard of the write before.
        let _ = self.0.try_send(());
    }

    /// Comes back after a write.
    pub(super) async fn rang(&self) {
        // Both ends live here.
        let _ = self.1.recv().await;
    }

    /// Waits for a write; `false` when there is none for a while.
    pub(super) async fn rang_soon(&self) -> bool {
        let soon = async {
            self.rang().await;
            true
        };
        let late = async {
            Timer::after(PATIENCE).await;
            false
        };
        soon.or(late).await
    }
}

/// The agent's end.
#[derive(Debug)]
pub(super) struct Queue {
    lines: Sender<Lines>,
    shared: Arc<Shared>,
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
    /// Events that the other end could not write.
    lost: AtomicU64,
    /// Whether to begin a new file.
    reopen: AtomicBool,
    trouble: Mutex<Vec<String>>,
    /// Why nothing is written any more.
    failed: OnceLock<io::Error>,
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Vec<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn of the writing thread.
    fn put<O: Out>(&self, out: &mut O, batch: &Lines) {
        if self.reopen.swap(false, Ordering::AcqRel) {
            out.reopen();
        }
        let Lines { bytes, events } = batch;
        if !bytes.is_empty() {
            match out.put(bytes) {
                Ok(lines) => {
                    let lost = events.iter().rev().take(lines).sum::<u64>();
                    self.lost.fetch_add(lost, Ordering::AcqRel);
                }
                // Nobody else sets it.
                Err(error) => drop(self.failed.set(error)),
            }
        }
        *self.trouble() = out.trouble();
        self.written.fetch_add(bytes.len() as u64, Ordering::Release);
        self.waiting.fetch_sub(bytes.len(), Ordering::Release);
    }
}

impl Queue {
    /// The system call filter may come after this: the thread is at work.
    pub(super) fn to<O: Out>(mut out: O, bell: &Bell) -> io::Result<Self> {
        let (lines, incoming) = channel::unbounded::<Lines>();
        // Held there as well, so that it goes on for as long as the process: no call of the sandbox's ends a thread.
        let kept = lines.clone();
        let shared = Arc::new(Shared::default());
        let (there, wrote) = (Arc::clone(&shared), bell.clone());
        let (started, ready) = channel::bounded(1);
        thread::Builder::new().name("output".into()).spawn(move || {
            let _kept = kept;
            // The thread has made by now what calls its start takes.
            let _ = started.try_send(());
            while let Ok(first) = incoming.recv_blocking() {
                there.put(&mut out, &gather(first, &incoming, O::BATCH));
                wrote.ring();
            }
        })?;
        let _ = ready.recv_blocking();
        Ok(Self { lines, shared, dropped: 0, progress: (Instant::now(), 0) })
    }

    /// Hands on a line as it is to be written, of so many decisions, or of another event. Never waits.
    pub(super) fn push(&mut self, line: Vec<u8>, decisions: Option<u64>) -> io::Result<()> {
        self.check()?;
        let limit = if decisions.is_some() { LIMIT_OF_DECISIONS } else { LIMIT };
        let events = decisions.unwrap_or(1);
        if self.waiting() + line.len() > limit {
            self.dropped += events;
            return Ok(());
        }
        self.shared.waiting.fetch_add(line.len(), Ordering::AcqRel);
        self.lines
            .try_send(Lines { bytes: line, events: vec![events] })
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Lets the other end begin a new file, behind what waits by now.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // The other end lives as long as this one.
        let _ = self.lines.try_send(Lines::default());
    }

    /// Fails once writing has failed.
    pub(super) fn check(&self) -> io::Result<()> {
        let Some(error) = self.shared.failed.get() else { return Ok(()) };
        Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
    }

    /// Whether more decisions may be taken from the kernel for it.
    pub(super) fn has_room(&self) -> bool {
        self.waiting() < ROOM
    }

    /// Events that found no room, here or there.
    pub(super) fn lost(&self) -> u64 {
        self.dropped + self.shared.lost.load(Ordering::Acquire)
    }

    /// What is wrong at the other end.
    pub(super) fn trouble(&self) -> Vec<String> {
        self.shared.trouble().clone()
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
    pub(super) async fn finish(&self, bell: &Bell) -> io::Result<()> {
        while self.waiting() > 0 && self.shared.failed.get().is_none() {
            if !bell.rang_soon().await {
                let rest = format!("nobody reads it; {} bytes were not written", self.waiting());
                return Err(io::Error::new(io::ErrorKind::TimedOut, rest));
            }
        }
        self.check()
    }

    fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }
}

/// With what else is there already: a write for each line would be the most expensive part of a flood.
fn gather(first: Lines, incoming: &Receiver<Lines>, most: usize) -> Lines {
    let mut batch = first;
    while !batch.bytes.is_empty()
        && batch.bytes.len() < most
        && let Ok(line) = incoming.try_recv()
    {
        batch.bytes.extend_from_slice(&line.bytes);
        batch.events.extend_from_slice(&line.events);
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

    fn pair() -> (Queue, Bell, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let bell = Bell::new();
        (Queue::to(Stream(ours), &bell).unwrap(), bell, theirs)
    }

    fn text(line: &str) -> Vec<u8> {
        format!("{line}\n").into_bytes()
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (mut queue, bell, reader) = pair();
        let lines: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
        let count = lines.len();
        // Meanwhile: so many small writes are more than a socket holds.
        let reading = thread::spawn(move || {
            BufReader::new(reader).lines().take(count).map(Result::unwrap).collect::<Vec<_>>()
        });
        for line in &lines {
            queue.push(text(line), None).unwrap();
        }
        smol::block_on(queue.finish(&bell)).unwrap();
        assert_eq!(reading.join().unwrap(), lines);
    }

    #[test]
    fn a_reader_who_does_not_read_keeps_nobody_waiting() {
        let (mut queue, bell, mut reader) = pair();
        let line = "x".repeat(1023);
        let mut pushed = 0;
        while queue.lost() < 70 {
            // Each stands for seven.
            queue.push(text(&line), Some(7)).unwrap();
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
        smol::block_on(queue.finish(&bell)).unwrap();
        reading.join().unwrap();
    }

    #[test]
    fn a_reader_who_is_gone_is_an_error() {
        let (mut queue, bell, reader) = pair();
        drop(reader);
        let failed = (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            queue.push(text("line"), Some(1)).is_err()
        });
        assert!(failed);
        assert_eq!(smol::block_on(queue.finish(&bell)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
