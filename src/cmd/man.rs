//! `aegisbpf man`: the manual pages, as `install` puts them.

use std::io::{IsTerminal as _, stdout};

use crate::{
    cli::ManArgs,
    exit::{Exit, Failure, note},
    install::{PAGES, Page, short},
    policy::nearest,
};

/// Prints a page, or what pages there are.
pub(super) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    if args.list {
        for page in PAGES {
            super::print(&format!("{:<17} ({})  {}\n", page.name, page.section, page.about))?;
        }
        return Ok(Exit::Done);
    }
    let word = args.page.as_deref().unwrap_or("aegisbpf");
    let Some(page) = PAGES.iter().find(|page| page.is_meant(word)) else {
        let failure = Failure::new(Exit::Usage, format!("there is no page {}", word.escape_debug()));
        return Err(match nearest(short(word), PAGES.iter().map(Page::short)) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("`aegisbpf man --list` lists them"),
        });
    };
    super::print(page.text)?;
    if stdout().is_terminal() {
        note(&format!("`aegisbpf man {} | man -l -` shows it as a page", page.short()));
    }
    Ok(Exit::Done)
}
