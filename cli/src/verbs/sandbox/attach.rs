//! `attach`: a network namespace that somebody else made joins a network.

use crate::args::sandbox::{AttachArgs, NamespaceArgs};
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::verbs::print;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use swarm_netns::{NetNs, NsError};
use swarm_proto::v1;

/// Where `ip netns add` puts its names.
const NAMED: &str = "/run/netns";

pub async fn run(target: &Target, args: AttachArgs) -> Result<(), CliError> {
    let path = path(&args.namespace)?;
    let namespace = open(&args.namespace, &path)?;
    let request = v1::AttachRequest {
        name: args.name.to_string(),
        attachment: Some(v1::Attachment {
            network: args.network,
            ip: args.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            aliases: args.aliases.iter().map(ToString::to_string).collect(),
            mac: args.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            ifname: args.ifname.unwrap_or_default(),
        }),
        netns: path.to_string_lossy().into_owned(),
        pid: args.namespace.pid.unwrap_or(0),
        // The daemon may not see the path that was typed (another mount namespace); it sees this process.
        netns_fd: format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()),
    };
    let client = Client::connect(target).await?;
    let answer = call(client.local()?.attach(request)).await?;
    print(&format!("{}\n", answer.sandbox.unwrap_or_default().id))
}

/// The absolute path of the namespace; empty when a process was named.
fn path(args: &NamespaceArgs) -> Result<PathBuf, CliError> {
    let Some(netns) = &args.netns else {
        return Ok(PathBuf::new());
    };
    if netns.as_os_str().is_empty() {
        return Err(CliError::Usage(
            "--netns must not be empty: give a path or a name under /run/netns".into(),
        ));
    }
    let bare = netns.components().count() == 1 && netns.file_name() == Some(netns.as_os_str());
    let path = if bare { Path::new(NAMED).join(netns) } else { netns.clone() };
    std::path::absolute(&path)
        .map_err(|e| CliError::Failed(format!("{} is not a usable path: {e}", path.display())))
}

fn open(args: &NamespaceArgs, path: &Path) -> Result<NetNs, CliError> {
    let opened = match args.pid {
        Some(pid) => NetNs::of_pid(pid),
        None => NetNs::open(path),
    };
    opened.map_err(|error| match error {
        NsError::NoSuchNetNs { .. } | NsError::NoSuchProcess { .. } => CliError::NotFound(error.to_string()),
        NsError::System { ref source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            CliError::Refused(error.to_string())
        }
        other => CliError::Failed(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_one_of_ip_netns() {
        let path = |netns: &str| path(&NamespaceArgs { netns: Some(netns.into()), pid: None });
        assert_eq!(path("blue"), Ok("/run/netns/blue".into()));
        assert_eq!(path("/proc/1/ns/net"), Ok("/proc/1/ns/net".into()));
        assert!(path("./blue").is_ok_and(|p| p.is_absolute() && !p.starts_with("/run/netns")));
        assert!(path("").is_err());
    }
}
