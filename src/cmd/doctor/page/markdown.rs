//! The table in Markdown.

use std::fmt::Write as _;

use super::{Seen, harmless, tiers};

/// One line a host.
pub(super) fn table(seen: &[Seen]) -> String {
    let tiers = tiers(seen);
    let mut out = String::from("| report | host | kernel | active LSMs | verdict |");
    for tier in &tiers {
        let _ = write!(out, " {} |", escape(tier));
    }
    let _ = write!(out, "\n|{}\n", " --- |".repeat(5 + tiers.len()));
    for one in seen {
        let lsm = one.lsm.as_ref().map_or_else(|| "not visible".to_owned(), |names| names.join(", "));
        let host = format!("{} {}", one.host.os, one.host.arch);
        out.push('|');
        for cell in [&one.name, &host, &one.host.kernel, &lsm, &one.verdict] {
            let _ = write!(out, " {} |", escape(cell));
        }
        for name in &tiers {
            let cell =
                one.tiers.iter().find(|tier| tier.name == *name).map_or("not asked", super::Tier::word);
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out
}

/// Text, whatever it holds: nothing that Markdown or HTML takes for its own.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in harmless(text) {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '~' | '#' => {
                out.push('\\');
                out.push(letter);
            }
            letter => out.push(letter),
        }
    }
    out
}
