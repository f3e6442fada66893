//! A file of events: appended to in whole lines, and begun anew when somebody has moved it away.

use std::{
    fs::{File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use super::queue::Out;
use crate::{confine::privileges, sys::files};

/// The file that was asked for.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its mode, whatever the umask.
    pub mode: u32,
    /// The group that it is to belong to.
    pub group: Option<u32>,
}

/// The groups of the host.
const GROUPS: &str = "/etc/group";

/// A list of groups is shorter.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The number of a group that is named or numbered; `None`: there is no such group.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let bytes = files::read(Path::new(GROUPS), LONGEST)?.unwrap_or_default();
    Ok(number_of(name, &String::from_utf8_lossy(&bytes)))
}

fn number_of(name: &str, groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

impl LogFile {
    /// The directory that it is in.
    pub(in crate::agent) fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        }
    }

    /// Opens it, and gives it its group and its mode where they are others: a directory that hands its group on does the
    /// first without a call.
    fn open(&self) -> io::Result<File> {
        let file = files::open(File::options().append(true).create(true).mode(0o600), &self.path)?;
        let metadata = file.metadata()?;
        if let Some(group) = self.group.filter(|group| *group != metadata.gid()) {
            fchown(&file, None, Some(group))?;
        }
        if metadata.mode() & 0o7777 != self.mode {
            file.set_permissions(Permissions::from_mode(self.mode))?;
        }
        Ok(file)
    }
}

/// The file that is written to now.
#[derive(Debug)]
pub(super) struct Files {
    log: LogFile,
    file: File,
    /// Why the last lines could not be written.
    unwritten: Option<String>,
    /// Why no new file could be begun.
    unopened: Option<String>,
}

impl Files {
    /// Opens it as it will be opened later, with no capability; where that takes it, as a member of the group.
    pub(super) fn open(log: &LogFile) -> io::Result<Self> {
        let open = || privileges::without(|| log.open()).map_err(io::Error::other)?;
        let file = match (open(), log.group) {
            (Err(refused), Some(group)) if refused.kind() == io::ErrorKind::PermissionDenied => {
                privileges::join(group)?;
                open()?
            }
            (opened, _) => opened?,
        };
        Ok(Self { log: log.clone(), file, unwritten: None, unopened: None })
    }

    /// Writes as much as there is room for, and says how much that was.
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut done = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => done += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Takes back the part of a line that was the last to find room.
    fn cut(&mut self, surplus: usize) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        self.file.set_len(end.saturating_sub(surplus as u64))
    }

    fn named(&self, what: &str, error: &io::Error) -> String {
        format!("{}: {what}: {error}", self.log.path.display())
    }
}

impl Out for Files {
    const BATCH: usize = 64 * 1024;

    fn put(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (done, written) = self.write(lines);
        self.unwritten = written.as_ref().err().map(|error| self.named("events could not be written", error));
        if written.is_ok() {
            return Ok(0);
        }
        let (there, rest) = lines.split_at_checked(done).unwrap_or((lines, &[]));
        let whole = there.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let torn = done - whole;
        if torn > 0
            && let Err(error) = self.cut(torn)
        {
            self.unwritten = Some(self.named("half an event could not be taken back", &error));
        }
        Ok(rest.split_inclusive(|byte| *byte == b'\n').count())
    }

    fn reopen(&mut self) {
        self.unopened = match self.log.open() {
            Ok(file) => {
                self.file = file;
                None
            }
            Err(error) => {
                Some(self.named("it could not be opened anew, and the old file is written on", &error))
            }
        };
    }

    fn trouble(&self) -> Vec<String> {
        self.unwritten.iter().chain(&self.unopened).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn log(path: PathBuf) -> LogFile {
        LogFile { path, mode: 0o640, group: None }
    }

    fn opened(log: &LogFile) -> Files {
        Files { log: log.clone(), file: log.open().unwrap(), unwritten: None, unopened: None }
    }

    #[test]
    fn a_file_that_was_moved_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        fs::write(&path, "before\n").unwrap();
        let mut files = opened(&log(path.clone()));
        assert_eq!(files.put(b"one\n").unwrap(), 0);
        let moved = dir.path().join("events.1");
        fs::rename(&path, &moved).unwrap();
        assert_eq!(files.put(b"two\n").unwrap(), 0);
        files.reopen();
        assert_eq!(files.put(b"three\n").unwrap(), 0);
        assert_eq!(fs::read_to_string(&moved).unwrap(), "before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn what_is_no_file_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let mut files = opened(&log(path.clone()));
        let moved = dir.path().join("events.1");
        fs::rename(&path, &moved).unwrap();
        symlink("/dev/null", &path).unwrap();
        files.reopen();
        assert!(files.trouble()[0].contains("the old file is written on"));
        assert_eq!(files.put(b"one\n").unwrap(), 0);
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
        for other in [PathBuf::from("/dev/null"), dir.path().to_owned(), path] {
            assert!(log(other.clone()).open().is_err(), "{}", other.display());
        }
    }

    #[test]
    fn lines_that_find_no_room_are_counted() {
        let full = File::options().append(true).open("/dev/full").unwrap();
        let mut files = Files { log: log("/dev/full".into()), file: full, unwritten: None, unopened: None };
        assert_eq!(files.put(b"one\ntwo\nthree\n").unwrap(), 3);
        assert!(files.trouble()[0].contains("events could not be written"));
    }

    #[test]
    fn a_group_has_a_name_or_a_number() {
        let groups = "root:x:0:\nadm:x:4:syslog\nbroken\nbad:x:many:\n";
        assert_eq!((number_of("adm", groups), number_of("root", groups)), (Some(4), Some(0)));
        for none in ["", "ad", "broken", "bad", "4"] {
            assert_eq!(number_of(none, groups), None, "{none}");
        }
        assert_eq!(group("1234").unwrap(), Some(1234));
    }

    #[test]
    fn a_name_alone_is_in_this_directory() {
        assert_eq!(log("events".into()).directory(), Path::new("."));
        assert_eq!(log("/var/log/events".into()).directory(), Path::new("/var/log"));
    }
}
