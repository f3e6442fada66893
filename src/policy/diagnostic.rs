//! Diagnostics: where, what, why it matters, what to write instead; and their rendering with a caret.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::code::{Code, Severity};
use super::fault::Fault;
use super::limits;
use super::reader::BYTE_ORDER_MARK;
use super::text::is_invisible;

/// One finding about a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The stable code.
    pub code: Code,
    /// The line, from 1; 0: the file as a whole.
    pub line: u32,
    /// The column of the offending text in characters, from 1; 0: not known, see [`locate`].
    pub col: u32,
    /// The length of the offending text in characters; 0: a place between characters.
    pub len: u32,
    /// What is wrong, in one clause.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The line as it stands in the file, up to [`limits::LINE_BYTES`]; what is not UTF-8 is replaced.
    pub source: String,
}

impl Diagnostic {
    /// An error about a line, found outside the parser. [`locate`] adds column and source line.
    pub fn error(code: Code, line: u32, message: impl Into<String>) -> Self {
        let (message, source) = (message.into(), String::new());
        Self { severity: Severity::Error, code, line, col: 0, len: 0, message, fix: None, source }
    }

    /// A warning about a line, found outside the parser. [`locate`] adds column and source line.
    pub fn warning(code: Code, line: u32, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, line, message) }
    }

    /// The same diagnostic, with what to write instead.
    #[must_use]
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    pub(super) fn new(fault: &Fault, line: u32) -> Self {
        let code = fault.code();
        Self { severity: code.severity(), fix: fault.fix(), ..Self::error(code, line, fault.to_string()) }
    }

    /// Points at `len` bytes from byte `start` of the line.
    pub(super) fn point(mut self, line: &str, start: usize, len: usize) -> Self {
        let chars = |range| line.get(range).map_or(0, |text: &str| text.chars().count());
        let (before, within) = (chars(0..start), chars(start..start.saturating_add(len)));
        self.col = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        self.len = u32::try_from(within).unwrap_or(u32::MAX);
        line.clone_into(&mut self.source);
        self
    }
}

/// Points each diagnostic that has a line but no column at the whole entry on that line of the file.
pub fn locate(diagnostics: &mut [Diagnostic], source: &[u8]) {
    let mut wanted: Vec<&mut Diagnostic> =
        diagnostics.iter_mut().filter(|d| d.line > 0 && d.col == 0).collect();
    wanted.sort_by_key(|d| d.line);
    let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    let mut lines = (1..).zip(source.split(|&byte| byte == b'\n'));
    let mut current: (u32, &[u8]) = (0, &[]);
    for diagnostic in wanted {
        while current.0 < diagnostic.line {
            let Some(next) = lines.next() else { return };
            current = next;
        }
        let shown = current.1.get(..limits::LINE_BYTES).unwrap_or(current.1);
        let text = String::from_utf8_lossy(shown);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let entry = text.trim();
        let start = text.len() - text.trim_start().len();
        *diagnostic = diagnostic.clone().point(text, start, entry.len());
    }
}

/// The diagnostics as text for people: each with its place, the line, a caret under what is wrong, and the fix.
///
/// `source` is the file that was parsed; it is consulted for diagnostics that do not carry their line yet. `colour`
/// adds terminal escapes; the text of the file never does.
pub fn render(diagnostics: &[Diagnostic], file_name: &str, source: &[u8], colour: bool) -> String {
    let mut located = diagnostics.to_vec();
    locate(&mut located, source);
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let file_name = visible(file_name);
    let mut out = String::new();
    for diagnostic in &located {
        out.push_str(&renderer.render(&[group(diagnostic, &file_name)]));
        out.push_str("\n\n");
    }
    out
}

fn group<'a>(diagnostic: &'a Diagnostic, file_name: &'a str) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code.id());
    let group = if diagnostic.col == 0 {
        title.element(Origin::path(file_name))
    } else {
        let text = visible(&diagnostic.source);
        let start = diagnostic.col - 1;
        let span = byte_at(&text, start)..byte_at(&text, start.saturating_add(diagnostic.len));
        let line = usize::try_from(diagnostic.line).unwrap_or(usize::MAX);
        let snippet = Snippet::source(text).line_start(line).path(file_name);
        title.element(snippet.annotation(AnnotationKind::Primary.span(span)))
    };
    match &diagnostic.fix {
        Some(fix) => group.element(Level::HELP.message(visible(fix))),
        None => group,
    }
}

/// The text without anything that steers a terminal or hides: each such character becomes U+FFFD, so that columns
/// stay. The renderer replaces most of them itself, but lets U+0080 to U+009F through, among them a terminal's CSI.
pub fn visible(text: &str) -> String {
    let hides = |c: char| c.is_control() && c != '\t' || is_invisible(c);
    text.chars().map(|c| if hides(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The byte at which a character begins, or the end of the text.
fn byte_at(text: &str, character: u32) -> usize {
    let character = usize::try_from(character).unwrap_or(usize::MAX);
    text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte)
}
