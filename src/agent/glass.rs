//! Break-glass: while its file is there, nothing is denied. The command switches the kernel itself, so that it works
//! with and without an agent; an agent follows the file.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::SystemTime,
};

use super::{AgentError, Dirs, Journal, Live};
use crate::{
    audit::{Deed, Outcome, What},
    event::rfc3339,
};

/// The file whose presence turns enforcement into audit.
pub(super) const FILE: &str = "break_glass";

/// Whether the break-glass file is there. Where that cannot be told, it is not: enforcement must not end by accident.
pub fn break_glass(config_dir: &Path) -> bool {
    config_dir.join(FILE).symlink_metadata().is_ok()
}

/// The break-glass file and what the kernel does.
#[derive(Debug)]
pub struct Glass<'a> {
    dirs: &'a Dirs,
    path: PathBuf,
}

/// What came of switching.
#[derive(Debug)]
pub struct Switched {
    /// Whether anything is in force that was switched; else the file is all there is, and the next run finds it.
    pub in_kernel: bool,
    /// Whether it was not so before.
    pub changed: bool,
    /// Why it is not on record. Whoever breaks the glass has no time for a full disk.
    pub unrecorded: Option<AgentError>,
}

impl<'a> Glass<'a> {
    /// Of a host; nothing is touched.
    pub fn of(dirs: &'a Dirs) -> Self {
        Self { dirs, path: dirs.config.join(FILE) }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says: who, when, why.
    pub fn note(&self) -> Option<String> {
        const LIMIT: u64 = 4096;
        let mut text = String::new();
        let file =
            File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&self.path);
        file.ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
        Some(text.trim().replace(char::is_control, " "))
    }

    /// Whether the programs refuse nothing because of it; `None`: nothing is in force.
    pub fn in_kernel(&self) -> Result<Option<bool>, AgentError> {
        let live = Live::find(self.dirs)?;
        Ok(live.map(|live| live.bank.control.break_glass.load(Ordering::Acquire) != 0))
    }

    /// Suspends enforcement, or lets it return. The file first: it is what an agent follows, and what a run after a
    /// reboot finds; whoever is interrupted in between leaves what the next tick of an agent, or the same command again,
    /// puts right.
    pub fn switch(&self, on: bool, reason: &str) -> Result<Switched, AgentError> {
        let was = break_glass(&self.dirs.config);
        let journal = Journal::of(self.dirs);
        match on {
            true if !was => self.make(&journal, reason)?,
            false if was => self.remove()?,
            _ => {}
        }
        let live = Live::find(self.dirs);
        let (in_kernel, changed) = match &live {
            Ok(Some(live)) => {
                let before = live.bank.control.break_glass.swap(u32::from(on), Ordering::AcqRel);
                (true, before != u32::from(on))
            }
            _ => (false, false),
        };
        let what = if on { What::BreakGlassOn } else { What::BreakGlassOff };
        let mut deed = Deed::new(what, Outcome::Done).because(reason);
        if let Err(why) = &live {
            deed =
                deed.because(format!("{reason} (what is in force could not be switched: {})", why.chain()));
        }
        let unrecorded = journal.record(deed).err();
        live?;
        Ok(Switched { in_kernel, changed: changed || was != on, unrecorded })
    }

    fn make(&self, journal: &Journal, reason: &str) -> Result<(), AgentError> {
        let failed = |source| AgentError::BreakGlass { path: self.path.clone(), action: "made", source };
        let text = format!("{} {}: {reason}\n", rfc3339(SystemTime::now()), journal.name());
        DirBuilder::new().recursive(true).mode(0o755).create(&self.dirs.config).map_err(failed)?;
        // Two who break the glass at once do not take each other's file.
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
        let written = options.open(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        match written.and_then(|()| fs::rename(&new, &self.path)) {
            Ok(()) => {}
            // No room for the words: the file itself is what counts.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                drop(fs::rename(&new, &self.path));
                File::options().write(true).create(true).truncate(false).open(&self.path).map_err(failed)?;
            }
            Err(error) => {
                // The first error is the one to report.
                drop(fs::remove_file(&new));
                return Err(failed(error));
            }
        }
        self.sync().map_err(failed)
    }

    fn remove(&self) -> Result<(), AgentError> {
        let removed = match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        removed.and_then(|()| self.sync()).map_err(|source| AgentError::BreakGlass {
            path: self.path.clone(),
            action: "removed",
            source,
        })
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.dirs.config)?.sync_all()
    }
}
