//! A file that is there whole or not at all, for its owner alone. Knows renames and fsync; must not know what is written.

use crate::error::CliError;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Written beside its place; dropped before [`NewFile::finish`], nothing of it is left.
pub struct NewFile {
    place: PathBuf,
    temporary: PathBuf,
    file: File,
    replace: bool,
}

impl NewFile {
    /// Mode 0600. What is at `place` stays until `finish`, and without `replace` after it too.
    pub fn create(place: &Path, replace: bool) -> Result<Self, CliError> {
        let failed = |e: io::Error| CliError::Failed(format!("cannot write {}: {e}", place.display()));
        match fs::symlink_metadata(place) {
            Ok(there) if !there.is_file() => {
                return Err(failed(io::Error::other("it is there, and no file")));
            }
            Ok(_) if !replace => return Err(taken(place)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let name = place.file_name().ok_or_else(|| failed(io::Error::other("it names no file")))?;
        let name = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
        let temporary = place.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        Ok(Self { place: place.to_owned(), file: file.map_err(failed)?, temporary, replace })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.file.write_all(bytes).map_err(|e| self.failed(&e))
    }

    /// On disk, and in its place; answers which.
    pub fn finish(self) -> Result<PathBuf, CliError> {
        self.file.sync_all().map_err(|e| self.failed(&e))?;
        match self.rename() {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(taken(&self.place)),
            renamed => renamed.map_err(|e| self.failed(&e))?,
        }
        let dir = self.place.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| self.failed(&e))?;
        Ok(self.place.clone())
    }

    fn rename(&self) -> io::Result<()> {
        if self.replace {
            return fs::rename(&self.temporary, &self.place);
        }
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(AT_FDCWD, &self.temporary, AT_FDCWD, &self.place, flags) {
            // Some network file systems cannot; a hard link takes no place that is taken either.
            Err(Errno::EINVAL) => fs::hard_link(&self.temporary, &self.place),
            renamed => Ok(renamed?),
        }
    }

    fn failed(&self, error: &io::Error) -> CliError {
        CliError::Failed(format!("cannot write {}: {error}; nothing was kept", self.place.display()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn taken(place: &Path) -> CliError {
    CliError::Failed(format!(
        "{} exists already: choose another name, or replace it with --force",
        place.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("b");
        let mut file = NewFile::create(&place, false).unwrap();
        file.write(b"half").unwrap();
        assert!(!place.exists());
        drop(file);
        assert_eq!(names(dir.path()), Vec::<String>::new());
        let mut file = NewFile::create(&place, false).unwrap();
        file.write(b"whole").unwrap();
        assert_eq!(file.finish().unwrap(), place);
        assert_eq!(names(dir.path()), ["b"]);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("b");
        let late = NewFile::create(&place, false).unwrap();
        fs::write(&place, "old").unwrap();
        for refused in [late.finish().err(), NewFile::create(&place, false).err()] {
            assert!(refused.unwrap().to_string().contains("--force"));
        }
        let mut file = NewFile::create(&place, true).unwrap();
        file.write(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert!(NewFile::create(dir.path(), true).is_err(), "a folder is no file");
        assert!(NewFile::create(Path::new("/dev/null"), true).is_err(), "nor is a device");
    }
}
