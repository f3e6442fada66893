//! The self-guard: who counts as the agent, and what is kept from all others. What the programs make of it is in
//! `bpf-lsm/keep.bpf.h`.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Release},
    },
};

use super::{Attached, Bank, EnforceError, Enroller, Loaded, Pins, object::map_error, own_id};
use crate::{abi, kernel::Kernel, plan::Identity, sys::bpf, tier::Attach};

/// The program that this process executes, whatever its path names by now.
const OURS: &str = "/proc/self/exe";

/// How many of the kept maps are those of the slots.
const OF_SLOTS: usize = (abi::SLOTS * abi::SET_KINDS) as usize;

impl Bank {
    /// The binaries that count as the agent; `None`: the self-guard is not armed.
    pub fn enrolled(&self) -> Option<Vec<Identity>> {
        let guard = &self.control.guard;
        (guard.armed.load(Acquire) != 0)
            .then(|| guard.enrolled.iter().map(identity).filter(|identity| identity.inode.ino != 0).collect())
    }

    /// Keeps nothing from anybody from here on.
    pub fn disarm(&self) {
        self.control.guard.armed.store(0, Release);
    }

    /// Lets another binary count as the agent beside the one that runs, in the place of any that was let in before.
    pub fn admit(&self, next: Identity) {
        let [ours, other] = &self.control.guard.enrolled;
        if identity(ours) != next {
            store(other, next);
        }
    }

    /// Keeps a map of a rule set, from before it is put into its slot.
    pub(super) fn keep(&self, name: &'static str, slot: u32, map: BorrowedFd<'_>) -> io::Result<()> {
        let kinds = Self::sets(self.attach());
        let kind = kinds.iter().position(|kind| *kind == name).unwrap_or_default();
        let at = slot as usize * abi::SET_KINDS as usize + kind;
        if let Some(kept) = self.control.guard.maps.get(at) {
            kept.store(bpf::map_info(map)?.id, Release);
        }
        Ok(())
    }
}

impl Loaded {
    /// Arms the self-guard for the binary that this process executes: what is loaded and pinned here, and what the slots
    /// hold, is kept from all others. `helper` is the process that handles the canaries.
    pub fn arm(
        &self,
        kernel: &Kernel,
        enroller: &Enroller,
        pins: &Pins,
        attached: &[Attached],
        helper: u32,
    ) -> Result<(), EnforceError> {
        let guard = &self.bank.control.guard;
        let agent = own_id(kernel)?;
        let ours = enroller.followed(Path::new(OURS))?;
        let (root, dentry, mount) = enroller.place(pins.root())?;
        self.fill_ids(pins, attached, enroller).map_err(|source| map_error("control", "filled", source))?;
        guard.pins.dev.store(root.inode.dev, Release);
        guard.pins.ino.store(root.inode.ino, Release);
        guard.dentry.store(dentry, Release);
        guard.mount.store(mount, Release);
        guard.agent.store(agent, Release);
        guard.helper.store(helper, Release);
        let [first, other] = &guard.enrolled;
        store(first, ours);
        // What was let in has arrived, or is another one's.
        store(other, Identity::default());
        // Last, because it arms.
        guard.armed.store(1, Release);
        Ok(())
    }

    fn fill_ids(&self, pins: &Pins, attached: &[Attached], enroller: &Enroller) -> io::Result<()> {
        let guard = &self.bank.control.guard;
        for slot in 0..abi::SLOTS {
            for name in Bank::sets(Attach::Lsm).iter().copied() {
                let outer = self.bank.outer(name).map_err(io::Error::other)?;
                let mut id = [0; 4];
                if bpf::map_lookup(outer, &slot.to_ne_bytes(), &mut id)? {
                    self.bank.keep(name, slot, bpf::map_by_id(u32::from_ne_bytes(id))?.as_fd())?;
                }
            }
        }
        let ledger = pins.ledger_map().map_err(io::Error::other)?;
        let maps = self.all_maps().chain([ledger.as_fd()]).map(|map| Ok(bpf::map_info(map)?.id));
        fill(guard.maps.get(OF_SLOTS..).unwrap_or_default(), maps)?;
        let programs = attached.iter().map(|one| one.program.as_fd()).chain(enroller.program());
        fill(&guard.programs, programs.map(|program| Ok(bpf::program_info(program)?.id)))
    }
}

/// Writes ids from the start of the room for them, and clears the rest of it.
fn fill(room: &[AtomicU32], ids: impl Iterator<Item = io::Result<u32>>) -> io::Result<()> {
    let ids = ids.collect::<io::Result<Vec<_>>>()?;
    if ids.len() > room.len() {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    for (place, id) in room.iter().zip(ids.into_iter().chain(std::iter::repeat(0))) {
        place.store(id, Release);
    }
    Ok(())
}

fn identity(binary: &abi::Binary) -> Identity {
    let abi::Binary { inode, generation, .. } = binary;
    let inode = abi::Inode {
        ino: inode.ino.load(Acquire),
        dev: inode.dev.load(Acquire),
        volume: inode.volume.load(Acquire),
    };
    Identity { inode, generation: generation.load(Acquire) }
}

/// Nobody is taken for it while it is half written: number 0 is no file's.
fn store(binary: &abi::Binary, new: Identity) {
    if identity(binary) == new {
        return;
    }
    binary.inode.ino.store(0, Release);
    binary.inode.dev.store(new.inode.dev, Release);
    binary.inode.volume.store(new.inode.volume, Release);
    binary.generation.store(new.generation, Release);
    binary.inode.ino.store(new.inode.ino, Release);
}
