//! `aegisbpf metrics`: what is in force, as Prometheus reads it.

mod changes;
mod exposition;
mod page;
mod process;
mod serve;

use std::{io, path::Path};

use self::{changes::Changes, exposition::Seen, process::Process};
use super::status::{Picture, look};
use crate::{
    cli::{MetricsArgs, Places},
    enforce::Pins,
    exit::{Exit, Failure},
    kernel::BootSwitches,
    sys::files,
};

/// Prints the metrics, writes them to a file, or answers for them until told to stop.
pub(super) fn run(args: &MetricsArgs, places: &Places) -> Result<Exit, Failure> {
    match (&args.socket, &args.textfile) {
        (Some(socket), _) => serve::run(socket, &|| current(places))?,
        (None, Some(file)) => publish(file, &current(places))?,
        (None, None) => super::print(&current(places))?,
    }
    Ok(Exit::Done)
}

/// How things stand now. What this process may not read is left out.
fn current(places: &Places) -> String {
    let Picture { status, misreporting } = look(places);
    let process = status.agent.pid.filter(|_| status.agent.running).and_then(Process::of);
    exposition::text(&Seen {
        status,
        misreporting,
        switches: BootSwitches::current(),
        changes: Changes::on_record(places),
        maps: Pins::below(&places.bpffs).sizes().unwrap_or_default(),
        process,
    })
}

fn publish(file: &Path, text: &str) -> Result<(), Failure> {
    files::publish(file, text.as_bytes(), 0o644).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::Privilege,
            _ => Exit::Io,
        };
        let failure = Failure::new(exit, format!("{}: {error}", file.display()));
        failure
            .hint("it is made beside the old one: its directory has to be there and writable, and needs room")
    })
}
