//! The trials. Each loads, attaches or opens something small, looks at what happens, and undoes it.

use std::{
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    path::Path,
};

use aya_obj::generated::{bpf_attach_type, bpf_insn, bpf_prog_type};

use super::{Answer, Answers, Capabilities, Kernel, Probe, Why};
use crate::{
    abi,
    sys::bpf::{self, MapSpec, ProgramSpec},
};

/// `bpf_get_current_pid_tgid`, include/uapi/linux/bpf.h
const GET_CURRENT_PID_TGID: i32 = 14;

/// As large as the one for events: a limit on locked memory refuses large ones only.
const RINGBUF_BYTES: u32 = abi::EVENT_MIB * 1024 * 1024;

const LSM_TARGET: &str = "bpf_lsm_file_open";
const FMOD_RET_TARGET: &str = "security_file_open";

/// Answers one probe, given the answers so far.
pub(super) fn answer(
    kernel: &Kernel,
    probe: Probe,
    bpffs: &Path,
    capabilities: Capabilities,
    so_far: &Answers,
) -> Answer {
    if let Some(need) = probe.builds_on().iter().find(|need| so_far.get(need) != Some(&Answer::Yes)) {
        return Answer::Unknown(Why::After(*need));
    }
    let result = match probe {
        Probe::BpfMap => create_map("creating a BPF map", bpf::kind::HASH, 4, 1).map(drop),
        Probe::BpfRingbuf => {
            create_map("creating a BPF ring buffer", bpf::kind::RINGBUF, 0, RINGBUF_BYTES).map(drop)
        }
        Probe::BpfIdentity => {
            kernel.identity().map(drop).map_err(|error| refused("running a BPF program once", &error))
        }
        Probe::Bpffs => return bpffs_usable(bpffs),
        Probe::BtfVmlinux => return btf_readable(kernel),
        Probe::LsmLoad => load(kernel, Place::Lsm, &nothing()).map(drop),
        Probe::FmodRetLoad => load(kernel, Place::FmodRet, &nothing()).map(drop),
        Probe::LsmEffect => return effect(kernel, Place::Lsm),
        Probe::FmodRetEffect => return effect(kernel, Place::FmodRet),
        Probe::RawTracepointLoad => load(kernel, Place::RawTracepoint, &nothing()).map(drop),
        Probe::RawTracepointAttach => attach_tracepoint(kernel),
    };
    match result {
        Ok(()) => Answer::Yes,
        Err(Why::Refused { errno: libc::EPERM, .. }) if capabilities.missing_for_programs().is_some() => {
            let capability = capabilities.missing_for_programs().unwrap_or("CAP_BPF");
            Answer::Unknown(Why::Unprivileged { capability })
        }
        Err(Why::Refused { errno: libc::EPERM, .. }) if super::memory_is_limited() => {
            Answer::Unknown(Why::Unprivileged { capability: "CAP_SYS_RESOURCE, or LimitMEMLOCK=infinity" })
        }
        Err(why) => Answer::No(why),
    }
}

fn refused(what: &'static str, error: &io::Error) -> Why {
    Why::Refused { what, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

fn create_map(what: &'static str, kind: u32, element: u32, max_entries: u32) -> Result<OwnedFd, Why> {
    let spec = MapSpec {
        name: "aegis_trial",
        kind,
        key_size: element,
        value_size: element,
        max_entries,
        flags: 0,
        inner: None,
    };
    bpf::map_create(&spec).map_err(|error| refused(what, &error))
}

/// statfs(2) magic of a BPF file system, include/uapi/linux/magic.h
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// What it takes to pin in a directory that belongs to somebody else.
const NO_BPFFS: &str = "CAP_DAC_OVERRIDE, or a BPF file system of its own (--bpffs)";

fn bpffs_usable(path: &Path) -> Answer {
    let shown = path.display().to_string();
    match rustix::fs::statfs(path) {
        Err(errno) => Answer::No(Why::Unreadable { path: shown, errno: errno.raw_os_error() }),
        Ok(stat) if stat.f_type != BPF_FS_MAGIC => Answer::No(Why::NotBpffs { path: shown }),
        Ok(_) => match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
            Ok(()) => Answer::Yes,
            Err(rustix::io::Errno::ACCESS) => Answer::Unknown(Why::Unprivileged { capability: NO_BPFFS }),
            Err(errno) => Answer::No(Why::Unreadable { path: shown, errno: errno.raw_os_error() }),
        },
    }
}

fn btf_readable(kernel: &Kernel) -> Answer {
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    if let Err(error) = fs::metadata(PATH) {
        return Answer::No(Why::Unreadable {
            path: PATH.to_owned(),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        });
    }
    match kernel.btf() {
        Ok(_) => Answer::Yes,
        Err(_) => Answer::No(Why::Malformed { path: PATH.to_owned() }),
    }
}

/// Where a trial program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Lsm,
    FmodRet,
    RawTracepoint,
}

impl Place {
    fn what(self) -> &'static str {
        match self {
            Self::Lsm => "loading a BPF LSM program",
            Self::FmodRet => "loading a modify-return program",
            Self::RawTracepoint => "loading a raw tracepoint program",
        }
    }
}

fn load(kernel: &Kernel, place: Place, instructions: &[bpf_insn]) -> Result<OwnedFd, Why> {
    let what = place.what();
    let (kind, attach, target) = match place {
        Place::Lsm => {
            (bpf_prog_type::BPF_PROG_TYPE_LSM, Some(bpf_attach_type::BPF_LSM_MAC), Some(LSM_TARGET))
        }
        Place::FmodRet => (
            bpf_prog_type::BPF_PROG_TYPE_TRACING,
            Some(bpf_attach_type::BPF_MODIFY_RETURN),
            Some(FMOD_RET_TARGET),
        ),
        Place::RawTracepoint => (bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, None, None),
    };
    let attach_btf_id = match target {
        None => 0,
        // Without the function the kernel would answer ENOENT as well.
        Some(target) => {
            kernel.function(target).ok().flatten().ok_or(Why::Refused { what, errno: libc::ENOENT })?
        }
    };
    let spec =
        ProgramSpec { name: "aegis_trial", kind, attach, attach_btf_id, instructions, functions: None };
    bpf::program_load(&spec).map_err(|error| refused(what, &error.source))
}

fn attach_tracepoint(kernel: &Kernel) -> Result<(), Why> {
    let program = load(kernel, Place::RawTracepoint, &nothing())?;
    // sys_exit is what the tier uses; a program that does nothing, for the length of one call.
    bpf::raw_tracepoint_open(Some(c"sys_exit"), program.as_fd())
        .map(drop)
        .map_err(|error| refused("attaching a raw tracepoint program", &error))
}

/// Attaches a program that refuses the opens of this very thread and of nobody else, and opens something. Then it refuses
/// nobody's.
fn effect(kernel: &Kernel, place: Place) -> Answer {
    match try_effect(kernel, place) {
        Ok(true) => Answer::Yes,
        Ok(false) => Answer::No(Why::NotCalled),
        Err(why) => Answer::No(why),
    }
}

fn try_effect(kernel: &Kernel, place: Place) -> Result<bool, Why> {
    let tid = kernel
        .identity()
        .and_then(Identity::of_this_thread)
        .map_err(|error| refused("running a BPF program once", &error))?;
    let thread = create_map("creating a BPF map", bpf::kind::ARRAY, 4, 1)?;
    let program = load(kernel, place, &refuse_thread(thread.as_raw_fd()))?;
    let link = bpf::raw_tracepoint_open(None, program.as_fd())
        .map_err(|error| refused("attaching the program", &error))?;
    let bind = |tid: u32| {
        bpf::map_update(thread.as_fd(), &0_u32.to_ne_bytes(), &tid.to_ne_bytes(), 0)
            .map_err(|error| refused("filling a BPF map", &error))
    };
    bind(tid)?;
    let opened = fs::File::open("/");
    bind(0)?;
    kernel.detach_later(link);
    match opened {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(true),
        Err(error) => Err(refused("opening /", &error)),
    }
}

/// Tells how the first pid namespace numbers the calling thread: what BPF programs see, whatever namespace we are in.
#[derive(Debug)]
pub struct Identity {
    program: OwnedFd,
}

impl Identity {
    /// Loads the program.
    pub fn load() -> io::Result<Self> {
        let instructions = [call(GET_CURRENT_PID_TGID), exit()];
        let spec = ProgramSpec {
            name: "aegis_whoami",
            kind: bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT,
            attach: None,
            attach_btf_id: 0,
            instructions: &instructions,
            functions: None,
        };
        bpf::program_load(&spec).map(|program| Self { program }).map_err(|error| error.source)
    }

    /// Thread id of the caller; of a process with one thread, also its process id.
    pub fn of_this_thread(&self) -> io::Result<u32> {
        bpf::raw_tracepoint_run(self.program.as_fd(), &[])
    }

    /// The program, for a child that asks for itself.
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

fn instruction(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> bpf_insn {
    bpf_insn { code, _bitfield_1: bpf_insn::new_bitfield_1(dst, src), off, imm }
}

fn set_result(value: i32) -> bpf_insn {
    instruction(0xb7, 0, 0, 0, value)
}

fn exit() -> bpf_insn {
    instruction(0x95, 0, 0, 0, 0)
}

fn call(helper: i32) -> bpf_insn {
    instruction(0x85, 0, 0, 0, helper)
}

fn nothing() -> [bpf_insn; 2] {
    [set_result(0), exit()]
}

/// The thread whose id is the first value of a map.
fn refuse_thread(map: RawFd) -> [bpf_insn; 10] {
    [
        call(GET_CURRENT_PID_TGID),
        // w0 = w0: keep the thread id, drop the process id above it.
        instruction(0xbc, 0, 0, 0, 0),
        // r1 = address of the value (BPF_PSEUDO_MAP_VALUE, include/uapi/linux/bpf.h), in two parts
        instruction(0x18, 1, 2, 0, map),
        instruction(0, 0, 0, 0, 0),
        // r1 = *(u32 *)r1
        instruction(0x61, 1, 1, 0, 0),
        // if r0 != r1 goto +2
        instruction(0x5d, 0, 1, 2, 0),
        set_result(-libc::EPERM),
        exit(),
        set_result(0),
        exit(),
    ]
}
