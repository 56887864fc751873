//! Names for namespaces in the file system. Knows: bind mounts on plain files. Must not know: which folder they are in.

use crate::NsError;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Mounts the file `source` at `path`, making the empty file below it.
pub(crate) fn bind_file(source: &str, path: &Path) -> Result<(), NsError> {
    let act = || format!("mount a network namespace at {}", path.display());
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(|e| NsError::system(act(), e))?;
    let bound = mount(Some(source), path, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    bound.map_err(|e| NsError::system(act(), e))
}

/// Takes a namespace's name away: unmounts every mount at `path` and removes the file. What is gone already is
/// fine. The namespace itself ends when nothing else (process, socket, name) holds it.
pub fn remove(path: &Path) -> Result<(), NsError> {
    const MOST_LAYERS: usize = 16;
    for _ in 0..MOST_LAYERS {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT) => break,
            Err(e) => return Err(NsError::system(format!("unmount {}", path.display()), e)),
        }
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(NsError::system(format!("remove {}", path.display()), e))
        }
        _ => Ok(()),
    }
}
