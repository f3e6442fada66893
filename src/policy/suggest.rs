//! The nearest known word, for "did you mean".

/// The known word that was probably meant: one that begins with `word`, that `word` begins with, or the one with the
/// fewest single-character edits, at most a third of its length.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let rank = |candidate: &str| {
        let prefix = candidate.starts_with(&word) || word.starts_with(candidate);
        let edits = if prefix { 1 } else { distance(&word, candidate) };
        (edits <= (candidate.len() / 3).max(2)).then_some(edits)
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((rank(candidate)?, candidate)))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let substituted = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = substituted.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let ops = ["read", "write", "exec"];
        for (word, meant) in
            [("raed", "read"), ("execute", "exec"), ("w", "write"), ("READ", "read"), ("reads", "read")]
        {
            assert_eq!(nearest(word, ops), Some(meant), "{word}");
        }
        for word in ["", "delete", "b", "bin/sh"] {
            assert_eq!(nearest(word, ops), None, "{word}");
        }
        assert_eq!(nearest("deny-paths", ["deny_path", "deny_tree"]), Some("deny_path"));
    }

    #[test]
    fn distances() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("a", "a", 0)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
