//! The files of the audit log: one that grows, and older ones, of which there is a fixed number.
//! Knows: names, sizes, modes. Must not know: what a line says.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

pub struct Files {
    dir: PathBuf,
    name: &'static str,
    limits: Limits,
    open: Option<(File, u64)>,
}

impl Files {
    pub fn new(dir: PathBuf, name: &'static str, limits: Limits) -> Self {
        Self { dir, name, limits, open: None }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(self.name)
    }

    /// One line or several and a newline, in one write: a killed process leaves whole lines.
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        let bytes = format!("{lines}\n").into_bytes();
        let added = bytes.len() as u64;
        if self.open.as_ref().is_some_and(|(_, size)| size + added > self.limits.bytes) {
            self.open = None;
            self.set_aside()?;
        }
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        // Not kept open after a failure: the next line looks again what is there.
        file.write_all(&bytes)?;
        self.open = Some((file, size + added));
        Ok(())
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path())?;
        let size = file.metadata()?.len();
        Ok((file, size))
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

fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn files_are_bounded_in_size_and_number_and_for_root_alone() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("audit");
        let mut files = Files::new(place.clone(), "audit.log", Limits { bytes: 100, older: 2 });
        for line in 0..100 {
            files.append(&format!("{line:0>30}")).unwrap();
        }
        // Another run goes on where the last one ended.
        Files::new(place.clone(), "audit.log", Limits { bytes: 100, older: 2 }).append("last").unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&place).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2"]);
        for name in names {
            let meta = fs::metadata(place.join(name)).unwrap();
            assert!(meta.len() <= 100 && meta.mode() & 0o777 == 0o600);
        }
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
        assert!(fs::read_to_string(place.join("audit.log")).unwrap().ends_with("99\nlast\n"));
    }
}
