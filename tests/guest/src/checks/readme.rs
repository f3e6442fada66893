//! What the README has a reader do: the commands as they stand there, on a machine with nothing but the one file.

use super::agent::{ask, at, contains, ends, nothing_pinned, readable, want};
use super::{Check, CheckError};
use crate::report;
use crate::run::Cmd;
use guest::{AGENT, Line, RECORD_MARK};
use serde_json::{Value, json};
use std::time::Duration;

/// First in their row: nobody has applied a policy before.
pub(super) const CHECKS: [Check; 2] = [
    Check { id: "readme.first-policy", run: |_| first_policy() },
    Check { id: "readme.demo", run: |_| demo() },
];

const README: &str = include_str!("../../../../README.md");
const SECTION: &str = "First policy";
/// How many commands may lie between the bare file and proven enforcement.
const MOST: usize = 10;

const DIR: &str = "/root/first";
const SECRET: &str = "/root/first/secret";
/// Written last by the script that holds the commands.
const END: &str = "\x1eend\n";
/// A start with all its proofs, on a busy host.
const LONG: Duration = Duration::from_secs(300);

/// Leaves nothing of an earlier policy, and nothing of this one.
struct Bare;

impl Bare {
    fn new() -> Result<Self, CheckError> {
        let bare = Self;
        ends(&Cmd::sh(&format!("{CLEAR}; mkdir -p {DIR} && cp {AGENT} {DIR}")), 0)?;
        Ok(bare)
    }
}

const CLEAR: &str = "rm -rf /root/first /etc/aegisbpf /var/lib/aegisbpf /run/aegisbpf";

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = Cmd::new(AGENT).args(["detach"]).run();
        let _ = Cmd::sh(CLEAR).run();
    }
}

/// The commands of the section, without what is said about them.
fn commands() -> Vec<&'static str> {
    let section = README.split("\n## ").find(|section| section.lines().next() == Some(SECTION));
    let block = section.and_then(|section| section.split_once("```sh\n")?.1.split_once("```"));
    let lines = block.map_or("", |(block, _)| block).lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// All of them for one shell: before each what was typed, behind each the status that it ended with.
fn script(commands: &[&str]) -> String {
    // Nobody types at once.
    let one = |command: &&str| {
        format!("usleep 200000\ncat <<'TYPED'\n# {command}\nTYPED\n{command}\nprintf '\\036%s\\n' $?\n")
    };
    let all = commands.iter().map(one).collect::<Vec<_>>().concat();
    format!("exec 2>&1\n{all}printf '\\036end\\n'\nwait\n")
}

/// What was typed and printed, and the status of each command.
fn told(said: &str) -> (String, Vec<i32>) {
    let mut pieces = said.split(RECORD_MARK);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut codes = Vec::new();
    for piece in pieces {
        let (code, rest) = piece.split_once('\n').unwrap_or((piece, ""));
        codes.extend(code.parse::<i32>().ok());
        text.push_str(rest);
    }
    (text, codes)
}

fn first_policy() -> Result<(), CheckError> {
    let bare = Bare::new()?;
    let commands = commands();
    let few = (5..=MOST).contains(&commands.len());
    if !few {
        let (want, got) = (format!("at most {MOST}, and some"), commands.len().to_string());
        return Err(CheckError::Differs { what: "commands of the README", want, got });
    }
    // Whoever drops the shell ends what it started.
    let mut shell = Cmd::sh(&script(&commands)).cwd(DIR).spawn()?;
    shell.wait_for(END, LONG)?;
    let (text, codes) = told(&shell.stdout());
    for (command, code) in commands.iter().zip(&codes) {
        // Only the read of what is denied fails.
        let fails = *command == "cat secret";
        if (*code != 0) != fails {
            let want = format!("`{command}` to {}", if fails { "fail" } else { "succeed" });
            return Err(CheckError::Differs { what: "the README", want, got: text });
        }
    }
    want("a status of each command", codes.len() == commands.len(), true)?;
    contains("what is told", &text, "cat: can't open 'secret': Operation not permitted\n")?;
    contains("what is told", &text, &format!(" DENY read {SECRET} "))?;
    proven()?;
    want("the secret", readable(SECRET, 0)?, false)?;
    want("the policy beside it", readable(&format!("{DIR}/policy.conf"), 0)?, true)?;
    report::send(&Line::Transcript { name: "first-policy".to_owned(), text });
    drop(shell);
    ends(&Cmd::new("./aegisbpf").args(["detach"]).cwd(DIR), 0)?;
    want("the secret in the end", readable(SECRET, 0)?, true)?;
    nothing_pinned()?;
    drop(bare);
    Ok(())
}

/// Enforcing, each hook proven, by the policy that was signed.
fn proven() -> Result<(), CheckError> {
    let status = ask(&["status", "--json"], 0)?;
    at(&status, "/status", &json!("healthy"))?;
    at(&status, "/enforcing", &json!(true))?;
    at(&status, "/attach_state", &json!("full"))?;
    at(&status, "/policy/signed_by", &json!("you@example.org"))?;
    at(&status, "/policy/rules", &json!(1))?;
    let hooks = status.pointer("/hooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let proven = |hook: &Value| hook.pointer("/proven_at").is_some_and(Value::is_string);
    want("every hook proven", !hooks.is_empty() && hooks.iter().all(proven), true)
}

fn demo() -> Result<(), CheckError> {
    let bare = Bare::new()?;
    let text = ends(&Cmd::new("./aegisbpf").args(["demo"]).cwd(DIR), 0)?.stdout;
    contains("the demo", &text, "\nENFORCING in tier ")?;
    contains("the demo", &text, "EPERM (Operation not permitted)\n")?;
    report::send(&Line::Transcript { name: "demo".to_owned(), text: format!("# ./aegisbpf demo\n{text}") });
    drop(bare);
    Ok(())
}
