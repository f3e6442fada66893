//! AegisBPF denies opens and execs of files in the kernel, for selected cgroups, and never claims more than it has
//! proven.
//!
//! A module imports from lower layers only (`tests/layers.rs` reads every `use`):
//!
//! | layer | module | what lives there |
//! | --- | --- | --- |
//! | 7 | [`cmd`], [`cli`], [`exit`] | one file a subcommand; what was typed; exit codes and the error printer |
//! | 6 | [`agent`] | the story: probe, plan, load, attach, prove, confine, watch |
//! | 5 | [`enforce`], [`confine`], [`event`], [`state`], [`store`], [`audit`], [`install`] | the kernel side; the self-sandbox; events; the agent's state file; policy generations on disk; the audit log; files of an install |
//! | 4 | [`plan`] | policy, contract, kernel and request to a decision or a refusal; pure |
//! | 3 | [`tier`], [`provenance`] | contracts as types; who vouches for a policy |
//! | 2 | [`kernel`], [`policy`] | probes; the policy language |
//! | 1 | [`sys`] | every system call that no library makes; reading and writing files of ours |
//! | 0 | [`abi`] | layouts shared with the programs |

pub mod abi;
pub mod agent;
pub mod audit;
pub mod cli;
pub mod cmd;
pub mod confine;
pub mod enforce;
pub mod event;
pub mod exit;
pub mod install;
pub mod kernel;
pub mod plan;
pub mod policy;
pub mod provenance;
pub mod state;
pub mod store;
pub mod sys;
pub mod tier;

use clap::Parser as _;

/// Runs the command line of this process.
pub fn main() -> exit::Exit {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version are no errors; a closed standard output is not worth another one.
            drop(usage.print());
            return if usage.use_stderr() { exit::Exit::Usage } else { exit::Exit::Done };
        }
    };
    match cmd::run(&cli) {
        Ok(code) => code,
        Err(failure) => {
            exit::report(&failure);
            failure.exit
        }
    }
}
