//! Rules and cgroups: one entry a line.

use std::collections::hash_map::Entry as Slot;

use super::fault::Fault;
use super::grammar;
use super::limits;
use super::operands::decimal;
use super::reader::Reader;
use super::report::Line;
use super::text::clip;
use super::types::{CgroupEntry, CgroupRef, InodeRule, Ops, PathRule, path_buf};

impl<'a> Reader<'a> {
    pub(super) fn path_rule(&mut self, line: Line<'a>, text: &'a str, tree: bool) {
        let Some((token, rest)) = self.path_token(line, text) else { return };
        let ops = self.operations_after(line, rest);
        let path = self.path(line, &token);
        let (Some(ops), Some(path)) = (ops, path) else { return };
        let Some(id) = self.next_id(line) else { return };
        let (seen, rules) = if tree {
            (&mut self.seen.trees, &mut self.policy.trees)
        } else {
            (&mut self.seen.paths, &mut self.policy.paths)
        };
        match seen.entry(path) {
            Slot::Vacant(slot) => {
                let path = path_buf(slot.key());
                slot.insert(rules.len());
                rules.push(PathRule { id, path, ops, line: line.number });
            }
            Slot::Occupied(slot) => {
                if let Some(rule) = rules.get_mut(*slot.get()) {
                    let fault = merge(&mut rule.ops, ops, rule.line);
                    self.report.at(line, text, &fault);
                }
            }
        }
    }

    pub(super) fn inode_rule(&mut self, line: Line<'a>, text: &'a str) {
        let path = text.starts_with(['/', '"']);
        let (rest, fields) = match grammar::inode(text) {
            Ok(parsed) if !path => parsed,
            _ => return self.report.at(line, text, &Fault::BadInodeRule { text: clip(text), path }),
        };
        let ops = self.operations_after(line, rest);
        let (dev, ino) = match fields {
            (major, minor, Some(ino)) => {
                (self.device(line, text, major, minor), self.inode_number(line, ino))
            }
            (dev, ino, None) => (self.decimal_device(line, dev), self.inode_number(line, ino)),
        };
        let (Some(ops), Some(dev), Some(ino)) = (ops, dev, ino) else { return };
        let Some(id) = self.next_id(line) else { return };
        let rules = &mut self.policy.inodes;
        match self.seen.inodes.entry((dev, ino)) {
            Slot::Vacant(slot) => {
                slot.insert(rules.len());
                rules.push(InodeRule { id, dev, ino, ops, line: line.number });
            }
            Slot::Occupied(slot) => {
                if let Some(rule) = rules.get_mut(*slot.get()) {
                    let fault = merge(&mut rule.ops, ops, rule.line);
                    self.report.at(line, text, &fault);
                }
            }
        }
    }

    pub(super) fn cgroup(&mut self, line: Line<'a>, text: &'a str, scope: bool) {
        let Some(cgroup) = self.cgroup_ref(line, text) else { return };
        if self.next_id(line).is_none() {
            return;
        }
        let (seen, list) = if scope {
            (&mut self.seen.scope, &mut self.policy.scope)
        } else {
            (&mut self.seen.allow, &mut self.policy.allow)
        };
        match seen.entry(cgroup) {
            Slot::Occupied(first) => {
                self.report.at(line, text, &Fault::DuplicateCgroup { first: *first.get() });
            }
            Slot::Vacant(slot) => {
                list.push(CgroupEntry { cgroup: slot.key().clone(), line: line.number });
                slot.insert(line.number);
            }
        }
    }

    fn cgroup_ref(&mut self, line: Line<'a>, text: &'a str) -> Option<CgroupRef> {
        if let Ok((rest, digits)) = grammar::cgroup_id(text) {
            self.nothing_after(line, rest)?;
            let id = decimal::<u64>(digits).filter(|&id| id > 0);
            if id.is_none() {
                let written = if digits.is_empty() { text } else { digits };
                self.report.at(line, written, &Fault::BadCgroupId { text: clip(written) });
            }
            return id.map(CgroupRef::Id);
        }
        let (token, rest) = self.path_token(line, text)?;
        self.nothing_after(line, rest)?;
        self.path(line, &token).map(|path| CgroupRef::Path(path_buf(&path)))
    }

    /// The id of the next rule, unless there are too many entries.
    fn next_id(&mut self, line: Line<'a>) -> Option<u32> {
        let rules = self.policy.rules();
        if rules + self.policy.allow.len() + self.policy.scope.len() >= limits::ENTRIES {
            self.report.on(line.number, &Fault::TooManyEntries);
            self.report.stop();
            return None;
        }
        u32::try_from(rules + 1).ok()
    }
}

/// One rule for two lines on the same object: what either denies is denied.
fn merge(ops: &mut Ops, more: Ops, first: u32) -> Fault {
    if ops.contains(more) {
        return Fault::DuplicateRule { first };
    }
    *ops = ops.union(more);
    Fault::MergedRule { first, ops: ops.to_string() }
}
