//! The page in HTML: one file that loads nothing, reads in light, in dark, on paper and on a phone, and without a script.

use std::fmt::Write as _;

use super::{Check, Seen, harmless, probes, tiers};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(seen: &[Seen]) -> String {
    let able = seen.iter().filter(|one| one.verdict == "ENFORCE-READY").count();
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>AegisBPF compatibility</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>AegisBPF compatibility</h1>\n\
         <p>{} hosts, {able} of which can enforce. Everything was found out by trial on the host itself; \
         unknown counts as no.</p>\n",
        seen.len()
    );
    out.push_str("<h2 id=\"tiers\">Tiers</h2>\n");
    tier_table(&mut out, seen);
    out.push_str("<h2 id=\"kernel\">What the kernels answered</h2>\n");
    probe_table(&mut out, seen);
    out.push_str("<h2 id=\"checks\">Checks, host by host</h2>\n");
    for (index, one) in seen.iter().enumerate() {
        details(&mut out, index, one);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn table(out: &mut String, label: &str, columns: &[&str], rows: impl FnOnce(&mut String)) {
    let _ = write!(
        out,
        "<div class=\"scroll\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">\n<table>\n<thead><tr>"
    );
    for column in columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    rows(out);
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn tier_table(out: &mut String, seen: &[Seen]) {
    let tiers = tiers(seen);
    let columns = [&["host", "verdict"], tiers.as_slice(), &["active LSMs"]].concat();
    table(out, "Tiers by host", &columns, |out| {
        for (index, one) in seen.iter().enumerate() {
            row_head(out, index, one);
            let class = match one.verdict.as_str() {
                "ENFORCE-READY" | "ENFORCING" => "good",
                "AUDIT-ONLY" => "part",
                _ => "bad",
            };
            cell(out, "verdict", &tag(class, &one.verdict));
            for name in &tiers {
                let Some(tier) = one.tiers.iter().find(|tier| tier.name == *name) else {
                    cell(out, name, &tag("none", "not asked"));
                    continue;
                };
                let class = if tier.works { if tier.enforces { "good" } else { "part" } } else { "bad" };
                let why = tier.reasons.first().map(|why| format!("<small>{}</small>", escape(why)));
                cell(out, name, &(tag(class, tier.word()) + &why.unwrap_or_default()));
            }
            let lsm = one.lsm.as_ref().map_or_else(|| "not visible".to_owned(), |names| names.join(", "));
            cell(out, "active LSMs", &escape(&lsm));
            out.push_str("</tr>\n");
        }
    });
}

fn probe_table(out: &mut String, seen: &[Seen]) {
    let probes = probes(seen);
    let columns = [&["host"], probes.as_slice()].concat();
    table(out, "Probes by host", &columns, |out| {
        for (index, one) in seen.iter().enumerate() {
            row_head(out, index, one);
            for name in &probes {
                let answer = one.probes.iter().find(|probe| probe.name == *name);
                let (class, word) = match answer.map(|probe| probe.answer.as_str()) {
                    Some("yes") => ("good", "yes"),
                    Some("no") => ("bad", "no"),
                    Some(_) => ("part", "unknown"),
                    None => ("none", "not asked"),
                };
                cell(out, name, &tag(class, word));
            }
            out.push_str("</tr>\n");
        }
    });
}

/// A cell; on a phone, where the head of the table is not shown, it is named by its label.
fn cell(out: &mut String, label: &str, content: &str) {
    let _ = write!(out, "<td data-label=\"{}\"><div>{content}</div></td>", escape(label));
}

fn row_head(out: &mut String, index: usize, one: &Seen) {
    let _ = write!(
        out,
        "<tr><th scope=\"row\"><a href=\"#host{index}\">{}</a><small>{}, {}</small></th>",
        escape(&one.name),
        escape(&one.host.kernel),
        escape(&one.host.arch)
    );
}

fn details(out: &mut String, index: usize, one: &Seen) {
    let count = |result: &str| one.checks.iter().filter(|check| check.result == result).count();
    let _ = write!(
        out,
        "<details id=\"host{index}\">\n<summary>{}: {} ok, {} warnings, {} failed, {} unknown</summary>\n<div>\n\
         <p class=\"soft\">{}, Linux {} {}, aegisbpf {}</p>\n",
        escape(&one.name),
        count("ok"),
        count("warn"),
        count("fail"),
        count("unknown"),
        escape(&one.host.os),
        escape(&one.host.kernel),
        escape(&one.host.arch),
        escape(&one.version)
    );
    for reason in &one.reasons {
        let _ = writeln!(out, "<p>{}</p>", escape(reason));
    }
    out.push_str("<dl>\n");
    one.checks.iter().for_each(|check| entry(out, check));
    out.push_str("</dl>\n</div>\n</details>\n");
}

fn entry(out: &mut String, check: &Check) {
    let class = match check.result.as_str() {
        "ok" => "good",
        "fail" => "bad",
        "warn" | "unknown" => "part",
        _ => "none",
    };
    let _ = writeln!(
        out,
        "<dt>{} <code>{}</code> {}</dt>\n<dd>{}</dd>",
        tag(class, &check.result),
        escape(&check.id),
        escape(&check.title),
        escape(&check.evidence)
    );
    for cause in &check.causes {
        let word = if cause.found { "because" } else { "perhaps" };
        let _ = writeln!(out, "<dd>{word} {}: {}</dd>", escape(&cause.code), escape(&cause.text));
    }
    for fix in &check.fix {
        let _ = writeln!(out, "<dd>mend: <code>{}</code></dd>", escape(fix));
    }
}

fn tag(class: &str, text: &str) -> String {
    format!("<span class=\"tag {class}\">{}</span>", escape(text))
}

/// Text, whatever it holds, between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in harmless(text) {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}
