//! Which figures are wanted, and where they go.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The hook that decided
    Hook,
    /// The cgroup of the process
    Cgroup,
    /// The rule that matched
    Rule,
    /// The file
    Inode,
    /// The path
    Path,
}

/// What `stats` is to show.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    after_help = "Counts begin anew with each agent. Decisions that repeat one another are counted when they are told \
(`run --repeat-window`), and the tables are written every five seconds.\n\nExamples:\n  aegisbpf stats --by path --top 10\n  \
aegisbpf stats --json | jq .by.rule.rows"
)]
pub struct StatsArgs {
    /// Which table [default: by hook; with --json all]
    #[arg(long, value_name = "WHAT")]
    pub by: Option<By>,
    /// Show the first N rows; all others are counted together [default: 20; with --json all]
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where `metrics` go.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Without root, what only root may read is left out: the sizes of maps and what became of changes of the \
policy.\n\nExamples:\n  aegisbpf metrics --textfile /var/lib/prometheus/node-exporter/aegisbpf.prom\n  \
aegisbpf metrics --socket /run/aegisbpf-metrics.sock &\n  curl --unix-socket /run/aegisbpf-metrics.sock http://localhost/metrics"
)]
pub struct MetricsArgs {
    /// Write them to this file, which is there as a whole at any time: for the textfile collector of `node_exporter`
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    pub textfile: Option<PathBuf>,
    /// Answer `GET /metrics` on this Unix socket (mode 0660) until told to stop, reading anew for each request
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}
