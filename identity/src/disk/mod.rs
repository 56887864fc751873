//! A node's identity on disk: `certificates/` with `swarm-root-ca.crt`, `swarm-node.crt` (0644) and
//! `swarm-node.key` (0600). Knows files; must not know what certificates mean.
//!
//! The set is one directory that is exchanged as a whole, so a crash leaves the old three files or the new three,
//! never a key beside another key's certificate.

mod cover;
mod swap;

pub use cover::KeyCover;

use crate::key::NodeKey;
use crate::node::{IdentityError, NodeIdentity};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const ROOT: &str = "swarm-root-ca.crt";
const CHAIN: &str = "swarm-node.crt";
const KEY: &str = "swarm-node.key";
/// Ours are below 4 KiB; a bundle of roots may be longer.
const MOST_BYTES: u64 = 256 * 1_024;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("could not {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} is missing while its directory is there: restore it from a backup, or remove the directory and join again",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error(
        "{} may be read by others than its owner (mode {mode:04o}): the key may be known to them; \
         set mode 0600 if you are sure that it is not, else remove the directory and join again",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is longer than the {MOST_BYTES} bytes any file of an identity has", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is locked: `swarmctl unlock` opens it", path.display())]
    Locked { path: PathBuf },
    #[error("the identity in {} cannot be used: {source}", dir.display())]
    Invalid { dir: PathBuf, source: IdentityError },
}

impl NodeIdentity {
    /// Reads the identity kept in `dir` (`<state-dir>/certificates`); `None` if this node has none. Blocks on disk.
    pub fn load(dir: &Path) -> Result<Option<Self>, StoreError> {
        Self::load_covered(dir, &KeyCover::none())
    }

    /// As [`NodeIdentity::load`], of one whose key may be sealed.
    pub fn load_covered(dir: &Path, cover: &KeyCover) -> Result<Option<Self>, StoreError> {
        swap::clean(dir)?;
        if !dir.try_exists().map_err(io_error("look for", dir))? {
            return Ok(None);
        }
        let path = dir.join(KEY);
        let key = cover.uncover(read_key(&path)?).ok_or(StoreError::Locked { path })?;
        let chain = read_text(&dir.join(CHAIN))?;
        let root = read_text(&dir.join(ROOT))?;
        let invalid = |source| StoreError::Invalid { dir: dir.to_owned(), source };
        let key = NodeKey::from_pem(&key).map_err(|e| invalid(e.into()))?;
        Self::new(key, &chain, &root).map(Some).map_err(invalid)
    }

    /// Replaces what `dir` holds by this identity, atomically and durably. The parent must exist. Blocks on disk.
    pub fn store(&self, dir: &Path) -> Result<(), StoreError> {
        self.store_covered(dir, &KeyCover::none())
    }

    /// As [`NodeIdentity::store`], the key sealed if `cover` seals.
    pub fn store_covered(&self, dir: &Path, cover: &KeyCover) -> Result<(), StoreError> {
        let invalid = |source: IdentityError| StoreError::Invalid { dir: dir.to_owned(), source };
        let key = cover.cover(&self.key.to_pem().map_err(|e| invalid(e.into()))?);
        let files = [
            swap::NewFile { name: ROOT, mode: 0o644, bytes: self.root_pem().as_bytes() },
            swap::NewFile { name: CHAIN, mode: 0o644, bytes: self.chain_pem().as_bytes() },
            swap::NewFile { name: KEY, mode: 0o600, bytes: &key },
        ];
        swap::replace(dir, &files)
    }

    /// Removes the identity kept in `dir`, as a whole: after a crash there is all of it or nothing. Blocks on disk.
    pub fn erase(dir: &Path) -> Result<(), StoreError> {
        swap::remove(dir)
    }
}

fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let file = open(path)?;
    let mode = file.metadata().map_err(io_error("look at", path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::Exposed { path: path.to_owned(), mode });
    }
    read(file, path)
}

fn read_text(path: &Path) -> Result<String, StoreError> {
    let bytes = read(open(path)?, path)?;
    // What is not UTF-8 is no PEM either; the checks of the identity say so.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        _ => StoreError::Io { doing: "open", path: path.to_owned(), source },
    })
}

fn read(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    // Reserved at once: a vector that grows leaves pieces of the key behind.
    let size = file.metadata().map_err(io_error("look at", path))?.len().min(MOST_BYTES) as usize;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(StoreError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { doing, path, source }
}
