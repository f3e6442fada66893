//! What to do next about what the agent says of itself.

/// Parts of reasons, in the agent's own words, and the way out. A reason that names its own way out has none here.
const REMEDIES: [(&str, &str); 17] = [
    ("break-glass is on", "`aegisbpf break-glass off` lets denials return"),
    ("aegisbpf.off stands", "boot without aegisbpf.off"),
    ("aegisbpf.mode=audit stands", "boot without aegisbpf.mode=audit"),
    ("optional hook", "`aegisbpf doctor` says why the kernel refuses it"),
    ("is attached and let the denied canary through", "`aegisbpf doctor` says what this kernel does"),
    ("without its sandbox", "start the agent without --no-sandbox"),
    (
        "nobody has read standard output",
        "let something read what the agent writes: a pipe or terminal stands still",
    ),
    ("the policy is not signed", "`aegisbpf policy sign FILE --key KEY`, then `aegisbpf policy apply FILE`"),
    ("the signature was not accepted", "`aegisbpf policy verify FILE` says what is wrong with it"),
    ("no agent is running", "`systemctl start aegisbpf`, or `aegisbpf run --enforce`"),
    ("ended without a word", "`journalctl -u aegisbpf` and the kernel log say what happened"),
    ("needs root", "run it as root"),
    (
        "nothing was heard of the agent",
        "`systemctl restart aegisbpf`; what is pinned stays in force meanwhile",
    ),
    (
        "somebody switched the programs",
        "`aegisbpf audit show` says whether a command did; restarting the agent switches them back",
    ),
    ("somebody disarmed the self-guard", "restarting the agent with --guard arms it"),
    ("the pins of", "restarting the agent attaches and pins them anew"),
    ("behind the latest time", "set the clock, or `aegisbpf reset --clock` where it is right"),
];

/// The way out of what a reason says, where there is one to name.
pub(super) fn remedy(reason: &str) -> Option<&'static str> {
    REMEDIES.iter().find(|(part, _)| reason.contains(part)).map(|(_, way)| *way)
}

/// The ways out of several, each once.
pub(super) fn remedies(reasons: &[String]) -> Vec<&'static str> {
    let mut ways = Vec::new();
    for way in reasons.iter().filter_map(|reason| remedy(reason)) {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_out_is_named_once() {
        let reasons = ["break-glass is on: nothing is denied", "all is well", "break-glass is on"];
        assert_eq!(remedies(&reasons.map(str::to_owned)), ["`aegisbpf break-glass off` lets denials return"]);
    }
}
