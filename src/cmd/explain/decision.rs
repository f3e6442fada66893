//! A decision: who did what, which rule said so and why, and what would allow it.

use std::path::Path;

use super::event::{Exemption, Named, Rule, Trace};
use crate::{
    abi,
    agent::Source,
    cmd::{
        advice::Advice,
        recorded::{Judge, Policies, RuleText, doubt_text, line_text, look, program, roots, rule_text},
    },
    event::{Decision, Event, Line},
    kernel::errno_name,
    plan::{self, By, Free, Matcher, Member, Operand, Recorded, Verdict},
    policy::{CgroupRef, Ops, Policy},
};

/// So many exemptions are shown, and the rest counted.
const EXEMPTIONS: usize = 20;

/// Explains a decision by a policy. `given` is the policy that the caller named, whether or not it is the one.
pub(super) fn trace(
    line: &Line<'_>,
    decision: &Decision,
    policies: &mut Policies<'_>,
    given: Option<&Source>,
) -> Trace {
    let mut trace = Trace::of(line, sentence(line, decision));
    let matched = policies.matched(decision);
    let Some(asked) = decision.recorded(matched) else {
        trace
            .why
            .push("no agent writes such an operation or path: nothing more can be told of it".to_owned());
        return trace;
    };
    trace.why.extend(without_rule(&asked, decision));
    let text = policies.of_decision(decision);
    let remark = text.as_ref().err().cloned();
    trace.policy = Some(Named {
        sha256: decision.policy_sha256.clone(),
        generation: decision.policy_generation,
        remark: remark.map(|why| format!("its text is not at hand: {why}")),
    });
    let found = text.as_ref().ok().and_then(|source| rule_text(source, decision.rule));
    if decision.rule != 0 {
        let (line, text) =
            (found.as_ref().map(|rule| rule.line), found.as_ref().map(|rule| rule.text.clone()));
        trace.rule = Some(Rule { id: decision.rule, line, text });
    }
    if let Ok(source) = text {
        trace.why.extend(found.iter().flat_map(|rule| reasons(rule, decision, &asked)));
        by_text(&mut trace, line, source, &asked);
    } else {
        trace.why.extend(given.map(|given| by_other(line, given, &asked)));
        trace.would_allow.extend(exempting(&Policy { version: 2, ..Policy::default() }, &asked));
    }
    trace.next = next(decision, &asked);
    trace
}

/// What happened, in one sentence.
fn sentence(line: &Line<'_>, decision: &Decision) -> String {
    let Decision { operation, path, hook, pid, uid, comm, count, since, lineage, .. } = decision;
    let login = decision.login_uid.map(|login| format!(", logged in as uid {login}")).unwrap_or_default();
    let above: Vec<String> = lineage.iter().map(|one| format!("{} (pid {})", one.exe, one.pid)).collect();
    let above = if above.is_empty() { String::new() } else { format!(", started by {}", above.join(" < ")) };
    let cgroup =
        decision.cgroup.as_deref().map(|cgroup| format!(", in the cgroup {cgroup}")).unwrap_or_default();
    let container = decision.container_id.as_deref().and_then(|id| id.get(..12));
    let container = container.map(|id| format!(" (container {id})")).unwrap_or_default();
    let times = since.as_deref().map(|since| format!(" {count} times since {since}")).unwrap_or_default();
    let verdict = match &*line.event {
        Event::Deny(_) => format!("was refused {operation} of {path}{times}: {}", errno_name(decision.errno)),
        _ => format!("passed with {operation} of {path}{times}, which enforce mode would refuse"),
    };
    format!(
        "{}: {} ({comm}, pid {pid}, uid {uid}{login}){cgroup}{container}{above}, {verdict} (hook {hook}, host {})",
        line.time,
        program(decision),
        line.host
    )
}

/// What decided when no rule did.
fn without_rule(asked: &Recorded, decision: &Decision) -> Option<String> {
    if decision.too_deep {
        return Some(format!(
            "no rule matched; the file lies more than {} directories deep, further than decisions walk, and the policy \
             denies {} in some tree: what cannot be told is refused",
            abi::TREE_DEPTH,
            asked.ops
        ));
    }
    if decision.unplaced {
        return Some(
            "no rule matched; the file was opened by a handle (open_by_handle_at, an NFS server) while the kernel knew \
             no place for it, and a rule by place may mean it: what cannot be told is refused"
                .to_owned(),
        );
    }
    decision.leaves_scope.then(|| {
        "no rule matched; the process, or one that it moved, would have left [scope_cgroup], and with it the rules: who is \
         bound may not unbind itself. A process that the rules do not bind may move it"
            .to_owned()
    })
}

/// Why a rule applies.
fn reasons(rule: &RuleText, decision: &Decision, asked: &Recorded) -> Vec<String> {
    let file = match (&decision.device, decision.inode) {
        (Some(device), Some(inode)) => format!("device {device}, inode {inode}"),
        _ => "what the path leads to".to_owned(),
    };
    let is_path = |path: &Path| asked.path == path;
    let place = match &rule.operand {
        Operand::Path(path) if is_path(path) => format!("the path is that of the rule; the file is {file}"),
        Operand::Path(path) => format!(
            "the rule is about the file at {}, and this is it by another name: a link, or a mount ({file})",
            path.display()
        ),
        Operand::Inode(..) => format!("the file is {file}, as the rule says; its path makes no difference"),
        Operand::Tree(tree) if asked.path.starts_with(tree) => {
            format!("the path lies in the tree {}", tree.display())
        }
        Operand::Tree(tree) => format!(
            "the file lies in the tree {}, which is mounted or linked where the path leads as well",
            tree.display()
        ),
    };
    let ops = if rule.ops.intersects(asked.ops) {
        format!("the rule denies {}, and {} was tried", rule.ops, asked.ops)
    } else {
        format!("the rule denies {}, and the file would have come to be where it does not reach", rule.ops)
    };
    vec![place, ops]
}

/// What the policy that decided says of the cgroup, and which of its lines would have to change.
fn by_text(trace: &mut Trace, line: &Line<'_>, source: &Source, asked: &Recorded) {
    let (policy, roots) = (&source.policy, roots());
    let matcher = Matcher::new(policy, &[], &roots);
    trace.why.push(scope(&matcher, source, asked));
    let entries = policy.allow.iter().take(EXEMPTIONS).map(|entry| {
        let member = matcher.member(entry, asked);
        let (applies, why) = answer(member, matches!(entry.cgroup, CgroupRef::Id(_)));
        let text = line_text(source, entry.line);
        Exemption { line: entry.line, text, applies, why: why.to_owned() }
    });
    trace.exemptions = entries.collect();
    match policy.allow.len() {
        0 => trace.why.push("no cgroup is exempt: there is no [allow_cgroup]".to_owned()),
        all if all > EXEMPTIONS => {
            trace.why.push(format!("{} more exemptions are not shown", all - EXEMPTIONS));
        }
        _ => {}
    }
    trace.would_allow.extend(exempting(policy, asked));
    let rule = trace.rule.as_ref().map(|rule| rule.id).and_then(|id| Some((id, rule_text(source, id)?)));
    if let Some((id, found)) = rule {
        let left = plan::what_is_left(policy, id, std::iter::once(asked));
        let mut edits = crate::policy::Edits::default();
        edits.narrow(&source.text, found.line, left);
        trace.would_allow.extend(Advice::weaken(source, id, left, edits.line(found.line), count(line)));
    }
}

fn count(line: &Line<'_>) -> u64 {
    line.event.decision().map_or(1, |decision| decision.count)
}

fn scope(matcher: &Matcher<'_>, source: &Source, asked: &Recorded) -> String {
    let scope = &source.policy.scope;
    let Some(first) = scope.first() else {
        return "the rules bind every process: there is no [scope_cgroup]".to_owned();
    };
    match scope.iter().find(|entry| matcher.member(entry, asked) == Member::Yes) {
        Some(entry) => format!(
            "the process is in the scope of the rules by line {}, {}",
            entry.line,
            line_text(source, entry.line)
        ),
        None => format!(
            "the process was in the scope that begins on line {}, by which entry is not told",
            first.line
        ),
    }
}

fn answer(member: Member, by_id: bool) -> (Option<bool>, &'static str) {
    match member {
        Member::No => (Some(false), "the process is neither in it nor below"),
        Member::Yes if by_id => {
            (Some(true), "the process is in it now by this id, and was not when the policy was applied")
        }
        Member::Yes => (
            Some(true),
            "the path is that of the process's cgroup, which was made after the policy was applied: `aegisbpf policy \
             reload` makes the policy follow",
        ),
        Member::Unknown => {
            (None, "the event does not say whether the process is in it; it did not exempt it")
        }
    }
}

fn exempting(policy: &Policy, asked: &Recorded) -> Option<Advice> {
    let cgroup = plan::exemption(policy, &roots(), asked)?;
    Some(Advice::exempt(policy, &cgroup, 1, [asked]))
}

/// What another policy than the one that decided says of it.
fn by_other(line: &Line<'_>, given: &Source, asked: &Recorded) -> String {
    let (looked, roots) = (look(&given.policy), roots());
    let judge = Judge::new(&given.policy, &looked, &roots);
    let says = match judge.judge(&line.host, asked) {
        Verdict::Denied(By::Rule(id)) => {
            let text = rule_text(given, id).map(|rule| rule.text).unwrap_or_default();
            format!("would deny it as well, by rule {id}: {text}")
        }
        Verdict::Denied(_) => "would deny it as well, without a rule".to_owned(),
        Verdict::Allowed(Free::NoRule) => "would allow it: no rule of it is about this".to_owned(),
        Verdict::Allowed(Free::Exempt(line)) => format!("would allow it: line {line} exempts the cgroup"),
        Verdict::Allowed(Free::OutOfScope) => "would allow it: the process is not in its scope".to_owned(),
        Verdict::Unknown(doubt) => format!("may or may not deny it: {}", doubt_text(doubt)),
    };
    format!("{} is another policy (sha256 {}), and {says}", given.path.display(), given.sha256)
}

fn next(decision: &Decision, asked: &Recorded) -> Vec<String> {
    let mut next = Vec::new();
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte));
    let one = Ops::NAMES.iter().any(|(_, ops)| *ops == asked.ops);
    if one && decision.inode.is_some() && !decision.path_cut && plain(&decision.path) {
        let cgroup = decision.cgroup.as_deref().filter(|cgroup| plain(cgroup) && *cgroup != "/");
        let root = roots().first().map(|root| root.display().to_string()).unwrap_or_default();
        let cgroup = cgroup.map(|cgroup| format!(" --cgroup {root}{cgroup}")).unwrap_or_default();
        let (path, op) = (&decision.path, &decision.operation);
        next.push(format!(
            "`aegisbpf policy simulate --path {path} --op {op}{cgroup}` asks the kernel what it would say now"
        ));
    }
    next.push(
        "`aegisbpf policy apply FILE --confirm-within 2m` tries a changed policy, and goes back by itself"
            .to_owned(),
    );
    next
}
