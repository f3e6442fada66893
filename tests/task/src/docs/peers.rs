//! What others take for an open, in `docs/BENCHMARKS.md`.

use super::bench::operations;
use crate::bench::Bench;
use std::fmt::Write as _;

const METHOD: &str = "
What others that can be told to guard files take for an open which they let through, in the same machine, counted in the same
way, by a process that began after they did. Each is seen to work first: `AppArmor` and `fapolicyd` refuse another file,
`auditd` tells of a write to another one, and AegisBPF refuses another one too. `AppArmor` has a profile that allows
everything but that file; `fapolicyd` asks about file systems in memory by one mark each, has one rule that denies that file
and one that allows everything, no list of trusted files and no sums; `auditd` has watches (`auditctl -w FILE -p wa`) on that many
files in one directory. Where nothing is in force, the kernel holds AppArmor as well, without a profile. `auditd` tells and
does not refuse. Programs of user space are Debian's; their instructions count where an open waits for them.

`./dev bench --peers` measures it anew.
";

/// The section; nothing where nothing was measured.
pub(super) fn section(bench: &Bench) -> String {
    if bench.peers.is_empty() {
        return String::new();
    }
    let mut out = "\n### Peers\n".to_owned() + METHOD;
    for (name, peers) in &bench.peers {
        let versions = peers.versions.iter().map(|(name, version)| format!("{name} {version}"));
        let versions = versions.collect::<Vec<_>>().join(", ");
        out += &operations(name, &peers.row(), &versions);
        for (peer, why) in &peers.unmeasured {
            // Writing to a string cannot fail.
            let _ =
                write!(out, "\nNot measured: `{peer}`, because: {}.\n", why.trim().replace(['\n', '|'], " "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tests::figure;
    use crate::peers::Peers;

    #[test]
    fn what_could_not_be_measured_is_said() {
        let peers = Peers {
            kernel: "6.12.1".into(),
            versions: [("auditd".to_owned(), "1:4.0".to_owned())].into(),
            figures: vec![
                figure("nothing", "open, close", 7000),
                figure("auditd, 1 watch", "open, close", 7700),
            ],
            unmeasured: [("fapolicyd".to_owned(), "it did not\nstart".to_owned())].into(),
        };
        let bench = Bench { peers: [("6.12/peers".to_owned(), peers)].into(), ..Bench::default() };
        let text = section(&bench);
        assert!(text.contains("#### `6.12/peers`: auditd 1:4.0, Linux 6.12.1"), "{text}");
        assert!(text.contains("| auditd, 1 watch | +700 (10.0 %) / +700 |"), "{text}");
        assert!(text.contains("Not measured: `fapolicyd`, because: it did not start."), "{text}");
        assert_eq!(section(&Bench::default()), "");
    }
}
