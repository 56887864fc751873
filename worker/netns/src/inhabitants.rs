//! Who lives in a network namespace. Knows: `/proc`. Must not know: why somebody asks.

use crate::{NetNs, NsId, Process};
use std::io;
use std::os::unix::fs::MetadataExt;

impl NetNs {
    /// The processes in this namespace at this moment, judged by their first thread, each held so that its number
    /// cannot come to mean another one. Those of PID namespaces the caller cannot see are not among them.
    pub fn inhabitants(&self) -> io::Result<Vec<Process>> {
        let entries = std::fs::read_dir("/proc")?.flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let held = pids.filter(|pid| self.houses(*pid)).filter_map(|pid| Process::open(pid).ok());
        // Looked at again now that it is held: before, the number may have been given to another one.
        Ok(held.filter(|process| self.houses(process.id().pid)).collect())
    }

    fn houses(&self, pid: i32) -> bool {
        let netns = std::fs::metadata(format!("/proc/{pid}/ns/net"));
        netns.is_ok_and(|meta| NsId { dev: meta.dev(), ino: meta.ino() } == self.id())
    }
}
