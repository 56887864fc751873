//! Exchanging a directory as a whole. Knows files and fsync; must not know what is in them.
//!
//! The new set is written beside the old one under a fixed name, synced, and exchanged by one rename. What a crash
//! left under that name is either unfinished or superseded: it is removed, never read.

use super::{StoreError, io_error};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(super) struct NewFile<'a> {
    pub(super) name: &'a str,
    pub(super) mode: u32,
    pub(super) bytes: &'a [u8],
}

/// Makes `dir` hold exactly `files`.
pub(super) fn replace(dir: &Path, files: &[NewFile<'_>]) -> Result<(), StoreError> {
    clean(dir)?;
    let beside = beside(dir);
    DirBuilder::new().mode(0o700).create(&beside).map_err(io_error("make directory", &beside))?;
    files.iter().try_for_each(|file| write(&beside.join(file.name), file))?;
    sync(&beside)?;
    exchange(&beside, dir)?;
    sync(parent(dir))?;
    clean(dir)
}

/// Makes `dir` not exist.
pub(super) fn remove(dir: &Path) -> Result<(), StoreError> {
    clean(dir)?;
    match fs::rename(dir, beside(dir)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(io_error("remove", dir))?,
    }
    sync(parent(dir))?;
    clean(dir)
}

/// Removes what an interrupted exchange left behind.
pub(super) fn clean(dir: &Path) -> Result<(), StoreError> {
    let beside = beside(dir);
    match fs::remove_dir_all(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &beside)(e)),
        _ => Ok(()),
    }
}

/// Where the new set is written and the old one ends: `.<name>.swap` in the same directory.
fn beside(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.swap"))
}

fn parent(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn write(path: &Path, new: &NewFile<'_>) -> Result<(), StoreError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(new.mode)
        .open(path)
        .map_err(io_error("create", path))?;
    file.write_all(new.bytes).and_then(|()| file.sync_all()).map_err(io_error("write", path))
}

fn exchange(new: &Path, dir: &Path) -> Result<(), StoreError> {
    if !dir.try_exists().map_err(io_error("look for", dir))? {
        return fs::rename(new, dir).map_err(io_error("create", dir));
    }
    renameat2(AT_FDCWD, new, AT_FDCWD, dir, RenameFlags::RENAME_EXCHANGE)
        .map_err(|errno| io_error("replace", dir)(errno.into()))
}

fn sync(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(io_error("sync", dir))
}
