use super::*;

fn report(verdict: &str, os: &str) -> String {
    serde_json::json!({
        "schema_version": 1, "version": "0.1.0", "verdict": verdict, "reasons": [os],
        "host": { "os": os, "kernel": "6.1.0", "arch": "x86_64" }, "lsm": ["yama", os],
        "tiers": [{ "tier": "bpf-lsm", "enforces": true, "works": false, "reasons": [os] }],
        "probes": [{ "name": "bpf.map", "answer": os }],
        "checks": [{ "id": "K001", "title": os, "result": os, "evidence": os, "fix": [os],
                     "causes": [{ "cause": os, "found": true, "text": os }] }],
    })
    .to_string()
}

fn seen(text: &str) -> Seen {
    parse("a-host", "a-host.json", text.as_bytes()).expect("a report")
}

#[test]
fn nothing_of_a_report_becomes_markup() {
    let hostile = "<script>alert(1)</script>\" onload='x' | `a` [b](javascript:c) \u{202e}\n\u{1b}[2J";
    let one = [seen(&report(hostile, hostile))];
    let page = html::page(&one);
    assert!(!page.contains("<script") && !page.contains("onload='") && !page.contains("\" onload"), "{page}");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
    assert!(page.contains("&lt;script&gt;"));
    let table = markdown::table(&one);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(!table.contains("<script") && !table.contains(" | `") && !table.contains(" [b]("), "{table}");
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<usize> = table.lines().map(cells).collect();
    assert!(lines.iter().all(|count| *count == lines[0]), "{table}");
}

#[test]
fn the_page_loads_nothing() {
    let page = html::page(&[seen(&report("ENFORCE-READY", "Debian"))]);
    for word in ["http://", "https://", "<script", "<link", "<img", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("@media print"));
}

#[test]
fn what_is_no_report_is_refused() {
    let fault = |text: &str| parse("x", "x", text.as_bytes()).expect_err("no report");
    assert!(matches!(fault("{}"), ReportError::NoReport(..)));
    assert!(matches!(fault(&"[".repeat(100_000)), ReportError::NoReport(..)));
    let later = report("AUDIT-ONLY", "x").replace("\"schema_version\":1", "\"schema_version\":2");
    assert!(matches!(fault(&later), ReportError::Version(_, 2)));
    let bytes = usize::try_from(MAX_BYTES).expect("it fits");
    assert!(matches!(fault(&" ".repeat(bytes + 1)), ReportError::TooLong(_)));
}
