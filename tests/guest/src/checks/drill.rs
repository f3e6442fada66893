//! The drill of a taken-over agent: a twin of the agent, held back as it is, tries what `guest::ATTEMPTS` lists. A twin of a
//! process that nothing holds back tries the same, and gets through.

use super::agent::{Agent, ends};
use super::ledger::Own;
use super::sandbox::pid;
use super::{Check, CheckError, Ctx};
use crate::run::{Background, Cmd};
use crate::twin::{Answer, Original, Twin};
use guest::{ATTEMPTS, Arg, Attempt, By};
use nix::libc;
use nix::sys::signal::Signal;
use std::io;
use std::sync::{Mutex, PoisonError};

/// One check an attempt.
pub(super) fn checks() -> Vec<Check> {
    all().map(|attempt| Check { id: attempt.id, run: |ctx| attempted(ctx) }).collect()
}

fn all() -> impl Iterator<Item = &'static Attempt> {
    ATTEMPTS.iter().flat_map(|(_, attempts)| attempts.iter())
}

/// The agent that all attempts share, because a twin leaves it unharmed, and a process without a sandbox.
struct Stage {
    agent: u32,
    free: u32,
    landlock: u32,
    _agent: Agent,
    _free: Background,
}

static STAGE: Mutex<Option<Result<Stage, String>>> = Mutex::new(None);

/// What the attempts are about.
const SCENE: &str = "umount /tmp/drill/dir 2>/dev/null; rm -rf /tmp/drill && mkdir -p /tmp/drill/dir && echo x >/tmp/drill/file \
    && { [ -e /etc/shadow ] || echo 'root:*::' >/etc/shadow; }";

fn attempted(ctx: &Ctx) -> Result<(), CheckError> {
    let attempt = all().find(|attempt| attempt.id == ctx.running);
    let attempt = attempt.ok_or_else(|| differs("the attempt", "one", ctx.running))?;
    let mut stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = stage.get_or_insert_with(|| Stage::set().map_err(|error| crate::row::chain(&error)));
    let stage = stage.as_ref().map_err(|error| differs("the stage", "set", error))?;
    let tried = |pid, filtered| {
        ends(&Cmd::sh(SCENE), 0)?;
        tried(attempt, pid, filtered).map_err(traced)
    };
    let by_landlock = match attempt.by {
        By::Filter | By::Privilege => None,
        By::Both(abi) | By::Landlock(abi) => Some(stage.landlock >= abi),
    };
    let held_back = matches!(attempt.by, By::Landlock(_));
    let got = tried(stage.agent, true)?;
    let fine = match attempt.by {
        By::Landlock(_) if by_landlock == Some(false) => got_through(attempt, got),
        By::Landlock(_) | By::Privilege => is_refused(got),
        _ => got == Answer::Killed(Signal::SIGSYS),
    };
    require(fine, "the agent's attempt", attempt, &got)?;
    if by_landlock == Some(true) && !held_back {
        let got = tried(stage.agent, false)?;
        require(is_refused(got), "the attempt without the filter", attempt, &got)?;
    }
    let free = tried(stage.free, true)?;
    require(got_through(attempt, free), "the attempt of a process without a sandbox", attempt, &free)
}

impl Stage {
    fn set() -> Result<Self, CheckError> {
        let own = Own::new()?;
        let agent = own.start(1)?;
        let pid = pid(&own)?;
        // Before v5.11 a map counts against the limit.
        let free = Cmd::sh("ulimit -l unlimited && exec sleep 100000").spawn()?;
        let landlock = landlock(free.pid()).map_err(traced)?;
        Ok(Self { agent: pid, free: free.pid(), landlock, _agent: agent, _free: free })
    }
}

/// The Landlock ABI of this kernel, as it says itself.
pub(super) fn landlock(pid: u32) -> io::Result<u32> {
    const VERSION: u64 = 1;
    let answer = Original::stop(pid)?
        .twin(true)?
        .call(libc::SYS_landlock_create_ruleset, &[0, 0, VERSION, 0, 0, 0])?;
    match answer {
        Answer::Result(abi) => u32::try_from(abi).map_err(io::Error::other),
        Answer::Errno(libc::ENOSYS | libc::EOPNOTSUPP) => Ok(0),
        other => Err(io::Error::other(format!("the Landlock ABI: {other:?}"))),
    }
}

/// Lets a twin of a process try, and says what came of the last call that it got to.
fn tried(attempt: &Attempt, pid: u32, filtered: bool) -> io::Result<Answer> {
    let mut twin = Original::stop(pid)?.twin(filtered)?;
    let mut last = 0;
    let mut answer = Answer::Hangs;
    for step in attempt.steps {
        let arguments = arguments(&twin, step.1, last)?;
        answer = twin.call(step.0, &arguments)?;
        match answer {
            Answer::Result(result) => last = result.cast_unsigned(),
            _ => break,
        }
    }
    Ok(answer)
}

fn arguments(twin: &Twin, args: &[Arg], last: u64) -> io::Result<[u64; 6]> {
    let mut arguments = [0; 6];
    for ((index, arg), place) in (0_u64..).zip(args).zip(&mut arguments) {
        let offset = index * 256;
        *place = match arg {
            Arg::N(number) => *number,
            Arg::Last => last,
            Arg::Text(text) => twin.put(offset, &[text.as_bytes(), &[0]].concat())?,
            Arg::Bytes(bytes) => twin.put(offset, bytes)?,
            Arg::Room(size) => twin.put(offset, &vec![0; *size])?,
        };
    }
    Ok(arguments)
}

fn is_refused(answer: Answer) -> bool {
    matches!(answer, Answer::Errno(libc::EACCES | libc::EPERM))
}

fn got_through(attempt: &Attempt, answer: Answer) -> bool {
    match answer {
        Answer::Result(_) => true,
        Answer::Errno(errno) => attempt.through.contains(&errno),
        _ => false,
    }
}

fn require(fine: bool, what: &'static str, attempt: &Attempt, got: &Answer) -> Result<(), CheckError> {
    if fine { Ok(()) } else { Err(differs(what, &format!("{:?}", attempt.by), &format!("{got:?}"))) }
}

pub(super) fn differs(what: &'static str, want: &str, got: &str) -> CheckError {
    CheckError::Differs { what, want: want.to_owned(), got: got.to_owned() }
}

pub(super) fn traced(source: io::Error) -> CheckError {
    CheckError::File { path: "ptrace".into(), source }
}
