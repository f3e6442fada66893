//! What commands share that work on events which were written down: reading them, the policies that they name, and
//! holding a policy against them.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    agent::Source,
    enforce,
    event::{Decision, Line, Lines, Numbered},
    exit::{self, Exit, Failure},
    kernel::Host,
    plan::{Doubt, Looked, Matcher, Operand, Recorded, There, Verdict, operand},
    policy::{Device, Digest, Ops, PathRule, Policy, visible},
    store::{Store, StoreError},
};

/// So many bad lines are shown, and the others counted.
const SHOWN: u64 = 10;

/// So many policies of the store are kept in memory, the rest are said not to be at hand: a file can name any number.
const POLICIES: usize = 16;

/// Where cgroup v2 usually is.
const USUAL_ROOT: &str = "/sys/fs/cgroup";

/// Opens a file of events, `-` for standard input.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let failed = |error| unreadable(path, &error);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(unreadable(path, &io::ErrorKind::IsADirectory.into()));
    }
    Ok(Box::new(BufReader::new(file)))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let (exit, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => (Exit::Privilege, "run it as a user who may read the file"),
        _ => (Exit::Io, "name a file with what `aegisbpf run --log-format json` wrote, or `-`"),
    };
    Failure::new(exit, format!("{}: {error}", path.display())).hint(hint)
}

/// Takes every event of a file in turn; returns how many lines are none. The first of these are shown by number.
pub(super) fn each(path: &Path, mut take: impl FnMut(Line<'static>)) -> Result<u64, Failure> {
    let mut lines = Lines::of(open(path)?);
    let (mut good, mut bad) = (0_u64, 0_u64);
    while let Some(Numbered { number, line }) = lines.read().map_err(|error| unreadable(path, &error))? {
        match line {
            Ok(line) => {
                good += 1;
                take(line);
            }
            Err(why) => {
                bad += 1;
                if bad <= SHOWN {
                    let cause = std::error::Error::source(&why).map(|cause| format!(": {cause}"));
                    exit::note(&visible(&format!("line {number}: {why}{}", cause.unwrap_or_default())));
                }
            }
        }
    }
    if bad > SHOWN {
        exit::note(&format!("{} more lines are no events", bad - SHOWN));
    }
    if good == 0 && bad > 0 {
        return Err(Failure::new(Exit::Input, format!("{}: no line is an event", path.display()))
            .hint("events are what `aegisbpf run --log-format json` writes, one a line"));
    }
    Ok(bad)
}

/// The policies that events were decided by.
pub(super) struct Policies<'a> {
    given: Option<&'a Source>,
    store: Store,
    known: HashMap<Digest, Result<Source, String>>,
}

impl<'a> Policies<'a> {
    /// The policy that was given, and those in the store.
    pub(super) fn of(given: Option<&'a Source>, state_dir: &Path) -> Self {
        Self { given, store: Store::at(state_dir), known: HashMap::new() }
    }

    /// The text that decided; or why it is not at hand.
    pub(super) fn of_decision(&mut self, decision: &Decision) -> Result<&Source, String> {
        let Some(named) = &decision.policy_sha256 else {
            return Err("the event does not name the policy: its agent did not load it".to_owned());
        };
        let sha256: Digest = named.parse().map_err(|_| "the event does not name a policy".to_owned())?;
        if let Some(given) = self.given.filter(|given| given.sha256 == sha256) {
            return Ok(given);
        }
        if self.known.len() >= POLICIES && !self.known.contains_key(&sha256) {
            return Err("the file names more policies than are looked up".to_owned());
        }
        let store = &self.store;
        let known = self.known.entry(sha256).or_insert_with(|| stored(store, &sha256));
        known.as_ref().map_err(Clone::clone)
    }

    /// What the rule names that decided, where its policy is at hand.
    pub(super) fn matched(&mut self, decision: &Decision) -> Option<Operand> {
        operand(&self.of_decision(decision).ok()?.policy, decision.rule)
    }
}

fn stored(store: &Store, sha256: &Digest) -> Result<Source, String> {
    let text = store.text(sha256).map_err(|error| match error {
        StoreError::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            "no policy that was applied on this host has its SHA-256: name its file with --policy".to_owned()
        }
        StoreError::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "the policies that were applied are for root to read: run this as root, or name its file with --policy"
                .to_owned()
        }
        other => other.to_string(),
    })?;
    Source::parse(Path::new("policy"), &text).map_err(|error| error.to_string())
}

/// Where policies say that cgroup v2 is mounted: they mean the same by the usual place wherever it is, so that comes first.
pub(super) fn roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(USUAL_ROOT)];
    roots.extend(enforce::cgroup_root().into_iter().filter(|root| root != Path::new(USUAL_ROOT)));
    roots
}

/// A policy to be held against events of this host and of others.
pub(super) struct Judge<'a> {
    host: String,
    here: Matcher<'a>,
    elsewhere: Matcher<'a>,
}

impl<'a> Judge<'a> {
    /// Prepares it. `looked` is what [`look`] found.
    pub(super) fn new(policy: &'a Policy, looked: &[Looked], roots: &'a [PathBuf]) -> Self {
        let (here, elsewhere) = (Matcher::new(policy, looked, roots), Matcher::new(policy, &[], roots));
        Self { host: Host::current().name, here, elsewhere }
    }

    /// What the policy says of what was asked on that host.
    pub(super) fn judge(&self, host: &str, asked: &Recorded) -> Verdict {
        self.of(host).judge(asked)
    }

    /// The matcher for that host.
    pub(super) fn of(&self, host: &str) -> &Matcher<'a> {
        if self.is_here(host) { &self.here } else { &self.elsewhere }
    }

    /// Whether that is this host.
    pub(super) fn is_here(&self, host: &str) -> bool {
        host == self.host
    }
}

/// Looks at the paths that a policy names, as they are on this host now.
pub(super) fn look(policy: &Policy) -> Vec<Looked> {
    policy.paths.iter().chain(&policy.trees).map(look_at).collect()
}

fn look_at(rule: &PathRule) -> Looked {
    let parent = rule.path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    let written = parent.zip(rule.path.file_name()).map(|(parent, name)| parent.join(name));
    match fs::canonicalize(&rule.path) {
        Ok(at) => {
            let there = identity(&at);
            Looked { at: written.into_iter().chain([at]).collect(), there }
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Looked { at: written.into_iter().collect(), there: There::Nothing }
        }
        Err(_) => Looked { at: written.into_iter().collect(), there: There::Unseen },
    }
}

/// What the hooks see of a file, as far as `stat(2)` tells: not the device on btrfs, and nothing on overlayfs.
fn identity(path: &Path) -> There {
    let (Ok(metadata), Ok(system)) = (fs::metadata(path), rustix::fs::statfs(path)) else {
        return There::Unseen;
    };
    let device = Device::new(rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    match (system.f_type, device) {
        (libc::OVERLAYFS_SUPER_MAGIC, _) | (_, None) => There::Unseen,
        (libc::BTRFS_SUPER_MAGIC, _) => There::Number(metadata.ino()),
        (_, Some(device)) => There::File(device, metadata.ino()),
    }
}

/// A rule in words: number, section, and the line as it stands in the policy.
pub(super) struct RuleText {
    /// Its line, from 1.
    pub(super) line: u32,
    /// What it names.
    pub(super) operand: Operand,
    /// What it denies.
    pub(super) ops: Ops,
    /// The line, without the space around.
    pub(super) text: String,
}

/// Finds a rule of a policy.
pub(super) fn rule_text(source: &Source, id: u32) -> Option<RuleText> {
    let policy = &source.policy;
    let of = |rules: &[PathRule]| {
        let rule = rules.get(rules.binary_search_by_key(&id, |rule| rule.id).ok()?)?;
        Some((rule.line, rule.ops))
    };
    let inode = || {
        let at = policy.inodes.binary_search_by_key(&id, |rule| rule.id).ok()?;
        policy.inodes.get(at).map(|rule| (rule.line, rule.ops))
    };
    let (line, ops) = of(&policy.paths).or_else(|| of(&policy.trees)).or_else(inode)?;
    Some(RuleText { line, operand: operand(policy, id)?, ops, text: line_text(source, line) })
}

/// A line of a policy as it stands there.
pub(super) fn line_text(source: &Source, line: u32) -> String {
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    let bytes = source.text.split(|byte| *byte == b'\n').nth(index).unwrap_or_default();
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Why something cannot be told, in words.
pub(super) fn doubt_text(doubt: Doubt) -> String {
    match doubt {
        Doubt::NoInode(rule) => format!("the event lacks the inode, and rule {rule} is about one"),
        Doubt::NotLooked(rule) => format!(
            "the path of rule {rule} could be another name of the file: it can be looked at on the event's host alone, as root"
        ),
        Doubt::InContainer(rule) => {
            format!("the event's path is as its container sees it, and rule {rule} goes by place")
        }
        Doubt::PathCut(rule) => {
            format!("the event has the end of the path alone, and rule {rule} goes by it")
        }
        Doubt::AsPassed(rule) => format!(
            "the event has the path as the process passed it, with its links, and rule {rule} could be about what it leads to"
        ),
        Doubt::Device(rule) => {
            format!(
                "the inode's number is that of rule {rule}, and on btrfs only the kernel can compare the device"
            )
        }
        Doubt::Floor(rule) => format!(
            "rule {rule} denies the tree, and may have to leave this file alone, without which the host does not run"
        ),
        Doubt::Moves(rule) => {
            format!("rule {rule} refuses what would leave its tree, and the event does not say where it went")
        }
        Doubt::Scope(line) => {
            format!(
                "the event does not say where the process went, and the scope on line {line} may not be left"
            )
        }
        Doubt::Cgroup(line) => {
            format!("the event does not say whether its cgroup is that on line {line}, or below it")
        }
    }
}

/// What a process executes, by the best name that the event has.
pub(super) fn program(decision: &Decision) -> &str {
    decision.exe.as_deref().unwrap_or(&decision.comm)
}
