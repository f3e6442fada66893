//! `aegisbpf policy …`

mod change;
mod diff;
mod lint;
mod replayed;
mod sign;
mod simulate;
mod stored;
mod suggest;
mod verify;

use crate::{
    cli::{Places, PolicyCommand},
    exit::{Exit, Failure},
};

/// Runs the command.
pub(super) fn run(command: &PolicyCommand, places: &Places) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Lint(args) => lint::lint(args),
        PolicyCommand::Apply(args) => change::apply(args, places),
        PolicyCommand::Confirm(args) => change::confirm(*args, places),
        PolicyCommand::Rollback(args) => change::rollback(*args, places),
        PolicyCommand::Reload(args) => change::reload(*args, places),
        PolicyCommand::Show(args) => stored::show(*args, places),
        PolicyCommand::Export(args) => stored::export(args, places),
        PolicyCommand::History(args) => stored::history(*args, places),
        PolicyCommand::Diff(args) => diff::diff(args, places),
        PolicyCommand::Sign(args) => sign::sign(args),
        PolicyCommand::Verify(args) => verify::verify(args, places),
        PolicyCommand::Simulate(args) => simulate::simulate(args, places),
        PolicyCommand::Suggest(args) => suggest::suggest(args, places),
    }
}
