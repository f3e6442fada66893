//! A run that ended without a word: what the next one can tell of it.

use std::time::Duration;

use crate::state::{RunDir, Status, uptime};

/// What is to be said of the last run, when its state file says that it runs and it does not. The caller knows that no
/// agent is alive.
pub fn lost_run(run_dir: &RunDir) -> Option<String> {
    told(&run_dir.read()?, uptime())
}

fn told(last: &Status, now: Duration) -> Option<String> {
    let pid = last.agent.pid.filter(|_| last.agent.running)?;
    // One that was heard of later than now ended with an earlier boot.
    let silence = now.checked_sub(Duration::from_secs(last.agent.beat?))?;
    let silence = humantime::format_duration(Duration::from_secs(silence.as_secs()));
    Some(format!(
        "the previous run (pid {pid}, last heard of {silence} ago) ended without a word: it failed, was killed, or made a \
         system call that its sandbox forbids; for the last, the kernel log has a line with type=1326 and pid={pid}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::AgentState;

    fn status(running: bool, pid: Option<u32>, beat: Option<u64>) -> Status {
        Status { agent: AgentState { running, pid, beat }, ..Status::nothing() }
    }

    #[test]
    fn a_run_that_stopped_is_not_lost() {
        let now = Duration::from_secs(100);
        assert_eq!(told(&Status::nothing(), now), None);
        assert_eq!(told(&status(false, Some(7), Some(90)), now), None);
        let lost = told(&status(true, Some(7), Some(90)), now).unwrap();
        assert!(lost.contains("pid 7, last heard of 10s ago"), "{lost}");
        assert!(lost.ends_with("type=1326 and pid=7"), "{lost}");
    }

    #[test]
    fn a_run_of_an_earlier_boot_ended_with_it() {
        assert_eq!(told(&status(true, Some(7), Some(101)), Duration::from_secs(100)), None);
    }
}
