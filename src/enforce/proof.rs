//! Proof by effect: every enforcing hook is made to refuse a real operation on a canary, before the word "enforcing" is
//! used and again and again afterwards.
//!
//! The canary rule is part of the control block and binds one process at one hook, so nothing else on the host can meet
//! it, and a hook that does not work is not covered up by another that does.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::SystemTime,
};

use rustix::fs::StatVfsMountFlags;

use super::{EnforceError, Enroller};
use crate::{abi, kernel::Kernel, plan::Identity, sys::process::ExecProver, tier::Hook};

/// How one hook stood up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The operation worked without the rule and got `EPERM` with it.
    Refused,
    /// The operation was not refused: this hook does not enforce.
    Passed,
    /// The operation failed without any rule, so nothing was learnt.
    Inconclusive {
        /// The error number.
        errno: i32,
    },
}

/// The proof of one hook.
#[derive(Clone, Debug)]
pub struct HookProof {
    /// The hook.
    pub hook: &'static str,
    /// When it was put to the test.
    pub at: SystemTime,
    /// What happened.
    pub outcome: Outcome,
}

/// Canaries, their identities, and the child that tries to execute one.
#[derive(Debug)]
pub struct Prover {
    dir: PathBuf,
    file: PathBuf,
    file_id: Identity,
    program_id: Identity,
    child: ExecProver,
    pid: u32,
}

impl Prover {
    /// Makes the canaries in the first of `dirs` from which programs may be executed: `/run` is often `noexec`, and
    /// then an exec fails before any hook is asked. Call it while this process has one thread.
    pub fn new(kernel: &Kernel, enroller: &Enroller, dirs: &[&Path]) -> Result<Self, EnforceError> {
        let failed = |step| move |source| EnforceError::Proof { step, source };
        let dir = dirs.iter().find(|dir| executable(dir)).ok_or_else(|| {
            failed("every directory of ours is on a noexec mount")(io::Error::from_raw_os_error(libc::EACCES))
        })?;
        let dir = dir.join("canary");
        fs::create_dir_all(&dir).map_err(failed("making the canary directory"))?;
        let (file, program) = (dir.join("file"), dir.join("program"));
        // Neither ELF nor `#!`: the kernel asks its hooks and then answers ENOEXEC.
        for path in [&file, &program] {
            fs::write(path, "aegisbpf canary: made to be refused\n").map_err(failed("writing a canary"))?;
        }
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))
            .map_err(failed("marking a canary executable"))?;
        let identity = kernel.identity().map_err(failed("loading the identity program"))?;
        Ok(Self {
            file_id: enroller.inode(&file)?.0,
            program_id: enroller.inode(&program)?.0,
            child: ExecProver::start(&program, identity.program())
                .map_err(failed("starting the exec helper"))?,
            pid: identity.of_this_thread().map_err(failed("asking for this process's id"))?,
            dir,
            file,
        })
    }

    /// Puts each hook to the test. Takes microseconds a hook; nobody else is affected.
    pub fn prove(&mut self, control: &abi::Control, hooks: &[&'static Hook]) -> Vec<HookProof> {
        hooks
            .iter()
            .map(|hook| HookProof {
                hook: hook.name,
                outcome: self.test(control, hook.name),
                at: SystemTime::now(),
            })
            .collect()
    }

    fn test(&mut self, control: &abi::Control, hook: &str) -> Outcome {
        match hook {
            "file_open" => self.open(control, abi::HOOK_FILE_OPEN),
            "file_open_again" => self.open(control, abi::HOOK_FILE_OPEN_AGAIN),
            "bprm_check_security" => self.exec(control, abi::HOOK_BPRM_CHECK),
            "bprm_again" => self.exec(control, abi::HOOK_BPRM_CHECK_AGAIN),
            _ => Outcome::Inconclusive { errno: libc::ENOSYS },
        }
    }

    fn open(&self, control: &abi::Control, hook: u32) -> Outcome {
        outcome(control, hook, self.file_id, self.pid, 0, &mut || {
            fs::File::open(&self.file).map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |_| 0)
        })
    }

    fn exec(&mut self, control: &abi::Control, hook: u32) -> Outcome {
        let (id, pid) = (self.program_id, self.child.global_pid());
        let child = &mut self.child;
        outcome(control, hook, id, pid, libc::ENOEXEC, &mut || child.attempt().unwrap_or(libc::EPIPE))
    }
}

impl Drop for Prover {
    fn drop(&mut self) {
        // A failure leaves two small files in a directory of ours, which the next run overwrites.
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Runs `operation` without and with the canary rule. `free` is what it answers when no hook refuses.
fn outcome(
    control: &abi::Control,
    hook: u32,
    canary: Identity,
    pid: u32,
    free: i32,
    operation: &mut dyn FnMut() -> i32,
) -> Outcome {
    let before = operation();
    if before != free {
        return Outcome::Inconclusive { errno: before };
    }
    control.canary.ino.store(canary.inode.ino, Ordering::Release);
    control.canary.dev.store(canary.inode.dev, Ordering::Release);
    control.prover_tgid.store(pid, Ordering::Release);
    // Last, because it arms the rule.
    control.prover_hook.store(hook, Ordering::Release);
    let with_rule = operation();
    control.prover_hook.store(abi::HOOK_NONE, Ordering::Release);
    if with_rule == libc::EPERM { Outcome::Refused } else { Outcome::Passed }
}

fn executable(dir: &Path) -> bool {
    rustix::fs::statvfs(dir).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
