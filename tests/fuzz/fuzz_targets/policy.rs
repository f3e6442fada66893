//! Any bytes: parsing and rendering never panic, every place is inside its line, and a policy that is accepted is
//! printed to a file that means the same and is printed the same.
#![no_main]

use aegisbpf::policy::{Policy, parse, print, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(bytes);
    let (Ok((_, found)) | Err(found)) = &parsed;
    for diagnostic in found {
        let end = diagnostic.col.saturating_sub(1) + diagnostic.len;
        assert!(diagnostic.source.chars().count() >= end as usize, "{diagnostic:?}");
    }
    // Rendering is slow, and each diagnostic is rendered alone: a few of them tell as much as all.
    let (shown, colour) = (&found[..found.len().min(4)], bytes.len() % 2 == 0);
    render(shown, "fuzzed.conf", bytes, colour);
    if let Ok((policy, _)) = parsed {
        let printed = print(&policy);
        let (again, _) = parse(printed.as_bytes()).expect("a printed policy is valid");
        assert_eq!(print(&again), printed);
        assert_eq!(without_lines(again), without_lines(policy));
    }
});

/// The policy without what printing changes: the lines.
fn without_lines(mut policy: Policy) -> Policy {
    policy.paths.iter_mut().chain(&mut policy.trees).for_each(|rule| rule.line = 0);
    policy.inodes.iter_mut().for_each(|rule| rule.line = 0);
    policy.allow.iter_mut().chain(&mut policy.scope).for_each(|entry| entry.line = 0);
    policy
}
