//! A container image of busybox-static, as a tar file. There is no registry to ask.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use swarm_tests::run::run;

pub const NAME: &str = "busybox:bench";

/// Makes the tar file in `dir`.
pub fn tar(dir: &Path) -> Result<PathBuf> {
    let root = dir.join("image");
    for folder in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox"))
        .context("no /bin/busybox (package busybox-static)")?;
    for applet in ["sh", "sleep"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
    }
    let tar = dir.join("image.tar");
    let mut command = Command::new("tar");
    command.arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".");
    run(command, Duration::from_secs(30))?.ok()?;
    Ok(tar)
}
