//! The few of a kernel's types that programs are fitted to, out of some hundred thousand. To read them all, and to look
//! through them for each name, was a sixth of the start of an agent (0.6 of 4.0 thousand million instructions, v6.12); here
//! each is looked at once.
//!
//! The format: `Documentation/bpf/btf.rst`. A type is twelve bytes (name, kind and count, size or another type), and what
//! its kind has behind them.

use std::collections::{HashMap, HashSet};

/// Kinds, include/uapi/linux/btf.h.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
    pub(super) const LAST: u32 = ENUM64;
}

/// What the functions that programs are attached to begin with.
const HOOKS: [&[u8]; 2] = [b"bpf_lsm_", b"security_"];

/// What was found.
pub(super) struct Extract {
    /// The types, in the format they came in.
    pub(super) types: Vec<u8>,
    /// Functions for hooks, and their numbers among all types.
    pub(super) functions: HashMap<Vec<u8>, u32>,
}

/// Takes out the types of these names, and what they are made of: behind a pointer is nothing. `None`: it is malformed.
pub(super) fn extract(start: &[u8], types: &[u8], strings: &[u8], needed: &[&str]) -> Option<Extract> {
    let all = All { types, strings, at: offsets(types)? };
    let needed: HashSet<&[u8]> = needed.iter().map(|name| name.as_bytes()).collect();
    let mut functions = HashMap::new();
    let mut wanted = Vec::new();
    for (number, item) in all.iter() {
        match item.kind {
            kind::FUNC => {
                let name = all.name(item.name)?;
                if HOOKS.iter().any(|hook| name.starts_with(hook)) {
                    functions.entry(name.to_vec()).or_insert(number);
                }
            }
            kind::STRUCT | kind::UNION | kind::ENUM if needed.contains(all.name(item.name)?) => {
                wanted.push(number);
            }
            _ => {}
        }
    }
    let kept = all.closure(wanted)?;
    let (types, strings) = all.copy(&kept)?;
    Some(Extract { types: super::whole(start, &[&types], &[&strings])?, functions })
}

/// Every type of a kernel. They are numbered from 1; 0 is `void`.
struct All<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each begins.
    at: Vec<usize>,
}

/// The first eight of the twelve bytes; then comes another type, or for some kinds a size.
struct Item {
    name: u32,
    kind: u32,
    count: usize,
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn item(types: &[u8], at: usize) -> Option<Item> {
    let info = number(types, at.checked_add(4)?)?;
    Some(Item {
        name: number(types, at)?,
        kind: info >> 24 & 0x1f,
        count: usize::try_from(info & 0xffff).ok()?,
    })
}

/// Bytes behind the twelve.
fn behind(item: &Item) -> Option<usize> {
    Some(match item.kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * item.count,
        kind::ENUM | kind::FUNC_PROTO => 8 * item.count,
        0 => return None,
        known if known <= kind::LAST => 0,
        _ => return None,
    })
}

fn offsets(types: &[u8]) -> Option<Vec<usize>> {
    let mut offsets = Vec::with_capacity(types.len() / 20);
    let mut at = 0;
    while at < types.len() {
        offsets.push(at);
        at = at.checked_add(12)?.checked_add(behind(&item(types, at)?)?)?;
    }
    (at == types.len()).then_some(offsets)
}

impl All<'_> {
    fn iter(&self) -> impl Iterator<Item = (u32, Item)> {
        let items = self.at.iter().filter_map(|at| item(self.types, *at));
        (1..).zip(items)
    }

    fn name(&self, offset: u32) -> Option<&[u8]> {
        self.strings.get(usize::try_from(offset).ok()?..)?.split(|byte| *byte == 0).next()
    }

    fn start_of(&self, number: u32) -> Option<usize> {
        self.at.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }

    /// The places of the numbers of other types in one, as offsets.
    fn parts(&self, number: u32) -> Option<Vec<usize>> {
        let at = self.start_of(number)?;
        let Item { kind, count, .. } = item(self.types, at)?;
        Some(match kind {
            kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => vec![at + 8],
            kind::ARRAY => vec![at + 12, at + 16],
            kind::STRUCT | kind::UNION => (0..count).map(|member| at + 12 + 12 * member + 4).collect(),
            _ => Vec::new(),
        })
    }

    /// Those, and all that they are made of, as numbers in order.
    fn closure(&self, mut open: Vec<u32>) -> Option<Vec<u32>> {
        let mut kept = HashSet::new();
        while let Some(next) = open.pop() {
            if next != 0 && kept.insert(next) {
                for part in self.parts(next)? {
                    open.push(number(self.types, part)?);
                }
            }
        }
        let mut kept: Vec<u32> = kept.into_iter().collect();
        kept.sort_unstable();
        Some(kept)
    }

    /// Types and strings of those alone, numbered anew.
    fn copy(&self, kept: &[u32]) -> Option<(Vec<u8>, Vec<u8>)> {
        let new: HashMap<u32, u32> = kept.iter().copied().zip(1..).chain([(0, 0)]).collect();
        let mut types = Vec::new();
        let mut strings = Strings::new();
        for &old in kept {
            let at = self.start_of(old)?;
            let head = item(self.types, at)?;
            let begin = types.len();
            types.extend(self.types.get(at..at.checked_add(12 + behind(&head)?)?)?);
            put(&mut types, begin, strings.put(self.name(head.name)?)?)?;
            if head.kind == kind::PTR {
                put(&mut types, begin + 8, 0)?;
            }
            for part in self.parts(old)? {
                let other = new.get(&number(self.types, part)?)?;
                put(&mut types, begin + (part - at), *other)?;
            }
            for name in names(&head) {
                let member = self.name(number(self.types, at + name)?)?;
                put(&mut types, begin + name, strings.put(member)?)?;
            }
        }
        Some((types, strings.bytes))
    }
}

/// Where a type has names of its members, from its beginning.
fn names(item: &Item) -> Vec<usize> {
    let each = match item.kind {
        kind::STRUCT | kind::UNION | kind::ENUM64 => 12,
        kind::ENUM => 8,
        _ => return Vec::new(),
    };
    (0..item.count).map(|member| 12 + each * member).collect()
}

fn put(bytes: &mut [u8], at: usize, number: u32) -> Option<()> {
    bytes.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&number.to_ne_bytes());
    Some(())
}

/// Names, each once.
struct Strings {
    bytes: Vec<u8>,
    at: HashMap<Vec<u8>, u32>,
}

impl Strings {
    fn new() -> Self {
        Self { bytes: vec![0], at: [(Vec::new(), 0)].into_iter().collect() }
    }

    fn put(&mut self, name: &[u8]) -> Option<u32> {
        if let Some(at) = self.at.get(name) {
            return Some(*at);
        }
        let at = u32::try_from(self.bytes.len()).ok()?;
        self.bytes.extend(name);
        self.bytes.push(0);
        self.at.insert(name.to_vec(), at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: [u8; 4] = [0x9f, 0xeb, 1, 0];

    /// Numbers of types as they are written, and names.
    #[derive(Default)]
    struct Writer {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Writer {
        fn item(&mut self, name: &str, kind: u32, count: u32, rest: &[u32]) {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            let name = self.name(name);
            for number in [name, kind << 24 | count].iter().chain(rest) {
                self.types.extend(number.to_ne_bytes());
            }
        }

        fn name(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = u32::try_from(self.strings.len()).unwrap();
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            at
        }

        fn member(&mut self, name: &str, of: u32, bits: u32) -> [u32; 3] {
            [self.name(name), of, bits]
        }
    }

    /// `int`, `struct far`, `struct far *`, `struct near { int number; struct far *link; }`, and functions.
    fn kernel() -> Writer {
        let mut all = Writer::default();
        all.item("int", kind::INT, 0, &[4, 32]);
        all.item("far", kind::STRUCT, 0, &[64]);
        all.item("", kind::PTR, 0, &[2]);
        all.strings.push(0);
        let members = [all.member("number", 1, 0), all.member("link", 3, 64)].concat();
        all.item("near", kind::STRUCT, 2, &[&[16], members.as_slice()].concat());
        all.item("", kind::FUNC_PROTO, 0, &[0]);
        all.item("security_file_open", kind::FUNC, 0, &[5]);
        all.item("vfs_open", kind::FUNC, 0, &[5]);
        all
    }

    #[test]
    fn what_is_asked_for_comes_with_what_it_is_made_of() {
        let all = kernel();
        let found = extract(&START, &all.types, &all.strings, &["near"]).unwrap();
        let btf = super::super::parse(&found.types).unwrap();
        let id = |name: &str, kind| btf.id_by_type_name_kind(name, kind).ok();
        assert_eq!(id("near", aya_obj::btf::BtfKind::Struct), Some(3));
        assert_eq!(id("int", aya_obj::btf::BtfKind::Int), Some(1));
        assert_eq!(id("far", aya_obj::btf::BtfKind::Struct), None, "it is behind a pointer");
        let functions: Vec<_> = found.functions.iter().map(|(name, at)| (name.as_slice(), *at)).collect();
        assert_eq!(functions, [(b"security_file_open".as_slice(), 6)]);
    }

    #[test]
    fn what_is_cut_off_is_malformed() {
        let all = kernel();
        for len in 1..all.types.len() {
            let cut = all.types.get(..len).unwrap();
            if let Some(found) = extract(&START, cut, &all.strings, &["near"]) {
                assert!(super::super::parse(&found.types).is_ok(), "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_types_do_no_harm(
            numbers in proptest::collection::vec((0..40_u32, 0..20_u32, 0..4_u32, any::<u32>()), 0..40),
            strings: Vec<u8>,
        ) {
            let mut types = kernel().types;
            for (name, kind, count, rest) in numbers {
                for number in [name, kind << 24 | count, rest % 50] {
                    types.extend(number.to_ne_bytes());
                }
            }
            let strings = [kernel().strings, strings].concat();
            extract(&START, &types, &strings, &["near", "far", "int"]);
        }
    }
}
