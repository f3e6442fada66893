//! Which of the kernel's types the programs are fitted to: the names of those in the BTF of their object that are not ours.

use std::{collections::BTreeSet, error::Error, path::Path};

use btf_rs::{Btf, BtfType, Type};
use fallible_iterator::FallibleIterator as _;

/// Reads `object` and writes the list to `target`.
pub(crate) fn generate(object: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let btf = Btf::from_bytes(&btf_rs::utils::elf::extract_btf_from_file(object)?)?;
    let mut names = BTreeSet::new();
    let mut types = btf.type_iter();
    while let Some(item) = types.next()? {
        let name = match &item {
            Type::Struct(item) | Type::Union(item) => name(&btf, item),
            Type::Enum(item) => name(&btf, item),
            _ => None,
        };
        names.extend(name);
    }
    let list = format!("&{:?}", names.into_iter().collect::<Vec<_>>());
    std::fs::write(target, format!("const NEEDED: &[&str] = {list};\n"))?;
    Ok(())
}

/// `struct mount___list` is another view of `struct mount`.
fn name(btf: &Btf, item: &impl BtfType) -> Option<String> {
    let name = btf.resolve_name(item).ok()?;
    let name = name.split("___").next().unwrap_or_default().to_owned();
    (!name.is_empty() && !name.starts_with("aegis_")).then_some(name)
}
