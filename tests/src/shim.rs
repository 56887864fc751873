//! Slow and broken disks, and wrong clocks: a small C library put under each daemon, told by a file what to do. Knows how to build
//! it and how to speak to it.

use crate::{Host, World, run};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOURCE: &str = include_str!("shim.c");
const DISK: u64 = 0;
const CLOCK: u64 = 8;
const FAILURES: u64 = 16;

/// Builds the library with the C compiler that Rust links with.
pub fn build(dir: &Path) -> Result<PathBuf> {
    let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
    fs::write(&source, SOURCE)?;
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    run::run(command, Duration::from_secs(30))?.ok().context("building the library of slow disks")?;
    Ok(library)
}

/// Under the daemons of every host, from their next start on; in the order of the hosts.
pub fn everywhere(world: &World) -> Result<Vec<Shim>> {
    let library = build(world.dir())?;
    world.hosts().iter().map(|host| Shim::put_under(host, &library, world.dir())).collect()
}

/// One host's.
pub struct Shim {
    file: File,
}

impl Shim {
    /// For the daemons this host starts from now on.
    pub fn put_under(host: &Host, library: &Path, dir: &Path) -> Result<Self> {
        let path = dir.join(format!("{}.shim", host.name));
        fs::write(&path, [0; 24])?;
        host.set_environment("LD_PRELOAD", library);
        host.set_environment("CHAOS_SHIM", &path);
        Ok(Self { file: File::options().write(true).open(path)? })
    }

    /// Added to each fsync.
    pub fn slow_disk(&self, time: Duration) -> Result<()> {
        self.tell(DISK, i64::try_from(time.as_micros())?)
    }

    /// Added to the wall clock.
    pub fn wrong_clock(&self, seconds: i64) -> Result<()> {
        self.tell(CLOCK, seconds)
    }

    /// So many of the next fsyncs fail as on a broken disk.
    pub fn broken_disk(&self, times: i64) -> Result<()> {
        self.tell(FAILURES, times)
    }

    fn tell(&self, at: u64, value: i64) -> Result<()> {
        Ok(self.file.write_all_at(&value.to_ne_bytes(), at)?)
    }
}

/// Makes sure that the daemon has it: a program linked in another way would pass every test.
pub fn is_loaded(host: &Host) -> Result<()> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", host.daemon_pid()?))?;
    ensure!(maps.contains("shim.so"), "the daemon on {} did not load the library of slow disks", host.name);
    Ok(())
}
