//! What doctor is to judge, and what is to be explained.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cmd::{checks, groups},
    policy::nearest,
    tier::Mode,
};

/// What `doctor` is to judge.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf doctor --require audit\n  aegisbpf doctor --only K002,enforcement --json\n  aegisbpf doctor --report host.json\n  aegisbpf doctor --render *.json --html hosts.html\n\nExit codes: 0 requirement met, 1 not met, 2 nothing works or the agent misreports."
)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// What this host must be able to do for exit 0
    #[arg(long, value_name = "WHAT", default_value = "enforce")]
    pub require: Mode,
    /// Exit 1 as well when a check did not come out ok; one that is unknown did not
    #[arg(long)]
    pub strict: bool,
    /// Show these checks and groups only; the verdict rests on the trials all the same
    #[arg(long, value_name = "ID,GROUP", value_delimiter = ',', value_parser = check_or_group)]
    pub only: Vec<&'static str>,
    /// Leave these checks and groups out
    #[arg(long, value_name = "ID,GROUP", value_delimiter = ',', value_parser = check_or_group)]
    pub skip: Vec<&'static str>,
    /// Write the compatibility report of this host as well, as JSON; it names neither the host nor its policies
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Make one page of these reports instead of looking at this host
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["json", "strict", "only", "skip", "report"])]
    pub render: Vec<PathBuf>,
    /// Write the page as HTML
    #[arg(long, value_name = "FILE", requires = "render")]
    pub html: Option<PathBuf>,
    /// Write it as a table in Markdown [default: to standard output, when --html is not given]
    #[arg(long, value_name = "FILE", requires = "render")]
    pub markdown: Option<PathBuf>,
}

/// The check or group of that name, in any case, with `-` for blanks.
fn check_or_group(name: &str) -> Result<&'static str, String> {
    let wanted = name.replace('-', " ");
    let mut known = checks().chain(groups());
    known.find(|known| known.eq_ignore_ascii_case(&wanted)).ok_or_else(|| {
        let all: Vec<&str> = checks().chain(groups()).collect();
        match nearest(&wanted, all) {
            Some(near) => format!("there is no such check or group; did you mean {near}?"),
            None => format!(
                "there is no such check or group; the groups are {}",
                groups().collect::<Vec<_>>().join(", ")
            ),
        }
    })
}

/// What is to be explained.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  aegisbpf explain K002\n  aegisbpf explain SECCOMP_FILTER\n  aegisbpf explain file.exec\n  aegisbpf explain events.json              the last decision in a log\n  aegisbpf explain events.json --seq 17\n  tail -n 1 events.json | aegisbpf explain - --policy policy.conf\n\nOf an event it says what happened, which rule decided and why, which exemptions were looked at, and the\nlines that would allow it."
)]
pub struct ExplainArgs {
    /// The id, as another command printed it; or an event: a JSON line, a file of them, or `-`
    #[arg(value_name = "ID|EVENT")]
    pub topic: String,
    /// The event with this number; of several the last [default: the last decision]
    #[arg(long, value_name = "N")]
    pub seq: Option<u64>,
    /// The policy that decided [default: the one of its SHA-256, of those that were applied here]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which schema to print.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// The name of the schema
    #[arg(value_name = "NAME", required_unless_present = "list")]
    pub name: Option<String>,
    /// List the names
    #[arg(long)]
    pub list: bool,
}
