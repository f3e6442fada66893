//! From the embedded object to programs in the kernel. One loader for all tiers: the instructions are the same, only the
//! program type and the target differ.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::CString,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::{
    EbpfSectionKind, Object,
    btf::{Btf, BtfFeature},
    generated::{bpf_attach_type, bpf_prog_type},
};

use super::{Bank, EnforceError, Pins, pins::ENROL};
use crate::{
    kernel::Kernel,
    sys::bpf::{self, Effort, Functions, MapSpec, ProgramSpec},
    tier::{Attach, Hook, Need, Tier},
};

static LSM_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lsm.o"));
static TRACE_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/trace.o"));

/// Maps that belong to one process and are never pinned.
const PRIVATE: [&str; 3] = ["passed", "scratch", ".rodata"];

/// The knob of the enforcing object that makes room for the second copies of its programs.
const BACKED_UP: &str = "backed_up";

/// The knob of the tracepoint object that an old kernel needs at zero.
const CGROUP_ANCESTORS: &str = "cgroup_ancestors";

/// A relocated object with its maps: programs can be loaded from it.
pub struct Loaded {
    object: Object,
    maps: BTreeMap<String, OwnedFd>,
    /// The object's own types, by which the kernel tells its functions apart.
    types: Option<OwnedFd>,
    attach: Attach,
    /// The control block and the rule sets.
    pub bank: Bank,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("maps", &self.maps)
            .field("attach", &self.attach)
            .finish_non_exhaustive()
    }
}

/// A program that is attached as long as this lives, or longer when pinned.
#[derive(Debug)]
pub struct Attached {
    /// The hook.
    pub hook: &'static Hook,
    /// The program.
    pub program: OwnedFd,
    /// Dropping it detaches, unless pinned.
    pub link: OwnedFd,
}

/// An optional hook that could not be had.
#[derive(Debug)]
pub struct Missing {
    /// The hook.
    pub hook: &'static Hook,
    /// Why.
    pub error: EnforceError,
}

impl Loaded {
    /// Prepares the object of a tier. Maps pinned under `pins` are taken over after they have been checked; the others
    /// are made.
    pub fn new(kernel: &Kernel, tier: &'static Tier, pins: Option<&Pins>) -> Result<Self, EnforceError> {
        match tier.attach {
            Attach::Lsm => Self::prepare(kernel, tier, pins, &[]),
            Attach::ModifyReturn => Self::prepare(kernel, tier, pins, &[(BACKED_UP, 1)]),
            // Which variant a kernel takes is found out by trying, never by its version.
            Attach::RawTracepoint => match Self::prepare(kernel, tier, pins, &[])? {
                loaded if loaded.loads(kernel, tier) => Ok(loaded),
                _ => Self::prepare(kernel, tier, pins, &[(CGROUP_ANCESTORS, 0)]),
            },
        }
    }

    fn loads(&self, kernel: &Kernel, tier: &'static Tier) -> bool {
        tier.hooks.iter().all(|hook| self.load(kernel, hook.program, hook.target).is_ok())
    }

    fn prepare(
        kernel: &Kernel,
        tier: &Tier,
        pins: Option<&Pins>,
        knobs: &[(&str, u32)],
    ) -> Result<Self, EnforceError> {
        let (bytes, btf) = match tier.attach {
            Attach::RawTracepoint => (TRACE_OBJECT, None),
            Attach::Lsm | Attach::ModifyReturn => (LSM_OBJECT, Some(kernel.btf()?)),
        };
        let mut object = Object::parse(bytes).map_err(|error| EnforceError::Relocate(error.into()))?;
        for (name, value) in knobs {
            let value = value.to_ne_bytes();
            object
                .patch_map_data(std::iter::once((*name, (value.as_slice(), true))).collect())
                .map_err(|error| EnforceError::Relocate(error.into()))?;
        }
        let definitions: Vec<(String, aya_obj::Map)> = std::mem::take(&mut object.maps).into_iter().collect();
        let mut maps = BTreeMap::new();
        for (name, definition) in &definitions {
            let name = plain_name(name).to_owned();
            let map = match pins.filter(|_| !PRIVATE.contains(&name.as_str())) {
                Some(pins) => pins.map(&name, &|| create(&name, definition), &shape(definition))?,
                None => create(&name, definition)?,
            };
            maps.insert(name, map);
        }
        relocate(&mut object, btf, &definitions, &maps)?;
        let bank = Bank::new(tier.attach, &|name| {
            named(&maps, name)?.try_clone().map_err(|source| map_error(name, "opened", source))
        })?;
        let types = match tier.attach {
            Attach::RawTracepoint => None,
            Attach::Lsm | Attach::ModifyReturn => Some(load_types(&mut object)?),
        };
        Ok(Self { object, maps, types, attach: tier.attach, bank })
    }

    /// A map by its name in the object.
    pub(super) fn map(&self, name: &'static str) -> Result<BorrowedFd<'_>, EnforceError> {
        named(&self.maps, name).map(|map| map.as_fd())
    }

    /// Every map that is shared with later runs.
    pub(super) fn shared_maps(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        let shared = self.maps.iter().filter(|(name, _)| !PRIVATE.contains(&name.as_str()));
        shared.map(|(name, map)| (name.as_str(), map.as_fd()))
    }

    /// Those, and the ones that belong to this process.
    pub(super) fn all_maps(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.maps.values().map(OwnedFd::as_fd)
    }

    /// Ids of the maps that hold the rules.
    pub fn map_ids(&self) -> Result<BTreeMap<String, u32>, EnforceError> {
        let control = self.map("control")?;
        self.bank.ids(control).map_err(|source| map_error("control", "read", source))
    }

    /// Loads and attaches every hook that is wanted, or none: when a required one is refused, those before it are undone
    /// by being dropped. Optional ones that are refused come back with the reason.
    pub fn attach(
        &self,
        kernel: &Kernel,
        tier: &'static Tier,
        wanted: impl Fn(&Hook) -> bool,
    ) -> Result<(Vec<Attached>, Vec<Missing>), EnforceError> {
        let mut attached = Vec::new();
        let mut missing = Vec::new();
        for hook in tier.hooks.iter().filter(|hook| wanted(hook)) {
            match self.attach_one(kernel, hook) {
                Ok(one) => attached.push(one),
                // The kernel has no such operation, or does it by another hook. Where that cannot be told, it is missing.
                Err(EnforceError::NoTarget { .. })
                    if hook.need == Need::IfPresent
                        && matches!(kernel.has_hook(hook.name, hook.target), Ok(false)) => {}
                Err(error) if hook.need == Need::Required => return Err(error),
                Err(error) => missing.push(Missing { hook, error }),
            }
        }
        Ok((attached, missing))
    }

    fn attach_one(&self, kernel: &Kernel, hook: &'static Hook) -> Result<Attached, EnforceError> {
        // Which form of the arguments a kernel has is found out by trying, never by its version.
        let program = match (self.load(kernel, hook.program, hook.target), hook.bare) {
            (Err(EnforceError::HookNotLoaded { .. }), Some(bare)) => self.load(kernel, bare, hook.target)?,
            (other, _) => other?,
        };
        let link = self
            .link(hook.target, &program)
            .map_err(|source| EnforceError::HookRefused { hook: hook.name, source })?;
        Ok(Attached { hook, program, link })
    }

    pub(super) fn link(&self, target: &'static str, program: &OwnedFd) -> io::Result<OwnedFd> {
        match self.attach {
            Attach::Lsm | Attach::ModifyReturn => bpf::raw_tracepoint_open(None, program.as_fd()),
            Attach::RawTracepoint => bpf::raw_tracepoint_open(Some(&CString::new(target)?), program.as_fd()),
        }
    }

    /// Loads one program for one target.
    pub(super) fn load(
        &self,
        kernel: &Kernel,
        name: &'static str,
        target: &'static str,
    ) -> Result<OwnedFd, EnforceError> {
        let spec = self.spec(kernel, name, target)?;
        bpf::program_load(&spec).map_err(|source| EnforceError::HookNotLoaded { hook: name, source })
    }

    /// Loads the program that enrols paths.
    pub(super) fn load_enrolment(&self) -> Result<OwnedFd, EnforceError> {
        let spec = self.free_spec(ENROL)?;
        bpf::program_load(&spec).map_err(|source| EnforceError::HookNotLoaded { hook: ENROL, source })
    }

    /// Every program of a tier, in the order of its hooks, and what the verifier spends on it here.
    pub fn efforts(
        &self,
        kernel: &Kernel,
        tier: &'static Tier,
    ) -> Vec<(&'static str, Result<Option<Effort>, EnforceError>)> {
        let effort = |name, spec: Result<ProgramSpec<'_>, EnforceError>| {
            bpf::verifier_effort(&spec?).map_err(|source| EnforceError::HookNotLoaded { hook: name, source })
        };
        let variants = tier.hooks.iter().flat_map(|hook| {
            std::iter::once(hook.program).chain(hook.bare).map(|program| (program, hook.target))
        });
        let hooks = variants.map(|(name, target)| (name, effort(name, self.spec(kernel, name, target))));
        let enrolment = tier.enforces().then(|| (ENROL, effort(ENROL, self.free_spec(ENROL))));
        hooks.chain(enrolment).collect()
    }

    /// How to load a program that is run and never attached.
    fn free_spec(&self, name: &'static str) -> Result<ProgramSpec<'_>, EnforceError> {
        self.spec_of(name, bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, None, 0)
    }

    fn spec_of(
        &self,
        name: &'static str,
        kind: bpf_prog_type,
        attach: Option<bpf_attach_type>,
        attach_btf_id: u32,
    ) -> Result<ProgramSpec<'_>, EnforceError> {
        let program = self.object.programs.get(name).ok_or(EnforceError::Embedded(name))?;
        let function =
            self.object.functions.get(&program.function_key()).ok_or(EnforceError::Embedded(name))?;
        let functions = self.types.as_ref().map(|types| Functions {
            btf: types.as_fd(),
            info: function.func_info.func_info_bytes(),
            record: u32::try_from(function.func_info_rec_size).unwrap_or(0),
        });
        Ok(ProgramSpec { name, kind, attach, attach_btf_id, instructions: &function.instructions, functions })
    }

    fn spec(
        &self,
        kernel: &Kernel,
        name: &'static str,
        target: &'static str,
    ) -> Result<ProgramSpec<'_>, EnforceError> {
        let (kind, attach) = match self.attach {
            Attach::Lsm => (bpf_prog_type::BPF_PROG_TYPE_LSM, Some(bpf_attach_type::BPF_LSM_MAC)),
            Attach::ModifyReturn => {
                (bpf_prog_type::BPF_PROG_TYPE_TRACING, Some(bpf_attach_type::BPF_MODIFY_RETURN))
            }
            Attach::RawTracepoint => (bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        };
        let attach_btf_id = match attach {
            None => 0,
            Some(_) => kernel.function(target)?.ok_or(EnforceError::NoTarget { hook: name, target })?,
        };
        self.spec_of(name, kind, attach, attach_btf_id)
    }
}

/// A data section goes by the name of the one variable in it.
fn plain_name(name: &str) -> &str {
    [".data.", ".bss."].iter().find_map(|section| name.strip_prefix(section)).unwrap_or(name)
}

fn named<'a>(maps: &'a BTreeMap<String, OwnedFd>, name: &'static str) -> Result<&'a OwnedFd, EnforceError> {
    maps.get(name).ok_or(EnforceError::Embedded(name))
}

pub(super) fn map_error(map: &str, action: &'static str, source: io::Error) -> EnforceError {
    EnforceError::Map { map: map.to_owned(), action, source }
}

/// Hands the object's types over, cut down to what every supported kernel reads.
fn load_types(object: &mut Object) -> Result<OwnedFd, EnforceError> {
    let known = |feature| matches!(feature, BtfFeature::Func | BtfFeature::FuncGlobal | BtfFeature::DataSec);
    let types = object.fixup_and_sanitize_btf(|| Some(known))?.ok_or(EnforceError::Embedded("BTF"))?;
    bpf::btf_load(&types.to_bytes()).map_err(EnforceError::Types)
}

fn shape(definition: &aya_obj::Map) -> MapSpec<'static> {
    // A data section has no symbol of its own. It is mapped by the agent and written by the programs; read-only data
    // is set once, here, and frozen.
    let flags = match definition.section_kind() {
        EbpfSectionKind::Rodata => bpf::READ_ONLY_FOR_PROGRAMS,
        _ if definition.symbol_index().is_none() => bpf::MMAPABLE,
        _ => definition.map_flags(),
    };
    MapSpec {
        name: "",
        kind: definition.map_type(),
        key_size: definition.key_size(),
        value_size: definition.value_size(),
        max_entries: definition.max_entries(),
        flags,
        inner: None,
    }
}

fn create(name: &str, definition: &aya_obj::Map) -> Result<OwnedFd, EnforceError> {
    let failed = |action| move |source| map_error(name, action, source);
    let inner =
        definition.inner().map(|inner| bpf::map_create(&MapSpec { name: "aegis_template", ..shape(&inner) }));
    let inner = inner.transpose().map_err(failed("created"))?;
    let spec = MapSpec { name, inner: inner.as_ref().map(|inner| inner.as_fd()), ..shape(definition) };
    let map = bpf::map_create(&spec).map_err(failed("created"))?;
    if definition.section_kind() == EbpfSectionKind::Rodata {
        bpf::map_update(map.as_fd(), &0_u32.to_ne_bytes(), definition.data(), 0).map_err(failed("filled"))?;
        // Frozen, so that the verifier takes the values for constants.
        bpf::map_freeze(map.as_fd()).map_err(failed("frozen"))?;
    }
    Ok(map)
}

fn relocate(
    object: &mut Object,
    btf: Option<&Btf>,
    definitions: &[(String, aya_obj::Map)],
    maps: &BTreeMap<String, OwnedFd>,
) -> Result<(), EnforceError> {
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let descriptors = definitions.iter().filter_map(|(name, definition)| {
        let fd = maps.get(plain_name(name))?;
        Some((name.as_str(), fd.as_raw_fd(), definition))
    });
    if let Some(btf) = btf {
        object.relocate_btf(btf).map_err(|error| EnforceError::Relocate(error.into()))?;
    }
    object.relocate_maps(descriptors, &text).map_err(|error| EnforceError::Relocate(error.into()))?;
    object.relocate_calls(&text).map_err(|error| EnforceError::Relocate(error.into()))
}
