//! Asking the programs what they would decide. The very matcher answers, on a real open by this process, which is
//! refused before it has any effect.

use std::{
    fs::File,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::Ordering::{Acquire, Release},
};

use super::{Bank, EnforceError, Enroller, Staged, filter::Bypass, own_id};
use crate::{abi, kernel::Kernel, policy::Ops};

/// What the programs said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the operation is denied.
    pub denied: bool,
    /// The rule that matches, whether or not the cgroup is exempt; 0: none.
    pub rule: u32,
    /// Denied because it lies deeper than decisions look for trees.
    pub too_deep: bool,
}

impl Bank {
    /// Whether the rules of `policy` deny an operation on a file to this process, in its cgroup. `file` is free of
    /// links.
    pub fn ask(
        &self,
        kernel: &Kernel,
        enroller: &Enroller,
        policy: &Staged,
        file: &Path,
        op: Ops,
    ) -> Result<Answer, EnforceError> {
        let (identity, _) = enroller.inode(file)?;
        let pid = own_id(kernel)?;
        let question = &self.control.question;
        let _every_open_is_looked_at = Bypass::new(&self.control, abi::FILTER_ASKING);
        question.answered.store(abi::HOOK_NONE, Release);
        question.op.store(op.bits(), Release);
        question.slot.store(Self::slot(policy), Release);
        question.inode.dev.store(identity.inode.dev, Release);
        question.inode.ino.store(identity.inode.ino, Release);
        // Last, because it arms the question.
        question.tgid.store(pid, Release);
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW)
            .open(file);
        question.tgid.store(0, Release);
        question.inode.ino.store(0, Release);
        if question.answered.load(Acquire) == abi::HOOK_NONE {
            return Err(match opened {
                Err(source) => EnforceError::Path { path: file.to_owned(), source },
                Ok(_) => EnforceError::NotRecorded { path: file.to_owned() },
            });
        }
        Ok(Answer {
            denied: question.denied.load(Acquire) != 0,
            rule: question.rule.load(Acquire),
            too_deep: question.flags.load(Acquire) & abi::EVENT_TOO_DEEP != 0,
        })
    }
}
