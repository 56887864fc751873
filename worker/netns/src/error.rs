//! What can go wrong with namespaces. Knows: sentences for people. Must not know: who asked.

use std::io;
use std::path::PathBuf;

/// Why a namespace or process could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NsError {
    #[error("{} is not a network namespace: expected a path such as /proc/PID/ns/net or /run/netns/NAME", path.display())]
    NotANetNs { path: PathBuf },
    #[error("there is no network namespace at {}: check the path, and that its owner still runs", path.display())]
    NoSuchNetNs { path: PathBuf },
    #[error("there is no process {pid}: it has ended, or it runs in another PID namespace")]
    NoSuchProcess { pid: i32 },
    #[error("process {pid} is another one now: the one meant has ended and its number was given out again")]
    OtherProcess { pid: i32 },
    #[error("could not {act}: {source}{}", hint(.source))]
    System { act: String, source: io::Error },
}

impl NsError {
    pub(crate) fn system(act: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { act: act.into(), source: source.into() }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => " (this needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN)",
        _ => "",
    }
}
