//! A process outside of the scope, `guest serve`, which no rule binds: it opens, holds and changes what a way asks for. One
//! request is one message with words; the answer is words and descriptors.

use super::raw::{self, Map};
use super::{CONTENT, NOT_READY, errno, setup};
use nix::libc::MAP_SHARED;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode, OFlags, XattrFlags, openat, setxattr, sync};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, connect, listen,
    recvmsg, sendmsg, socket_with,
};
use rustix::thread::gettid;
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::process::ExitCode;

const SOCKET: &str = "/run/surface.sock";
/// More than a message has.
const FILES: usize = 8;

/// A message, in either direction.
#[derive(Default)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) files: Vec<OwnedFd>,
}

impl Message {
    /// The word at a position, as a number.
    pub(super) fn number<T: std::str::FromStr>(&self, position: usize) -> io::Result<T> {
        let word = self.text.split(' ').nth(position).and_then(|word| word.parse().ok());
        word.ok_or_else(|| errno(NOT_READY))
    }
}

/// A connection to the server, which holds for its end of it what was asked for.
pub(super) struct Outside(OwnedFd);

impl Outside {
    pub(super) fn connect() -> io::Result<Self> {
        let socket = endpoint()?;
        setup(connect(&socket, &SocketAddrUnix::new(SOCKET)?))?;
        Ok(Self(socket))
    }

    /// Asks for something. A descriptor that is missing from the answer was taken out of it by the kernel.
    pub(super) fn ask(&self, request: &str) -> io::Result<Message> {
        self.ask_with(request, &[])
    }

    pub(super) fn ask_with(&self, request: &str, files: &[BorrowedFd<'_>]) -> io::Result<Message> {
        setup(send(&self.0, request, files))?;
        let answer = setup(receive(&self.0))?;
        match answer.text.strip_prefix("error ") {
            Some(error) => {
                Err(io::Error::other(format!("the server outside cannot do '{request}': {error}")))
            }
            None => Ok(answer),
        }
    }
}

fn endpoint() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

fn send(socket: &OwnedFd, text: &str, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(files));
    }
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> io::Result<Message> {
    let (mut text, mut room) = ([0; 1024], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))]);
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            files.extend(rights);
        }
    }
    let text = text.get(..message.bytes).unwrap_or_default();
    Ok(Message { text: String::from_utf8_lossy(text).into_owned(), files })
}

/// The server.
pub(crate) fn serve() -> ExitCode {
    match listening() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("guest serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listening() -> io::Result<std::convert::Infallible> {
    let _ = fs::remove_file(SOCKET);
    let socket = endpoint()?;
    bind(&socket, &SocketAddrUnix::new(SOCKET)?)?;
    listen(&socket, 8)?;
    io::stdout().write_all(b"ready\n")?;
    loop {
        let connection = accept(&socket)?;
        // A thread each: what it changes for itself, and what it holds, ends with the connection.
        std::thread::spawn(move || connected(&connection));
    }
}

fn connected(connection: &OwnedFd) -> io::Result<()> {
    let mut held = Vec::new();
    loop {
        let request = receive(connection)?;
        if request.text.is_empty() {
            return Ok(());
        }
        let answer = answer(request, &mut held)
            .unwrap_or_else(|error| Message { text: format!("error {error}"), files: Vec::new() });
        let files: Vec<_> = answer.files.iter().map(OwnedFd::as_fd).collect();
        send(connection, &answer.text, &files)?;
    }
}

/// What is held for a way.
#[expect(dead_code, reason = "it is there to be there")]
enum Held {
    File(OwnedFd),
    Map(Map),
    Content(Vec<u8>),
}

fn answer(request: Message, held: &mut Vec<Held>) -> io::Result<Message> {
    let words: Vec<&str> = request.text.split(' ').collect();
    let text = |text: String| Ok(Message { text, files: Vec::new() });
    let done = || text("done".to_owned());
    let files = |files| Ok(Message { text: "here".to_owned(), files });
    let me = std::process::id();
    match words.as_slice() {
        ["pass", flags, path] => files(vec![opened(path, flags)?]),
        ["pass-between", path, other] => {
            files(vec![opened(other, "read")?, opened(path, "read")?, opened(other, "read")?])
        }
        ["hold", path] => {
            let file = opened(path, "read")?;
            let number = file.as_raw_fd();
            held.push(Held::File(file));
            text(format!("{me} {number}"))
        }
        ["map", path] => {
            let map = Map::new(opened(path, "read")?, CONTENT.len(), MAP_SHARED)?;
            let start = map.start();
            held.push(Held::Map(map));
            text(format!("{me} {start}"))
        }
        ["remember", path] => {
            let content = fs::read(path)?;
            let start = content.as_ptr().addr();
            held.push(Held::Content(content));
            text(format!("{me} {start}"))
        }
        ["go-to", path] => {
            unshare(CloneFlags::CLONE_FS)?;
            std::env::set_current_dir(path)?;
            text(gettid().as_raw_nonzero().to_string())
        }
        ["mounts", path] => {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            fs::create_dir_all(format!("{path}/view"))?;
            mount_bind(*path, format!("{path}/view"))?;
            files(vec![File::open(format!("/proc/self/task/{}/ns/mnt", gettid().as_raw_nonzero()))?.into()])
        }
        ["rename", from, to] => fs::rename(from, to).and_then(|()| done()),
        ["remove", path] => fs::remove_file(path).and_then(|()| done()),
        ["create", path] => fs::write(path, CONTENT).and_then(|()| done()),
        ["attribute", path, name] => {
            setxattr(*path, *name, &super::write::value(name), XattrFlags::empty())?;
            done()
        }
        ["swap-space", path] => super::write::make_swap_space(path).and_then(|()| done()),
        ["block", path] => {
            sync();
            text(raw::first_block(&File::open(path)?)?.to_string())
        }
        ["move", pid] => fs::write("/sys/fs/cgroup/cgroup.procs", pid).and_then(|()| done()),
        ["add", path] => {
            let file = File::from(opened(path, "read")?);
            let listener = request.files.into_iter().next().ok_or_else(|| errno(NOT_READY))?;
            std::thread::spawn(move || raw::answer(&listener, &file));
            done()
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn opened(path: &str, flags: &str) -> io::Result<OwnedFd> {
    let flags = match flags {
        "write" => OFlags::WRONLY | OFlags::APPEND,
        "path" => OFlags::PATH,
        _ => OFlags::RDONLY,
    };
    Ok(openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())?)
}
