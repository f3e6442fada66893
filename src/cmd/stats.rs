//! `aegisbpf stats`: what the agent has counted since it began.

use std::{fmt::Display, io};

use crate::{
    agent::{FiguresError, Stats, Table, Tables},
    cli::{By, Places, StatsArgs},
    exit::{Exit, Failure},
    state::RunDir,
};

/// So many rows are shown to a person who does not say how many.
const TOP: usize = 20;

/// Prints the tables.
pub(super) fn run(args: &StatsArgs, places: &Places) -> Result<Exit, Failure> {
    let run_dir = RunDir::at(&places.run_dir);
    let Some(mut stats) = Stats::read(&run_dir)? else {
        return Err(Failure::new(Exit::Unavailable, "no agent has counted anything yet")
            .hint("`aegisbpf run` starts one; --run-dir names another runtime directory"));
    };
    stats.running = Some(run_dir.agent_alive());
    if args.json {
        stats.by = chosen(stats.by, args.by, args.top.unwrap_or(usize::MAX));
        super::print_json(&stats)?;
    } else {
        stats.by = chosen(stats.by, Some(args.by.unwrap_or(By::Hook)), args.top.unwrap_or(TOP));
        super::print(&text(&stats))?;
    }
    Ok(Exit::Done)
}

/// The table that was asked for, or all, with so many rows.
fn chosen(tables: Tables, by: Option<By>, top: usize) -> Tables {
    let wanted = |table: By| by.is_none_or(|by| by == table);
    Tables {
        hook: tables.hook.filter(|_| wanted(By::Hook)).map(|table| table.top(top)),
        cgroup: tables.cgroup.filter(|_| wanted(By::Cgroup)).map(|table| table.top(top)),
        rule: tables.rule.filter(|_| wanted(By::Rule)).map(|table| table.top(top)),
        inode: tables.inode.filter(|_| wanted(By::Inode)).map(|table| table.top(top)),
        path: tables.path.filter(|_| wanted(By::Path)).map(|table| table.top(top)),
    }
}

fn text(stats: &Stats) -> String {
    let Stats { since, written, decisions, by, .. } = stats;
    let agent = if stats.running == Some(true) { "the agent" } else { "the last agent, which runs no more," };
    let mut lines = vec![
        format!("since      {since}, when {agent} began"),
        format!("as of      {written}"),
        format!("decisions  {} denied, {} would be denied", decisions.deny, decisions.would_deny),
        String::new(),
    ];
    by.hook.iter().for_each(|table| rows(&mut lines, "HOOK", table));
    by.cgroup.iter().for_each(|table| rows(&mut lines, "CGROUP", table));
    by.rule.iter().for_each(|table| rows(&mut lines, "RULE", table));
    by.inode.iter().for_each(|table| rows(&mut lines, "INODE", table));
    by.path.iter().for_each(|table| rows(&mut lines, "PATH", table));
    lines.join("\n") + "\n"
}

fn rows<K: Display>(lines: &mut Vec<String>, head: &str, table: &Table<K>) {
    let width = |counts: &mut dyn Iterator<Item = u64>, head: &str| {
        counts.map(|count| count.to_string().len()).max().unwrap_or(0).max(head.len())
    };
    let all = || table.rows.iter().map(|row| row.counts).chain([table.other]);
    let (deny, would) = ("DENIED", "WOULD BE");
    let deny_width = width(&mut all().map(|counts| counts.deny), deny);
    let would_width = width(&mut all().map(|counts| counts.would_deny), would);
    lines.push(format!("{deny:>deny_width$}  {would:>would_width$}  {head}"));
    let named = table.rows.iter().map(|row| (row.counts, row.key.to_string()));
    for (counts, key) in named.chain([(table.other, "all others".to_owned())]) {
        lines.push(format!("{:>deny_width$}  {:>would_width$}  {key}", counts.deny, counts.would_deny));
    }
    if table.let_go > 0 {
        lines.push(format!(
            "{} rows were counted with all others to make room: what is named here may have happened more often",
            table.let_go
        ));
    }
}

impl From<FiguresError> for Failure {
    fn from(error: FiguresError) -> Self {
        match &error {
            FiguresError::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Self::new(Exit::Privilege, error)
                    .hint("run it as root, or as the user that the agent runs as: it names files and cgroups")
            }
            FiguresError::Unreadable { .. } => {
                Self::new(Exit::Io, error).hint("--run-dir names the agent's runtime directory")
            }
            FiguresError::Foreign { .. } => {
                Self::new(Exit::Input, error).hint("a running agent of this version writes it anew")
            }
        }
    }
}
