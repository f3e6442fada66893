//! Manual pages and completions: one list for what is installed and for the commands that print them.

/// A manual page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Its name.
    pub name: &'static str,
    /// Its section.
    pub section: u8,
    /// What it is about, in one clause.
    pub about: &'static str,
    /// The page, in the man(7) language.
    pub text: &'static str,
}

/// All of them.
pub const PAGES: [Page; 3] = [
    Page {
        name: "aegisbpf",
        section: 8,
        about: "the command: what it does, options, exit status, files",
        text: include_str!("../../dist/man/aegisbpf.8"),
    },
    Page {
        name: "aegisbpf-policy",
        section: 5,
        about: "the language of policies",
        text: include_str!("../../dist/man/aegisbpf-policy.5"),
    },
    Page {
        name: "aegisbpf-concepts",
        section: 7,
        about: "tiers, what a rule means, what proof means, what is left in each failure",
        text: include_str!("../../dist/man/aegisbpf-concepts.7"),
    },
];

impl Page {
    /// Where it goes, below `share`.
    pub fn path(&self) -> String {
        format!("man/man{0}/{1}.{0}", self.section, self.name)
    }

    /// Its name without what all of them begin with.
    pub fn short(&self) -> &'static str {
        short(self.name)
    }

    /// Whether a word means it: its name, whole or short, with or without its section, or the section alone.
    pub fn is_meant(&self, word: &str) -> bool {
        let section = self.section.to_string();
        let name = word.strip_suffix(&format!(".{section}")).unwrap_or(word);
        word == section || short(name) == self.short()
    }
}

/// The name of a page without what all of them begin with.
pub fn short(name: &str) -> &str {
    name.strip_prefix("aegisbpf-").unwrap_or(name)
}

/// What a shell completes.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// Where it goes, below `share`.
    pub path: &'static str,
    /// The script.
    pub text: &'static str,
}

/// In bash.
pub const BASH: Completion = Completion {
    path: "bash-completion/completions/aegisbpf",
    text: include_str!("../../dist/completions/aegisbpf.bash"),
};

/// In zsh.
pub const ZSH: Completion = Completion {
    path: "zsh/site-functions/_aegisbpf",
    text: include_str!("../../dist/completions/_aegisbpf"),
};

/// In fish.
pub const FISH: Completion = Completion {
    path: "fish/vendor_completions.d/aegisbpf.fish",
    text: include_str!("../../dist/completions/aegisbpf.fish"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_one_page() {
        for (word, name) in [
            ("aegisbpf", "aegisbpf"),
            ("aegisbpf.8", "aegisbpf"),
            ("8", "aegisbpf"),
            ("aegisbpf-policy", "aegisbpf-policy"),
            ("policy", "aegisbpf-policy"),
            ("concepts.7", "aegisbpf-concepts"),
            ("7", "aegisbpf-concepts"),
        ] {
            let meant: Vec<&str> =
                PAGES.iter().filter(|page| page.is_meant(word)).map(|page| page.name).collect();
            assert_eq!(meant, [name], "{word}");
        }
        assert!(
            PAGES.iter().all(|page| ["aegisbpf.5", "", "policy.7"].iter().all(|word| !page.is_meant(word)))
        );
    }

    #[test]
    fn each_page_says_what_it_is() {
        for page in PAGES {
            let title = format!("\n.TH {} {} ", page.name.to_uppercase(), page.section);
            assert!(page.text.contains(&title), "{}", page.name);
        }
    }
}
