//! Answers `GET /metrics` on a Unix socket: one connection after another, none of them for long.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use async_signal::{Signal, Signals};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use smol::{
    Async, Timer,
    future::FutureExt as _,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    stream::StreamExt as _,
};

use crate::exit::{self, Exit, Failure};

/// A client has so long to ask and to take the answer: the next one waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// A longer request is none that we answer.
const REQUEST_BYTES: usize = 8 * 1024;

/// Who belongs to the owner or to the group of the socket may connect.
const MODE: u32 = 0o660;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The metrics, or what would precede them.
    Metrics { body: bool },
    /// A refusal, as its status line has it.
    Refusal(&'static str),
}

/// The socket while it is ours; dropping it removes it.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for Bound {
    fn drop(&mut self) {
        // What somebody else has put there meanwhile is not ours to remove.
        if identity(&self.path).ok() == Some(self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Answers until SIGTERM or SIGINT. `current` is asked for each answer.
pub(super) fn run(path: &Path, current: &dyn Fn() -> String) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Io, format!("{}: {error}", path.display()));
    let mut signals = Signals::new([Signal::Term, Signal::Int]).map_err(failed)?;
    let (listener, _bound) = bind(path)?;
    let listener = Async::new(listener).map_err(failed)?;
    exit::note(&format!("GET /metrics is answered on {}", path.display()));
    smol::block_on(async {
        loop {
            let stop = async {
                signals.next().await;
                true
            };
            let serve = async {
                match listener.accept().await {
                    Ok((stream, _)) => answered(stream, current).await,
                    Err(_) => {
                        Timer::after(PAUSE).await;
                    }
                }
                false
            };
            if stop.or(serve).await {
                return;
            }
        }
    });
    Ok(())
}

/// Makes the socket, in the place of one that nobody answers on any more.
fn bind(path: &Path) -> Result<(UnixListener, Bound), Failure> {
    let failed = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::Privilege,
            _ => Exit::Io,
        };
        Failure::new(exit, format!("{}: {error}", path.display())).hint(
            "its directory has to be there and writable; the path of a socket is at most 107 bytes long",
        )
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(there) if !there.file_type().is_socket() => {
            let failure = format!("{}: there is something else than a socket", path.display());
            return Err(
                Failure::new(Exit::Io, failure).hint("nothing of others is removed: name another path")
            );
        }
        Ok(_) if is_answered(path).map_err(failed)? => {
            let failure = format!("{}: somebody answers there already", path.display());
            return Err(Failure::new(Exit::Busy, failure).hint("end that process, or name another path"));
        }
        Ok(_) => fs::remove_file(path).map_err(failed)?,
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let bound = Bound { path: path.to_owned(), identity: identity(path).map_err(failed)? };
    fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    Ok((listener, bound))
}

/// Whether a process listens, without waiting for one that is slow to.
fn is_answered(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(true),
        Err(rustix::io::Errno::CONNREFUSED) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = path.symlink_metadata()?;
    Ok((there.dev(), there.ino()))
}

/// Answers one client, or gives up on it. What goes wrong is the client's: the next one is answered all the same.
async fn answered(stream: Async<UnixStream>, current: &dyn Fn() -> String) {
    let answer = async { drop(exchange(stream, current).await) };
    let late = async {
        Timer::after(PATIENCE).await;
    };
    answer.or(late).await;
}

async fn exchange(mut stream: Async<UnixStream>, current: &dyn Fn() -> String) -> io::Result<()> {
    let Some(request) = request(&mut stream).await? else { return Ok(()) };
    let (status, body, shown) = match judge(&request) {
        Answer::Metrics { body } => ("200 OK", current(), body),
        Answer::Refusal(status) => (status, format!("{status}\n"), true),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
        body.len(),
        if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" },
    );
    stream.write_all(head.as_bytes()).await?;
    if shown {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.flush().await
}

/// Everything up to the empty line; `None` from a client that ends before. One that is too long is cut.
async fn request(stream: &mut Async<UnixStream>) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    loop {
        let count = stream.read(&mut bytes).await?;
        request.extend_from_slice(bytes.get(..count).unwrap_or_default());
        let ended =
            request.windows(4).any(|end| end == b"\r\n\r\n") || request.windows(2).any(|end| end == b"\n\n");
        if ended || request.len() > REQUEST_BYTES {
            return Ok(Some(request));
        }
        if count == 0 {
            return Ok(None);
        }
    }
}

/// Only the first line counts: nothing that a header could say changes the answer.
fn judge(request: &[u8]) -> Answer {
    if request.len() > REQUEST_BYTES {
        return Answer::Refusal("431 Request Header Fields Too Large");
    }
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.trim_ascii_end().split(|byte| *byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { return Answer::Refusal("400 Bad Request") };
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    match (*method, path) {
        _ if !matches!(*version, b"HTTP/1.0" | b"HTTP/1.1") => {
            Answer::Refusal("505 HTTP Version Not Supported")
        }
        (_, path) if path != b"/metrics" => Answer::Refusal("404 Not Found"),
        (b"GET", _) => Answer::Metrics { body: true },
        (b"HEAD", _) => Answer::Metrics { body: false },
        _ => Answer::Refusal("405 Method Not Allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_answered() {
        let long = [b"GET /metrics HTTP/1.1\r\nA: ".as_slice(), &[b'a'; REQUEST_BYTES]].concat();
        for (request, answer) in [
            (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), Answer::Metrics { body: true }),
            (b"GET /metrics?x=1 HTTP/1.0\n\n", Answer::Metrics { body: true }),
            (b"HEAD /metrics HTTP/1.1\r\n\r\n", Answer::Metrics { body: false }),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Answer::Refusal("405 Method Not Allowed")),
            (b"GET /../metrics HTTP/1.1\r\n\r\n", Answer::Refusal("404 Not Found")),
            (b"GET / HTTP/1.1\r\n\r\n", Answer::Refusal("404 Not Found")),
            (b"PRI * HTTP/2.0\r\n\r\n", Answer::Refusal("505 HTTP Version Not Supported")),
            (b"\xff\0\r\n\r\n", Answer::Refusal("400 Bad Request")),
            (b"", Answer::Refusal("400 Bad Request")),
            (&long, Answer::Refusal("431 Request Header Fields Too Large")),
        ] {
            assert_eq!(judge(request), answer, "{}", request.escape_ascii());
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_left_alone() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let path = dir.path().join("socket");
        drop(UnixListener::bind(&path).expect("a stale socket"));
        let (listener, bound) = bind(&path).expect("bound");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(bind(&path).expect_err("somebody answers").exit, Exit::Busy);
        drop((listener, bound));
        assert!(!path.exists());
        fs::write(&path, "a file").expect("a file");
        assert_eq!(bind(&path).expect_err("a file").exit, Exit::Io);
        assert!(path.exists());
    }
}
