//! The files a command in a sandbox sees in place of the host's: `resolv.conf`, `hosts`, `hostname`.
//! Knows: their contents. Must not know: who mounts them.

use super::record::Sandbox;
use crate::WorkerError;
use crate::host::Host;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use swarm_model::SandboxId;

pub(crate) const RESOLV_CONF: &str = "resolv.conf";
pub(crate) const HOSTS: &str = "hosts";
const HOSTNAME: &str = "hostname";

/// Writes a sandbox's files with the addresses it has now.
pub(crate) async fn write_files(host: &Host, sandbox: &Sandbox) -> Result<(), WorkerError> {
    let ips = host.assignments.read(|assigned| {
        let endpoints = sandbox.links.iter().filter_map(|link| assigned.endpoints.get(&link.endpoint));
        endpoints.flat_map(|endpoint| endpoint.ips()).collect::<Vec<_>>()
    });
    let (dir, conf, sandbox) =
        (host.config.files_of(sandbox.id), host.config.resolv_conf.clone(), sandbox.clone());
    let write = move || {
        // A host without the file has no search list; what names mean outside is the forwarder's business.
        let host_conf = std::fs::read_to_string(conf).unwrap_or_default();
        write(&dir, &sandbox, &ips, &host_conf).map_err(|e| (dir, e))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|e| WorkerError::Internal(e.to_string()))?.map_err(|(dir, e)| {
        WorkerError::Internal(format!("could not write the sandbox's files in {}: {e}", dir.display()))
    })
}

/// Makes the files follow the networks a sandbox is on now; one that is ending needs none. To be called with the sandbox
/// held busy, so that the newest contents are written last. That it is connected counts for more than its files, so an
/// error is told and passed over.
pub(crate) async fn refresh_files(host: &Host, id: SandboxId) {
    let Some(sandbox) = host.store.get(id).filter(|sandbox| sandbox.phase.is_desired()) else { return };
    if let Err(e) = write_files(host, &sandbox).await {
        tracing::warn!("sandbox {}: {e}", sandbox.name);
    }
}

/// Writes the three files into `dir`. Written in place: a file that is mounted somewhere must stay the same file.
fn write(dir: &Path, sandbox: &Sandbox, ips: &[IpAddr], host_conf: &str) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    write_one(&dir.join(RESOLV_CONF), &resolv_conf(host_conf))?;
    write_one(&dir.join(HOSTS), &hosts(sandbox, ips))?;
    write_one(&dir.join(HOSTNAME), &format!("{}\n", sandbox.hostname))
}

/// For everybody to read, whatever the daemon's umask: commands in a sandbox need not be root's. Cut to length after the
/// write and not emptied before it: a command that looks meanwhile finds its own name.
fn write_one(path: &Path, text: &str) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

/// Our server instead of the host's; the host's search list and options stay, and where the host sets no `ndots` every
/// name is tried as it is first, as in Docker.
fn resolv_conf(host: &str) -> String {
    let mut text = String::from("nameserver 127.0.0.11\n");
    let words = |key: &str| -> Vec<&str> {
        let lines = host.lines().map(str::trim).filter_map(|line| line.strip_prefix(key));
        lines.filter(|rest| rest.starts_with([' ', '\t'])).flat_map(str::split_whitespace).collect()
    };
    let search = words("search");
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    let mut options: Vec<&str> = words("options");
    if !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0");
    }
    let _ = writeln!(text, "options {}", options.join(" "));
    text
}

fn hosts(sandbox: &Sandbox, ips: &[IpAddr]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    let (hostname, name) = (sandbox.hostname.as_str(), sandbox.name.as_str());
    for ip in ips {
        let _ = match hostname.eq_ignore_ascii_case(name) {
            true => writeln!(text, "{ip}\t{hostname}"),
            false => writeln!(text, "{ip}\t{hostname} {name}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_search_list_stays_and_its_servers_do_not() {
        let host =
            "# made by hand\nnameserver 192.0.2.53\nsearch a.example  b.example\noptions timeout:2 edns0\n";
        let expected = "nameserver 127.0.0.11\nsearch a.example b.example\noptions timeout:2 edns0 ndots:0\n";
        assert_eq!(resolv_conf(host), expected);
        assert_eq!(resolv_conf("options ndots:2\n"), "nameserver 127.0.0.11\noptions ndots:2\n");
        assert_eq!(resolv_conf(""), "nameserver 127.0.0.11\noptions ndots:0\n");
    }

    #[test]
    fn a_file_that_is_open_somewhere_shows_the_newest_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(HOSTS);
        write_one(&path, "a long first text\n").unwrap();
        let mut open = std::fs::File::open(&path).unwrap();
        write_one(&path, "short\n").unwrap();
        assert_eq!(io::read_to_string(&mut open).unwrap(), "short\n");
    }
}
