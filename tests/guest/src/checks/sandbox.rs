//! The agent's sandbox: that its lists of system calls are what a whole life takes and no more, that every other call ends
//! it, that the next run explains such an end, and that it says how far the kernel closes it in.

use super::agent::{Agent, SOON, TELLING, at, contains, ends, json, readable, want};
use super::drill::{differs, landlock, traced};
use super::ledger::Own;
use super::{Check, CheckError};
use crate::calls::number;
use crate::follower::Seen;
use crate::report;
use crate::run::Cmd;
use crate::twin::{Answer, Original};
use guest::{AGENT, CallRule, Line, List, landlock_abi};
use nix::libc;
use nix::sys::signal::Signal;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::Duration;

pub(super) const CHECKS: [Check; 4] = [
    Check { id: "sandbox.whole-life", run: |_| whole_life() },
    Check { id: "sandbox.every-other-call-kills", run: |_| every_other_call() },
    Check { id: "sandbox.end-is-explained", run: |_| explained() },
    Check { id: "sandbox.level", run: |_| level() },
];

/// Where the follower writes what it saw.
const TRACE: &str = "/tmp/sandbox-trace.json";

/// One more than the newest number of a call that this was tried with.
const NUMBERS: i64 = 480;

/// Each rule is used, or says why it is seldom, and nothing is done that none allows: from the first event to the last.
fn whole_life() -> Result<(), CheckError> {
    let own = Own::new()?;
    ends(&own.sh("mount -t tmpfs -o size=256k,mode=0700 tmpfs DIR/state"), 0)?;
    let manager = listen()?;
    let file = format!("{}/v1.conf", own.place.dir);
    let run = ["--enforce", "--lsm-hook", "both", "--proof-interval", "5s", "--policy", &file];
    let follow = Cmd::new("/init").args(["follow", TRACE, AGENT]).args(TELLING).args(run).args(own.dirs());
    let mut follower = follow.env("NOTIFY_SOCKET", "@aegisbpf-drill").spawn()?;
    follower.wait_for("\"type\":\"state_change\"", SOON)?;
    let pid = pid(&own)?;
    lived(&own, pid)?;
    // What the agent said meanwhile: a socket that nobody reads takes ten messages, and no more.
    drop(heard(&manager));
    ends(&Cmd::sh(&format!("kill -TERM {pid}")), 0)?;
    let outcome = follower.wait(SOON)?;
    ends(&own.sh("umount DIR/state"), 0)?;
    ends(&Cmd::new(AGENT).args(["detach"]), 0)?;
    want("it stops as it should", outcome.code() == 0, true)?;
    contains("what the manager hears", &heard(&manager), "STOPPING=1")?;
    let seen: Seen = fs::read(TRACE)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(|source| CheckError::File { path: TRACE.into(), source })?;
    let missing: Vec<&str> = seen.missing.iter().map(String::as_str).collect();
    let unused = List::ALL.iter().map(|list| unused(*list, &seen)).collect::<Result<Vec<_>, _>>()?.concat();
    report::send(&Line::Note(format!(
        "calls behind the filters {:?}, by {} threads",
        seen.calls, seen.threads
    )));
    if missing.is_empty() && unused.is_empty() {
        return Ok(());
    }
    Err(differs("the lists", "what is used", &format!("not allowed: {missing:#?}; not used: {unused:#?}")))
}

fn listen() -> Result<UnixDatagram, CheckError> {
    let socket =
        SocketAddr::from_abstract_name("aegisbpf-drill").and_then(|name| UnixDatagram::bind_addr(&name));
    let socket = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    socket.map_err(|source| CheckError::File { path: "@aegisbpf-drill".into(), source })
}

fn heard(manager: &UnixDatagram) -> String {
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    while let Ok(size) = manager.recv(&mut bytes) {
        text.push_str(&String::from_utf8_lossy(bytes.get(..size).unwrap_or_default()));
        text.push('\n');
    }
    text
}

/// Whom `status` names.
pub(super) fn pid(own: &Own) -> Result<u32, CheckError> {
    let status = json(&own.ends(&["status", "--json"], 0)?.stdout)?;
    let pid = status.pointer("/agent/pid").and_then(|pid| u32::try_from(pid.as_u64()?).ok());
    pid.ok_or_else(|| differs("the agent", "a process", &status.to_string()))
}

/// What an agent lives through: events, a flood of them, proofs, each change of policy, break-glass by file and by
/// command, a log that another writer holds and one that has no room, a stop and going on.
fn lived(own: &Own, pid: u32) -> Result<(), CheckError> {
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    want("denied", (0..3000).all(|_| fs::File::open(&own.place.secret).is_err()), true)?;
    let file = |version: u32| format!("{}/v{version}.conf", own.place.dir);
    own.ends(&["policy", "apply", &file(2)], 0)?;
    thread::sleep(Duration::from_secs(2));
    own.ends(&["policy", "rollback"], 0)?;
    own.ends(&["policy", "apply", &file(3), "--confirm-within", "3s"], 0)?;
    thread::sleep(Duration::from_secs(6));
    own.ends(&["break-glass", "on", "--reason", "a life"], 0)?;
    thread::sleep(Duration::from_secs(1));
    own.ends(&["break-glass", "off", "--reason", "a life"], 0)?;
    let lock = hold(own)?;
    ends(&own.sh("touch DIR/etc/break_glass; sleep 3"), 0)?;
    drop(lock);
    thread::sleep(Duration::from_secs(2));
    ends(&Cmd::sh(&format!("kill -STOP {pid}; sleep 1; kill -CONT {pid}")), 0)?;
    // Room for less than an entry: the last page of the log is full but for some bytes.
    let full = "dd if=/dev/zero of=DIR/state/fill bs=4096 2>/dev/null; n=$(stat -c %s DIR/state/audit.log); \
        room=$((4096 - n % 4096 - 100)); [ $room -le 0 ] || head -c $room /dev/zero >>DIR/state/audit.log; \
        rm DIR/etc/break_glass; sleep 3; rm DIR/state/fill; sleep 2";
    ends(&own.sh(full), 0).map(drop)
}

/// Keeps other writers of the audit log waiting.
fn hold(own: &Own) -> Result<fs::File, CheckError> {
    let path = format!("{}/state/audit.lock", own.place.dir);
    let failed = |source| CheckError::File { path: path.clone().into(), source };
    let lock = fs::File::open(&path).map_err(failed)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
    Ok(lock)
}

/// Rules that nobody used, and that do not say why.
fn unused(list: List, seen: &Seen) -> Result<Vec<String>, CheckError> {
    let used = seen.used.get(list.word()).cloned().unwrap_or_default();
    let rules = rules(list)?.iter().enumerate();
    let unused =
        rules.filter(|(index, rule)| rule.is_here() && rule.seldom.is_none() && !used.contains(index));
    Ok(unused.map(|(_, rule)| format!("{}: {}", list.word(), rule.text())).collect())
}

fn rules(list: List) -> Result<&'static [CallRule], CheckError> {
    list.rules().map_err(|error| differs("the list", "one", error))
}

/// Twins of the helper and of each thread of the agent make every call there is, and calls that differ from an allowed one
/// in one argument.
fn every_other_call() -> Result<(), CheckError> {
    let own = Own::new()?;
    let _agent = own.start(1)?;
    let pid = pid(&own)?;
    let task = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&task).map_err(|source| CheckError::File { path: task.into(), source })?;
    let threads: Vec<u32> =
        threads.filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse().ok()).collect();
    want("more than one thread", threads.len() > 1, true)?;
    let children = ends(&Cmd::sh(&format!("cat /proc/{pid}/task/*/children")), 0)?.stdout;
    let helper: u32 = children.trim().parse().map_err(|_| differs("the helper", "one", &children))?;
    let mut wrong = Vec::new();
    for (thread, list) in threads.iter().map(|thread| (*thread, List::Agent)).chain([(helper, List::Helper)])
    {
        let calls = calls(list)?;
        let original = Original::stop(thread).map_err(traced)?;
        wrong.extend(made(&original, list, &calls).map_err(traced)?);
        want("calls that kill", calls.iter().filter(|call| !call.allowed).count() > 400, true)?;
    }
    let free = Cmd::new("/bin/busybox").args(["sleep", "100000"]).spawn()?;
    let unfiltered = Original::stop(free.pid()).map_err(traced)?;
    let harmless = unfiltered.twin(true).and_then(|mut twin| twin.legacy_call(20)).map_err(traced)?;
    want("a call of 32 bits, without a filter", matches!(harmless, Answer::Result(_)), true)?;
    if wrong.is_empty() { Ok(()) } else { Err(differs("calls", "as the lists say", &format!("{wrong:#?}"))) }
}

/// A call to make, and what is to come of it.
struct Call {
    number: i64,
    arguments: [u64; 6],
    allowed: bool,
}

fn calls(list: List) -> Result<Vec<Call>, CheckError> {
    let rules: Vec<&CallRule> = rules(list)?.iter().filter(|rule| rule.is_here()).collect();
    let call = |number, arguments: [u64; 6]| {
        let allows =
            |rule: &&&CallRule| crate::calls::number(&rule.call) == Some(number) && rule.allows(&arguments);
        Call { number, arguments, allowed: rules.iter().any(|rule| allows(&rule)) }
    };
    let mut calls: Vec<Call> = (0..NUMBERS).map(|number| call(number, [0; 6])).collect();
    // The numbers of x32, by which a filter of numbers alone was passed more than once.
    calls.extend((0..NUMBERS).step_by(20).map(|number| call(number | 0x4000_0000, [0; 6])));
    for rule in rules.iter().filter(|rule| !rule.when.is_empty()) {
        let Some(number) = number(&rule.call) else { continue };
        let mut example = [0; 6];
        for when in &rule.when {
            put(&mut example, when.argument, when.example());
        }
        calls.push(call(number, example));
        for when in &rule.when {
            let mut other = example;
            put(&mut other, when.argument, when.against());
            calls.push(call(number, other));
        }
    }
    Ok(calls)
}

fn put(arguments: &mut [u64; 6], index: usize, value: u64) {
    if let Some(argument) = arguments.get_mut(index) {
        *argument = value;
    }
}

/// The trampolines of the kernel for probes of programs, uretprobe and uprobe, are passed without a filter (kernel v6.14,
/// `cf6cb56ef244`): called from anywhere else they end the caller by SIGILL, or answer EPROTO, and do nothing.
fn is_killed(number: i64, answer: Answer) -> bool {
    const PROBES: std::ops::RangeInclusive<i64> = 335..=336;
    answer == Answer::Killed(Signal::SIGSYS)
        || PROBES.contains(&number)
            && matches!(answer, Answer::Killed(Signal::SIGILL) | Answer::Errno(libc::EPROTO))
}

/// Makes each call in a twin of its own, as what one leaves behind may end the next (`rt_sigreturn`); those that ended
/// otherwise than they should.
fn made(original: &Original, list: List, calls: &[Call]) -> std::io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for call in calls {
        let answer = original.twin(true)?.call(call.number, &call.arguments)?;
        if is_killed(call.number, answer) == call.allowed || answer == Answer::Hangs {
            wrong.push(format!(
                "{}: call {} with {:x?}: {answer:?}",
                list.word(),
                call.number,
                call.arguments
            ));
        }
    }
    let legacy = original.twin(true)?.legacy_call(20)?;
    if legacy != Answer::Killed(Signal::SIGSYS) {
        wrong.push(format!("{}: a call of 32 bits: {legacy:?}", list.word()));
    }
    Ok(wrong)
}

/// The agent itself makes a forbidden call. Enforcement stays, the kernel's log has it, and the next run says what happened.
fn explained() -> Result<(), CheckError> {
    let own = Own::new()?;
    let mut agent = own.start(1)?;
    let pid = pid(&own)?;
    let original = Original::stop(pid).map_err(traced)?;
    let socket = [libc::AF_INET, libc::SOCK_STREAM].map(|number| u64::from(number.unsigned_abs()));
    let answer = original.call(libc::SYS_socket, &[socket[0], socket[1], 0, 0, 0, 0]).map_err(traced)?;
    drop(original);
    want("killed", answer == Answer::Killed(Signal::SIGSYS), true)?;
    // Its end was waited for already.
    drop(agent.0.take());
    want("secret readable", readable(&own.place.secret, 0)?, false)?;
    let log = ends(&Cmd::new("/bin/busybox").args(["dmesg"]), 0)?.stdout;
    let line = log.lines().find(|line| line.contains("type=1326") && line.contains(&format!("pid={pid} ")));
    contains("the kernel's log", line.unwrap_or(&log), "sig=31")?;
    let mut next = own.start(1)?;
    let words = format!("the previous run (pid {pid}");
    contains("what it says", &next.process()?.stderr(), &words)?;
    next.event("state_change", &["healthy", &words, "type=1326"])?;
    let status = json(&own.ends(&["status", "--json"], 0)?.stdout)?;
    at(&status, "/status", &json!("healthy"))?;
    contains("the status", &status.to_string(), &words)?;
    let lost = own.entries()?.iter().filter(|entry| *entry == "run_lost done").count();
    want("one entry in the audit log", lost == 1, true)?;
    // A run that stopped is not lost.
    next.process()?.signal(rustix::process::Signal::TERM)?;
    if let Some(process) = next.0.take() {
        process.wait(SOON)?;
    }
    let mut third = own.start(1)?;
    want("nothing more to say", third.process()?.stderr().contains("the previous run"), false)?;
    own.sound()
}

/// What `status` says is what the kernel has, and each thread is bound.
fn level() -> Result<(), CheckError> {
    let own = Own::new()?;
    let _agent: Agent = own.start(1)?;
    let free = Cmd::new("/bin/busybox").args(["sleep", "100000"]).spawn()?;
    let abi = landlock(free.pid()).map_err(traced)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if landlock_abi(&release) != abi {
        return Err(differs("the ABI of this kernel", &landlock_abi(&release).to_string(), &abi.to_string()));
    }
    let status = json(&own.ends(&["status", "--json"], 0)?.stdout)?;
    let said = status.pointer("/sandbox").and_then(serde_json::Value::as_str).unwrap_or_default();
    let words = match abi {
        0 => "no landlock (not in this kernel)".to_owned(),
        1..10 => format!("landlock ABI {abi} of 10 (no say in "),
        _ => "landlock ABI 10 of 10,".to_owned(),
    };
    contains("the sandbox", said, &words)?;
    contains("the sandbox", said, "seccomp")?;
    let pid = pid(&own)?;
    let bound = format!(
        "for t in /proc/{pid}/task/* /proc/$(cat /proc/{pid}/task/*/children | tr -d ' ')/task/*; do \
         grep -q '^NoNewPrivs:.1$' $t/status && grep -q '^Seccomp:.2$' $t/status || echo $t; done"
    );
    want("threads without a filter", !ends(&Cmd::sh(&bound), 0)?.stdout.is_empty(), false)
}
