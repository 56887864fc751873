//! The files of the audit log: one that grows, and older ones, of which there is a fixed number.
//! Knows: names, sizes, modes. Must not know: what a line says.

use nix::fcntl::OFlag;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longer than anything written at once.
const TAIL: u64 = 1 << 20;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A file that would grow beyond is set aside first.
    pub bytes: u64,
    /// Files set aside and kept: `audit.log.1` is the latest.
    pub older: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 20, older: 8 }
    }
}

/// One such file and its older ones.
pub struct Files {
    dir: PathBuf,
    name: &'static str,
    limits: Limits,
    open: Option<Open>,
}

struct Open {
    file: File,
    size: u64,
    /// Device and inode: another file may be there by now.
    identity: (u64, u64),
}

impl Files {
    pub fn new(dir: PathBuf, name: &'static str, limits: Limits) -> Self {
        Self { dir, name, limits, open: None }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(self.name)
    }

    /// One line or several and a newline, in one write. All of them or none: a killed process leaves whole lines, and so
    /// does a full disk.
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        let bytes = format!("{lines}\n").into_bytes();
        let added = bytes.len() as u64;
        let most = self.limits.bytes;
        if self.current().is_some_and(|open| open.size + added > most) {
            self.open = None;
            self.set_aside()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        // Not kept open after a failure: the next line looks again what is there.
        if let Err(error) = open.file.write_all(&bytes) {
            // What cannot be taken back now is when the file is opened again.
            let _ = open.file.set_len(open.size);
            return Err(error);
        }
        open.size += added;
        self.open = Some(open);
        Ok(())
    }

    /// The file that is open, unless it was moved away or removed: nobody would look for lines there.
    fn current(&mut self) -> Option<&Open> {
        let there = fs::symlink_metadata(self.path()).map(|meta| identity(&meta)).ok();
        if self.open.as_ref().is_some_and(|open| Some(open.identity) != there) {
            self.open = None;
        }
        self.open.as_ref()
    }

    fn open_file(&self) -> io::Result<Open> {
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let mut how = OpenOptions::new();
        how.create(true).read(true).append(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        let mut file = how.open(self.path())?;
        let meta = file.metadata()?;
        let size = whole_lines(&mut file, meta.len())?;
        if size < meta.len() {
            file.set_len(size)?;
        }
        Ok(Open { file, size, identity: identity(&meta) })
    }

    fn set_aside(&self) -> io::Result<()> {
        for number in (1..self.limits.older).rev() {
            renamed(&self.older(number), &self.older(number + 1))?;
        }
        match self.limits.older {
            0 => fs::remove_file(self.path()),
            _ => renamed(&self.path(), &self.older(1)),
        }
    }

    fn older(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{}.{number}", self.name))
    }
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// How long the file is without half a line at its end, which a write that was cut short has left.
fn whole_lines(file: &mut File, size: u64) -> io::Result<u64> {
    let from = size.saturating_sub(TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(from + end as u64)
}

fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
