//! The kernel's type information, with that of a module behind it, so that programs can be fitted to both.

mod extract;

use std::{collections::HashMap, fs, path::Path};

use aya_obj::btf::{Btf, BtfError};

use self::extract::Extract;

include!(concat!(env!("OUT_DIR"), "/types.rs"));

const DIRECTORY: &str = "/sys/kernel/btf";
/// The module whose structures programs read. Its types are not there before v5.11 (`5f9ae91f7c0d`), and not until it is
/// loaded; where it is built in, they are the kernel's own.
const MODULE: &str = "btrfs";

/// What was read.
pub(super) struct Types {
    /// Those that the programs are fitted to.
    pub(super) btf: Btf,
    /// The kernel's functions that programs are attached to, by their names, and their numbers.
    functions: HashMap<Vec<u8>, u32>,
    /// Every name in it, each between two zeros.
    names: Vec<u8>,
}

impl Types {
    /// Whether anything in it has this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.split(|byte| *byte == 0).any(|other| other == name.as_bytes())
    }

    /// The number of a function.
    pub(super) fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }
}

/// Reads what there is.
pub(super) fn read() -> Result<Types, BtfError> {
    let directory = Path::new(DIRECTORY);
    let path = directory.join("vmlinux");
    let base = fs::read(&path).map_err(|error| BtfError::FileError { path, error })?;
    let module = fs::read(directory.join(MODULE)).ok();
    // Whatever is wrong with those of the module: the programs then do without them.
    let both = module.and_then(|module| extract(&join(&base, &module)?));
    let extract = both.or_else(|| extract(&base)).ok_or(BtfError::InvalidTypeInfo)?;
    let names = Parts::of(&base).map(|parts| parts.strings.to_vec()).unwrap_or_default();
    Ok(Types { btf: parse(&extract.types)?, functions: extract.functions, names })
}

fn extract(bytes: &[u8]) -> Option<Extract> {
    let Parts { start, types, strings } = Parts::of(bytes)?;
    extract::extract(start, types, strings, NEEDED)
}

#[expect(clippy::default_trait_access, reason = "aya-obj does not export the type of the byte order")]
fn parse(bytes: &[u8]) -> Result<Btf, BtfError> {
    Btf::parse(bytes, Default::default())
}

/// The types of a module go on counting where those of the kernel end, in types as in bytes of strings
/// (Documentation/bpf/btf.rst): one behind the other, they are the types of one whole.
fn join(base: &[u8], module: &[u8]) -> Option<Vec<u8>> {
    let (base, module) = (Parts::of(base)?, Parts::of(module)?);
    whole(base.start, &[base.types, module.types], &[base.strings, module.strings])
}

/// The parts behind a header.
fn whole(start: &[u8], types: &[&[u8]], strings: &[&[u8]]) -> Option<Vec<u8>> {
    let len = |parts: &[&[u8]]| parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(part.len()));
    let (types_len, strings_len) = (len(types)?, len(strings)?);
    let mut whole = start.to_vec();
    for number in [HEADER, 0, types_len, types_len, strings_len] {
        whole.extend(u32::try_from(number).ok()?.to_ne_bytes());
    }
    for part in types.iter().chain(strings) {
        whole.extend(*part);
    }
    Some(whole)
}

/// Bytes of `struct btf_header`, include/uapi/linux/btf.h.
const HEADER: usize = 24;

struct Parts<'a> {
    /// Magic, version, flags.
    start: &'a [u8],
    types: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let number = |at: usize| -> Option<usize> {
            let field = bytes.get(at..at.checked_add(4)?)?;
            usize::try_from(u32::from_ne_bytes(field.try_into().ok()?)).ok()
        };
        let part = |offset: usize, len: usize| {
            let start = number(4)?.checked_add(offset)?;
            bytes.get(start..start.checked_add(len)?)
        };
        Some(Self {
            start: bytes.get(..4)?,
            types: part(number(8)?, number(12)?)?,
            strings: part(number(16)?, number(20)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn section(types: &[u8], strings: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for number in [HEADER, 0, types.len(), types.len(), strings.len()] {
            bytes.extend(u32::try_from(number).unwrap().to_ne_bytes());
        }
        [bytes, types.to_vec(), strings.to_vec()].concat()
    }

    /// `struct NAME {}`
    fn structure(name: u32, size: u32) -> Vec<u8> {
        [name, 4 << 24, size].map(u32::to_ne_bytes).concat()
    }

    #[test]
    fn the_types_of_both_have_their_names() {
        let base = section(&structure(1, 8), b"\0base\0");
        let module = section(&structure(6, 16), b"module\0");
        let whole = parse(&join(&base, &module).unwrap()).unwrap();
        let id = |name| whole.id_by_type_name_kind(name, aya_obj::btf::BtfKind::Struct).ok();
        assert_eq!((id("base"), id("module")), (Some(1), Some(2)));
    }

    proptest! {
        #[test]
        fn nothing_is_read_beyond_the_end(mut bytes: Vec<u8>, numbers: [u32; 5]) {
            let base = section(&structure(1, 8), b"\0base\0");
            join(&base, &bytes);
            bytes.splice(..bytes.len().min(4), [0x9f, 0xeb, 1, 0]);
            let header = numbers.iter().flat_map(|number| number.to_ne_bytes());
            bytes.splice(4..4, header);
            join(&base, &bytes);
        }
    }
}
