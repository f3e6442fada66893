//! `aegisbpf schema`: the JSON Schemas of what commands print, as they are published in `docs/schema/`.

use crate::{
    cli::SchemaArgs,
    exit::{Exit, Failure},
    policy::nearest,
};

/// Each by its name.
const SCHEMAS: [(&str, &str); 6] = [
    ("canary", include_str!("../../docs/schema/canary.schema.json")),
    ("doctor", include_str!("../../docs/schema/doctor.schema.json")),
    ("event", include_str!("../../docs/schema/event.schema.json")),
    ("report", include_str!("../../docs/schema/report.schema.json")),
    ("stats", include_str!("../../docs/schema/stats.schema.json")),
    ("status", include_str!("../../docs/schema/status.schema.json")),
];

/// Prints one, or the names.
pub(super) fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else {
        for (name, _) in SCHEMAS {
            super::print(&format!("{name}\n"))?;
        }
        return Ok(Exit::Done);
    };
    // `health` prints what `status` prints.
    let wanted = if name == "health" { "status" } else { name };
    let Some((_, text)) = SCHEMAS.iter().find(|(known, _)| *known == wanted) else {
        let failure = Failure::new(Exit::Usage, format!("there is no schema {}", name.escape_debug()));
        return Err(match nearest(name, SCHEMAS.map(|(known, _)| known)) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("`aegisbpf schema --list` lists them"),
        });
    };
    super::print(text)?;
    Ok(Exit::Done)
}
