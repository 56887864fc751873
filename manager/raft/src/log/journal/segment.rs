//! One of the journal's two files, written from its beginning to its end, again and again.
//!
//! Knows: where bytes of a file are, and that they are on disk. Must not know: what they say.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::super::engine::EngineError;

/// The file grows by so many zeros at a time: a flush within them need not wait for the file system's own journal.
const STEP: u64 = if cfg!(test) { 8 * 1024 } else { 256 * 1024 };
const ZEROS: [u8; 4096] = [0; 4096];

pub struct Segment {
    file: Arc<File>,
    /// How long the file is.
    length: u64,
}

impl Segment {
    /// Opens or makes the file, and reads what is in it.
    pub fn open(path: &Path) -> Result<(Self, Vec<u8>), EngineError> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(io_error("opening the log's journal"))?;
        let bytes = fs::read(path).map_err(io_error("reading the log's journal"))?;
        Ok((Self { file: Arc::new(file), length: bytes.len() as u64 }, bytes))
    }

    /// Writes at a place; what follows up to the end of the file stays.
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let write = |bytes: &[u8], at| self.file.write_all_at(bytes, at);
        write(bytes, at).map_err(io_error("writing the log's journal"))?;
        let end = at + bytes.len() as u64;
        if end > self.length {
            let room = end.next_multiple_of(STEP);
            let mut zeroed = end;
            while zeroed < room {
                let zeros = (room - zeroed).min(ZEROS.len() as u64);
                let zeros = ZEROS.get(..zeros as usize).unwrap_or(&ZEROS);
                write(zeros, zeroed).map_err(io_error("writing the log's journal"))?;
                zeroed += zeros.len() as u64;
            }
            self.length = room;
        }
        Ok(())
    }

    pub fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, EngineError> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).map_err(io_error("reading the log's journal"))?;
        Ok(bytes)
    }

    /// For a flush that holds nobody up.
    pub fn file(&self) -> Arc<File> {
        self.file.clone()
    }
}

pub fn sync(file: &File) -> Result<(), EngineError> {
    file.sync_data().map_err(io_error("syncing the log's journal"))?;
    #[cfg(test)]
    super::tests::synced(file);
    Ok(())
}

pub fn io_error(action: &'static str) -> impl Fn(io::Error) -> EngineError {
    move |source| EngineError::Io { action, source }
}
