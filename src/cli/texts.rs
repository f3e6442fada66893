//! Which of the texts that the binary holds to print.

use clap::{Args, ValueEnum};

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// Whose completions to print.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    after_help = "`aegisbpf install` puts them where shells look. Without it:\n  source <(aegisbpf completions bash)\n  \
aegisbpf completions zsh >~/.zfunc/_aegisbpf\n  aegisbpf completions fish | source"
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Which page to print.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  aegisbpf man | man -l -\n  aegisbpf man policy | man -l -")]
pub struct ManArgs {
    /// The page, by its name or its section [default: aegisbpf]
    #[arg(value_name = "PAGE", conflicts_with = "list")]
    pub page: Option<String>,
    /// List the pages
    #[arg(long)]
    pub list: bool,
}
