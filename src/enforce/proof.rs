//! Proof by effect: every enforcing hook is made to refuse a real operation on a canary, before the word "enforcing" is
//! used and again and again afterwards.
//!
//! The canary rule is part of the control block and binds one process at one hook, so nothing else on the host can meet
//! it, and a hook that does not work is not covered up by another that does.

use std::{io, path::Path, sync::atomic::Ordering::Release, time::SystemTime};

use rustix::fs::StatVfsMountFlags;

use super::{
    EnforceError, Enroller,
    canary::{Bird, Canaries, EXEC, PREPARE, TIDY, bird, work},
    drill,
    filter::Bypass,
};
use crate::{abi, kernel::Kernel, plan::Identity, sys::process::Helper, tier::Hook};

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

/// Canaries, their identities, and the helper that does to them what hooks are asked about.
#[derive(Debug)]
pub struct Prover {
    canaries: Canaries,
    file: Identity,
    program: Identity,
    directory: Identity,
    helper: Helper,
}

impl Prover {
    /// Makes the canaries in the first of `dirs` from which programs may be executed: `/run` is often `noexec`, and
    /// then an exec fails before any hook is asked. `confine` closes the sandbox of the helper, which works in one
    /// directory alone, and lets it open what it works with before the last of it is closed. Call it while this process
    /// has one thread.
    pub fn new(
        kernel: &Kernel,
        enroller: &Enroller,
        dirs: &[&Path],
        confine: fn(&Path, &mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
    ) -> Result<Self, EnforceError> {
        let failed = |step| move |source| EnforceError::Proof { step, source };
        let dir = dirs.iter().find(|dir| executable(dir)).ok_or_else(|| {
            failed("every directory of ours is on a noexec mount")(io::Error::from_raw_os_error(libc::EACCES))
        })?;
        let canaries = Canaries::make(dir).map_err(failed("making the canaries"))?;
        let identity = kernel.identity().map_err(failed("loading the identity program"))?;
        let theirs = canaries.clone();
        let prepare = move || {
            let mut ready = None;
            confine(&theirs.dir, &mut || {
                ready = Some(work(theirs.clone())?);
                Ok(())
            })?;
            ready.ok_or_else(|| io::ErrorKind::Other.into())
        };
        Ok(Self {
            file: enroller.inode(canaries.path(Bird::File))?.0,
            program: enroller.inode(canaries.path(Bird::Program))?.0,
            directory: enroller.inode(canaries.path(Bird::Directory))?.0,
            helper: Helper::start(identity.program(), prepare).map_err(failed("starting the helper"))?,
            canaries,
        })
    }

    /// The process that handles the canaries, as the first pid namespace numbers it.
    pub fn helper(&self) -> u32 {
        self.helper.global_pid()
    }

    /// Puts those hooks to the test that only this process can, and only before it locks itself down. `me` is its id in
    /// the first pid namespace.
    pub fn drill(&self, control: &abi::Control, me: u32, hooks: &[&'static Hook]) -> Vec<HookProof> {
        let operate = |hook: &Hook| drill::operate(hook.number, self.helper.pid(), &self.canaries.dir);
        let proof = |hook: &&'static Hook| {
            let before = operate(hook);
            control.prover_tgid.store(me, Release);
            control.prover_hook.store(hook.number, Release);
            let with_rule = operate(hook);
            control.prover_hook.store(abi::HOOK_NONE, Release);
            control.prover_tgid.store(0, Release);
            let outcome = match with_rule {
                _ if before == libc::EPERM => Outcome::Inconclusive { errno: before },
                libc::EPERM => Outcome::Refused,
                same if same == before => Outcome::Passed,
                errno => Outcome::Inconclusive { errno },
            };
            HookProof { hook: hook.name, outcome, at: SystemTime::now() }
        };
        hooks.iter().filter(|hook| drill::is_drilled(hook.number)).map(proof).collect()
    }

    /// Puts each hook to the test that the helper can. Takes microseconds a hook; nobody else is affected.
    pub fn prove(&mut self, control: &abi::Control, hooks: &[&'static Hook]) -> Vec<HookProof> {
        let _everything_is_looked_at = Bypass::new(control, abi::FILTER_PROVING);
        let mut proof = |hook: &'static Hook| {
            let test = u8::try_from(hook.number & !abi::HOOK_AGAIN).unwrap_or(0);
            let mut outcome = self.test(control, hook.number, test);
            // What is executed is opened first, and that is where it is refused.
            if hook.number & !abi::HOOK_AGAIN == abi::HOOK_FILE_OPEN && outcome == Outcome::Refused {
                outcome = self.test(control, hook.number, EXEC);
            }
            HookProof { hook: hook.name, outcome, at: SystemTime::now() }
        };
        hooks.iter().filter(|hook| !drill::is_drilled(hook.number)).map(|hook| proof(hook)).collect()
    }

    /// Does the operation without and with the canary rule. Without it may fail for another reason, such as a file
    /// system that takes no attributes: the hooks are asked before, and `EPERM` is told from it.
    fn test(&mut self, control: &abi::Control, number: u32, test: u8) -> Outcome {
        // From here to the end the helper meets no rule but the canary's.
        control.prover_tgid.store(self.helper.global_pid(), Release);
        let outcome = self.tried(control, number, test);
        control.prover_tgid.store(0, Release);
        outcome
    }

    fn tried(&mut self, control: &abi::Control, number: u32, test: u8) -> Outcome {
        let before = self.attempt(test, &mut |helper| helper.ask(test));
        let before = match before {
            Ok(errno) if errno != libc::EPERM => errno,
            other => return Outcome::Inconclusive { errno: other.unwrap_or(libc::EPIPE) },
        };
        let canary = match bird(test) {
            Bird::File => self.file,
            Bird::Program => self.program,
            Bird::Directory => self.directory,
        };
        let with_rule = self.attempt(test, &mut |helper| {
            control.canary.ino.store(canary.inode.ino, Release);
            control.canary.dev.store(canary.inode.dev, Release);
            // Last, because it arms the rule.
            control.prover_hook.store(number, Release);
            let answer = helper.ask(test);
            control.prover_hook.store(abi::HOOK_NONE, Release);
            answer
        });
        match with_rule {
            Ok(libc::EPERM) => Outcome::Refused,
            Ok(same) if same == before => Outcome::Passed,
            other => Outcome::Inconclusive { errno: other.unwrap_or(libc::EPIPE) },
        }
    }

    /// An operation between getting ready for it and clearing up behind it, which no rule must meet.
    fn attempt(
        &mut self,
        test: u8,
        operation: &mut dyn FnMut(&mut Helper) -> io::Result<i32>,
    ) -> io::Result<i32> {
        if bird(test) != Bird::Directory {
            return operation(&mut self.helper);
        }
        match self.helper.ask(test | PREPARE)? {
            0 => {}
            errno => return Ok(errno),
        }
        let answer = operation(&mut self.helper);
        self.helper.ask(TIDY)?;
        answer
    }
}

impl Drop for Prover {
    fn drop(&mut self) {
        self.canaries.remove();
    }
}

fn executable(dir: &Path) -> bool {
    rustix::fs::statvfs(dir).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
