//! The corpus of policies and the language's document, against the parser.
//!
//! `bad` holds policies that are refused, `lint` such that are accepted with warnings, `good` such that are accepted
//! without. What is shown for `x.conf` stands in `x.expected`; `UPDATE_GOLDEN=1` writes these files and the generated
//! parts of the document anew. `good/example.conf` is a link to the example that is shipped, and stands in the document.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use aegisbpf::policy::{Code, Diagnostic, Policy, limits, parse, print, render};

type Outcome = Result<(), Box<dyn Error>>;
type Parsed = Result<(Policy, Vec<Diagnostic>), Vec<Diagnostic>>;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/POLICY_LANGUAGE.md");

/// The policies of one directory, in order.
fn corpus(kind: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(kind);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Compares with the golden file, or writes it.
fn golden(path: &Path, found: &str) -> Outcome {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return Ok(fs::write(path, found)?);
    }
    let expected = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    assert_eq!(expected, found, "{}: UPDATE_GOLDEN=1 writes it anew", path.display());
    Ok(())
}

fn shown(path: &Path, bytes: &[u8], found: &[Diagnostic]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    render(found, &name, bytes, false)
}

/// Every policy of a directory as the parser sees it, with its golden file checked.
fn check(kind: &str) -> Result<Vec<(PathBuf, Parsed)>, Box<dyn Error>> {
    let mut seen = Vec::new();
    for path in corpus(kind)? {
        let bytes = fs::read(&path)?;
        let parsed = parse(&bytes);
        let found = match &parsed {
            Ok((policy, warnings)) => shown(&path, &bytes, warnings) + &print(policy),
            Err(found) => shown(&path, &bytes, found),
        };
        golden(&path.with_extension("expected"), &found)?;
        seen.push((path, parsed));
    }
    Ok(seen)
}

#[test]
fn bad_policies_are_refused_with_their_diagnostics() -> Outcome {
    let seen = check("bad")?;
    assert!(seen.len() >= 60, "{} bad policies", seen.len());
    for (path, parsed) in seen {
        assert!(parsed.is_err(), "{} was accepted", path.display());
    }
    Ok(())
}

#[test]
fn doubtful_policies_are_accepted_with_warnings() -> Outcome {
    for (path, parsed) in check("lint")? {
        let (_, warnings) = parsed.map_err(|_| format!("{} was refused", path.display()))?;
        assert!(!warnings.is_empty(), "{} has no warning", path.display());
    }
    Ok(())
}

#[test]
fn good_policies_are_accepted_without_a_word() -> Outcome {
    let seen = check("good")?;
    assert!(seen.len() >= 8, "{} good policies", seen.len());
    for (path, parsed) in seen {
        let (_, warnings) = parsed.map_err(|_| format!("{} was refused", path.display()))?;
        assert_eq!(warnings, [], "{}", path.display());
    }
    Ok(())
}

#[test]
fn every_code_has_a_policy() -> Outcome {
    // What needs a file of megabytes has a test beside the parser; the other codes are of the host, not of the text.
    let mut missing: BTreeSet<Code> =
        Code::ALL.iter().copied().filter(|code| !code.id().starts_with("P2")).collect();
    for code in [Code::FileTooLarge, Code::TooManyEntries] {
        missing.remove(&code);
    }
    for path in [corpus("bad")?, corpus("lint")?].concat() {
        let (Ok((_, found)) | Err(found)) = parse(&fs::read(path)?);
        for diagnostic in found {
            missing.remove(&diagnostic.code);
        }
    }
    assert!(missing.is_empty(), "no policy shows {missing:?}");
    Ok(())
}

/// The document with the lines between `<!-- NAME -->` and `<!-- end -->` replaced.
fn with_part(document: &str, name: &str, part: &str) -> Result<String, Box<dyn Error>> {
    let marker = format!("<!-- {name} -->\n");
    let (before, rest) = document.split_once(&marker).ok_or_else(|| format!("no {marker}"))?;
    let (_, after) = rest.split_once("<!-- end -->").ok_or("no end")?;
    Ok(format!("{before}{marker}{part}<!-- end -->{after}"))
}

fn codes() -> String {
    let mut table = String::from("| code | weight | situation |\n| --- | --- | --- |\n");
    for code in Code::ALL {
        let _ = writeln!(table, "| `{}` | {} | {} |", code.id(), code.severity(), code.title());
    }
    table
}

fn bounds() -> String {
    let rows = [
        ("file", limits::FILE_BYTES, "bytes (64 MiB)"),
        ("line", limits::LINE_BYTES, "bytes"),
        ("path", limits::PATH_BYTES, "bytes"),
        ("one name in a path", limits::NAME_BYTES, "bytes"),
        ("rules and cgroups together", limits::ENTRIES, ""),
        ("`description`", limits::DESCRIPTION_BYTES, "bytes"),
        ("`host`", limits::HOST_CHARS, "characters"),
        ("errors shown, and warnings shown", limits::DIAGNOSTICS, "each"),
    ];
    let mut table = String::from("| what | at most |\n| --- | --- |\n");
    for (what, most, unit) in rows {
        table += format!("| {what} | {most} {unit}").trim_end();
        table += " |\n";
    }
    table
}

#[test]
fn the_document_says_what_the_code_does() -> Outcome {
    let example =
        corpus("good")?.into_iter().find(|path| path.ends_with("example.conf")).ok_or("no example")?;
    let example = format!("```ini\n{}```\n", fs::read_to_string(example)?);
    let document = fs::read_to_string(DOCUMENT)?;
    let document = with_part(&document, "example", &example)?;
    let document = with_part(&document, "limits", &bounds())?;
    let document = with_part(&document, "codes", &codes())?;
    golden(Path::new(DOCUMENT), &document)
}
