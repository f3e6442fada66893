//! Patterns: `*` for any characters, `?` for one.

use std::fmt;

use serde::Serialize;

use super::limits;

/// Which hosts a policy is meant for: a host name in which `*` stands for any characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HostPattern(String);

impl HostPattern {
    /// Accepts letters, digits, `-`, `.`, `_`, `*` and `?`, at most [`limits::HOST_CHARS`]; nothing else can be part
    /// of a host name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let known = |c: char| c.is_ascii_alphanumeric() || "-._*?".contains(c);
        let fits = (1..=limits::HOST_CHARS).contains(&text.len()) && text.chars().all(known);
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether the pattern means this host. Letter case does not matter, as in DNS.
    pub fn matches(&self, host: &str) -> bool {
        glob(self.0.to_ascii_lowercase().as_bytes(), host.to_ascii_lowercase().as_bytes())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the pattern matches all of the text. Going back to the last `*` only keeps this at most quadratic.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut back: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                back = Some((after, text));
                pattern = after;
            }
            (Some((wanted, after)), Some((found, rest))) if *wanted == b'?' || wanted == found => {
                (pattern, text) = (after, rest);
            }
            (None, None) => return true,
            _ => {
                let Some((after, from)) = back else { return false };
                let Some((_, rest)) = from.split_first() else { return false };
                back = Some((after, rest));
                (pattern, text) = (after, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let matching =
            [("*", ""), ("web-??", "WEB-01"), ("*.example.org", "a.b.example.org"), ("a*b*c", "axxbyybzc")];
        for (pattern, host) in matching {
            assert!(HostPattern::parse(pattern).unwrap().matches(host), "{pattern} {host}");
        }
        for (pattern, host) in [("web", "web1"), ("web-?", "web-"), ("*.org", "a.org.uk"), ("a*b*c", "abcb")]
        {
            assert!(!HostPattern::parse(pattern).unwrap().matches(host), "{pattern} {host}");
        }
    }

    #[test]
    fn what_no_host_name_holds_is_refused() {
        for text in ["", "a b", "a,b", "[ab]", "é", &"a".repeat(254)] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }
}
