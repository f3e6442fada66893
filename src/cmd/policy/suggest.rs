//! `aegisbpf policy suggest`: from what was denied to the lines that would allow it, and nothing that was not.

use std::{
    collections::{BTreeMap, HashMap},
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::replayed::policy;
use crate::{
    agent::Source,
    cli::{Places, SuggestArgs},
    cmd::{
        advice::Advice,
        print, print_bytes, print_json,
        recorded::{Judge, Policies, each, look, program, roots, rule_text},
    },
    event::Line,
    exit::{self, Exit, Failure},
    plan::{self, By, Case, Change, Looked, Recorded, Suggested, Verdict},
    policy::{self as language, Digest, Edits, visible},
};

/// Bytes of what is told apart; what comes beyond is counted as left out.
const ROOM: usize = 32 << 20;

/// What a case takes beside its names.
const OVERHEAD: usize = 512;

/// So many lines of the table are shown, and the rest counted.
const SHOWN: usize = 40;

#[derive(Serialize)]
struct Hit {
    /// `null`: denied without a rule.
    rule: Option<u32>,
    text: String,
    program: String,
    cgroup: String,
    decisions: u64,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    policy: String,
    policy_sha256: Digest,
    denied: u64,
    allowed: u64,
    unknown: u64,
    /// Decisions that there was no room to look at.
    left_out: u64,
    /// Decisions that no line of a policy would allow.
    left: u64,
    bad_lines: u64,
    hits: Vec<Hit>,
    suggestions: Vec<Advice>,
    diff: String,
}

/// What the events hold.
#[derive(Default)]
struct Cases {
    /// What would be denied and by what, alike ones together: on this host or not, and by which program.
    denied: HashMap<(Recorded, bool, String), (By, u64)>,
    used: usize,
    allowed: u64,
    unknown: u64,
    left_out: u64,
}

impl Cases {
    fn take(&mut self, line: &Line<'_>, judge: &Judge<'_>, policies: &mut Policies<'_>) {
        let Some(decision) = line.event.decision() else { return };
        let Some(asked) = decision.recorded(policies.matched(decision)) else { return };
        let count = decision.count;
        let by = match judge.judge(&line.host, &asked) {
            Verdict::Denied(by) => by,
            Verdict::Allowed(_) => return self.allowed = self.allowed.saturating_add(count),
            Verdict::Unknown(_) => return self.unknown = self.unknown.saturating_add(count),
        };
        let program = program(decision);
        let cgroup = decision.cgroup.as_deref().unwrap_or_default();
        let size = OVERHEAD + 2 * (decision.path.len() + program.len() + cgroup.len());
        let key = (asked, judge.is_here(&line.host), program.to_owned());
        if let Some((_, known)) = self.denied.get_mut(&key) {
            *known = known.saturating_add(count);
        } else if self.used + size > ROOM {
            self.left_out = self.left_out.saturating_add(count);
        } else {
            self.used += size;
            self.denied.insert(key, (by, count));
        }
    }
}

/// Prints hits, suggestions and the change as a diff.
pub(super) fn suggest(args: &SuggestArgs, places: &Places) -> Result<Exit, Failure> {
    let source = policy(args.policy.as_deref(), places)?;
    let mut policies = Policies::of(Some(&source), &places.state_dir);
    let (looked, roots) = (look(&source.policy), roots());
    let judge = Judge::new(&source.policy, &looked, &roots);
    let mut cases = Cases::default();
    let bad_lines = each(&args.events, |line| cases.take(&line, &judge, &mut policies))?;
    let mut report = Report::new(&source, &cases, bad_lines);
    let denied = report.hits(&source, cases.denied);
    let suggested = plan::suggest(&source.policy, &looked, &roots, &denied);
    let edits = report.advise(&source, &suggested, &denied);
    verify(&source, &edits, &roots, &denied, suggested.left)?;
    let diff = edits.unified(&diff_name(args, &source), &source.text);
    tell(args.json, report, &diff)
}

fn diff_name(args: &SuggestArgs, source: &Source) -> PathBuf {
    let file = args.policy.as_deref().filter(|path| *path != Path::new("-"));
    file.map_or_else(|| source.path.clone(), Path::to_owned)
}

fn tell(json: bool, mut report: Report, diff: &[u8]) -> Result<Exit, Failure> {
    report.diff = String::from_utf8_lossy(diff).into_owned();
    if json {
        print_json(&report)?;
        return Ok(Exit::Done);
    }
    print(&report.text())?;
    if std::io::stdout().is_terminal() {
        // A comment of the policy may hold anything.
        let shown = report.diff.lines().map(|line| visible(line) + "\n");
        print(&shown.collect::<String>())?;
    } else {
        print_bytes(diff)?;
    }
    if !diff.is_empty() {
        exit::note("`policy suggest … | patch` changes the file; then sign and apply it");
    }
    Ok(Exit::Done)
}

/// Holds the changed text against the same events, so that nothing is promised which it does not keep.
fn verify(
    source: &Source,
    edits: &Edits,
    roots: &[PathBuf],
    denied: &[Case],
    left: u64,
) -> Result<(), Failure> {
    if edits.is_empty() {
        return Ok(());
    }
    let changed = Source::parse(&source.path, &edits.apply(&source.text))?;
    let looked: Vec<Looked> = look(&changed.policy);
    let still = plan::suggest(&changed.policy, &looked, roots, denied);
    if still.changes.is_empty() && still.left <= left {
        return Ok(());
    }
    let why = format!(
        "{}: a rule stands on several lines, and changing one of them is not enough",
        source.path.display()
    );
    Err(Failure::new(Exit::Input, why).hint("`aegisbpf policy lint --fix FILE` writes each rule once"))
}

impl Report {
    fn new(source: &Source, cases: &Cases, bad_lines: u64) -> Self {
        Self {
            schema_version: 1,
            policy: source.path.display().to_string(),
            policy_sha256: source.sha256,
            denied: 0,
            allowed: cases.allowed,
            unknown: cases.unknown,
            left_out: cases.left_out,
            left: 0,
            bad_lines,
            hits: Vec::new(),
            suggestions: Vec::new(),
            diff: String::new(),
        }
    }

    /// Counts by rule, program and cgroup, and hands on what was counted.
    fn hits(&mut self, source: &Source, found: HashMap<(Recorded, bool, String), (By, u64)>) -> Vec<Case> {
        let mut denied = Vec::new();
        let mut hits: BTreeMap<(u32, String, String), u64> = BTreeMap::new();
        for ((asked, here, program), (by, count)) in found {
            let cgroup =
                asked.cgroup.as_deref().map(|path| language::escape(path.as_os_str().as_encoded_bytes()));
            let cgroup = cgroup.unwrap_or_else(|| format!("cgid:{}", asked.cgroup_id));
            let hit = hits.entry((number(by), program, cgroup)).or_default();
            *hit = hit.saturating_add(count);
            self.denied = self.denied.saturating_add(count);
            denied.push(Case { asked, here, count });
        }
        let hits = hits.into_iter().map(|((id, program, cgroup), decisions)| {
            let text = rule_text(source, id).map_or_else(|| "no rule".to_owned(), |rule| rule.text);
            Hit { rule: (id != 0).then_some(id), text, program, cgroup, decisions }
        });
        self.hits = hits.collect();
        self.hits.sort_by_key(|hit| std::cmp::Reverse(hit.decisions));
        denied
    }

    /// Puts each change into words and lines.
    fn advise(&mut self, source: &Source, suggested: &Suggested, denied: &[Case]) -> Edits {
        let policy = &source.policy;
        let edits = suggested.edits(policy, &source.text);
        let of = || denied.iter().map(|case| &case.asked);
        for one in &suggested.changes {
            let advice = match &one.change {
                Change::Allow(cgroup) => Some(Advice::exempt(policy, cgroup, one.decisions, of())),
                Change::Narrow { rule, left } => {
                    let new = rule_text(source, *rule).and_then(|found| edits.line(found.line));
                    Advice::weaken(source, *rule, *left, new, one.decisions)
                }
            };
            self.suggestions.extend(advice);
        }
        self.left = suggested.left;
        edits
    }

    fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} denies {} of these decisions, allows {}, and of {} it cannot be told",
            self.policy, self.denied, self.allowed, self.unknown
        )];
        if self.left_out > 0 {
            lines.push(format!(
                "{} decisions were left out: there are too many different ones",
                self.left_out
            ));
        }
        if !self.hits.is_empty() {
            lines.extend([String::new(), "   denied  rule, program, cgroup".to_owned()]);
        }
        for Hit { rule, text, program, cgroup, decisions } in self.hits.iter().take(SHOWN) {
            let rule = rule.map_or_else(String::new, |rule| format!("{rule}: "));
            lines.push(format!("{decisions:>9}  {rule}{text}  {program}  {cgroup}"));
        }
        if self.hits.len() > SHOWN {
            lines.push(format!("{:>9}  more lines; --json has all", self.hits.len() - SHOWN));
        }
        for (number, one) in (1..).zip(&self.suggestions) {
            lines.extend([String::new(), format!("{number}. allows {} of them:", one.decisions)]);
            lines.extend(one.lines());
        }
        if self.left > 0 {
            let left = self.left;
            lines.extend([String::new(), format!("{left} would be denied all the same: no rule decided, and the root cgroup cannot be exempted. Run that program in a cgroup of its own.")]);
        }
        if !self.suggestions.is_empty() {
            lines.push(String::new());
        }
        lines.iter().map(|line| visible(line) + "\n").collect()
    }
}

fn number(by: By) -> u32 {
    if let By::Rule(rule) = by { rule } else { 0 }
}
