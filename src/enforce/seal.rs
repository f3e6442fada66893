//! What the kernel holds of each policy, noted when it is first seen and compared at every proof.
//!
//! The canary has a rule of its own, so a proof by effect says nothing of the rule maps. These are frozen: what is in one
//! cannot change. What root can still do is to put another map in its place, to take it away, or to write over what the
//! control block says of the policy; and that is what is compared. The filter in front of the maps is shared by all
//! policies: of it the bits are counted.

use std::{collections::BTreeMap, sync::atomic::Ordering::Acquire};

use super::{Bank, EnforceError, object::map_error};
use crate::{abi, sys::bpf};

/// One policy in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seal {
    generation: u64,
    /// Rules, operations and features: what a decision goes by before it looks into a map.
    fields: [u32; 6],
    sha256: [u64; abi::SHA256_BYTES as usize / 8],
    /// The id of each map; `None`: the slot of that map is empty.
    maps: Vec<Option<u32>>,
}

/// Every policy that the kernel held when it was last looked at, by slot.
#[derive(Debug, Default)]
pub struct Seals(BTreeMap<u32, Seal>);

impl Seals {
    /// Notes each policy that was not there before.
    pub fn note(&mut self, bank: &Bank) -> Result<(), EnforceError> {
        for slot in 0..abi::SLOTS {
            let known = self.0.get(&slot).map(|seal| seal.generation);
            match generation(bank, slot) {
                0 => drop(self.0.remove(&slot)),
                held if known == Some(held) => {}
                _ => {
                    if let Some(seal) = seal(bank, slot)? {
                        self.0.insert(slot, seal);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is no longer as it was noted, in words: of the policy that decides, and of the one to which a trial returns.
    /// Of another one it counts once it decides again.
    pub fn broken(&self, bank: &Bank) -> Result<Vec<String>, EnforceError> {
        let mut broken = Vec::new();
        let used = bank.used();
        for (slot, noted) in self.0.iter().filter(|(slot, _)| used.contains(&Some(**slot))) {
            let Some(now) = seal(bank, *slot)?.filter(|now| now.generation == noted.generation) else {
                continue;
            };
            let Seal { generation, .. } = noted;
            let changed = bank.names().zip(noted.maps.iter().zip(&now.maps));
            for (name, (then, now)) in changed.filter(|(_, (then, now))| then != now) {
                let what =
                    if now.is_none() && then.is_some() { "removed" } else { "replaced by another one" };
                broken.push(format!("the map {name} of generation {generation} was {what} in the kernel"));
            }
            if !bank.filter_holds(*slot) {
                broken.push(format!("the filter in front of generation {generation} was overwritten"));
            }
            if (noted.fields, noted.sha256) != (now.fields, now.sha256) {
                broken
                    .push(format!("what the control block says of generation {generation} was overwritten"));
            }
        }
        Ok(broken)
    }
}

fn generation(bank: &Bank, slot: u32) -> u64 {
    bank.control.slots.get(slot as usize).map_or(0, |slot| slot.generation.load(Acquire))
}

/// `None` for a slot that is empty, or being filled while it is looked at.
fn seal(bank: &Bank, slot: u32) -> Result<Option<Seal>, EnforceError> {
    let Some(fields) = bank.control.slots.get(slot as usize) else { return Ok(None) };
    let generation = fields.generation.load(Acquire);
    let numbers = [
        &fields.features,
        &fields.tree_ops,
        &fields.rules,
        &fields.ops,
        &fields.filter_words,
        &fields.filter_bits,
    ];
    let mut maps = Vec::new();
    for name in bank.names() {
        let mut id = [0; 4];
        let there = bpf::map_lookup(bank.outer(name)?, &slot.to_ne_bytes(), &mut id)
            .map_err(|source| map_error(name, "read", source))?;
        maps.push(there.then(|| u32::from_ne_bytes(id)));
    }
    let seal = Seal {
        generation,
        fields: numbers.map(|number| number.load(Acquire)),
        sha256: std::array::from_fn(|at| fields.sha256.get(at).map_or(0, |word| word.load(Acquire))),
        maps,
    };
    Ok((generation != 0 && fields.generation.load(Acquire) == generation).then_some(seal))
}
