//! `./dev docs`: what is generated and kept in the tree, so that it can be read and packaged without building.

use crate::artifacts::cargo;
use crate::docs;
use crate::man::Frame;
use crate::paths;
use crate::profiles;
use crate::tally::run;
use anyhow::{Context as _, Result};
use std::fs;
use std::process::ExitCode;

const DOCUMENT: &str = "docs/POLICY_LANGUAGE.md";
const PAGE: &str = "dist/man/aegisbpf-policy.5";
/// The page of that document.
const LANGUAGE: Frame = Frame {
    name: "aegisbpf-policy",
    section: "5",
    kind: "File Formats",
    about: "the policy language of AegisBPF",
    source: DOCUMENT,
    file: Some(("/etc/aegisbpf/policy.conf", "The policy of this host.")),
    see_also: &[
        ("aegisbpf-concepts", "7"),
        ("aegisbpf", "8"),
        ("proc", "5"),
        ("cgroups", "7"),
        ("inode", "7"),
        ("lsblk", "8"),
    ],
};

/// Options of `docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The confinement for hosts with `SELinux` as well, compiled with Debian's policy, which is fetched
    #[arg(long)]
    selinux: bool,
}

/// Runs the chore.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.selinux {
        let (path, text) = profiles::selinux_module()?;
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    // The test that compares the document with the code writes those parts of it that follow from the code.
    run(cargo()?.env("UPDATE_GOLDEN", "1").args(["test", "--quiet", "--test", "policies", "the_document"]))?;
    let page = page()?;
    fs::write(paths::root()?.join(PAGE), page).context(PAGE)?;
    println!("{DOCUMENT}\n{PAGE}");
    for document in docs::all()? {
        fs::write(paths::root()?.join(document.path), document.text).context(document.path)?;
        println!("{}", document.path);
    }
    Ok(ExitCode::SUCCESS)
}

/// The manual page as the document gives it.
fn page() -> Result<String> {
    let document = fs::read_to_string(paths::root()?.join(DOCUMENT)).context(DOCUMENT)?;
    LANGUAGE.page(&document).context(DOCUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_document_gives() -> Result<()> {
        let kept = fs::read_to_string(paths::root()?.join(PAGE)).context(PAGE)?;
        assert_eq!(kept, page()?, "{PAGE}: `./dev docs` writes it anew");
        Ok(())
    }

    #[test]
    fn the_documents_are_what_they_are_made_of() -> Result<()> {
        for document in docs::all()? {
            let kept = fs::read_to_string(paths::root()?.join(document.path)).context(document.path)?;
            assert_eq!(kept, document.text, "{}: `./dev docs` writes it anew", document.path);
        }
        Ok(())
    }
}
