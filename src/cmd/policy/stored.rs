//! `aegisbpf policy show|export|history`: what is on disk, with what the kernel says of it.

use std::{fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _};

use serde::Serialize;

use crate::{
    agent::{Dirs, Live, Source},
    cli::{ExportArgs, JsonArgs, Places, ShowArgs},
    cmd::{print, print_json},
    enforce::{EnforceError, InForce},
    exit::{self, Exit, Failure},
    policy::{self, Policy},
    store::{Record, Store, StoreError},
};

/// What the kernel has, as far as this process may look.
struct View {
    store: Store,
    now: InForce,
    retained: Vec<u64>,
    /// Why the kernel was not asked.
    unseen: Option<String>,
}

impl View {
    fn of(dirs: &Dirs) -> Result<Self, Failure> {
        let store = Store::at(&dirs.state);
        match Live::find(dirs) {
            Ok(live) => {
                let retained = live.iter().flat_map(|live| live.bank.retained());
                let retained = retained.map(|held| held.generation).collect();
                let now = live.map(|live| live.bank.in_force()).unwrap_or_default();
                Ok(Self { store, now, retained, unseen: None })
            }
            Err(crate::agent::AgentError::Enforce(
                EnforceError::Pin { source, .. } | EnforceError::Map { source, .. },
            )) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                let unseen = Some(format!("what is in force was not looked at: {source}"));
                Ok(Self { store, now: InForce::default(), retained: Vec::new(), unseen })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The generation that decides, or that the next run takes.
    fn generation(&self, asked: Option<u64>) -> Result<u64, Failure> {
        let now = self.now.held.map(|held| held.generation);
        match asked.or(now) {
            Some(generation) => Ok(generation),
            None => self.store.current()?.ok_or_else(|| {
                Failure::new(Exit::Input, "no policy was ever applied here")
                    .hint("`aegisbpf policy apply FILE` applies one")
            }),
        }
    }

    fn state(&self, generation: u64, current: Option<u64>) -> &'static str {
        let is_now = self.now.held.is_some_and(|held| held.generation == generation);
        match (is_now, self.now.pending.is_some()) {
            (true, true) => "in force, waits to be confirmed",
            (true, false) => "in force",
            (false, _) if self.retained.contains(&generation) => "held in the kernel",
            (false, _) if current == Some(generation) => "next run",
            (false, _) => "on disk",
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    schema_version: u32,
    state: &'static str,
    #[serde(flatten)]
    record: &'a Record,
    policy: &'a Policy,
}

/// Shows one generation.
pub(super) fn show(args: ShowArgs, places: &Places) -> Result<Exit, Failure> {
    let view = View::of(&places.dirs())?;
    let generation = view.generation(args.generation)?;
    let record = match view.store.record(generation) {
        Ok(record) => record,
        Err(StoreError::Unknown(_)) if view.now.held.is_some_and(|held| held.generation == generation) => {
            return Err(Failure::new(
                Exit::Io,
                format!("generation {generation} is in force, and its text is not in the state directory"),
            )
            .hint("`aegisbpf policy apply FILE` brings a policy that is on record"));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(held) = view.now.held.filter(|held| held.generation == generation)
        && held.sha256 != record.sha256
    {
        return Err(Failure::new(
            Exit::CannotRun,
            format!(
                "generation {generation} in force has the SHA-256 {}, on record is {}",
                held.sha256, record.sha256
            ),
        )
        .hint("`aegisbpf policy apply FILE` brings a policy that is on record"));
    }
    let source = Source::stored(&view.store, &record)?;
    let state = view.state(generation, view.store.current()?);
    if let Some(unseen) = &view.unseen {
        exit::note(unseen);
    }
    if args.json {
        print_json(&Shown { schema_version: 1, state, record: &record, policy: &source.policy })?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "# generation {generation}: {state}\n# applied {} from {}, {} rules, {}\n# sha256 {}\n",
        record.applied_at,
        record.origin.display(),
        record.rules,
        record.signed_by.as_deref().map_or_else(|| "unsigned".to_owned(), |by| format!("signed by {by}")),
        record.sha256,
    );
    for remark in &record.remarks {
        text = remark.lines().fold(text, |text, line| text + "# " + line + "\n");
    }
    print(&(text + &policy::print(&source.policy)))?;
    Ok(Exit::Done)
}

/// Writes the text of one generation.
pub(super) fn export(args: &ExportArgs, places: &Places) -> Result<Exit, Failure> {
    let view = View::of(&places.dirs())?;
    let record = view.store.record(view.generation(args.generation)?)?;
    let text = view.store.text(&record.sha256)?;
    let failed = |error| Failure::new(Exit::Io, error);
    match &args.output {
        None => std::io::stdout().lock().write_all(&text).map_err(failed)?,
        Some(path) => {
            let mut file =
                File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
            file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        }
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Entry {
    state: &'static str,
    #[serde(flatten)]
    record: Record,
}

#[derive(Serialize)]
struct History {
    schema_version: u32,
    generations: Vec<Entry>,
}

/// Lists the generations, the latest first.
pub(super) fn history(args: JsonArgs, places: &Places) -> Result<Exit, Failure> {
    let view = View::of(&places.dirs())?;
    let current = view.store.current()?;
    let mut generations = Vec::new();
    for generation in view.store.numbers()?.into_iter().rev() {
        match view.store.record(generation) {
            Ok(record) => generations.push(Entry { state: view.state(generation, current), record }),
            // The others are still worth a look.
            Err(error) => exit::note(&error.to_string()),
        }
    }
    if let Some(unseen) = &view.unseen {
        exit::note(unseen);
    }
    if args.json {
        print_json(&History { schema_version: 1, generations })?;
        return Ok(Exit::Done);
    }
    let mut lines = Vec::new();
    for Entry { state, record } in &generations {
        let previous = record.previous.map_or_else(|| "-".to_owned(), |previous| previous.to_string());
        lines.push(format!(
            "{:>5}  {}  {}  {:>7} rules  after {previous:>5}  {}  {state}\n",
            record.generation,
            record.applied_at.get(..19).unwrap_or_default(),
            record.sha256.to_string().get(..12).unwrap_or_default(),
            record.rules,
            record.origin.display(),
        ));
    }
    print(
        if lines.is_empty() { "no policy was ever applied here\n".to_owned() } else { lines.concat() }
            .as_str(),
    )?;
    Ok(Exit::Done)
}
