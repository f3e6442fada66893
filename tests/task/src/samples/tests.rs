use super::*;
use crate::paths;
use crate::rules::{RULES, named, text};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

const DASHBOARD: &str = "dist/grafana/aegisbpf.json";

/// Seconds between two samples.
const STEP: u64 = 30;
/// For so many samples the host is healthy, and then in the state in question.
const HEALTHY: u64 = 20;
const AFTERWARDS: u64 = 40;

/// More is denied in one state than another alert bears, but how much of it was counted at the second look is a matter of
/// time: there that alert may fire or not.
const EITHER: (&str, &str) = ("lost", "HighDenyRate");

/// Runs `promtool`, which `./dev` installs: a machine without it has not been tested.
fn promtool(args: &[&str], file: &Path) -> Result<()> {
    let output =
        Command::new("promtool").args(args).arg(file).output().context("promtool (package prometheus)")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A line without its value.
fn series(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(series, _)| series)
}

/// A file of its own for this process.
fn scratch(name: &str, text: &str) -> Result<std::path::PathBuf> {
    let directory = paths::root()?.join("target/alerts");
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}-{name}", std::process::id()));
    fs::write(&path, text)?;
    Ok(path)
}

fn recorded() -> Result<BTreeMap<String, Row>> {
    let rows = Samples::read()?.rows;
    if rows.is_empty() {
        bail!("{RECORD} is empty: `./dev vm --row 6.12/events --check alerts. --record` writes it");
    }
    Ok(rows)
}

impl State {
    fn value(lines: &[String], wanted: &str) -> Option<f64> {
        lines.iter().find(|line| series(line) == wanted)?.rsplit(' ').next()?.parse().ok()
    }

    /// The value of a series `seconds` after the state began, which is `start` on the clock of the test. What was seen to
    /// grow goes on to grow as it did, and a point in time that was seen to move goes on to move.
    #[expect(clippy::cast_precision_loss, reason = "seconds of a test, and milliseconds of this century")]
    fn at(&self, wanted: &str, start: u64, seconds: u64) -> Option<f64> {
        let first = Self::value(&self.first, wanted);
        let last = Self::value(&self.then, wanted).or(first)?;
        let (start, seconds) = (start as f64, seconds as f64);
        let moved = last - first.unwrap_or(last);
        if name(wanted).ends_with("_timestamp_seconds") {
            let age = self.at as f64 / 1000.0 - last;
            return Some(start - age + if moved > 0.0 { seconds } else { 0.0 });
        }
        if name(wanted).ends_with("_total") {
            return Some(last + moved / (self.between.max(1) as f64 / 1000.0) * seconds);
        }
        Some(last)
    }

    fn series(&self) -> impl Iterator<Item = &str> {
        self.first.iter().chain(&self.then).map(|line| series(line))
    }
}

/// All values of a series: of a healthy host, and then of one in that state.
fn values(healthy: &State, state: &State, wanted: &str) -> String {
    let before = (0..HEALTHY).map(|step| healthy.at(wanted, 0, step * STEP));
    let change = HEALTHY * STEP;
    let after = (0..AFTERWARDS).map(|step| state.at(wanted, change, step * STEP));
    let mut text = String::new();
    let mut there = false;
    for value in before.chain(after) {
        // A series that is told no more ends at once, as in a scrape.
        let _ = match (value, there) {
            (Some(value), _) => write!(text, " {value}"),
            (None, true) => write!(text, " stale"),
            (None, false) => write!(text, " _"),
        };
        there = value.is_some();
    }
    text.trim_start().to_owned()
}

/// With the labels that a scrape adds.
fn scraped(series: &str) -> String {
    let labels = "job=\"aegisbpf\",instance=\"host\"";
    match series.split_once('{') {
        Some((name, rest)) => format!("{name}{{{labels},{rest}"),
        None => format!("{series}{{{labels}}}"),
    }
}

/// The test of one state, as `promtool test rules` reads it: none fires before, and those and no others afterwards.
fn test(healthy: &State, state: &State, alerts: &[&str], either: &str) -> Value {
    let all: BTreeSet<&str> = healthy.series().chain(state.series()).collect();
    let input: Vec<Value> = all
        .iter()
        .map(|one| json!({ "series": scraped(one), "values": values(healthy, state, one) }))
        .collect();
    let firing = |alerts: &[&str], eval_time: u64| {
        let samples: Vec<Value> = alerts
            .iter()
            .map(|alert| json!({ "labels": format!("{{alertname=\"Aegisbpf{alert}\"}}"), "value": 1 }))
            .collect();
        json!({
            "expr": format!("group by (alertname) (ALERTS{{alertstate=\"firing\",alertname!=\"Aegisbpf{either}\"}})"),
            "eval_time": format!("{eval_time}s"),
            "exp_samples": samples,
        })
    };
    let end = (HEALTHY + AFTERWARDS - 1) * STEP;
    let tests = [firing(&[], (HEALTHY - 1) * STEP), firing(alerts, end)];
    json!({ "interval": format!("{STEP}s"), "input_series": input, "promql_expr_test": tests })
}

fn held(tests: &[Value], name: &str) -> Result<()> {
    let rules = paths::root()?.join(RULES);
    let all = json!({ "rule_files": [rules], "evaluation_interval": format!("{STEP}s"), "tests": tests });
    let path = scratch(name, &serde_json::to_string_pretty(&all)?)?;
    let held = promtool(&["test", "rules"], &path);
    fs::remove_file(path)?;
    held.with_context(|| name.to_owned())
}

fn healthy(row: &Row) -> Result<&State> {
    row.states.get("healthy").context("a healthy host")
}

#[test]
fn each_alert_fires_in_its_state_and_in_no_other() -> Result<()> {
    for row in recorded()?.values() {
        for (name, alerts) in STATES {
            let state = row.states.get(name).with_context(|| format!("the state {name} is not recorded"))?;
            let either = if name == EITHER.0 { EITHER.1 } else { "" };
            held(&[test(healthy(row)?, state, alerts, either)], name)?;
        }
    }
    Ok(())
}

#[test]
fn hosts_that_tell_nothing_are_noticed() -> Result<()> {
    for row in recorded()?.values() {
        held(&[test(healthy(row)?, &State::default(), &["AgentDown"], "")], "silent")?;
    }
    Ok(())
}

/// A test that cannot fail would show nothing.
#[test]
fn an_alert_that_should_not_fire_is_a_fault() -> Result<()> {
    for row in recorded()?.values() {
        let glass = row.states.get("break-glass").context("a state")?;
        assert!(held(&[test(healthy(row)?, glass, &[], "")], "wrong").is_err());
        assert!(held(&[test(healthy(row)?, glass, &["BreakGlassOn", "AgentDown"], "")], "wrong").is_err());
    }
    Ok(())
}

#[test]
fn every_alert_has_a_state() -> Result<()> {
    let rules = text(RULES)?;
    let alerts: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: Aegisbpf")).collect();
    let provoked: BTreeSet<&str> = STATES.iter().flat_map(|(_, alerts)| *alerts).copied().collect();
    assert_eq!(alerts, provoked);
    let count = |key: &str| rules.lines().filter(|line| line.trim().starts_with(key)).count();
    for key in ["severity: ", "summary: ", "description: ", "runbook_url: docs/runbooks/"] {
        assert_eq!(count(key), alerts.len(), "{key}");
    }
    Ok(())
}

#[test]
fn the_rules_are_rules() -> Result<()> {
    promtool(&["check", "rules"], &paths::root()?.join(RULES))
}

#[test]
fn what_is_named_is_told() -> Result<()> {
    let rows = recorded()?;
    for file in [RULES, DASHBOARD] {
        let names = named(&text(file)?);
        assert!(names.len() > 5, "{file} names {names:?}");
        for (row, told) in &rows {
            let unknown: Vec<&String> = names.difference(&told.names).collect();
            assert!(unknown.is_empty(), "{file} names what {row} does not tell: {unknown:?}");
        }
    }
    Ok(())
}

/// Each expression as a rule of its own, so that it is one.
#[test]
fn the_dashboard_asks_what_can_be_asked() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)?)?;
    let panels = dashboard.pointer("/panels").and_then(Value::as_array).context("panels")?;
    let mut rules = Vec::new();
    for panel in panels {
        let targets = panel.pointer("/targets").and_then(Value::as_array).context("targets")?;
        for target in targets {
            let expression = target.pointer("/expr").and_then(Value::as_str).context("an expression")?;
            let expression = expression.replace("$__rate_interval", "5m");
            rules.push(json!({ "record": format!("panel:{}", rules.len()), "expr": expression }));
        }
    }
    assert!(rules.len() >= panels.len());
    let file = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let path = scratch("dashboard", &file.to_string())?;
    let checked = promtool(&["check", "rules"], &path);
    fs::remove_file(path)?;
    checked
}

#[test]
fn what_grew_goes_on_to_grow() {
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    let state = State {
        at: 1_000_000,
        between: 2_000,
        first: lines(&["a_total 4", "b 7", "c_timestamp_seconds 990", "d_timestamp_seconds 900"]),
        then: lines(&["a_total 8", "c_timestamp_seconds 992"]),
    };
    let at = |wanted: &str| state.at(wanted, 600, 10).map(f64::round);
    assert_eq!(at("a_total"), Some(28.0));
    assert_eq!(at("b"), Some(7.0));
    assert_eq!(at("c_timestamp_seconds"), Some(602.0));
    assert_eq!(at("d_timestamp_seconds"), Some(500.0));
    assert_eq!(at("e"), None);
}

#[test]
fn each_alert_is_named_on_the_page_that_it_links_to() -> Result<()> {
    let rules = text(RULES)?;
    let mut alert = "";
    let mut pages = 0;
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alert = name;
        } else if let Some(page) = line.strip_prefix("runbook_url: ") {
            if !text(page)?.contains(&format!("`{alert}`")) {
                bail!("{page} does not name {alert}");
            }
            pages += 1;
        }
    }
    if pages != rules.matches("- alert: ").count() {
        bail!("an alert without a page");
    }
    Ok(())
}
