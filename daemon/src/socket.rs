//! The local socket: who may open it, and where it stands.

use anyhow::Context;
use nix::unistd::{Group, chown};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Members of this group may speak to the daemon as root may; without such a group only root may.
const GROUP: &str = "swarm";

pub fn path(run_dir: &Path) -> PathBuf {
    run_dir.join("swarmd.sock")
}

/// Binds `<run-dir>/swarmd.sock`, 0660. A socket found there is a dead daemon's: a living one would hold the folder.
///
/// # Errors
/// The path is too long for a socket (107 bytes), or the folder does not let us.
pub fn bind(run_dir: &Path) -> anyhow::Result<UnixListener> {
    let path = path(run_dir);
    let _ = std::fs::remove_file(&path);
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    if let Ok(Some(group)) = Group::from_name(GROUP) {
        chown(&path, None, Some(group.gid))
            .with_context(|| format!("cannot give {} to group {GROUP}", path.display()))?;
    }
    Ok(listener)
}
