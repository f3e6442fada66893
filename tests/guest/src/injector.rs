//! Lets a command run whose bpf(2) calls for chosen programs fail: the binary is the released one, and the kernel's
//! answer is what is changed, on its way back.
//!
//! `guest inject STEP NAMES ERRNO PROGRAM ARGS…`: STEP is `load` or `attach`, NAMES are joined by commas. Says on standard
//! error how many calls failed, and ends as the command does.

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitCode};

/// `enum bpf_cmd` (`include/uapi/linux/bpf.h`).
const PROG_LOAD: u64 = 5;
const RAW_TRACEPOINT_OPEN: u64 = 17;
const BTF_LOAD: u64 = 18;
const LINK_CREATE: u64 = 28;

/// Where `union bpf_attr` has what is looked at.
mod at {
    pub(super) const PROG_NAME: usize = 48;
    pub(super) const FUNC_INFO: usize = 80;
    pub(super) const FUNC_INFO_CNT: usize = 88;
    pub(super) const TRACEPOINT_PROG_FD: usize = 8;
    pub(super) const LINK_PROG_FD: usize = 0;
    pub(super) const BTF: usize = 0;
    pub(super) const BTF_SIZE: usize = 16;
}

/// Runs the command.
pub(crate) fn main(args: &[&str]) -> ExitCode {
    let [step, names, errno, command @ ..] = args else { return ExitCode::from(64) };
    let errno = errno.parse().unwrap_or(libc::EPERM);
    let names = names.split(',').map(str::to_owned).collect();
    match Injector::start(command, *step == "attach", names, errno).and_then(Injector::run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("inject: {error}");
            ExitCode::from(255)
        }
    }
}

struct Injector {
    child: Child,
    pid: Pid,
    memory: std::fs::File,
    attaches: bool,
    names: Vec<String>,
    errno: i32,
    /// Names of the types that were loaded last, by id.
    types: Vec<String>,
    /// Programs by descriptor.
    programs: BTreeMap<u32, String>,
    failed: usize,
}

/// What to do when a call comes back.
enum Then {
    Nothing,
    /// It was kept from the kernel, and answers this.
    Fail,
    /// A program by that name was loaded.
    Loaded(String),
}

impl Injector {
    fn start(command: &[&str], attaches: bool, names: Vec<String>, errno: i32) -> io::Result<Self> {
        let me = std::env::current_exe()?;
        let child = Command::new(me).arg("traced").args(command).spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        // The exec stops it.
        if !matches!(waitpid(pid, None)?, WaitStatus::Stopped(..)) {
            return Err(io::Error::other("the command did not start"));
        }
        ptrace::setoptions(pid, Options::PTRACE_O_TRACESYSGOOD)?;
        let memory = std::fs::File::open(format!("/proc/{pid}/mem"))?;
        let (types, programs) = (Vec::new(), BTreeMap::new());
        Ok(Self { child, pid, memory, attaches, names, errno, types, programs, failed: 0 })
    }

    /// Until it locks itself down: all that is attached is attached by then.
    fn run(mut self) -> io::Result<u8> {
        let mut signal = None;
        let mut inside = None;
        loop {
            ptrace::syscall(self.pid, signal.take())?;
            match waitpid(self.pid, None)? {
                WaitStatus::PtraceSyscall(_) => match inside.take() {
                    Some(then) => self.leave(then)?,
                    None if self.locks_down()? => break,
                    None => inside = Some(self.enter()?),
                },
                WaitStatus::Stopped(_, other) => signal = Some(other),
                WaitStatus::Exited(_, code) => return Ok(self.end(code)),
                WaitStatus::Signaled(_, signal, _) => return Ok(self.end(128 + signal as i32)),
                _ => {}
            }
        }
        eprintln!("injected {}", self.failed);
        ptrace::detach(self.pid, None)?;
        let status = self.child.wait()?;
        Ok(u8::try_from(status.code().unwrap_or(128)).unwrap_or(255))
    }

    fn end(&self, code: i32) -> u8 {
        eprintln!("injected {}", self.failed);
        u8::try_from(code).unwrap_or(255)
    }

    fn locks_down(&self) -> io::Result<bool> {
        let registers = ptrace::getregs(self.pid)?;
        Ok(registers.orig_rax.cast_signed() == libc::SYS_prctl
            && registers.rdi == u64::from(libc::PR_SET_NO_NEW_PRIVS.unsigned_abs()))
    }

    /// Before the kernel sees a call.
    fn enter(&mut self) -> io::Result<Then> {
        let mut registers = ptrace::getregs(self.pid)?;
        if registers.orig_rax.cast_signed() != libc::SYS_bpf {
            return Ok(Then::Nothing);
        }
        let attr = registers.rsi;
        let (attaches, name) = match registers.rdi {
            BTF_LOAD => {
                let size = self.number(attr, at::BTF_SIZE)?;
                let bytes = self.bytes(self.address(attr, at::BTF)?, size as usize)?;
                self.types = type_names(&bytes).unwrap_or_default();
                return Ok(Then::Nothing);
            }
            PROG_LOAD => (false, Some(self.program_name(attr)?)),
            RAW_TRACEPOINT_OPEN => (true, self.program(attr, at::TRACEPOINT_PROG_FD)?),
            LINK_CREATE => (true, self.program(attr, at::LINK_PROG_FD)?),
            _ => return Ok(Then::Nothing),
        };
        let Some(name) = name else { return Ok(Then::Nothing) };
        if attaches == self.attaches && self.names.contains(&name) {
            // No call has this number, so the kernel does nothing.
            registers.orig_rax = u64::MAX;
            ptrace::setregs(self.pid, registers)?;
            self.failed += 1;
            return Ok(Then::Fail);
        }
        Ok(if attaches { Then::Nothing } else { Then::Loaded(name) })
    }

    fn leave(&mut self, then: Then) -> io::Result<()> {
        let mut registers = ptrace::getregs(self.pid)?;
        match then {
            Then::Nothing => {}
            Then::Fail => {
                registers.rax = (-i64::from(self.errno)).cast_unsigned();
                ptrace::setregs(self.pid, registers)?;
            }
            Then::Loaded(name) => {
                if let Ok(fd) = u32::try_from(registers.rax) {
                    self.programs.insert(fd, name);
                }
            }
        }
        Ok(())
    }

    fn program(&self, attr: u64, offset: usize) -> io::Result<Option<String>> {
        Ok(self.programs.get(&self.number(attr, offset)?).cloned())
    }

    /// The whole name, from the program's first function: the kernel keeps fifteen characters of the other one, which
    /// several programs share.
    fn program_name(&self, attr: u64) -> io::Result<String> {
        if self.number(attr, at::FUNC_INFO_CNT)? > 0 {
            // `struct bpf_func_info`: offset of the function, id of its type.
            let id = self.number(self.address(attr, at::FUNC_INFO)?, 4)?;
            if let Some(name) = self.types.get(id as usize) {
                return Ok(name.clone());
            }
        }
        let name = self.bytes(attr + at::PROG_NAME as u64, 16)?;
        Ok(until_nul(&name))
    }

    fn bytes(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    fn number(&self, address: u64, offset: usize) -> io::Result<u32> {
        let bytes = self.bytes(address + offset as u64, 4)?;
        Ok(word(&bytes, 0).unwrap_or(0))
    }

    fn address(&self, address: u64, offset: usize) -> io::Result<u64> {
        let low = self.number(address, offset)?;
        Ok(u64::from(self.number(address, offset + 4)?) << 32 | u64::from(low))
    }
}

fn until_nul(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// The name of each type of a BTF blob (`Documentation/bpf/btf.rst`), at its id; the first is void.
fn type_names(blob: &[u8]) -> Option<Vec<String>> {
    let header = word(blob, 4)? as usize;
    let part = |from: usize| {
        let start = header + word(blob, from)? as usize;
        blob.get(start..start + word(blob, from + 4)? as usize)
    };
    let (mut types, strings) = (part(8)?, part(16)?);
    let mut names = vec![String::new()];
    while !types.is_empty() {
        let (name, info) = (word(types, 0)? as usize, word(types, 4)?);
        names.push(until_nul(strings.get(name..)?));
        let members = (info & 0xffff) as usize;
        let more = match info >> 24 & 0x1f {
            1 | 14 | 17 => 4,                // an integer, a variable, a tag
            3 => 12,                         // an array
            4 | 5 | 15 | 19 => 12 * members, // a structure, a union, a section, a wide enumeration
            6 | 13 => 8 * members,           // an enumeration, the parameters of a function
            _ => 0,
        };
        types = types.get(12 + more..)?;
    }
    Some(names)
}
