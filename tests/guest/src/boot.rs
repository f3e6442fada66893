//! The kernel command line, as the options of this boot.

use std::{fs, io};

/// The parameters of the running kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boot {
    cmdline: String,
}

impl Boot {
    /// Reads `/proc/cmdline`.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(Self { cmdline: fs::read_to_string("/proc/cmdline")? })
    }

    /// The value of `name=value`. The last one counts, as for the kernel itself.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.cmdline
            .split_ascii_whitespace()
            .rev()
            .find_map(|word| word.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }

    /// The comma-separated values of `name=a,b`.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.value(name)
            .into_iter()
            .flat_map(|value| value.split(','))
            .filter(|item| !item.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_lists() {
        let boot = Boot { cmdline: "console=ttyS0 lsm=a,b quiet aegis.row=x lsm=a,,bpf\n".into() };
        assert_eq!(boot.value("aegis.row"), Some("x"));
        assert_eq!(boot.value("quiet"), None);
        assert_eq!(boot.list("lsm"), ["a", "bpf"]);
        assert!(boot.list("aegis.nomount").is_empty());
    }
}
