//! `aegisbpf uninstall`

use std::path::Path;

use super::{
    super::status,
    Report, allowed, place,
    system::{System, reloads, run, words},
};
use crate::{
    agent,
    cli::{Places, UninstallArgs},
    exit::{Exit, Failure},
    install::{self, Take},
    state::RunDir,
};

/// What `systemctl edit` makes.
const DROP_INS: &str = "/etc/systemd/system/aegisbpf.service.d";

/// Removes what was installed.
pub(in crate::cmd) fn uninstall(args: &UninstallArgs, places: &Places) -> Result<Exit, Failure> {
    let (path, live) = place(args.root.as_deref());
    allowed(live, args.dry_run)?;
    let root = install::open(&path)?;
    let Some(take) = Take::plan(&root, args.purge)? else {
        super::super::print("`aegisbpf install` has put nothing here: nothing is removed\n")?;
        return Ok(Exit::Done);
    };
    if live && !args.detach && status::look(places).status.enforcing {
        return Err(Failure::new(Exit::Incompatible, "this host is enforcing: nothing is removed")
            .hint("`aegisbpf uninstall --detach` ends enforcement first"));
    }
    let system = System::look(&root, live)?;
    let mut ran = Vec::new();
    let files = take.deeds.clone();
    let head = format!("aegisbpf {} uninstalled from {}", take.version(), path.display());
    let version = take.version().to_owned();
    let mut notes = Vec::new();
    if !args.dry_run {
        if live {
            if system.booted {
                ran.push(run(&words(&["systemctl", "disable", "--now", "aegisbpf"])));
            }
            end(places)?;
            ran.extend(system.before_removal(args.purge).iter().map(|command| run(command)));
        }
        take.execute(&root)?;
        if system.booted {
            ran.extend(reloads().iter().map(|command| run(command)));
        }
        if args.purge && root.has_dir(Path::new(DROP_INS)).unwrap_or(false) {
            notes.push(format!("{DROP_INS} holds drop-ins that were not made here: they stay"));
        }
    }
    let report =
        Report { schema_version: 1, version, dry_run: args.dry_run, files, ran, notes, next: Vec::new() };
    report.print(&head, args.json)
}

/// No agent, and nothing of ours in the kernel.
fn end(places: &Places) -> Result<(), Failure> {
    if RunDir::at(&places.run_dir).agent_alive() {
        return Err(Failure::new(Exit::Busy, "an agent runs that is not the service's: nothing is removed")
            .hint("end it with SIGTERM, then try again"));
    }
    agent::detach(&places.dirs())?;
    Ok(())
}
