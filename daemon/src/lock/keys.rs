//! The keys of this host's files: `raft.key`, as it is or sealed with the unlock key.
//! Knows the file and its two forms; must not know what is sealed with the keys in it.
//!
//! As it is: one or several keys of 32 bytes, the current one first; the others are those before it, while something may
//! still be sealed with them. Locked: a word, and the same sealed. The node's key is sealed with the first of them while
//! they are locked, so that this one file decides.

use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use swarm_identity::{KeyCover, UnlockKey, lock, random};
use swarm_manager::StoreKey;
use zeroize::Zeroizing;

const KEY: usize = 32;
/// A key that is not locked begins so once in 2^64 times.
const LOCKED: &[u8; 8] = b"SWMLOCK1";
const PLACE: &[u8] = b"raft.key";

/// What this process holds of the keys; all clones hold the same.
#[derive(Debug, Default)]
pub struct Keys(Mutex<Option<Held>>);

/// The keys in use, and what locks them.
#[derive(Debug, Clone)]
pub struct Held {
    pub ring: StoreKey,
    pub unlock: Option<UnlockKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    #[error(
        "this is not the key that locked this manager: `swarmctl unlock-key` on a manager that is open shows it; one that was \
         away while the key was rotated or the lock taken off needs the key of the time it went"
    )]
    WrongKey,
    #[error("this manager is not locked")]
    NotLocked,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Keys {
    pub fn held(&self) -> Option<Held> {
        self.0.lock().clone()
    }

    pub fn forget(&self) {
        *self.0.lock() = None;
    }

    /// What opens the node's key, and whether it is sealed.
    pub fn cover(&self) -> KeyCover {
        match &*self.0.lock() {
            None => KeyCover::none(),
            Some(held) => KeyCover::new(held.ring.ring(), held.unlock.is_some()),
        }
    }

    /// The keys: those held, else those of the file, else fresh ones, which `write` is to keep.
    ///
    /// # Errors
    /// The file is damaged, or locked.
    pub fn load(&self, path: &Path, write: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<StoreKey> {
        let mut held = self.0.lock();
        if let Some(held) = &*held {
            return Ok(held.ring.clone());
        }
        let ring = match read(path)? {
            File::None => {
                let fresh = StoreKey::new(random::bytes());
                write(&plain(&fresh))?;
                fresh
            }
            File::Plain(bytes) => ring(path, &bytes)?,
            File::Locked(_) => return Err(locked(path)),
        };
        *held = Some(Held { ring: ring.clone(), unlock: None });
        Ok(ring)
    }

    pub fn unlock(&self, path: &Path, key: UnlockKey) -> Result<(), UnlockError> {
        let File::Locked(sealed) = read(path)? else { return Err(UnlockError::NotLocked) };
        let bytes = lock::open(key.bytes(), PLACE, &sealed).ok_or(UnlockError::WrongKey)?;
        *self.0.lock() = Some(Held { ring: ring(path, &bytes)?, unlock: Some(key) });
        Ok(())
    }

    /// What is in use from here on; `write` keeps it.
    pub fn replace(&self, new: Held, write: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut held = self.0.lock();
        write(&encode(&new))?;
        *held = Some(new);
        Ok(())
    }
}

/// # Errors
/// The file cannot be read.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    Ok(matches!(read(path)?, File::Locked(_)))
}

enum File {
    None,
    Plain(Zeroizing<Vec<u8>>),
    Locked(Vec<u8>),
}

fn read(path: &Path) -> io::Result<File> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(match bytes.strip_prefix(LOCKED) {
            Some(sealed) => File::Locked(sealed.to_vec()),
            None => File::Plain(Zeroizing::new(bytes)),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(File::None),
        Err(e) => Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
    }
}

fn ring(path: &Path, bytes: &[u8]) -> io::Result<StoreKey> {
    let (keys, rest) = bytes.as_chunks::<KEY>();
    StoreKey::from_ring(keys).filter(|_| rest.is_empty()).ok_or_else(|| {
        let found = bytes.len();
        let text = format!("{} is damaged: {found} bytes where {KEY} are expected", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

fn locked(path: &Path) -> io::Error {
    let text = format!("{} is locked: `swarmctl unlock` opens it", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

fn plain(ring: &StoreKey) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(ring.ring().flatten().copied().collect())
}

fn encode(held: &Held) -> Zeroizing<Vec<u8>> {
    let bytes = plain(&held.ring);
    match &held.unlock {
        None => bytes,
        Some(key) => Zeroizing::new([LOCKED, lock::seal(key.bytes(), PLACE, &bytes).as_slice()].concat()),
    }
}

/// Where the keys of a state folder lie.
pub fn file(state: &Path) -> PathBuf {
    state.join("raft.key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(path: &Path) -> impl FnOnce(&[u8]) -> io::Result<()> {
        move |bytes| std::fs::write(path, bytes)
    }

    #[test]
    fn locked_keys_are_opened_by_their_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        let keys = Keys::default();
        let ring = keys.load(&path, keep(&path)).unwrap();
        assert!(Keys::default().load(&path, |_| panic!("it is there")).unwrap() == ring);
        let key = UnlockKey::generate();
        let both = ring.succeeded_by([7; 32]);
        keys.replace(Held { ring: both.clone(), unlock: Some(key.clone()) }, keep(&path)).unwrap();
        assert!(is_locked(&path).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        assert!(!both.ring().any(|key| bytes.windows(KEY).any(|found| found == key)));

        let restarted = Keys::default();
        let refused = restarted.load(&path, |_| panic!("it is there")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(matches!(restarted.unlock(&path, UnlockKey::generate()), Err(UnlockError::WrongKey)));
        restarted.unlock(&path, key).unwrap();
        assert!(restarted.load(&path, |_| panic!("it is held")).unwrap() == both);
        restarted.replace(Held { ring: both.alone(), unlock: None }, keep(&path)).unwrap();
        assert!(Keys::default().load(&path, |_| panic!("it is there")).unwrap() == both.alone());
        assert!(matches!(restarted.unlock(&path, UnlockKey::generate()), Err(UnlockError::NotLocked)));
    }

    #[test]
    fn a_damaged_file_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        for bytes in [[1u8; 31].as_slice(), &[1; 33], &[]] {
            std::fs::write(&path, bytes).unwrap();
            let error = Keys::default().load(&path, |_| panic!("it is there")).unwrap_err();
            assert!(error.to_string().contains("is damaged"), "{error}");
        }
    }
}
