//! Turns the BTF of `bpf-lsm/layout.bpf.c` into Rust: a constant for each shared number, and for each shared struct
//! assertions on its mirror in `src/abi.rs`.

use std::{error::Error, fmt::Write as _, path::Path};

use btf_rs::{Btf, Enum, Struct, Type};
use fallible_iterator::FallibleIterator as _;

const PREFIX: &str = "aegis_";

/// Reads `object` and writes the constants and assertions to `target`.
pub(crate) fn generate(object: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let btf = Btf::from_bytes(&btf_rs::utils::elf::extract_btf_from_file(object)?)?;
    let mut code = String::new();
    let mut types = btf.type_iter();
    while let Some(item) = types.next()? {
        match item {
            Type::Enum(item) => constants(&btf, &item, &mut code)?,
            Type::Struct(item) => assertions(&btf, &item, &mut code)?,
            _ => {}
        }
    }
    std::fs::write(target, code)?;
    Ok(())
}

/// `AEGIS_OP_READ = 1` becomes `pub const OP_READ: u32 = 1`.
fn constants(btf: &Btf, item: &Enum, code: &mut String) -> Result<(), Box<dyn Error>> {
    for member in &item.members {
        let name = btf.resolve_name(member)?;
        let name = name.strip_prefix("AEGIS_").ok_or_else(|| format!("{name} lacks the prefix AEGIS_"))?;
        writeln!(code, "pub const {name}: u32 = {};", member.val())?;
    }
    Ok(())
}

fn assertions(btf: &Btf, item: &Struct, code: &mut String) -> Result<(), Box<dyn Error>> {
    let c_name = btf.resolve_name(item)?;
    let mirror =
        camel_case(c_name.strip_prefix(PREFIX).ok_or_else(|| format!("{c_name} lacks the prefix {PREFIX}"))?);
    let fields = item.members.iter().map(|member| btf.resolve_name(member)).collect::<Result<Vec<_>, _>>()?;
    let pattern = fields.iter().fold(String::new(), |pattern, field| pattern + field + ": _, ");
    writeln!(code, "const _: () = {{")?;
    // An exhaustive pattern: a field that only one side has does not compile.
    writeln!(code, "    let _ = |value: &{mirror}| {{ let {mirror} {{ {pattern} }} = value; }};")?;
    writeln!(code, "    assert!(size_of::<{mirror}>() == {}, \"struct {c_name}: size\");", item.size())?;
    for (member, field) in item.members.iter().zip(&fields) {
        let offset = member.bit_offset() / 8;
        writeln!(
            code,
            "    assert!(core::mem::offset_of!({mirror}, {field}) == {offset}, \"struct {c_name}: offset of {field}\");"
        )?;
    }
    writeln!(code, "}};")?;
    Ok(())
}

fn camel_case(snake: &str) -> String {
    snake
        .split('_')
        .filter_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
        })
        .collect()
}
