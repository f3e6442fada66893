//! Appending: one writer at a time, each line synced before anybody relies on it.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    AuditError, Deed, Entry, FILE_BYTES, Head, KEEP, Log, Outcome, SCHEMA_VERSION, What, Who, chain::NONE,
    read,
};
use crate::{
    policy::Digest,
    sys::files::{make_dir, remove, sync_parent},
};

/// Held by whoever writes.
const LOCK: &str = "audit.lock";

/// A writer is done within milliseconds. On a disk that stands still nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to append.
#[derive(Debug)]
pub struct Writer<'a> {
    log: &'a Log,
    _lock: File,
}

/// How the log ends.
#[derive(Debug, Default)]
struct Tail {
    /// The file that has the last line; `None`: there is no line.
    number: Option<u32>,
    bytes: u64,
    /// The last whole entry.
    whole: Option<Head>,
    /// Of the last line, whatever it is.
    last: Option<Digest>,
    /// Whether the line feed of the last line is missing.
    open: bool,
    /// What is wrong with the last line.
    wrong: Option<Wrong>,
}

#[derive(Debug)]
enum Wrong {
    /// It is the beginning of one.
    Torn(usize),
    /// It is no entry.
    Foreign,
}

impl Log {
    /// Takes the right to append, for which it waits a little.
    pub fn lock(&self) -> Result<Writer<'_>, AuditError> {
        let path = self.state.join(LOCK);
        let failed = |action| {
            let path = path.clone();
            move |source| AuditError::File { path, action, source }
        };
        made(&self.state, 0o700)?;
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let lock = options.open(&path).map_err(failed("opening"))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Writer { log: self, _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(AuditError::Locked { path }),
                Err(errno) => return Err(failed("locking")(errno.into())),
            }
        }
    }

    /// Keeps writers away while the log and its noted ends are read, so that these agree. `None` where this process may not,
    /// or where there is no log.
    pub fn hold(&self) -> Result<Option<Writer<'_>>, AuditError> {
        match self.state.join(LOCK).is_file().then(|| self.lock()) {
            Some(Err(AuditError::File { .. })) | None => Ok(None),
            Some(other) => other.map(Some),
        }
    }

    fn tail(&self) -> Result<Tail, AuditError> {
        for number in 0..=KEEP {
            match read(&self.path(number))? {
                Some(bytes) if !bytes.is_empty() => return Ok(tail_of(number, &bytes)),
                _ => {}
            }
        }
        Ok(Tail::default())
    }
}

fn tail_of(number: u32, bytes: &[u8]) -> Tail {
    let open = !bytes.ends_with(b"\n");
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut lines = text.rsplit(|byte| *byte == b'\n');
    let last = lines.next().unwrap_or_default();
    let head = |line| Entry::parse(line).map(|entry| Head { seq: entry.seq, sha256: Digest::of(line) });
    let (whole, wrong) = match head(last) {
        Some(whole) => (Some(whole), None),
        None if open => (lines.next().and_then(head), Some(Wrong::Torn(last.len()))),
        None => (lines.find_map(head), Some(Wrong::Foreign)),
    };
    Tail { number: Some(number), bytes: bytes.len() as u64, whole, last: Some(Digest::of(last)), open, wrong }
}

impl Writer<'_> {
    /// Appends an entry, and one more before it when the log does not end as it should. `known` is the end of the log
    /// that the kernel knows. What is returned is the end of the log from here on: synced, and noted in the runtime
    /// directory.
    pub fn append(&self, who: &Who, deed: Deed, known: Option<Head>) -> Result<Head, AuditError> {
        let noted = self.log.noted().ok().flatten();
        let newest = noted.into_iter().chain(known).max_by_key(|head| head.seq);
        let mut tail = self.log.tail()?;
        if let Some((fault, whole)) = fault(&tail, newest) {
            let seq = tail.whole.map_or(0, |whole| whole.seq).max(newest.map_or(0, |head| head.seq));
            self.put(who, &tail, seq, fault, whole)?;
            tail = self.log.tail()?;
        } else if let Some(whole) = tail.whole
            && noted != Some(whole)
        {
            // Never more than one entry beyond what is noted: else nobody could tell it from one that was put in.
            self.note(whole)?;
        }
        let seq = tail.whole.map_or(0, |whole| whole.seq);
        self.put(who, &tail, seq, deed, None)
    }

    fn put(
        &self,
        who: &Who,
        tail: &Tail,
        seq: u64,
        deed: Deed,
        whole: Option<Digest>,
    ) -> Result<Head, AuditError> {
        let entry = Entry {
            schema_version: SCHEMA_VERSION,
            seq: seq + 1,
            prev: tail.last.unwrap_or(NONE),
            time: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
            who: who.clone(),
            deed: deed.bounded(),
            whole,
        };
        let path = self.log.path(0);
        let failed = |action| {
            let path = path.clone();
            move |source| AuditError::File { path, action, source }
        };
        let line = serde_json::to_vec(&entry).map_err(|error| failed("writing")(error.into()))?;
        let mut here = tail.number == Some(0);
        if here && tail.bytes + line.len() as u64 > FILE_BYTES {
            self.rotate().map_err(failed("rotating"))?;
            here = false;
        }
        let mut bytes = if here && tail.open { b"\n".to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&line);
        bytes.push(b'\n');
        append(&path, &bytes, here).map_err(failed("writing"))?;
        let head = Head { seq: entry.seq, sha256: Digest::of(&line) };
        self.note(head)?;
        Ok(head)
    }

    /// Makes room: each file takes the number above its own, up to the first that is free. The oldest goes.
    pub(super) fn rotate(&self) -> io::Result<()> {
        let is_there = |number: &u32| self.log.path(*number).symlink_metadata().is_ok();
        let free = (1..=KEEP).find(|number| !is_there(number)).unwrap_or(KEEP);
        for number in (0..free).rev() {
            fs::rename(self.log.path(number), self.log.path(number + 1))?;
        }
        sync_parent(&self.log.path(0))
    }

    /// Notes the end of the log. It goes with a reboot, so it need not last.
    fn note(&self, head: Head) -> Result<(), AuditError> {
        let path = self.log.head_path();
        let failed = |source| AuditError::File { path: path.clone(), action: "writing", source };
        made(&self.log.run, 0o755)?;
        let new = path.with_extension("head.new");
        let json = serde_json::to_vec(&head).map_err(|error| failed(error.into()))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
        let written = options.open(&new).and_then(|mut file| file.write_all(&json));
        written.and_then(|()| fs::rename(&new, &path)).map_err(|source| {
            // The first error is the one to report.
            drop(remove(&new));
            failed(source)
        })
    }
}

/// What has to be recorded of the end of the log before anything else is, and the last whole line before it.
fn fault(tail: &Tail, newest: Option<Head>) -> Option<(Deed, Option<Digest>)> {
    let broken = |why: String| Some((Deed::new(What::Broken, Outcome::Done).because(why), None));
    let last = tail.whole.map_or(0, |whole| whole.seq);
    match (newest, &tail.wrong) {
        (Some(newest), _) if newest.seq > last => {
            broken(format!("the log ended with entry {last}, and entry {} had been written", newest.seq))
        }
        (Some(newest), _) if newest.seq == last && Some(newest) != tail.whole => {
            broken(format!("entry {last} was not the one that had been written"))
        }
        (Some(newest), _) if newest.seq + 1 < last => broken(format!(
            "the log ended with entry {last}, and entry {} was the last one written",
            newest.seq
        )),
        (_, Some(Wrong::Foreign)) => broken("the last line was no entry".to_owned()),
        (_, Some(Wrong::Torn(bytes))) => {
            let why = format!("a writer was interrupted; {bytes} bytes of its entry are in the line before");
            let whole = tail.whole.map_or(NONE, |whole| whole.sha256);
            Some((Deed::new(What::Recovered, Outcome::Done).because(why), Some(whole)))
        }
        _ => None,
    }
}

/// Appends and syncs. What could be written in part only is taken back: nobody was promised anything yet.
fn append(path: &Path, bytes: &[u8], is_there: bool) -> io::Result<()> {
    let mut options = File::options();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // The first error is the one to report; a line that is left in part is recorded by the next writer.
        drop(file.set_len(metadata.len()));
        return Err(error);
    }
    if is_there { Ok(()) } else { sync_parent(path) }
}

fn made(path: &Path, mode: u32) -> Result<(), AuditError> {
    make_dir(path, mode).map_err(|source| AuditError::File {
        path: path.to_owned(),
        action: "creating the directory",
        source,
    })
}
