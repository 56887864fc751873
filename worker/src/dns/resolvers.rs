//! The host's resolvers. Knows: `resolv.conf`, read again when it changes. Must not know: what is asked of them.

use parking_lot::Mutex;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As many as the C library takes (`resolv.conf(5)`).
const MOST: usize = 3;
const PORT: u16 = 53;
/// The file is looked at this often at most.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) struct Resolvers {
    path: PathBuf,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    looked: Instant,
    stamp: Option<Stamp>,
    servers: Arc<[SocketAddr]>,
}

/// Differs after every change of the file: inode, size, seconds and nanoseconds of its last change.
type Stamp = (u64, u64, i64, i64);

impl Resolvers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, cached: Mutex::new(None) }
    }

    /// In the order to ask them.
    pub(crate) fn servers(&self) -> Arc<[SocketAddr]> {
        let mut cached = self.cached.lock();
        if let Some(cached) = cached.as_ref().filter(|c| c.looked.elapsed() < LOOK) {
            return cached.servers.clone();
        }
        let stamp = stamp(&self.path);
        let servers = match cached.take() {
            Some(before) if before.stamp == stamp => before.servers,
            _ => parse(&std::fs::read_to_string(&self.path).unwrap_or_default()).into(),
        };
        *cached = Some(Cached { looked: Instant::now(), stamp, servers: servers.clone() });
        servers
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

/// The `nameserver` lines; without any, the host itself, as the C library has it. The daemon's own namespace is never a
/// sandbox, so even 127.0.0.11 here is somebody else's server and no loop.
fn parse(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| -> Option<IpAddr> {
        let mut words = line.split_whitespace();
        let named = words.next() == Some("nameserver");
        words.next().filter(|_| named)?.parse().ok()
    };
    let mut servers: Vec<SocketAddr> = Vec::new();
    for ip in text.lines().filter_map(address) {
        let server = SocketAddr::new(ip, PORT);
        if !servers.contains(&server) && servers.len() < MOST {
            servers.push(server);
        }
    }
    if servers.is_empty() {
        servers.push(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), PORT));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_c_library_reads() {
        let text = "# nameserver 9.9.9.9\nsearch a\nnameserver 192.0.2.1\n nameserver\tfd00::1 \nnameserver x\n\
                    nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let servers: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[fd00::1]:53", "192.0.2.2:53"]);
        assert_eq!(parse("").len(), 1);
    }
}
