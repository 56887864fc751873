//! What was asked of a host's own daemon, manager or not: one file beside the managers' log, of the same lines.
//! Knows: that callers come over the local socket. Must not know: what a verb does.

use super::record::{Who, local};
use super::{Audit, Opened};
use std::path::PathBuf;
use std::sync::Arc;
use tonic::Request;

/// Another file than the managers' own: each has one writer.
const LOCAL: &str = "local.log";

/// Cheap to clone; all clones are the same log.
#[derive(Clone)]
pub struct LocalAudit(Audit);

/// Who called, for a call whose request comes piece by piece.
pub struct LocalCaller(Who);

impl LocalCaller {
    pub fn of<R>(request: &Request<R>) -> Self {
        Self(local(request))
    }
}

impl LocalAudit {
    /// Writes below `dir`, which is made when the first line comes.
    pub fn start(dir: PathBuf) -> Self {
        Self(Audit::begin(dir, LOCAL, Arc::default()))
    }

    /// Begins the record of a call. Secrets must not be in `what`.
    pub fn open(&self, caller: LocalCaller, method: &'static str, what: String) -> Opened {
        Opened::new(self.0.clone(), caller.0, method, what)
    }

    pub async fn flush(&self) {
        self.0.flush().await;
    }
}
