use std::borrow::Cow;

use super::{
    file::Rows,
    table::{ROWS, TEXT_BYTES},
    *,
};
use crate::{event::Decision, tier::Mode};

fn decision(path: &str, inode: u64, count: u64) -> Decision {
    let json = serde_json::json!({
        "mode": "enforce", "operation": "read", "count": count, "hook": "file_open", "errno": 1, "path": path,
        "path_cut": false, "too_deep": false, "unplaced": false, "leaves_scope": false, "device": "8:1",
        "inode": inode, "generation": 3, "rule": 7, "policy_generation": 2, "pid": 1, "tid": 1, "uid": 0, "gid": 0,
        "comm": "cat", "lineage": [], "cgroup_id": 5, "cgroup": "/a",
    });
    serde_json::from_value(json).expect("a decision")
}

/// Through the text of the file.
fn stats(figures: &Figures) -> Stats {
    Stats::parse(&serde_json::to_vec(&figures.stats()).expect("JSON")).expect("what was written can be read")
}

#[test]
fn the_file_is_there_from_the_beginning_and_for_its_owner_alone() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let run = RunDir::at(dir.path());
    assert_eq!(Stats::read(&run).expect("no file is no error"), None);
    let mut figures = Figures::new();
    let read = || Stats::read(&run).expect("it can be read").expect("a file").decisions.deny;
    figures.keep(&run, Duration::ZERO);
    assert_eq!(read(), 0);
    figures.count(&Event::Deny(decision("/a", 1, 5)));
    figures.keep(&run, BEAT / 2);
    assert_eq!(read(), 0, "before the beat");
    figures.keep(&run, BEAT);
    assert_eq!((read(), figures.unwritten()), (5, None));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(dir.path().join(NAME)).expect("a file").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_file(dir.path().join(NAME)).expect("removed");
    std::fs::create_dir(dir.path().join(NAME)).expect("a directory in its place");
    figures.end(&run, BEAT);
    assert!(figures.unwritten().is_some_and(|why| why.contains(NAME)));
    assert!(matches!(Stats::read(&run), Err(FiguresError::Unreadable { .. })));
}

#[test]
fn what_repeats_counts_as_often_as_it_happened() {
    let mut figures = Figures::new();
    figures.count(&Event::Deny(decision("/a", 1, 1)));
    figures.count(&Event::Deny(decision("/a", 1, 41)));
    figures.count(&Event::WouldDeny(Decision { mode: Mode::Audit, ..decision("/b", 2, 3) }));
    let stats = stats(&figures);
    assert_eq!(stats.decisions, Counts { deny: 42, would_deny: 3 });
    assert_eq!(figures.decided(), [Decided { hook: "file_open".to_owned(), deny: 42, would_deny: 3 }]);
    let paths: Vec<_> = stats
        .by
        .path
        .iter()
        .flat_map(|table| &table.rows)
        .map(|row| (row.key.to_string(), row.counts))
        .collect();
    let (a, b) = (Counts { deny: 42, would_deny: 0 }, Counts { deny: 0, would_deny: 3 });
    assert_eq!(paths, [("/a".to_owned(), a), ("/b".to_owned(), b)]);
}

#[test]
fn what_has_no_file_is_counted_beside_the_rows() {
    let mut figures = Figures::new();
    figures.count(&Event::Deny(Decision { device: None, inode: None, ..decision("", 0, 2) }));
    let stats = stats(&figures);
    for (name, Rows { rows, sum }) in stats.by.each() {
        assert_eq!(sum, Some(stats.decisions), "{name}");
        assert_eq!(rows, usize::from(!matches!(name, "inode" | "path")), "{name}");
    }
}

#[test]
fn what_is_frequent_stays_where_the_rest_does_not_fit() {
    let mut figures = Figures::new();
    let often = Event::Deny(decision("/often", 0, 1));
    (0..10).for_each(|_| figures.count(&often));
    for n in 0..10 * ROWS as u64 {
        figures.count(&Event::Deny(decision(&format!("/{n}"), n + 1, 1)));
    }
    let table = figures.paths.table();
    assert!(table.rows.len() <= ROWS);
    assert_eq!(table.rows[0].key.to_string(), "/often");
    assert_eq!(table.rows[0].counts.deny, 10);
    assert!(table.let_go > 0);
    assert_eq!(table.sum(), Some(figures.all));
    assert_eq!(table.clone().top(3).sum(), table.sum());
    assert_eq!(table.top(3).rows.len(), 3);
}

#[test]
fn long_and_hostile_texts_are_bounded_and_plain() {
    let mut figures = Figures::new();
    figures.count(&Event::Deny(decision(&format!("/{}/end", "é".repeat(4000)), 1, 1)));
    let table = figures.paths.table();
    let path = table.rows[0].key.to_string();
    assert!(path.len() <= TEXT_BYTES && path.starts_with('…') && path.ends_with("é/end"), "{path}");
    let hostile = Decision { hook: Cow::Borrowed("\u{1b}[2J"), ..decision("/a", 1, 1) };
    assert_eq!(Hook::of(&hostile).to_string(), "\\u{1b}[2J");
}

#[test]
fn a_file_that_does_not_add_up_is_not_believed() {
    let mut figures = Figures::new();
    figures.count(&Event::Deny(decision("/a", 1, 5)));
    let good = serde_json::to_value(stats(&figures)).expect("JSON");
    let parse = |value: &serde_json::Value| Stats::parse(&serde_json::to_vec(value).expect("JSON"));
    assert!(parse(&good).is_ok());
    for (pointer, value) in [
        ("/schema_version", serde_json::json!(2)),
        ("/decisions/deny", serde_json::json!(6)),
        ("/decisions/deny", serde_json::json!(-1)),
        ("/by/path/other/deny", serde_json::json!(u64::MAX)),
        ("/by/path/rows/0/deny", serde_json::json!(4)),
        ("/by/path", serde_json::json!(null)),
        ("/by", serde_json::json!({})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect(pointer) = value;
        assert!(parse(&bad).is_err(), "{pointer}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]

    /// Whatever comes, every table has all of it.
    #[test]
    fn tables_add_up(keys in proptest::collection::vec((0_u64..3000, 1_u64..100, proptest::bool::ANY), 0..3000)) {
        let mut figures = Figures::new();
        let mut all = Counts::default();
        for (key, count, deny) in keys {
            let one = decision(&format!("/{key}"), key, count);
            all += if deny { Counts { deny: count, would_deny: 0 } } else { Counts { deny: 0, would_deny: count } };
            figures.count(&if deny { Event::Deny(one) } else { Event::WouldDeny(one) });
        }
        let tables = [figures.paths.table().sum(), figures.inodes.table().sum(), figures.hooks.table().sum()];
        proptest::prop_assert_eq!(tables, [Some(all); 3]);
        proptest::prop_assert!(figures.paths.table().rows.len() <= ROWS);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        drop(Stats::parse(&bytes));
    }
}
