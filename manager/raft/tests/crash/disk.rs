//! Small ext4 images, mounted for a while.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, umount2};

/// Mounting needs root, and a test that cannot do its work must not pass.
pub fn need_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test mounts ext4 images on loop devices: run it as root");
}

/// Makes an empty ext4 image of so many bytes.
pub fn make_image(path: &Path, bytes: u64) {
    File::create(path).unwrap().set_len(bytes).unwrap();
    // No lazy initialisation: its writes would go on for seconds beside ours.
    let options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", options]).arg(path));
}

/// An image as it is at this moment, the way a power cut would leave the disk: what the file system has not
/// written yet is not in it.
pub fn copy_image(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--sparse=always").arg(from).arg(to));
}

/// A mounted image; unmounted when dropped.
pub struct Mount {
    pub dir: PathBuf,
}

impl Mount {
    pub fn new(image: &Path, dir: PathBuf) -> Self {
        fs::create_dir_all(&dir).unwrap();
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&dir));
        Self { dir }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let lazily = || umount2(&self.dir, MntFlags::MNT_DETACH);
        if let Err(error) = umount2(&self.dir, MntFlags::empty()).or_else(|_| lazily()) {
            eprintln!("{} stays mounted: {error}", self.dir.display());
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
