//! `aegisbpf completions`: what shells complete, as `install` puts it.

use crate::{
    cli::{CompletionsArgs, Shell},
    exit::{Exit, Failure},
    install,
};

/// Prints those of a shell.
pub(super) fn run(args: CompletionsArgs) -> Result<Exit, Failure> {
    let text = match args.shell {
        Shell::Bash => install::BASH,
        Shell::Zsh => install::ZSH,
        Shell::Fish => install::FISH,
    };
    super::print(text.text)?;
    Ok(Exit::Done)
}
