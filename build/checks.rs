//! Turns `src/cmd/doctor/checks.toml` into a table, and refuses one with a gap.

use std::{collections::BTreeSet, error::Error, fmt::Write as _, path::Path};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    group: Vec<Group>,
    check: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    id: String,
    group: String,
    title: String,
    why: String,
    more: String,
}

/// Reads the list and writes `CHECKS` and `GROUPS` to `target`.
pub(crate) fn generate(list: &str, target: &Path) -> Result<(), Box<dyn Error>> {
    let File { group: groups, check: checks } = toml::from_str(&std::fs::read_to_string(list)?)?;
    let mut ids = BTreeSet::new();
    let mut code =
        String::from("/// Every group, in the order of output.\npub(crate) static GROUPS: &[&str] = &[\n");
    for Group { name } in &groups {
        writeln!(code, "    {name:?},")?;
    }
    code.push_str("];\n\n/// Every check, group by group.\npub(crate) static CHECKS: &[About] = &[\n");
    let mut at = 0;
    for Check { id, group, title, why, more } in &checks {
        let place = groups.iter().position(|known| known.name == *group);
        let place = place.ok_or_else(|| format!("{list}: {id} is in no group that there is"))?;
        if place < at || !ids.insert(id) || [title, why, more].iter().any(|text| text.is_empty()) {
            return Err(format!("{list}: {id} is out of order, there twice, or says nothing").into());
        }
        at = place;
        writeln!(
            code,
            "    About {{ id: {id:?}, group: {group:?}, title: {title:?}, why: {why:?}, more: {more:?} }},"
        )?;
    }
    code.push_str("];\n");
    std::fs::write(target, code)?;
    Ok(())
}
