//! Files of ours: there as a whole or not at all, also when the power fails; read without following a link, waiting at a
//! pipe, or taking more than was expected.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Stands at the end of the name of a file that is being written.
const NEW: &str = ".new";

/// Replaces a file: written beside it, synced, renamed over it, and the directory synced.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = unfinished(path);
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&new, path));
    if replaced.is_err() {
        // The first error is the one to report.
        drop(fs::remove_file(&new));
    }
    replaced?;
    sync_parent(path)
}

/// The name of a file while it is being written.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(NEW);
    new.into()
}

/// Whether a file was being written when its writer was interrupted.
pub fn is_unfinished(name: &str) -> bool {
    name.ends_with(NEW)
}

/// Replaces a file by one of this mode, whatever the umask, in a directory that may be somebody else's: what lies in the
/// place of the new file is removed and never written to.
pub fn publish(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = unfinished(path);
    remove(&new)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        // The first error is the one to report.
        drop(fs::remove_file(&new));
    })?;
    sync_parent(path)
}

/// Makes what was done to the directory of `path` last.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    File::open(parent)?.sync_all()
}

/// Opens a regular file, and neither follows a link there nor waits at a pipe.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"))
}

/// The content of a regular file; `None` when there is none. More than `limit` bytes are an error.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open(File::options().read(true), path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(bytes))
}

/// Fails where no file could be made.
pub fn try_create(dir: &Path) -> io::Result<()> {
    let path = dir.join(format!("trial{NEW}"));
    remove(&path)?;
    File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    remove(&path)
}

/// Makes a directory and what is above it, of this mode whatever the umask; leaves one that is there as it is.
pub fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Removes a file, whether or not it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The files of a directory by name; none when there is no directory.
pub fn names(dir: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect(),
    }
}
