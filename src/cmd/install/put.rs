//! `aegisbpf install`

use super::{
    super::status,
    Report, allowed, place,
    system::{System, run},
};
use crate::{
    cli::{InstallArgs, Places},
    exit::{Exit, Failure},
    install::{self, Contents, Prefix, Put, Wish},
    state::Status,
    tier::Mode,
};

/// Installs, and says what is left to do.
pub(in crate::cmd) fn install(args: &InstallArgs, places: &Places) -> Result<Exit, Failure> {
    let (path, live) = place(args.root.as_deref());
    allowed(live, args.dry_run)?;
    let root = install::open(&path)?;
    let system = System::look(&root, live)?;
    let prefix = Prefix::choose(&root)?;
    let contents = Contents {
        prefix,
        systemd: system.systemd,
        apparmor: system.apparmor,
        selinux: system.selinux,
        mode: Mode::Audit,
    };
    let put = Put::plan(&root, Wish { contents, mode: args.mode })?;
    let mut notes = Vec::new();
    if prefix == Prefix::Local {
        notes.push("/usr is read-only: /usr/local and /etc/systemd are used instead".to_owned());
    }
    let commands = system.after_install(prefix);
    let (mut ran, mut next) = (Vec::new(), Vec::new());
    if !args.dry_run {
        put.execute(&root)?;
        // Of systemd nothing can be asked where it does not run; the rest depends on the kernel alone.
        if live && (system.booted || !system.systemd) {
            ran = commands.iter().map(|command| run(command)).collect();
        }
    }
    if ran.is_empty() {
        next.extend(commands.iter().map(|command| format!("`{}`", command.join(" "))));
    }
    if live && put.replaces_program() {
        next.extend(admission(&status::look(places).status, prefix));
    }
    next.extend(what_next(system, put.replaces_program()));
    if args.mode == Some(Mode::Enforce) && !system.systemd {
        notes.push(
            "there is no service that could be told to enforce: `aegisbpf run --enforce` does".to_owned(),
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let report = Report {
        schema_version: 1,
        version: version.to_owned(),
        dry_run: args.dry_run,
        files: put.deeds,
        ran,
        notes,
        next,
    };
    report.print(
        &format!("aegisbpf {version} below {}", path.join(prefix.path().trim_start_matches('/')).display()),
        args.json,
    )
}

/// Where the self-guard is armed, the program that runs lets in the one that took its place.
fn admission(status: &Status, prefix: Prefix) -> Option<String> {
    let pid = status.agent.pid.filter(|_| status.agent.running && status.guard.armed)?;
    Some(format!(
        "`/proc/{pid}/exe guard admit {}/sbin/aegisbpf`, or the guard refuses this version",
        prefix.path()
    ))
}

/// The way from files to a policy in force.
fn what_next(system: System, upgrade: bool) -> Vec<String> {
    if !system.systemd {
        return vec![
            "systemd is not here. Edit /etc/aegisbpf/policy.conf, and have the init of this host start \
             `aegisbpf run --audit --policy /etc/aegisbpf/policy.conf` before its services; SIGTERM ends it"
                .to_owned(),
        ];
    }
    if upgrade {
        return vec![
            "`systemctl restart aegisbpf` starts this version; what is pinned goes on denying meanwhile"
                .to_owned(),
        ];
    }
    vec![
        "`systemctl enable --now aegisbpf`; /etc/aegisbpf/policy.conf denies nothing yet (man aegisbpf-policy)"
            .to_owned(),
    ]
}
